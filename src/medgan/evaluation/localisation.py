"""Pixel-level metrics of anomaly maps against masks, with intervals that resample patients.

- Pixel AUROC and average precision, over all pixels of all test images, and over the pixels of
  anomalous images alone. The first also rises when whole anomalous images score higher, so the
  second is the one about places.
- PRO, the per-region overlap (Bergmann 2020, section 5.2 of the MVTec AD paper): at each threshold
  the mean over all connected regions (8 neighbours) of the share that is found, integrated over the
  share of false pixels from 0 to 0.3 and divided by 0.3. Every region counts the same, whatever its
  size. A map without information has 0.15.
- Dice of each anomalous image at one threshold, frozen on validation, and its mean.

Every metric is a sum over images of counts of pixels by score, so each image is reduced to a
histogram once and a resample of patients is a weighted sum of histograms. Up to BINS distinct map
values that is exact; beyond, pixels of one bin are ties. A bin holds at most 1 / BINS of all pixels
and at most 1 / BINS of the anomalous ones, so an area moves by about 1 / BINS at most, average
precision of small lesions included.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.details import PixelThreshold
from medgan.stats.bootstrap import Estimate, Floats, WeightedStatistic, estimates, mean_over, ratio

BINS = 1000
PRO_LIMIT = 0.3
"""Largest share of false pixels over which PRO is integrated."""
PIXEL_METRICS = (
    "pixel_auroc",
    "pixel_auroc_anomalous",
    "pixel_average_precision",
    "pixel_average_precision_anomalous",
    "aupro_30",
    "dice",
)
CHANCE = {"pixel_auroc": 0.5, "pixel_auroc_anomalous": 0.5, "aupro_30": PRO_LIMIT / 2}
"""What a map without information reaches; average precision: the share of anomalous pixels."""
QUANTILE = 0.99
NO_MASKS = "not a localisation claim: no masks"
NO_REGION = "not estimable: no test image has a marked anomaly"
NO_NEGATIVE = "not estimable: every pixel is marked"
NEIGHBOURS = np.ones((3, 3), dtype=np.int64)
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class PixelCounts:
    """Of n images, how many pixels lie in each of K bins of map values, the highest bin first: (n,
    K) each.
    """

    positive: Floats
    """Pixels inside the mask."""
    negative: Floats
    """Pixels outside."""
    overlap: Floats
    """Shares of the regions of the mask: each region sums to 1."""
    regions: Floats
    """Regions of each image (n,)."""

    @property
    def anomalous(self) -> Bools:
        """Images that have a marked pixel (n,)."""
        return self.positive.sum(1) > 0

    def of(self, among: Bools) -> PixelCounts:
        """Those of some images."""
        parts = (self.positive, self.negative, self.overlap, self.regions)
        return PixelCounts(*(part[among] for part in parts))


def bin_edges(maps: NDArray[Any], masks: Bools) -> Floats:
    """Ascending lower edges of the bins: the distinct values of the maps, or, where they are more
    than BINS, as many quantiles of all pixels and of those inside the masks.
    """
    everywhere = np.asarray(maps, dtype=np.float64)
    values = np.unique(everywhere)
    if len(values) <= BINS:
        return values
    shares, there = np.arange(BINS) / BINS, [everywhere, everywhere[masks]]
    parts = [np.quantile(part, shares, method="lower") for part in there if part.size]
    return np.unique(np.concatenate([values[:1], *parts]))


def pixel_counts(maps: NDArray[Any], masks: Bools, edges: Floats) -> PixelCounts:
    """Count the pixels of maps and masks (n, H, W) by bin; a value belongs to the last edge of
    `bin_edges` that is not above it.
    """
    rows = [
        _counts_of(values, mask, edges)
        for values, mask in zip(np.asarray(maps, dtype=np.float64), masks, strict=True)
    ]
    counted = np.array([row for row, _ in rows]).reshape(len(rows), 3, len(edges))
    regions = np.array([count for _, count in rows], dtype=np.float64)
    positive, negative, overlap = counted.transpose(1, 0, 2)
    return PixelCounts(positive, negative, overlap, regions)


def _counts_of(values: Floats, mask: Bools, edges: Floats) -> tuple[Floats, int]:
    """Positive pixels, negative ones and overlap of an image by bin (3, K), and its regions."""
    from scipy import ndimage

    # The highest bin first.
    places = len(edges) - np.clip(np.searchsorted(edges, values, side="right"), 1, None)
    labelled, count = ndimage.label(mask, structure=NEIGHBOURS)
    sizes = np.bincount(labelled.ravel(), minlength=count + 1).astype(np.float64)
    inside = labelled > 0
    shares = 1 / sizes[labelled[inside]]
    parts = ((places[inside], None), (places[~inside], None), (places[inside], shares))
    counted = [np.bincount(part, weights, len(edges)) for part, weights in parts]
    return np.array(counted, dtype=np.float64), count


def pixel_auroc(counts: PixelCounts, weights: Floats) -> Floats:
    """P(map value of an anomalous pixel > that of another) + P(equal) / 2, for each row of weights
    (B, n): (B,).
    """
    positive, negative = weights @ counts.positive, weights @ counts.negative
    below = negative.sum(1, keepdims=True) - np.cumsum(negative, axis=1)
    return ratio((positive * (below + negative / 2)).sum(1), positive.sum(1) * negative.sum(1))


def pixel_average_precision(counts: PixelCounts, weights: Floats) -> Floats:
    """Sum over thresholds of precision times the gain in recall; pixels of one bin are one
    threshold: (B,).
    """
    positive = weights @ counts.positive
    found = np.cumsum(positive, axis=1)
    flagged = np.cumsum(positive + weights @ counts.negative, axis=1)
    precision = ratio(found, flagged, otherwise=0.0)
    return ratio((positive * precision).sum(1), positive.sum(1))


def pro_area(counts: PixelCounts, weights: Floats) -> Floats:
    """Area under the mean overlap of regions against the share of false pixels up to PRO_LIMIT,
    divided by PRO_LIMIT: (B,).
    """
    found, negative = np.cumsum(weights @ counts.overlap, axis=1), weights @ counts.negative
    overlap = ratio(found, (weights @ counts.regions)[:, None])
    false = ratio(np.cumsum(negative, axis=1), negative.sum(1, keepdims=True))
    heights, places = (np.pad(part, ((0, 0), (1, 0))) for part in (overlap, false))
    widths = np.diff(np.minimum(places, PRO_LIMIT), axis=1)
    # Where the limit cuts a step, only the part of its rise before the limit counts.
    kept = ratio(widths, np.diff(places, axis=1), otherwise=0.0)
    right = heights[:, :-1] + kept * np.diff(heights, axis=1)
    return (widths * (heights[:, :-1] + right) / 2).sum(1) / PRO_LIMIT


def dice_by_threshold(counts: PixelCounts) -> Floats:
    """Dice of each image where all pixels of a bin and of higher ones are called anomalous: (n, K),
    NaN without a marked pixel.
    """
    found = np.cumsum(counts.positive, axis=1)
    called = found + np.cumsum(counts.negative, axis=1)
    marked = counts.positive.sum(1, keepdims=True)
    return np.where(marked > 0, ratio(2 * found, called + marked), np.nan)


def dice(maps: NDArray[Any], masks: Bools, threshold: float) -> Floats:
    """2 |P and M| / (|P| + |M|) of each image, P being the pixels at or above the threshold: (n,),
    NaN where the mask is empty.
    """
    called = np.asarray(maps, dtype=np.float64) >= threshold
    found, marked = (called & masks).sum((1, 2)), masks.sum((1, 2))
    return np.where(marked > 0, ratio(2.0 * found, called.sum((1, 2)) + marked), np.nan)


def freeze_pixel_threshold(
    maps: NDArray[Any], masks: Bools, marked: Bools, normal: Bools
) -> PixelThreshold:
    """Take the cut of the maps from validation images alone: the highest cut with the highest mean
    Dice of the marked anomalous images; without any, the 99th percentile of the normals' maps.

    Maps and masks are (n, H, W); `marked` (n,) are the images whose mask is known.
    """
    anomalous = marked & masks.any((1, 2))
    if not anomalous.any():
        rule = "99th percentile of the validation normals' maps"
        return PixelThreshold(rule, map_quantile(maps[normal]), labels_used="none")
    edges = bin_edges(maps[anomalous], masks[anomalous])
    mean = dice_by_threshold(pixel_counts(maps[anomalous], masks[anomalous], edges)).mean(0)
    best = int(np.argmax(np.round(mean, 12)))
    rule = "highest mean Dice of the marked validation images"
    return PixelThreshold(rule, float(edges[::-1][best]), labels_used="threshold")


def map_quantile(maps: NDArray[Any]) -> float:
    """QUANTILE of all pixels of these maps (n, H, W); 0 where there is no image."""
    values = np.asarray(maps, dtype=np.float64)
    return float(np.quantile(values, QUANTILE)) if values.size else 0.0


def mean_mask(masks: Bools, known: Bools) -> Floats | None:
    """How often each place is inside the mask of an anomalous image (H, W): a map that does not
    depend on the image.
    """
    anomalous = known & masks.any((1, 2))
    return masks[anomalous].mean(0) if anomalous.any() else None


def missing_metrics(reason: str) -> dict[str, Estimate]:
    """Every metric as a missing value."""
    return dict.fromkeys(PIXEL_METRICS, Estimate(None, reason=reason))


@dataclass(frozen=True)
class MarkedImages:
    """Test images whose masks are known, and how their maps are judged."""

    masks: Bools
    """(n, H, W), empty for normal images."""
    groups: NDArray[Any]
    """The patient of each image (n,)."""
    threshold: PixelThreshold
    """From `freeze_pixel_threshold`, for Dice."""
    n_resamples: int = 1000
    seed: int = 0

    def of(self, among: Bools) -> MarkedImages:
        """Some of them."""
        return replace(self, masks=self.masks[among], groups=self.groups[among])


def localisation_metrics(maps: NDArray[Any], images: MarkedImages) -> dict[str, Estimate]:
    """Compute every pixel-level metric with its interval, for the maps (n, H, W) of the images."""
    counts = pixel_counts(maps, images.masks, bin_edges(maps, images.masks))
    anomalous, resampling = counts.anomalous, (images.n_resamples, images.seed)
    within = counts.of(anomalous)
    overlap = dice(maps, images.masks, images.threshold.value)
    statistics = _statistics(counts) | {"dice": mean_over(overlap, anomalous, NO_REGION)}
    everywhere = estimates(statistics, images.groups, *resampling)
    inside = everywhere
    if anomalous.any():
        of_marked = _statistics(within)
        del of_marked["pro"]  # PRO is of all images
        inside = estimates(of_marked, images.groups[anomalous], *resampling)
    return {
        "pixel_auroc": everywhere["auroc"],
        "pixel_auroc_anomalous": inside["auroc"],
        "pixel_average_precision": everywhere["average_precision"],
        "pixel_average_precision_anomalous": inside["average_precision"],
        "aupro_30": everywhere["pro"],
        "dice": everywhere["dice"],
    }


def _statistics(counts: PixelCounts) -> dict[str, WeightedStatistic]:
    carriers = (counts.anomalous, counts.negative.sum(1) > 0)
    missing = NO_NEGATIVE if counts.anomalous.any() else NO_REGION
    of = {"auroc": pixel_auroc, "average_precision": pixel_average_precision, "pro": pro_area}
    return {
        name: WeightedStatistic(partial(function, counts), carriers, missing)
        for name, function in of.items()
    }
