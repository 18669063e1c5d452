"""Pixel-level metrics of a detector's anomaly maps against masks. Test labels
and masks are read here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.evaluation.details import LocalisationResult
from medgan.evaluation.localisation import (
    CHANCE,
    NO_MASKS,
    MarkedImages,
    freeze_pixel_threshold,
    localisation_metrics,
    mean_mask,
    missing_metrics,
)
from medgan.evaluation.regions import region_share
from medgan.evaluation.results import CategoryResult
from medgan.images.labels import findings_of, shows
from medgan.images.masks import belongs, marked
from medgan.images.store import ImageStore
from medgan.pipelines.outputs import Arrays
from medgan.pipelines.shared import EvaluationData, of_images
from medgan.stats.bootstrap import Estimate

Bools = NDArray[np.bool_]
NO_TEST_MASKS = f"{NO_MASKS} among the test images"
NO_VALIDATION_MASKS = "no validation image has a mask"


def localize(
    anomaly_maps: Arrays, masks: ImageStore | None, data: EvaluationData
) -> LocalisationResult:
    """Measure a detector's maps on the marked test images; a reason instead of each metric where
    there are no masks.

    Slices of volumes count one by one. The cut for Dice comes from validation.
    """
    require_same_images(masks, data.images)
    test, validation = (data.splits[data.splits["split"] == part] for part in ("test", "val"))
    nothing = _unmarked(test)
    if data.config.region is not None:
        resampling = data.config.n_resamples, data.seed
        inside = region_share(maps_of(anomaly_maps, test), test, data.config.region, *resampling)
        nothing = replace(nothing, region=inside)
    if masks is None:
        return nothing
    drawn, marked = marked_rows(test, masks)
    if not drawn.any():
        return replace(nothing, claim=NO_TEST_MASKS, metrics=missing_metrics(NO_TEST_MASKS))
    table, drawn = test[marked], drawn[marked]
    learned = marked_rows(validation, masks)
    images = MarkedImages(
        drawn,
        table["group_id"].to_numpy(),
        freeze_pixel_threshold(
            maps_of(anomaly_maps, validation), *learned, (validation["label"] == 0).to_numpy()
        ),
        data.config.n_resamples,
        data.seed,
    )
    maps, count = maps_of(anomaly_maps, table), int(drawn.any((1, 2)).sum())
    return replace(
        nothing,
        claim=f"{count} of {nothing.n_anomalous} anomalous test images have a mask",
        n_marked=count,
        share_of_anomalous_pixels=float(drawn.mean()),
        chance={**CHANCE, "pixel_average_precision": float(drawn.mean())},
        threshold=images.threshold,
        metrics=localisation_metrics(maps, images),
        location_alone=_location_alone(images, mean_mask(*learned)),
        per_category={name: _category(name, table, maps, images) for name in findings_of(table)},
    )


def _unmarked(test: pd.DataFrame) -> LocalisationResult:
    """The result where no test image has a mask."""
    known = bool(test["group_known"].all())
    return LocalisationResult(
        claim=NO_MASKS,
        n_images=len(test),
        n_anomalous=int((test["label"] == 1).sum()),
        n_patients=int(test["group_id"].nunique()) if known else None,
        interval_unit="patient" if known else "image",
        metrics=missing_metrics(NO_MASKS),
    )


def _location_alone(images: MarkedImages, prior: NDArray[Any] | None) -> dict[str, Estimate]:
    """The metrics of a map that is the mean mask for every image."""
    found = (
        missing_metrics(NO_VALIDATION_MASKS)
        if prior is None
        else localisation_metrics(np.broadcast_to(prior, images.masks.shape), images)
    )
    return {name: estimate for name, estimate in found.items() if name != "dice"}


def _category(
    name: str, table: pd.DataFrame, maps: NDArray[Any], images: MarkedImages
) -> CategoryResult:
    """The metrics of the images of one finding and the normal ones."""
    chosen = shows(table, name)
    among = chosen | (table["label"] == 0).to_numpy()
    metrics = localisation_metrics(maps[among], images.of(among))
    return CategoryResult(n_images=int(chosen.sum()), metrics=metrics)


def maps_of(arrays: Arrays, table: pd.DataFrame) -> NDArray[Any]:
    """The anomaly maps of these rows (n, H, W), at the size of the stored images."""
    return of_images(arrays, "maps", table["image_id"])


def marked_rows(table: pd.DataFrame, masks: ImageStore) -> tuple[Bools, Bools]:
    """The masks (n, H, W), and whether they are known (n,)."""
    return marked(masks.read(rows_of(table)), (table["label"] == 0).to_numpy())


def require_same_images(masks: ImageStore | None, images: ImageStore) -> None:
    """Check that the masks belong to the images; raise `UserError` otherwise."""
    if masks is not None and not belongs(masks.info.source_key, images.key):
        raise UserError(
            "The stored masks are not those of the stored images: "
            "run 'kedro run --pipeline preprocessing' again."
        )


def rows_of(table: pd.DataFrame) -> NDArray[np.int64]:
    """Return the rows (n,) of the images in the image store."""
    return table["row"].to_numpy(dtype=np.int64)
