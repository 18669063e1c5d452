"""Score test images by features that are not disease, as detectors are trained: the shortcuts.

- one_class: the distance to the training normals on the features of a shortcut alone, for detectors
  that see normal images only. Border and thumbnail use the nearest neighbor, intensity and size the
  Mahalanobis distance (Ledoit-Wolf covariance), metadata how rare a value is among the training
  normals: -log((count + 1) / (n + values)).
- mix: a logistic regression on the same features, trained to tell the unlabelled mix from the
  normals outside of it, for detectors that see the mix. It reads no label.
- probe: the same regression, trained on the labels of training and validation: what labels would
  give, and what a classifier is compared with. Nothing is tuned.

Border, thumbnail and intensity are taken of the pixels as they are stored, and once more of the
pixels as detectors see them, where `preprocessing.intensity` changes more than their unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.audits.cohort import as_text
from medgan.evaluation.components import mahalanobis
from medgan.images.metadata import UNKNOWN
from medgan.images.transforms import Intensity

if TYPE_CHECKING:
    from torch import Tensor

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Pixels = Callable[[NDArray[np.int64]], NDArray[np.uint8]]
"""Rows of the store (n,) to uint8 images (n, H, W, C)."""
THUMBNAIL = 8
REFERENCE = 32
BORDER = 2
"""The frame: 2 pixels of an image pooled to 32 x 32, a sixteenth of its side."""
AT_ONCE = 512
METADATA = (
    *("site", "scanner", "sequence", "window", "view"),
    *("sex", "age_band", "color", "file format"),
)
"""Kinds of metadata. A missing value is a value of its own, since missingness may differ between
the classes as well.
"""
MOST_NORMALS, MOST_LABELED = 5_000, 20_000
"""Images that a shortcut is fitted to, at most: a seeded draw."""
FEWEST_LABELED = 10
"""Images of each class that a regression needs."""
DIGITS = 5
"""Decimals of features of scaled pixels, so that the rounding of a mean of 0 is no feature."""
MANY_FEATURES = 8
PENALTY = 0.1
"""Inverse strength of the L2 penalty on standardized features."""
NOT_RECORDED = "not recorded for any image"
ALL_THE_SAME = "the same in all images, so it tells none apart"
FEW_LABELS = (
    f"training and validation have fewer than {FEWEST_LABELED} images of a class, so no probe can "
    "be learned"
)
NO_MIX = (
    "the unlabelled mix or the normal training images outside of it are fewer than "
    f"{FEWEST_LABELED}, so they cannot be told apart"
)
RAW = Intensity("unit")
"""How pixels are scaled linearly, all images alike."""


@dataclass(frozen=True)
class Fitting:
    """Which of n images a shortcut is fitted to, and which it scores; each (n,)."""

    normals: Bools
    labeled: Bools
    mix: Bools
    outside: Bools
    """Normals that are known to be normal where the mix is seen."""
    test: Bools
    labels: NDArray[np.int64]
    """-1 for the test images: their labels are not read."""

    @property
    def used(self) -> Bools:
        """Images that are fitted to or scored (n,)."""
        return self.normals | self.labeled | self.mix | self.outside | self.test

    def some(self, used: Bools) -> Fitting:
        """Some of the images."""
        return Fitting(*(values[used] for values in vars(self).values()))


def shortcut_scores(
    pixels: Pixels, splits: pd.DataFrame, seed: int = 0, intensity: Intensity = RAW
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Score every test image by each shortcut; the labels of test images are not read.

    Args:
        pixels: rows of the store to uint8 images.
        splits: all images, with labels in train and val.
        seed: of the draw where there are more training images than are needed.
        intensity: of the images that the detectors see.

    Returns:
        The table image_id, split, and a column `<kind>/<shortcut>` of scores; and the reason for
        each shortcut without scores.
    """
    fitting = _fitting(splits, seed)
    used, fitting = splits[fitting.used].reset_index(drop=True), fitting.some(fitting.used)
    table = used.loc[fitting.test, ["image_id", "split"]].reset_index(drop=True)
    reasons: dict[str, str] = {}
    features = {
        **pixel_features(pixels, used["row"].to_numpy(dtype=np.int64), intensity),
        "image size": size_features(used),
        **metadata_features(used),
    }
    for name, values in features.items():
        for kind, scorer in SCORERS.items():
            scores = _useless(values) or scorer(values, fitting)
            if isinstance(scores, str):
                reasons[f"{kind}/{name}"] = scores
            else:
                table[f"{kind}/{name}"] = scores
    return table, reasons


def _fitting(splits: pd.DataFrame, seed: int) -> Fitting:
    rng = np.random.default_rng([seed, 8])
    test, train, val = ((splits["split"] == part).to_numpy() for part in ("test", "train", "val"))
    labels = np.where(test, -1, splits["label"].to_numpy(dtype=np.int64))
    roles = splits.reindex(columns=["role"])["role"].to_numpy()
    normals = _at_most(train & (labels == 0), MOST_NORMALS, rng)
    labeled = _at_most(train | val, MOST_LABELED, rng)
    of_roles = (train & (roles == role) for role in ("mix", "normal"))
    mix, outside = (_at_most(mask, MOST_NORMALS, rng) for mask in of_roles)
    return Fitting(normals, labeled, mix, outside, test, labels)


def _at_most(mask: Bools, count: int, rng: np.random.Generator) -> Bools:
    places = np.flatnonzero(mask)
    chosen = rng.choice(places, count, replace=False) if len(places) > count else places
    return np.isin(np.arange(len(mask)), chosen)


def pixel_features(
    pixels: Pixels, rows: NDArray[np.int64], intensity: Intensity = RAW
) -> dict[str, Floats]:
    """Compute `border`, `thumbnail` and `intensity` of images, each (n, features): of the stored
    pixels in 0 to 1, and with another intensity of its pixels in -1 to 1 (`border, standardised`).

    The intensity is the mean and the standard deviation of each channel.
    """
    import torch

    found: dict[str, list[Floats]] = {}
    for start in range(0, max(1, len(rows)), AT_ONCE):
        batch = torch.from_numpy(pixels(rows[start : start + AT_ONCE])).permute(0, 3, 1, 2)
        features = _described(batch.double() / 255)
        if intensity != RAW:
            for name, values in _described(intensity(batch.float()).double()).items():
                features[f"{name}, {intensity.name}"] = np.round(values, DIGITS) + 0.0
        for name, values in features.items():
            found.setdefault(name, []).append(values)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _described(images: Tensor) -> dict[str, Floats]:
    """The features of images (n, C, H, W), each (n, features)."""
    import torch
    import torch.nn.functional as F

    inside = torch.zeros(REFERENCE, REFERENCE, dtype=torch.bool)
    inside[BORDER:-BORDER, BORDER:-BORDER] = True
    spread, mean = torch.std_mean(images, dim=(2, 3), correction=0)
    features = {
        "border": F.adaptive_avg_pool2d(images, REFERENCE)[:, :, ~inside],
        "thumbnail": F.adaptive_avg_pool2d(images, THUMBNAIL),
        "intensity": torch.cat([mean, spread], 1),
    }
    return {name: values.flatten(1).numpy() for name, values in features.items()}


def size_features(splits: pd.DataFrame) -> Floats | None:
    """Compute logarithms of width, height and width / height at the source (n, 3).

    None where they are not recorded for every image.
    """
    columns = splits.reindex(columns=["width", "height"])
    sides = columns.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    if not np.isfinite(sides).all() or (sides <= 0).any():
        return None
    logarithms = np.log(sides)
    return np.column_stack([logarithms, logarithms[:, 0] - logarithms[:, 1]])


def metadata_features(splits: pd.DataFrame) -> Mapping[str, pd.Series[Any]]:
    """Each kind of metadata as text (n,), `unknown` where it is not recorded."""
    told = splits.rename(columns={"file_format": "file format"}).reindex(columns=list(METADATA))
    return {name: as_text(told[name]) for name in METADATA}


def _useless(values: Any) -> str:
    """Why features (n, features), or metadata as text (n,), tell nothing; empty where they may."""
    if values is None or (isinstance(values, pd.Series) and bool((values == UNKNOWN).all())):
        return NOT_RECORDED
    return ALL_THE_SAME if len(pd.DataFrame(values).drop_duplicates()) <= 1 else ""


def _one_class(values: Any, fitting: Fitting) -> Floats:
    normals, test = values[fitting.normals], values[fitting.test]
    if isinstance(normals, pd.Series):
        return _rarity(normals, test, values.nunique())
    nearest = values.shape[1] > MANY_FEATURES or len(normals) < 2
    return (_nearest if nearest else _mahalanobis)(normals, test)


def _rarity(normals: pd.Series[Any], test: pd.Series[Any], values: int) -> Floats:
    counts = test.map(normals.value_counts()).fillna(0).to_numpy(dtype=np.float64)
    return np.asarray(-np.log((counts + 1) / (len(normals) + values)))


def _nearest(normals: Floats, test: Floats) -> Floats:
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(normals)
    return nearest.kneighbors(test)[0][:, 0]


def _mahalanobis(normals: Floats, test: Floats) -> Floats:
    spread = normals.std(0)
    spread[spread == 0] = 1.0  # a feature that is constant among the normals keeps its own unit
    return mahalanobis(normals / spread, test / spread)


def _probe(values: Any, fitting: Fitting) -> Floats | str:
    known = fitting.labels[fitting.labeled]
    found = _regression(values, fitting.labeled, known, fitting.test)
    return FEW_LABELS if found is None else found


def _mix(values: Any, fitting: Fitting) -> Floats | str:
    seen = fitting.mix | fitting.outside
    found = _regression(values, seen, fitting.mix[seen].astype(np.int64), fitting.test)
    return NO_MIX if found is None else found


def _regression(values: Any, fitted: Bools, known: NDArray[np.int64], test: Bools) -> Floats | None:
    """Score the test images; None with too few images of a class."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if min(np.sum(known == 0), np.sum(known == 1)) < FEWEST_LABELED:
        return None
    if isinstance(values, pd.Series):
        values = pd.get_dummies(values).to_numpy(dtype=np.float64)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, max_iter=300))
    model.fit(values[fitted], known)
    return np.asarray(model.decision_function(values[test]))


SCORERS: Mapping[str, Callable[[Any, Fitting], Floats | str]] = {
    "one_class": _one_class,
    "mix": _mix,
    "probe": _probe,
}
"""Kind of a shortcut to how it scores the test images, or why it cannot."""
