"""Test every detector against the best baseline that sees no more than it does.

The baseline is chosen on validation, never on test. Test labels are read for the differences alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from medgan.errors import UserError
from medgan.evaluation.details import BaselineChoice, DetectorTest, DetectorTests
from medgan.evaluation.results import FAILED, DetectorResult
from medgan.evaluation.volumes import units_of
from medgan.stats.bootstrap import Estimate
from medgan.stats.differences import auroc_difference, holm

BASELINES: Mapping[bool, Sequence[str]] = {
    False: (
        *("nearest_neighbour", "autoencoder", "untrained_neighbours", "patch_knn", "padim"),
        *("denoising_autoencoder", "fpi"),
    ),
    True: ("mix_vs_normal",),
}
"""`sees_mix` to the baselines that see as much; the first is taken where validation cannot
choose.
"""
FAMILY = {False: "normals only", True: "sees the mix"}
ALPHA = 0.05
BY_VALIDATION = "highest validation AUROC"
BY_ORDER = "fixed before: validation has no anomalous image to choose by"
ALONE = "the only baseline"
OF_PATIENTS = "paired patient bootstrap"
OF_IMAGES = "paired bootstrap of images: patients are unknown"


@dataclass(frozen=True)
class Judged:
    """What the tests need of a detector."""

    row: DetectorResult
    test: pd.DataFrame
    """The test images or volumes with label, score, group_id and group_known, in the same order for
    all detectors.
    """


def compare_with_baselines(
    detectors: Mapping[str, Judged], n_resamples: int = 1000, seed: int = 0
) -> DetectorTests:
    """Test each detector against its baseline, corrected by Holm over all tests.

    Raises:
        UserError: detectors were scored on different images.
    """
    _require_same_images(detectors)
    areas = {name: judged.row.validation_auroc for name, judged in detectors.items()}
    validation = {name: area.value if area else None for name, area in areas.items()}
    baselines = {FAMILY[sees]: choose_baseline(validation, sees) for sees in BASELINES}
    tests = {}
    for name, judged in detectors.items():
        family = FAMILY[judged.row.sees_mix]
        chosen = baselines[family]
        reason = chosen.reason if chosen.name is None else "it is the baseline"
        tests[name] = (
            _test(family, chosen.name, judged, detectors[chosen.name], n_resamples, seed)
            if chosen.name not in (None, name) and not judged.row.failed
            else DetectorTest(
                family=family,
                against=chosen.name,
                difference=Estimate(None, reason=FAILED if judged.row.failed else reason),
            )
        )
    adjusted = holm({name: test.p_value for name, test in tests.items()})
    first = next(iter(detectors.values())).row
    return DetectorTests(
        tests={name: _concluded(test, adjusted.get(name)) for name, test in tests.items()},
        baselines=baselines,
        n_tests=len(adjusted),
        correction="Holm",
        alpha=ALPHA,
        n_images=first.n_images,
        n_patients=first.n_patients,
        interval_unit=first.interval_unit,
        n_resamples=n_resamples,
    )


def choose_baseline(validation: Mapping[str, float | None], sees_mix: bool) -> BaselineChoice:
    """Choose the baseline of the detectors that see as much, by the validation AUROC of each
    detector that was run; None where it has none.
    """
    run = {name: validation[name] for name in BASELINES[sees_mix] if name in validation}
    if not run:
        return BaselineChoice(None, {}, reason=f"none of {', '.join(BASELINES[sees_mix])} was run")
    known = {name: value for name, value in run.items() if value is not None}
    best = max(known, key=lambda name: known[name]) if known else next(iter(run))
    chosen_by = BY_VALIDATION if known else BY_ORDER
    return BaselineChoice(best, run, ALONE if len(run) == 1 else chosen_by)


def _test(
    family: str, against: str, one: Judged, other: Judged, n_resamples: int, seed: int
) -> DetectorTest:
    labels, first, groups = (one.test[name].to_numpy() for name in ("label", "score", "group_id"))
    second = other.test["score"].to_numpy()
    found = auroc_difference(labels, first, second, groups, n_resamples, seed)
    return DetectorTest(
        family=family,
        against=against,
        difference=found.estimate,
        p_value=found.p_value,
        auroc=one.row.auroc.value,
        auroc_of_baseline=other.row.auroc.value,
        test=OF_PATIENTS if one.test["group_known"].all() else OF_IMAGES,
    )


def _concluded(test: DetectorTest, p_holm: float | None) -> DetectorTest:
    said = verdict(test.difference, str(test.against), p_holm)
    return replace(test, p_holm=p_holm, verdict=said)


def verdict(difference: Estimate, against: str, p_holm: float | None) -> str:
    """What a corrected test says of a difference in AUROC, or why there is none."""
    if p_holm is None:
        return f"no test: {difference.reason or 'no interval'}"
    if p_holm >= ALPHA:
        return f"no difference from {against} shown"
    return f"{'better' if (difference.value or 0.0) > 0 else 'worse'} than {against}"


def is_better(difference: Estimate, p_holm: float | None) -> bool:
    """Whether a corrected test shows the first of the two to be better."""
    return _is_shown(p_holm) and (difference.value or 0.0) > 0


def is_worse(difference: Estimate, p_holm: float | None) -> bool:
    """Whether a corrected test shows the first of the two to be worse."""
    return _is_shown(p_holm) and (difference.value or 0.0) < 0


def _is_shown(p_holm: float | None) -> bool:
    return p_holm is not None and p_holm < ALPHA


def _require_same_images(detectors: Mapping[str, Judged]) -> None:
    if not detectors:
        raise UserError(
            "There is no detector to test: run 'kedro run --pipeline anomaly_evaluation'."
        )
    units = {name: units_of(judged.test).tolist() for name, judged in detectors.items()}
    first = next(iter(units))
    different = [name for name, images in units.items() if images != units[first]]
    if different:
        raise UserError(
            f"{different[0]} and {first} were scored on different test images: "
            "run 'kedro run --pipeline anomaly_evaluation' again."
        )
