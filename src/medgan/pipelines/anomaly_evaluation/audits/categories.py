"""Kinds of anomalies told apart by what a detector makes of an image. Test labels are read in
`categorize` and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from medgan import __version__, models
from medgan.evaluation.categories import (
    GRID,
    LABELS_USED,
    evaluate_categories,
    fitted_probabilities,
    missing_reason,
    pooled,
)
from medgan.evaluation.embeddings import described_images
from medgan.evaluation.protocol import EvaluationConfig
from medgan.evaluation.results import rows_of
from medgan.evaluation.scores import score_images
from medgan.files.digest import digest
from medgan.images.labels import one_finding
from medgan.images.loading import StoredImages
from medgan.images.store import ImageStore
from medgan.images.transforms import crop_padding
from medgan.models import PublishedModel
from medgan.plots.detectors import confusion_matrix
from medgan.plots.forest import forest
from medgan.plots.style import Drawing, drawing, notice, readable
from medgan.stats.bootstrap import Estimate
from medgan.training.progress import progress_bar
from medgan.training.runtime import Runtime

Arrays = Mapping[str, NDArray[Any]]
RESIDUALS_FORM = 1
"""Raised with every change in what is stored of residuals."""
INPUTS: Mapping[str, tuple[str, ...]] = {
    "features": ("features",),
    "residual map": ("residuals",),
    "both": ("features", "residuals"),
}
"""What the kinds are told from: the detector's features, its residual map over an 8x8 grid, or
both.
"""
JUDGED = "both"
"""The row that stands for a detector beside others."""
NOT_IN_OLD_ROWS = "not in these results: run classifier_training again"


def residuals(
    published: PublishedModel,
    images: ImageStore,
    splits: pd.DataFrame,
    config: EvaluationConfig,
    seed: int,
    cached: Arrays | None,
) -> dict[str, NDArray[Any]]:
    """Anomaly maps of anomalous training images, averaged over an 8x8 grid; the stored ones where
    nothing that decides them has changed.

    Reads the categories of training images alone.

    Returns:
        image_id (n,), residuals (n, 64), key.
    """
    chosen = _training_anomalies(splits, config, seed)
    names, rows = chosen["image_id"].astype(str).tolist(), chosen["row"].to_numpy(dtype=np.int64)
    key = digest(
        [RESIDUALS_FORM, published.key, images.key, names, rows.tolist(), seed, __version__]
    )
    if cached is not None and str(cached["key"]) == key:
        return dict(cached)
    cells = [np.zeros((0, GRID**2), dtype=np.float32)]
    device = Runtime.detect().device
    detector: Any = published.build().to(device)
    with progress_bar(f"{published.name} residuals", "image", len(rows)) as bar:
        for start in range(0, len(rows), config.batch_size):
            part = slice(start, start + config.batch_size)
            maps = score_images(
                detector,
                StoredImages(images),
                rows[part],
                seed=seed,
                device=str(device),
                names=names[part],
            ).maps
            cropped = crop_padding(
                torch.from_numpy(maps[:, None]), images.info.height, images.info.width
            )[:, 0]
            cells.append(pooled(cropped.numpy()))
            bar.update(len(maps))
    return {
        "image_id": np.array(names, dtype=str),
        "residuals": np.concatenate(cells),
        "key": np.array(key),
    }


def _training_anomalies(splits: pd.DataFrame, config: EvaluationConfig, seed: int) -> pd.DataFrame:
    described = one_finding(described_images(splits, config.category_images, seed))
    return described[(described["split"] == "train") & (described["label"] == 1)]


def categorize(
    published: PublishedModel,
    embeddings: Arrays,
    cells: Arrays,
    anomaly_maps: Arrays,
    splits: pd.DataFrame,
    classifiers: Mapping[str, Any] | None,
    config: EvaluationConfig,
    seed: int,
) -> tuple[dict[str, Any], Drawing]:
    """Which kind of anomaly a test image shows, told from what the detector makes of it, beside the
    supervised arms.

    Args:
        published: the detector.
        embeddings: its features, as `embed` gives them.
        cells: its residuals of training images, as `residuals` gives them.
        anomaly_maps: its maps of the test images.
        splits: with the labels.
        classifiers: the section of the results, or None.
        config: evaluation settings.
        seed: of folds and resamples.

    Returns:
        {"classes", "labels_used": "training", "n_train_of_each", "rows": {features | residual map |
        both: row}, "supervised": {arm: row}}, without rows and with a `reason` where the kinds
            cannot be told apart; and the confusion matrix of `both`.
    """
    train = _training_anomalies(splits, config, seed)
    classes = sorted(train["category"].unique())
    labels, groups = _labels(train, classes), train["group_id"].to_numpy()
    counted = {
        name: int(count)
        for name, count in zip(classes, np.bincount(labels, minlength=len(classes)), strict=True)
    }
    document: dict[str, Any] = {
        "classes": classes,
        "labels_used": LABELS_USED,
        "n_train_of_each": counted,
        "rows": {},
        "supervised": {},
    }
    reason = missing_reason(labels, groups, classes)
    if reason:
        return {**document, "reason": reason}, drawing(
            notice, f"{readable(published.name)}: kinds of anomalies", reason
        )
    test = one_finding(splits[(splits["split"] == "test") & (splits["label"] == 1)])
    test = test[test["category"].isin(classes)]
    learned = {"features": embeddings, "residuals": cells}
    judged = {
        "features": embeddings,
        "residuals": {
            "image_id": anomaly_maps["image_id"],
            "residuals": pooled(anomaly_maps["maps"]),
        },
    }
    for name, parts in INPUTS.items():
        probabilities, about = fitted_probabilities(
            _columns(learned, parts, train), labels, groups, _columns(judged, parts, test), seed
        )
        document["rows"][name] = evaluate_categories(
            probabilities,
            _labels(test, classes),
            test["group_id"].to_numpy(),
            test["group_known"].to_numpy(),
            classes,
            config.n_resamples,
            seed,
            {**about, "labels_used": LABELS_USED, "detector": published.name},
        )
    document["supervised"] = {
        arm: row.get("categories", _absent()) for arm, row in rows_of(classifiers).items()
    }
    return document, _matrix(published.name, document["rows"][JUDGED])


def _labels(table: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.int64]:
    numbers = {name: index for index, name in enumerate(classes)}
    return np.array([numbers[name] for name in table["category"]], dtype=np.int64)


def _columns(
    arrays: Mapping[str, Arrays], parts: Sequence[str], table: pd.DataFrame
) -> NDArray[np.float64]:
    """(n, D): what the parts say of each image of the table, side by side."""
    chosen = []
    for part in parts:
        places = pd.Series(
            np.arange(len(arrays[part]["image_id"])), index=arrays[part]["image_id"].astype(str)
        )
        chosen.append(arrays[part][part][places.loc[table["image_id"].astype(str)].to_numpy()])
    return np.concatenate(chosen, axis=1).astype(np.float64)


def _absent() -> dict[str, Any]:
    return {
        "auroc": Estimate(None, reason=NOT_IN_OLD_ROWS).as_dict(),
        "accuracy": Estimate(None, reason=NOT_IN_OLD_ROWS).as_dict(),
    }


def _matrix(name: str, row: Mapping[str, Any]) -> Drawing:
    majority = row["majority"]
    told = f"accuracy {_shown(row['accuracy'])}\nalways {majority['category']}: {majority['share']:.2f}"
    return drawing(
        confusion_matrix,
        row["confusion_matrix"],
        row["classes"],
        f"{name}: kinds of anomalies\n{told}",
    )


def _shown(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return str(estimate["reason"])
    bounds = (
        f" [{estimate['low']:.2f}, {estimate['high']:.2f}]" if estimate["low"] is not None else ""
    )
    return f"{estimate['value']:.2f}{bounds}"


def compare_kinds(*documents: Mapping[str, Any]) -> Drawing:
    """AUROC of the kinds of anomalies: every detector of `models.encoders()`, in its order, and the
    supervised arms.
    """
    found = dict(zip(models.encoders(), documents, strict=True))
    rows = {name: document["rows"][JUDGED] for name, document in found.items() if document["rows"]}
    if not rows:
        return drawing(notice, "Kinds of anomalies", next(iter(found.values()))["reason"])
    supervised = next(iter(found.values()))["supervised"]
    estimates = {
        name: row["auroc"]
        for name, row in {
            **rows,
            **{f"supervised, {arm}": row for arm, row in supervised.items()},
        }.items()
    }
    first = next(iter(rows.values()))
    kinds = " or ".join(readable(name) for name in first["classes"])
    title = f"{kinds}? AUROC on {first['n_images']} anomalous test images\n95 % intervals over {first['interval_unit']}s"
    return drawing(forest, estimates, title)
