"""Records of a data set as one document, docs/results/<data set>.json: the form of results.json,
and what only several seeds can tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from medgan.audits.shortcuts import SCOPES, is_no_better, short, within_scope
from medgan.errors import UserError
from medgan.evaluation.baselines import BASELINES, FAMILY, choose_baseline, verdict
from medgan.evaluation.results import new_document, validate
from medgan.experiments.plan import FOLD, MIX, PREPARING, SHORTCUTS, Study
from medgan.experiments.records import TestScores, read_records, read_shortcuts
from medgan.pipelines.classifier_training.config import ARMS
from medgan.stats.bootstrap import interval
from medgan.stats.classification import auroc, ranking_metrics
from medgan.stats.differences import holm, paired_bootstrap
from medgan.stats.pooling import fold_average, over_seeds

Records = Mapping[str, Sequence[Mapping[str, Any]]]
COMPARED_ARMS = (
    ("classical", "real"),
    ("gan", "real"),
    ("gan_classical", "real"),
    ("gan_classical", "classical"),
)
APART = "not compared: the seeds were tested on different images"
N_BOOT = 1000
KEPT = ("components", "categories")


def collect(root: Path, dataset: str, study: Study, contamination: float) -> dict[str, Any]:
    """What the records of a data set say, put together.

    Args:
        root: of the project.
        dataset: the environment of conf/.
        study: what was declared.
        contamination: anomalous share of the unlabelled mix, where a row does not say another one.

    Returns:
        A document of schema 1 with, besides, `study` (what was declared), `missing` (declared rows
        and seeds without a record), `differences`, `contamination`, `components`, `categories`,
        `shortcuts`, `trained` and `tried`.

    Raises:
        UserError: a record is damaged, or the seeds of a row were trained with different settings.
    """
    records = read_records(root, dataset)
    _require_alike(dataset, records)
    tried = {name: found for name, found in records.items() if name in study.tried}
    rows = {name: found for name, found in records.items() if name not in tried}
    document = {**new_document(dataset, "test", _provenance(rows)), **_sections(rows)}
    validate(document)
    alike = _alike(rows, study)
    return {
        **document,
        "study": asdict(study),
        "missing": _missing(study, records),
        "differences": differences(document, alike),
        "contamination": _contamination(document["detectors"], study, contamination),
        **{kind: _kept(rows, kind) for kind in KEPT},
        "shortcuts": shortcuts(document["detectors"], alike),
        "trained": {name: _trained(found) for name, found in rows.items()},
        "tried": {name: _tried(found) for name, found in tried.items()},
    }


def _require_alike(dataset: str, records: Records) -> None:
    for name, found in records.items():
        settings = [
            [record["training"].get(key) for key in ("configuration", "budget")] for record in found
        ]
        if any(other != settings[0] for other in settings):
            seeds = ", ".join(str(record["seed"]) for record in found)
            raise UserError(
                f"{dataset}: the records of {name} (seeds {seeds}) were trained with different settings: "
                "delete those whose settings no longer hold, then `make reproduce` makes them again."
            )


def _sections(records: Records) -> dict[str, Any]:
    folds = {name for name, found in records.items() if FOLD in found[0]["parameters"]}
    judged, quality = (
        _kept({name: records[name] for name in records if name not in folds}, "evaluation"),
        _kept(records, "quality"),
    )
    detectors = {name: row for name, row in judged.items() if name not in ARMS} | _over_folds(
        [r for name in folds for r in records[name]]
    )
    return {
        "detectors": detectors,
        "classifiers": {name: judged[name] for name in ARMS if name in judged},
        "quality": quality,
    }


def _over_folds(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Model -> its row over the folds that are there: AUROC of each fold, averaged, with an
    interval over subjects; the rest are means.
    """
    by_model: dict[str, list[Mapping[str, Any]]] = {}
    for record in sorted(records, key=lambda record: (record["seed"], record["parameters"][FOLD])):
        by_model.setdefault(record["model"], []).append(record)
    return {model: _fold_row(found) for model, found in by_model.items()}


def _fold_row(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`n_images` counts an image once for each repeat of the folds, `n_patients` a subject once."""
    average = fold_average(
        [TestScores.read(record["test_scores"]).frame() for record in found], N_BOOT
    )
    rows = [record["evaluation"] for record in found]
    seeds = sorted({record["seed"] for record in found})
    counts = {key: sum(row[key] for row in rows) for key in ("n_images", "n_anomalous")}
    patients = average["n_subjects"] if average["interval_unit"] == "patient" else None
    return {
        **over_seeds(rows),
        **counts,
        "n_patients": patients,
        "auroc": average["auroc"],
        "folds": average,
        "seeds": seeds,
        "n_seeds": len(seeds),
    }


def _provenance(records: Records) -> dict[str, Any]:
    """What all runs share, and the span of what they do not."""
    every = [record["provenance"] for found in records.values() for record in found]
    return {
        "records": len(every),
        "time": max((one["time"] for one in every), default=None),
        "hardware": _distinct([one["hardware"] for one in every]),
        "git": _distinct([one["git"] for one in every]),
        "lock_hash": _distinct([one["lock_hash"] for one in every]),
        "versions": _distinct([one["versions"] for one in every]),
    }


def _distinct(values: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def _missing(study: Study, records: Records) -> list[str]:
    seeds = {name: {record["seed"] for record in found} for name, found in records.items()}
    return [
        f"{name}-{seed}"
        for seed in study.all_seeds()
        for name in study.names(seed)
        if seed not in seeds.get(name, set())
    ]


def _kept(records: Records, kind: str) -> dict[str, Any]:
    return {
        name: over_seeds([r[kind] for r in found])
        for name, found in records.items()
        if all(kind in r for r in found)
    }


def _contamination(
    rows: Mapping[str, Any], study: Study, share: float
) -> dict[str, list[tuple[float, Any]]]:
    """Model -> (anomalous share of its mix, AUROC) in ascending order; of models with more than one
    share.
    """
    curves: dict[str, list[tuple[float, Any]]] = {}
    for name, row in rows.items():
        variant = study.variants.get(name)
        if variant is None or MIX in variant.parameters:
            own = share if variant is None else float(variant.parameters[MIX])
            curves.setdefault(name if variant is None else variant.model, []).append(
                (own, row["auroc"])
            )
    return {
        name: sorted(points, key=lambda point: point[0])
        for name, points in curves.items()
        if len(points) > 1
    }


def _trained(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How the trainings of a row went."""
    return {
        "seeds": [record["seed"] for record in found],
        "parameters": found[0]["parameters"],
        "command": found[0]["command"],
        "budget": found[0]["training"].get("budget"),
        "published_step": [record["training"].get("published_step") for record in found],
        "seconds": [record["provenance"]["seconds"] for record in found],
    }


def _tried(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What validation said of a setting; its test images were never looked at."""
    return {
        "model": found[0]["model"],
        **_trained(found),
        "validation": [record["training"].get("figures", {}) for record in found],
    }


def differences(document: Mapping[str, Any], records: Records) -> list[dict[str, Any]]:
    """Differences of AUROC on the same test images, means over seeds, Holm-corrected over all of
    them.

    Each detector against the best baseline that sees no more than it does, chosen on validation;
    arms against `real` and `classical`.
    """
    pairs = [*_detector_pairs(document["detectors"], records), *_arm_pairs(document["classifiers"])]
    tests = [
        {
            "first": first,
            "second": second,
            "family": family,
            **_test(records[first], records[second]),
        }
        for first, second, family in pairs
    ]
    adjusted = holm(
        {
            str(place): test["p_value"]
            for place, test in enumerate(tests)
            if test["p_value"] is not None
        }
    )
    return [
        {**test, **_verdict(test, adjusted.get(str(place)))} for place, test in enumerate(tests)
    ]


def _detector_pairs(rows: Mapping[str, Any], records: Records) -> list[tuple[str, str, str]]:
    """Rows over folds, which have no record of their own, are not compared; nor are those whose mix
    differs from the baseline's.
    """
    best = {sees: choose_baseline(rows, sees)["name"] for sees in BASELINES}
    return [
        (name, best[bool(row["sees_mix"])], FAMILY[bool(row["sees_mix"])])
        for name, row in rows.items()
        if name in records and best[bool(row["sees_mix"])] not in (None, name)
    ]


def _alike(records: Records, study: Study) -> Records:
    """Those of the study's own images and splits."""
    own = {
        name: set(found[0]["parameters"]) - set(study.parameters) for name, found in records.items()
    }
    return {
        name: records[name]
        for name, parameters in own.items()
        if not any(key.startswith(PREPARING) for key in parameters)
    }


def shortcuts(rows: Mapping[str, Any], records: Records) -> dict[str, Any]:
    """Each detector against the best shortcut of its kind, on the same test images.

    The best is picked on the test images, which can only make the detector look worse.

    Returns:
        Detector -> `any` and `not_the_disease` -> {"shortcut", "auroc", "difference", "no_better"},
        in the terms of `evaluation.shortcuts`; empty where the shortcuts have no record, and
        without the detectors that were tested on other images.
    """
    if SHORTCUTS not in records:
        return {}
    told = {}
    for name, row in rows.items():
        test = stacked(records.get(name, ()))
        alone = read_shortcuts(records[SHORTCUTS][0][SHORTCUTS], test[0].units) if test else {}
        told[name] = _beside_shortcuts(*test, alone, row["sees_mix"]) if test else {}
    return {name: scopes for name, scopes in told.items() if scopes}


def _beside_shortcuts(
    images: TestScores, scores: np.ndarray, alone: Mapping[str, np.ndarray], sees_mix: bool
) -> dict[str, Any]:
    probes = [name for name in alone if name.startswith("probe/")] if sees_mix else []
    named = probes or [name for name in alone if name.startswith("one_class/")]
    among = {scope: within_scope(scope, {name: alone[name] for name in named}) for scope in SCOPES}
    return {scope: _beside_best(images, scores, found) for scope, found in among.items() if found}


def _beside_best(
    images: TestScores, scores: np.ndarray, alone: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    once = np.ones((1, len(images.label)))
    best = max(alone, key=lambda name: auroc(images.label, alone[name], once)[0])
    area = interval(ranking_metrics(images.label, alone[best])["auroc"], images.group, N_BOOT)
    gain = paired_bootstrap(images.label, scores, alone[best], images.group, N_BOOT).estimate
    return {
        "shortcut": short(best),
        "auroc": area.as_dict(),
        "difference": gain.as_dict(),
        "no_better": is_no_better(gain),
    }


def _arm_pairs(rows: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (first, second, "arms")
        for first, second in COMPARED_ARMS
        if first in rows and second in rows
    ]


def _test(
    first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """On the seeds that both have."""
    seeds = sorted({record["seed"] for record in first} & {record["seed"] for record in second})
    one, other = (
        stacked([record for record in found if record["seed"] in seeds])
        for found in (first, second)
    )
    if one is None or other is None or one[0].units != other[0].units:
        return {"seeds": seeds, "difference": {"value": None, "reason": APART}, "p_value": None}
    found = paired_bootstrap(one[0].label, one[1], other[1], one[0].group, N_BOOT).as_dict()
    return {
        "seeds": seeds,
        "p_value": found.pop("p_value"),
        "difference": found,
        "n_images": len(one[0].label),
    }


def stacked(records: Sequence[Mapping[str, Any]]) -> tuple[TestScores, np.ndarray] | None:
    """The test images, and their scores (S, n) in S trainings; None where the trainings were tested
    on different images.
    """
    scores = [TestScores.read(record["test_scores"]) for record in records]
    if not scores or len({one.units for one in scores}) > 1:
        return None
    return scores[0], np.stack([one.score for one in scores])


def _verdict(test: Mapping[str, Any], adjusted: float | None) -> dict[str, Any]:
    if adjusted is None:
        return {"p_holm": None, "verdict": test["difference"].get("reason", "no interval")}
    return {
        "p_holm": adjusted,
        "verdict": verdict(test["difference"]["value"], test["second"], adjusted),
    }
