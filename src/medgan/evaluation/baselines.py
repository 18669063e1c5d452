"""Every detector against the best baseline that sees no more than it does: the document
`detector_tests`.

The baseline is chosen on validation, never on test. Test labels are read for the differences and
for nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from medgan.errors import UserError
from medgan.evaluation.volumes import units_of
from medgan.stats.differences import Difference, delong, holm, paired_bootstrap

BASELINES: Mapping[bool, Sequence[str]] = {
    False: ("nearest_neighbour", "autoencoder"),
    True: ("mix_vs_normal",),
}
"""`sees_mix` -> the baselines that see as much; the first is taken where validation cannot
choose.
"""
FAMILY = {False: "normals only", True: "sees the mix"}
ALPHA = 0.05
CLUSTERED = "not made: DeLong's test takes images as independent, and patients have several here"
BY_VALIDATION = "highest validation AUROC"
BY_ORDER = "fixed before: validation has no anomalous image to choose by"
ALONE = "the only baseline"
PATIENT_BOOTSTRAP, DELONG = "paired patient bootstrap", "DeLong"
DELONG_OF_IMAGES = "DeLong, images taken as independent: patients are unknown"


@dataclass(frozen=True)
class Judged:
    """What the tests need of a detector."""

    row: Mapping[str, Any]
    """Of results.json."""
    test: pd.DataFrame
    """The test images or volumes with label, score, group_id and group_known, in the same order for
    all detectors.
    """


def compare_with_baselines(
    detectors: Mapping[str, Judged], n_resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Each detector against its baseline on the same test images, corrected by Holm over all tests
    of the document.

    Returns:
        `tests` (name to the test), `baselines`, `n_tests`, `correction`, `alpha`, `n_images`,
        `n_patients`, `interval_unit`, `n_resamples`.

    Raises:
        UserError: detectors were scored on different images.
    """
    _require_same_images(detectors)
    rows = {name: judged.row for name, judged in detectors.items()}
    baselines = {FAMILY[sees]: choose_baseline(rows, sees) for sees in BASELINES}
    tests = {name: _test(name, detectors, baselines, n_resamples, seed) for name in detectors}
    adjusted = holm(
        {name: test["p_value"] for name, test in tests.items() if test.get("p_value") is not None}
    )
    first = next(iter(detectors.values())).row
    return {
        "tests": {name: _concluded(test, adjusted.get(name)) for name, test in tests.items()},
        "baselines": baselines,
        "n_tests": len(adjusted),
        "correction": "Holm",
        "alpha": ALPHA,
        **{key: first[key] for key in ("n_images", "n_patients", "interval_unit")},
        "n_resamples": n_resamples,
    }


def choose_baseline(rows: Mapping[str, Mapping[str, Any]], sees_mix: bool) -> dict[str, Any]:
    """The best of the baselines that see as much, by validation AUROC: `name`, `chosen_by`, and
    `validation_auroc` of each.
    """
    there = {
        name: rows[name]["validation_auroc"].get("value")
        for name in BASELINES[sees_mix]
        if name in rows
    }
    if not there:
        return {
            "name": None,
            "reason": f"none of {', '.join(BASELINES[sees_mix])} was run",
            "validation_auroc": {},
        }
    known = {name: value for name, value in there.items() if value is not None}
    best = max(known, key=lambda name: known[name]) if known else next(iter(there))
    chosen_by = ALONE if len(there) == 1 else BY_VALIDATION if known else BY_ORDER
    return {"name": best, "chosen_by": chosen_by, "validation_auroc": there}


def _test(
    name: str,
    detectors: Mapping[str, Judged],
    baselines: Mapping[str, Any],
    n_resamples: int,
    seed: int,
) -> dict[str, Any]:
    family = FAMILY[bool(detectors[name].row["sees_mix"])]
    against = baselines[family]["name"]
    if against is None or against == name:
        reason = baselines[family].get("reason", "it is the baseline")
        return {
            "family": family,
            "against": against,
            "difference": {"value": None, "reason": reason},
            "p_value": None,
        }
    one, other = detectors[name].test, detectors[against].test
    labels, first, second, groups = (
        column.to_numpy()
        for column in (one["label"], one["score"], other["score"], one["group_id"])
    )
    resampled = paired_bootstrap(labels, first, second, groups, n_resamples, seed)
    independent = not (one["group_known"].all() and one["group_id"].duplicated().any())
    by_delong = delong(labels, first, second) if independent else None
    return {
        "family": family,
        "against": against,
        "auroc": detectors[name].row["auroc"].get("value"),
        "auroc_of_baseline": detectors[against].row["auroc"].get("value"),
        **_primary(resampled, by_delong, bool(one["group_known"].all())),
        "bootstrap": resampled.as_dict(),
        "delong": {"value": None, "reason": CLUSTERED, "p_value": None}
        if by_delong is None
        else by_delong.as_dict(),
    }


def _primary(resampled: Difference, by_delong: Difference | None, known: bool) -> dict[str, Any]:
    """The test that is corrected and quoted: DeLong's where images are independent, else the
    patient bootstrap.
    """
    chosen = resampled if by_delong is None else by_delong
    name = PATIENT_BOOTSTRAP if by_delong is None else DELONG if known else DELONG_OF_IMAGES
    return {"test": name, "difference": chosen.estimate.as_dict(), "p_value": chosen.p_value}


def _concluded(test: dict[str, Any], adjusted: float | None) -> dict[str, Any]:
    if adjusted is None:
        return {
            **test,
            "p_holm": None,
            "verdict": f"no test: {test['difference'].get('reason', 'no interval')}",
        }
    return {
        **test,
        "p_holm": adjusted,
        "verdict": verdict(test["difference"]["value"], test["against"], adjusted),
    }


def verdict(gap: float, against: str, p_holm: float) -> str:
    """What a corrected test says of a difference in AUROC."""
    if p_holm >= ALPHA:
        return f"no difference from {against} shown"
    return f"{'better' if gap > 0 else 'worse'} than {against}"


def is_better(test: Mapping[str, Any]) -> bool:
    """Whether a corrected test shows the first of the two to be better."""
    return _is_shown(test) and test["difference"]["value"] > 0


def is_worse(test: Mapping[str, Any]) -> bool:
    """Whether a corrected test shows the first of the two to be worse."""
    return _is_shown(test) and test["difference"]["value"] < 0


def _is_shown(test: Mapping[str, Any]) -> bool:
    return test["p_holm"] is not None and test["p_holm"] < ALPHA


def _require_same_images(detectors: Mapping[str, Judged]) -> None:
    if not detectors:
        raise UserError(
            "There is no detector to test: run 'kedro run --pipeline anomaly_evaluation'."
        )
    (first, reference), *others = (
        (name, units_of(judged.test).tolist()) for name, judged in detectors.items()
    )
    different = [name for name, images in others if images != reference]
    if different:
        raise UserError(
            f"{different[0]} and {first} were scored on different test images: run 'kedro run --pipeline anomaly_evaluation' again."
        )
