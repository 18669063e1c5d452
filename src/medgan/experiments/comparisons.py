"""Which rows of a dataset are compared, which one validation chooses, and what became of the aims."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from medgan.evaluation.baselines import BASELINES
from medgan.experiments.document import Collected, Comparison, PooledDetector
from medgan.experiments.plan import MIX, REAL_SHARE, Aim, Experiment
from medgan.report.text import signed_interval

QUESTIONS: Mapping[bool, str] = {False: "Normal images alone", True: "With unlabelled images"}
"""Whether a detector sees the unlabelled mix -> what is asked."""
GAINS: Mapping[str, tuple[str, str]] = {
    "GAN − real": ("gan", "real"),
    "GAN + classical − classical": ("gan_classical", "classical"),
}
"""What is compared -> the arm with synthetic images, and the arm without."""
AIMED = {"normals": False, "mix": True}


def difference(found: Collected, name: str) -> Comparison | None:
    """Return the comparison of a row with its baseline, or None where it is one."""
    return next((test for test in found.differences if test.first == name), None)


def compared(found: Collected) -> dict[str, PooledDetector]:
    """Return the detectors that were trained on the same images; those with another mix stand in
    the contamination curve alone.
    """
    variants = found.experiment.variants
    apart = {name for name, one in variants.items() if MIX in one.parameters}
    return {name: row for name, row in found.detectors.items() if name not in apart}


def chosen_on_validation(found: Collected, sees_mix: bool) -> str | None:
    """Return the GAN detector, or the ensemble with one, that has the highest validation AUROC of
    those that are compared.
    """
    variants = found.experiment.variants
    known = {
        name: row.validation_auroc.value
        for name, row in compared(found).items()
        if row.sees_mix == sees_mix and not row.failed
        if _has_gan(found.experiment, name)
        if not (name in variants and variants[name].input)
        if row.validation_auroc is not None and row.validation_auroc.value is not None
    }
    return max(known, key=lambda name: known[name] or 0.0) if known else None


def _has_gan(experiment: Experiment, name: str) -> bool:
    baselines = {model for models_of in BASELINES.values() for model in models_of}
    members = experiment.ensembles.get(name, (name,))
    return not baselines.issuperset(map(experiment.model_of, members))


def shared_seeds(found: Collected, test: Comparison) -> str:
    """` (on the 3 seeds that both have)`, where one of two rows has more; else empty."""
    count = len(test.seeds)
    seeds = {name: row.n_seeds for name, row in found.detectors.items()}
    seeds |= {name: row.n_seeds for name, row in found.classifiers.items()}
    if max(seeds[test.first], seeds[test.second]) <= count:
        return ""
    return f" (on the {count} {'seed' if count == 1 else 'seeds'} that both have)"


def aims(found: Collected) -> str:
    """What was hoped for, what came out, and why it differs."""
    lines = (_aim(found, AIMED[key], aim) for key, aim in found.experiment.aims.items())
    return "\n".join(line for of in lines for line in of)


def _aim(found: Collected, sees_mix: bool, aim: Aim) -> Iterator[str]:
    """An AUROC, and the whole interval of the difference from the best baseline above 0."""
    chosen = chosen_on_validation(found, sees_mix)
    area = found.detectors[chosen].auroc.value if chosen else None
    if chosen is None or area is None:
        return
    question = QUESTIONS[sees_mix]
    yield (
        f"- *{question}:* the GAN that validation chooses has an AUROC of {aim.auroc}. `{chosen}` "
        f"has {area:.3f}: {_reached(area >= aim.auroc)}. {aim.diagnosis}".rstrip()
    )
    test = difference(found, chosen)
    if test is not None and test.difference.low is not None:
        yield (
            f"- *{question}:* it is above the best baseline with the whole interval of their "
            f"difference. `{chosen}` minus `{test.second}` is {signed_interval(test.difference)}: "
            f"{_reached(test.difference.low > 0)}."
        )


def _reached(is_reached: bool) -> str:
    return "reached" if is_reached else "missed"


def gains(found: Collected) -> dict[str, list[tuple[float, Comparison]]]:
    """Return what synthetic images add at each share of the real ones, in ascending order, of arms
    that share all other settings; empty where there are fewer than two shares.
    """
    curves: dict[str, list[tuple[float, Comparison]]] = {name: [] for name in GAINS}
    for test in found.differences:
        pair = found.experiment.model_of(test.first), found.experiment.model_of(test.second)
        settings = dict(found.experiment.settings_of(test.first))
        share = float(str(settings.pop(REAL_SHARE, 1.0)))
        for name, arms in GAINS.items():
            if pair == arms and not settings:
                curves[name].append((share, test))
    if not any(len(points) > 1 for points in curves.values()):
        return {}
    return {name: sorted(points, key=lambda point: point[0]) for name, points in curves.items()}
