"""What a reviewer asks: shortcuts, subgroups, robustness, who was looked at, and the usual errors.

Test labels are read by `shortcuts`, `subgroups`, `robustness`, `errors` and `worst_slices`, which
are metric nodes; the nodes that make scores do not.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from medgan import __version__, models
from medgan.audits import cohort
from medgan.audits.cohort import reference_standard
from medgan.audits.robustness import (
    VERSION,
    audit_robustness,
    perturbed,
    robustness_sample,
    variants,
)
from medgan.audits.shortcut_baselines import shortcut_scores
from medgan.audits.shortcuts import audit_shortcuts
from medgan.audits.subgroups import audit_subgroups, restated
from medgan.evaluation.detector import joined, scored_images
from medgan.evaluation.examples import describe_worst_slices, random_errors
from medgan.evaluation.protocol import EvaluationConfig
from medgan.evaluation.scores import Images, score_images
from medgan.evaluation.volumes import aggregate_of
from medgan.files.digest import digest
from medgan.images.store import ImageStore
from medgan.images.transforms import prepare
from medgan.models import PublishedModel
from medgan.plots.data_profile import flow_chart
from medgan.plots.forest import shortcut_forest, subgroup_forest
from medgan.plots.robustness import robustness_curves, robustness_table
from medgan.plots.style import Drawing, drawing, readable
from medgan.training.progress import progress_bar
from medgan.training.runtime import Runtime

Arrays = Mapping[str, NDArray[Any]]
TIMED = 8
"""Images that are scored to see how long a detector takes."""
ERROR_COLUMNS = ("image_id", "category", "score", "sex", "age_band", "site")


def score_perturbed(
    published: PublishedModel,
    images: ImageStore,
    splits: pd.DataFrame,
    config: EvaluationConfig,
    seed: int,
    cached: Arrays | None,
) -> dict[str, NDArray[Any]]:
    """Scores of a sample of test images under every perturbation; the stored ones where nothing
    that decides them has changed.

    Reads no label. A detector that would take longer than `evaluation.robustness.seconds` is not
    run; `reason` says so.

    Returns:
        image_id (n,), scores (variants, n), seconds_per_image, reason (empty where it was run),
        key.
    """
    chosen = robustness_sample(
        splits.reindex(columns=["image_id", "split", "row", "volume"]),
        config.robustness.images,
        seed,
    )
    plan = list(variants())
    settings = [config.robustness.images, config.robustness.seconds]
    key = digest(
        [
            published.key,
            images.key,
            chosen.astype(str).to_numpy().tolist(),
            plan,
            settings,
            seed,
            VERSION,
            __version__,
        ]
    )
    if cached is not None and str(cached["key"]) == key:
        return dict(cached)
    rows = chosen["row"].to_numpy(dtype=np.int64)
    detector, device = published.build().to(Runtime.detect().device), str(Runtime.detect().device)

    def scored(variant: tuple[str, float], some: NDArray[np.int64]) -> NDArray[np.float32]:
        loaded = _perturbed(images, variant, seed, device)
        budget = {"batch_size": config.batch_size, "seed": seed, "device": device}
        return score_images(detector, loaded, some, **budget).scores  # type: ignore[arg-type]

    seconds = _seconds_per_image(lambda some: scored(plan[0], some), rows)
    reason = _too_slow(seconds, len(rows) * len(plan), config.robustness.seconds)
    values = np.zeros((len(plan), 0 if reason else len(rows)), dtype=np.float32)
    with progress_bar(f"{published.name}, perturbed", "image", values.size) as bar:
        for place, variant in enumerate(plan if not reason else []):
            values[place] = scored(variant, rows)
            bar.update(len(rows))
    names = chosen["image_id"].astype(str).tolist()
    facts = {
        "seconds_per_image": np.array(seconds),
        "reason": np.array(reason),
        "key": np.array(key),
    }
    return {"image_id": np.array(names), "scores": values, **facts}


def _perturbed(images: ImageStore, variant: tuple[str, float], seed: int, device: str) -> Images:
    """Rows of the store to images as a network sees them, perturbed before anything else is done to
    them.
    """

    def load(rows: NDArray[np.int64]) -> Tensor:
        pixels = torch.from_numpy(perturbed(images.read(rows), rows, *variant, seed))
        return prepare(pixels.to(device), images.info.intensity, images.spec.size)

    return load


def _seconds_per_image(score: Any, rows: NDArray[np.int64]) -> float:
    """Of TIMED images; one alone goes first, since the first call also loads what a detector
    needs.
    """
    some = rows[:TIMED]
    score(some[:1])
    start = time.perf_counter()
    score(some)
    return (time.perf_counter() - start) / max(1, len(some))


def _too_slow(seconds: float, count: int, budget: float) -> str:
    if seconds * count <= budget:
        return ""
    return (
        f"scoring takes {seconds:.3f} s an image, so {count:,} perturbed images would take {seconds * count / 60:.0f} minutes; "
        f"raise evaluation.robustness.seconds ({budget:g})"
    )


def robustness(
    published: PublishedModel,
    arrays: Arrays,
    scores: pd.DataFrame,
    splits: pd.DataFrame,
    row: Mapping[str, Any],
    config: EvaluationConfig,
    seed: int,
) -> tuple[dict[str, Any], Drawing]:
    """How far AUROC falls and how many decisions flip, and the picture of it."""
    document = audit_robustness(
        arrays,
        scores,
        splits,
        row["threshold"]["value"],
        config.n_resamples,
        seed,
        aggregate_of(row),
    )
    return document, drawing(
        robustness_curves, document, readable(f"{published.name}: test images made worse")
    )


def compare_robustness(*documents: Mapping[str, Any]) -> Drawing:
    """All detectors side by side, in the order of `models.detectors()`."""
    return drawing(robustness_table, dict(zip(models.detectors(), documents, strict=True)))


def subgroups(
    published: PublishedModel,
    scores: pd.DataFrame,
    splits: pd.DataFrame,
    row: Mapping[str, Any],
    leakage: Mapping[str, Any] | None,
    config: EvaluationConfig,
    seed: int,
) -> tuple[dict[str, Any], Drawing]:
    """Figures of every group at the frozen threshold of the row, their gaps, and the picture of
    them.
    """
    document = audit_subgroups(
        scores,
        splits,
        row["threshold"]["value"],
        config.n_resamples,
        seed,
        leakage,
        aggregate_of(row),
    )
    return document, drawing(
        subgroup_forest,
        document,
        readable(f"{published.name}: groups of the test images, at the frozen threshold"),
    )


def errors(
    scores: pd.DataFrame,
    splits: pd.DataFrame,
    row: Mapping[str, Any],
    config: EvaluationConfig,
    seed: int,
) -> dict[str, Any]:
    """Misses and false alarms drawn at random: {"threshold", "miss" | "false_alarm": {"n", "shown":
    [{image_id, category, ...}]}}.
    """
    test, threshold = joined(scores, splits, "test", aggregate_of(row)), row["threshold"]["value"]
    chosen = random_errors(test, threshold, config.random_errors, seed)
    called, anomalous = test["score"] >= threshold, test["label"] == 1
    counts = {
        "miss": int((~called & anomalous).sum()),
        "false alarm": int((called & ~anomalous).sum()),
    }
    told = chosen.reindex(columns=[*ERROR_COLUMNS, "kind"]).astype(object)
    told = told.where(told.notna(), None)
    return {
        "threshold": threshold,
        "seed": seed,
        **{
            kind.replace(" ", "_"): {
                "n": count,
                "shown": told.loc[told["kind"] == kind, list(ERROR_COLUMNS)].to_dict("records"),
            }
            for kind, count in counts.items()
        },
    }


def worst_slices(
    scores: pd.DataFrame,
    splits: pd.DataFrame,
    row: Mapping[str, Any],
    config: EvaluationConfig,
    seed: int,
) -> dict[str, Any]:
    """The slices that volumes were called anomalous for: see `describe_worst_slices`."""
    errors = partial(random_errors, count=config.random_errors, seed=seed)
    return describe_worst_slices(
        scored_images(scores, splits, "test"), aggregate_of(row), row["threshold"]["value"], errors
    )


def score_shortcuts(
    images: ImageStore, splits: pd.DataFrame, seed: int
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Scores of the test images by what is no disease, and why some cannot be had."""
    return shortcut_scores(images.read, splits, seed)


def shortcuts(
    table: pd.DataFrame,
    reasons: Mapping[str, str],
    splits: pd.DataFrame,
    config: EvaluationConfig,
    seed: int,
    *rows_and_scores: Any,
) -> tuple[dict[str, Any], Drawing]:
    """The shortcuts' AUROC, each detector against them and within sites; `rows_and_scores` as in
    `nodes.compare`.
    """
    names = models.detectors()
    rows = dict(zip(names, rows_and_scores[: len(names)], strict=True))
    scores = dict(zip(names, rows_and_scores[len(names) :], strict=True))
    document = audit_shortcuts(table, reasons, scores, rows, splits, config.n_resamples, seed)
    return document, drawing(shortcut_forest, document)


def describe_cohort(
    splits: pd.DataFrame,
    quarantine: pd.DataFrame,
    exclusions: pd.DataFrame,
    leakage: Mapping[str, Any] | None,
) -> tuple[dict[str, Any], pd.DataFrame, Drawing]:
    """The flow of images and who is in each part; the latter as a table for a paper too, the former
    as a picture.
    """
    flow = cohort.flow(splits, quarantine, exclusions, int((leakage or {}).get("dropped", 0)))
    demographics = cohort.demographics(splits)
    document = {"flow": flow, "demographics": demographics, "leakage": restated(leakage)}
    return document, cohort.table_one(demographics), drawing(flow_chart, flow)


def describe_reference(config: EvaluationConfig, *rows: Mapping[str, Any]) -> dict[str, Any]:
    """The reference standard, and what its noise may have cost each detector."""
    return reference_standard(
        config.reference_standard,
        config.label_noise,
        dict(zip(models.detectors(), rows, strict=True)),
    )
