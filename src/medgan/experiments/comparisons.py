"""Which rows of a dataset are compared, which one validation chooses, and what became of the aims."""

from __future__ import annotations

from medgan.evaluation.baselines import BASELINES
from medgan.experiments.document import Collected, Comparison, PooledDetector
from medgan.experiments.plan import MIX, Experiment
from medgan.report.text import signed_interval


def difference(found: Collected, name: str) -> Comparison | None:
    """Return the comparison of a row with its baseline, or None where it is one."""
    return next((test for test in found.differences if test.first == name), None)


def compared(found: Collected) -> dict[str, PooledDetector]:
    """Return the detectors that were trained on the same images; those with another mix stand in
    the contamination curve alone.
    """
    variants = found.experiment.variants
    return {
        name: row
        for name, row in found.detectors.items()
        if name not in variants or MIX not in variants[name].parameters
    }


def chosen_on_validation(found: Collected, sees_mix: bool) -> str | None:
    """Return the GAN detector, or the ensemble with one, that has the highest validation AUROC of
    those that are compared.
    """
    known = {
        name: row.validation_auroc.value
        for name, row in compared(found).items()
        if _has_gan(found.experiment, name)
        and not row.failed
        and row.sees_mix == sees_mix
        and row.validation_auroc is not None
        and row.validation_auroc.value is not None
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
    lines = []
    if found.experiment.aims:
        lines.append(_beats_the_baseline(found))
    for name, aim in found.experiment.aims.items():
        value = found.detectors[name].auroc.value if name in found.detectors else None
        if value is not None:
            reached = "reached" if value >= aim.auroc else "missed"
            line = f"- `{name}`: an AUROC of {aim.auroc}. It is {value:.3f}: {reached}."
            lines.append(f"{line} {aim.diagnosis}".rstrip())
    return "\n".join(filter(None, lines))


def _beats_the_baseline(found: Collected) -> str:
    """The aim of every experiment that has any: the GAN that validation chooses is above the best
    baseline with the whole interval of their difference.
    """
    chosen = chosen_on_validation(found, sees_mix=False)
    test = difference(found, chosen) if chosen else None
    if test is None or test.difference.low is None:
        return ""
    reached = "reached" if test.difference.low > 0 else "missed"
    return (
        f"- The GAN that validation chooses, above the best baseline with the whole interval of "
        f"their difference. `{chosen}` minus `{test.second}` is "
        f"{signed_interval(test.difference)}: {reached}."
    )
