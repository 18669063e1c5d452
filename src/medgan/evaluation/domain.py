"""The domain of a detector: what its images look like, whatever they show.

An image outside of it gets no verdict. Native size and proportions are compared with the range of
the validation images. Three distances are compared with limits that are frozen on validation:
gray levels (Wasserstein distance to the mean histogram of the training images), coarse layout
(Mahalanobis distance of a standardized 8 x 8 thumbnail), and color (Mahalanobis distance of the
mean color; chroma tells gray images from color). The covariances are shrunk (Ledoit & Wolf 2004). Labels decide nothing but whether
validation shows how far anomalies lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.images.store import ImageStore
from medgan.sources.raw import Floats, Pixels
from medgan.stats.thresholds import upper_limit

OUTSIDE = "outside the domain"
"""The decision about an image that is not of the kind of the data set."""
SENTENCE = "outside the domain of this detector"
ALPHA = 0.005
"""Share of new images of the data set that each distance may call outside."""
SIDE_FACTOR, ASPECT_FACTOR, CHROMA_FACTOR = 2.0, 1.25, 2.0
"""How far beyond their range in validation shorter side, proportions and chroma may lie."""
UNSEEN_ANOMALIES = 1.5
"""Factor of the distances where no validation image is anomalous: anomalies may lie further off."""
SAMPLE = 2000
"""Training images that the distances are measured from, and validation images, at most."""
AT_ONCE = 256
THUMBNAIL = 8
LEVELS = 256
COLORED = 4.0
"""Mean difference of the highest and the lowest channel in gray levels; JPEG makes less of gray."""

Range = tuple[float, float]
Arrays = Mapping[str, NDArray[Any]]
DISTANCES: Mapping[str, str] = {
    "intensity": "its gray levels or color levels are distributed differently",
    "layout": "its coarse layout differs",
    "color": "its mean color differs",
}
"""Name of a distance -> what a large one says. `color` is for data sets in color."""


@dataclass(frozen=True, kw_only=True)
class DomainLimits:
    """The limits that validation has set."""

    n_training: int
    n_validation: int
    n_anomalous: int
    """Anomalous images among `n_validation`."""
    gray: bool
    """Whether an image in color is outside."""
    least_chroma: float = 0.0
    """An image with a lower `chroma` is outside of a data set in color."""
    shorter_side: Range | None = None
    """Lowest and highest accepted value, in pixels; None where sizes are unknown."""
    width_by_height: Range | None = None
    distances: Mapping[str, float | None] = field(default_factory=dict)
    """Name of DISTANCES -> limit; None where one validation image alone sets none."""


@dataclass(frozen=True)
class Domain:
    """The limits, and what distances are measured from."""

    limits: DomainLimits
    reference: Arrays
    """`<distance>_center` (D,) and, for Mahalanobis distances, `<distance>_precision` (D, D)."""

    def outside(self, native: Pixels, prepared: Pixels) -> str:
        """Say why an image is outside the domain, as it was read (H, W, 1 or 3) and as the detector
        sees it (h, w, C); an empty text where it is inside.
        """
        reasons = [*self._by_form(native), *self._by_color(native, prepared)]
        reasons += self._by_distance(prepared)
        return f"{SENTENCE}: {'; '.join(reasons)}" if reasons else ""

    def _by_form(self, native: Pixels) -> Iterator[str]:
        height, width = native.shape[:2]
        side, aspect = self.limits.shorter_side, self.limits.width_by_height
        if side and not side[0] <= min(height, width) <= side[1]:
            yield (
                f"its shorter side is {min(height, width)} pixels, accepted are {side[0]:.0f} to "
                f"{side[1]:.0f}"
            )
        if aspect and not aspect[0] <= width / height <= aspect[1]:
            yield (
                f"it is {width / height:.2f} times as wide as high, accepted are {aspect[0]:.2f} "
                f"to {aspect[1]:.2f}"
            )

    def _by_color(self, native: Pixels, prepared: Pixels) -> Iterator[str]:
        if self.limits.gray and chroma(native) > COLORED:
            yield "it is in color, the images of the data set are gray"
        if chroma(prepared) < self.limits.least_chroma:
            yield "it is gray, the images of the data set are in color"

    def _by_distance(self, prepared: Pixels) -> Iterator[str]:
        found = _features(prepared[None])
        for name, limit in self.limits.distances.items():
            value = float(_distances(self.reference, name, found[name])[0])
            if limit is not None and value >= limit:
                yield f"{DISTANCES[name]} (distance {value:.4g}, limit {limit:.4g})"


def chroma(image: Pixels) -> float:
    """Return the mean difference of highest and lowest channel of (H, W, C), in gray levels."""
    return float(np.ptp(image, axis=2).mean())


def freeze_domain(images: ImageStore, splits: pd.DataFrame, seed: int = 0) -> Domain:
    """Freeze the domain of all detectors of a data set on its validation images.

    `splits` has row, split, label and group_id; width, height and color where they are known.
    `seed` draws the samples of images.
    """
    training, validation = (_sample(splits, part, seed) for part in ("train", "val"))
    reference = _reference(_described(images, training["row"].to_numpy()))
    found = _described(images, validation["row"].to_numpy())
    spread = found.pop("chroma", np.zeros(1))
    groups, anomalous = validation["group_id"].to_numpy(), int(validation["label"].sum())
    factor = 1.0 if anomalous else UNSEEN_ANOMALIES
    distances = {
        name: upper_limit(_distances(reference, name, values), ALPHA, groups)
        for name, values in found.items()
    }
    colors = validation.get("color", pd.Series(["RGB"])).astype(object).fillna("RGB").astype(str)
    limits = DomainLimits(
        n_training=len(training),
        n_validation=len(validation),
        n_anomalous=anomalous,
        gray=images.info.channels == 1 and not colors.str.contains("RGB").any(),
        least_chroma=float(spread.min()) / CHROMA_FACTOR,
        **_form(validation),
        distances={name: limit and factor * limit for name, limit in distances.items()},
    )
    return Domain(limits, reference)


def _sample(splits: pd.DataFrame, part: str, seed: int) -> pd.DataFrame:
    rows = splits[splits["split"] == part]
    return rows.sample(min(len(rows), SAMPLE), random_state=seed)


def _form(validation: pd.DataFrame) -> dict[str, Range]:
    """The accepted sizes and proportions."""
    sizes = validation.reindex(columns=["width", "height"]).astype(float).dropna()
    if sizes.empty:
        return {}
    side, aspect = sizes.min(axis=1), sizes["width"] / sizes["height"]
    accepted = {"shorter_side": (side, SIDE_FACTOR), "width_by_height": (aspect, ASPECT_FACTOR)}
    return {
        name: (float(values.min() / factor), float(values.max() * factor))
        for name, (values, factor) in accepted.items()
    }


def _described(images: ImageStore, rows: NDArray[np.int64]) -> dict[str, Floats]:
    """Read stored images, few at a time; distance -> features (n, D)."""
    places = np.split(np.sort(rows), range(AT_ONCE, len(rows), AT_ONCE))
    order = np.argsort(np.argsort(rows))
    parts = [_features(images.read(some)) for some in places]
    return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}


def _features(pixels: Pixels) -> dict[str, Floats]:
    """Describe prepared images (n, h, w, C): distance -> features (n, D)."""
    import torch
    from torch.nn.functional import adaptive_avg_pool2d

    count, channels = len(pixels), pixels.shape[3]
    levels = pixels.transpose(0, 3, 1, 2).reshape(count * channels, -1)
    shares = [np.bincount(each, minlength=LEVELS) / each.size for each in levels]
    images = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).double()
    layout = adaptive_avg_pool2d(images, THUMBNAIL).numpy().reshape(count, -1)
    spread = np.maximum(layout.std(1, keepdims=True), 1.0)
    found: dict[str, Floats] = {
        "intensity": np.cumsum(shares, axis=1).reshape(count, -1),
        "layout": (layout - layout.mean(1, keepdims=True)) / spread,
    }
    if channels > 1:
        found["color"] = pixels.mean((1, 2), dtype=np.float64)
        found["chroma"] = np.array([chroma(image) for image in pixels])
    return found


def _reference(training: Mapping[str, Floats]) -> dict[str, Floats]:
    from sklearn.covariance import LedoitWolf  # 1 s that other commands need not wait for

    found = {"intensity_center": training["intensity"].mean(0)}
    for name in [name for name in DISTANCES if name != "intensity" and name in training]:
        fitted = LedoitWolf().fit(training[name])
        found[f"{name}_center"] = fitted.location_
        found[f"{name}_precision"] = fitted.precision_
    return found


def _distances(reference: Arrays, name: str, features: Floats) -> Floats:
    """Measure (n,): in gray levels for `intensity`, else Mahalanobis."""
    difference = features - reference[f"{name}_center"]
    if name == "intensity":  # the integral of the difference of two distribution functions
        return np.abs(difference).mean(1) * LEVELS
    squared = np.einsum("ni,ij,nj->n", difference, reference[f"{name}_precision"], difference)
    return np.sqrt(np.maximum(squared, 0.0))
