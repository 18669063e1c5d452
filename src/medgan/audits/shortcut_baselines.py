"""Scores of test images by what is no disease, made as detectors are made: from training normals,
or from known labels.

- one_class: the distance to the training normals on the features of a shortcut alone; to be
compared with detectors that see normal images
  only. Border and thumbnail by the nearest neighbour, exposure and size by the Mahalanobis distance
  (Ledoit-Wolf covariance), metadata by how rare a value is among the training normals: -log((count
  + 1) / (n + values)).
- probe: a logistic regression on the same features, learnt from the labels of training and
validation: all that the shortcut gives away;
  to be compared with detectors and classifiers that saw anomalous images. Its penalty is a
  constant; nothing is tuned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from medgan.audits.cohort import as_text
from medgan.images.metadata import UNKNOWN

Pixels = Callable[[NDArray[np.int64]], NDArray[np.uint8]]
"""Rows of the store (n,) to uint8 images (n, H, W, C)."""
THUMBNAIL = 8
REFERENCE = 32
BORDER = 2
"""The frame: 2 pixels of an image pooled to 32 x 32, a sixteenth of its side."""
AT_ONCE = 512
RECORDED = (
    "site",
    "scanner",
    "sequence",
    "window",
    "view",
    "sex",
    "age_band",
    "color",
    "file format",
)
"""Kinds of metadata; a value that is missing is a value of its own, since who is missing may differ
between the classes as well.
"""


def pixel_features(pixels: Pixels, rows: NDArray[np.int64]) -> dict[str, Floats]:
    """`border`, `thumbnail` and `intensity` (mean and standard deviation of each channel) of
    images, each (n, features), in 0 to 1.
    """
    found: dict[str, list[Floats]] = {"border": [], "thumbnail": [], "intensity": []}
    for start in range(0, len(rows), AT_ONCE):
        images = (
            torch.from_numpy(pixels(rows[start : start + AT_ONCE])).permute(0, 3, 1, 2).double()
            / 255
        )
        found["border"].append(_frame(F.adaptive_avg_pool2d(images, REFERENCE)))
        found["thumbnail"].append(F.adaptive_avg_pool2d(images, THUMBNAIL).flatten(1).numpy())
        spread, mean = torch.std_mean(images, dim=(2, 3), correction=0)
        found["intensity"].append(torch.cat([mean, spread], 1).numpy())
    return {
        name: np.concatenate(parts) if parts else np.zeros((0, 1)) for name, parts in found.items()
    }


def _frame(images: torch.Tensor) -> Floats:
    inside = torch.zeros(REFERENCE, REFERENCE, dtype=torch.bool)
    inside[BORDER:-BORDER, BORDER:-BORDER] = True
    frame: Floats = images[:, :, ~inside].flatten(1).numpy()
    return frame


def size_features(splits: pd.DataFrame) -> Floats | None:
    """Logarithms of width, height and width / height of the images at their source (n, 3); None
    where they are not recorded.
    """
    sides = (
        splits.reindex(columns=["width", "height"])
        .apply(pd.to_numeric, errors="coerce")
        .to_numpy(dtype=np.float64)
    )
    if not np.isfinite(sides).all() or (sides <= 0).any():
        return None
    logarithms = np.log(sides)
    return np.column_stack([logarithms, logarithms[:, 0] - logarithms[:, 1]])


def recorded(splits: pd.DataFrame) -> Mapping[str, pd.Series[Any]]:
    """Each kind of metadata as text (n,), `unknown` where nothing is said."""
    extensions = (
        splits.reindex(columns=["path"])["path"]
        .astype(object)
        .where(lambda path: path.notna(), "")
        .astype(str)
    )
    formats = extensions.str.extract(r"(\.[A-Za-z]\w*)(?:\.gz)?$")[0].str.lower()
    told = splits.reindex(columns=list(RECORDED)).assign(**{"file format": formats})
    return {name: as_text(told[name]) for name in RECORDED}


def is_constant(values: Floats | pd.Series[Any]) -> bool:
    """Whether all images have the same value, which tells none apart."""
    return pd.DataFrame(values).drop_duplicates().shape[0] <= 1


def nothing_known(values: pd.Series[Any]) -> bool:
    """Whether nothing is recorded of any image."""
    return bool((values == UNKNOWN).all())


Floats = NDArray[np.float64]
MOST_NORMALS, MOST_LABELLED = 5_000, 20_000
"""Images that a shortcut is fitted to, at most: a seeded draw."""
FEWEST_LABELLED = 10
"""Images of each class that a probe needs."""
MANY_FEATURES = 8
PENALTY = 0.1
"""Inverse strength of the L2 penalty on standardised features."""
NOT_RECORDED = "not recorded for any image"
ALL_THE_SAME = "the same in all images, so it tells none apart"
FEW_LABELS = f"training and validation have fewer than {FEWEST_LABELLED} images of a class, so no probe can be learnt"


@dataclass(frozen=True)
class Fitting:
    """Which of the images at hand (n,) a shortcut is fitted to, and which it scores."""

    normals: NDArray[np.bool_]
    labelled: NDArray[np.bool_]
    test: NDArray[np.bool_]
    labels: NDArray[np.int64]
    """-1 for the test images: theirs are not read here."""


def shortcut_scores(
    pixels: Pixels, splits: pd.DataFrame, seed: int = 0
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The score of every test image on each shortcut; the labels of test images are not read.

    Args:
        pixels: rows of the store to uint8 images.
        splits: all images, with labels in train and val.
        seed: of the draw where there are more training images than are needed.

    Returns:
        The table image_id, split, and a column `<kind>/<shortcut>` for each that can be had; and
        for each other one why not.
    """
    used, fitting = _fitting(splits, seed)
    table = used.loc[fitting.test, ["image_id", "split"]].reset_index(drop=True)
    reasons: dict[str, str] = {}
    features = {
        **pixel_features(pixels, used["row"].to_numpy(dtype=np.int64)),
        "image size": size_features(used),
        **recorded(used),
    }
    for name, values in features.items():
        for kind, scorer in SCORERS.items():
            scores = _useless(values) or scorer(values, fitting)
            if isinstance(scores, str):
                reasons[f"{kind}/{name}"] = scores
            else:
                table[f"{kind}/{name}"] = scores
    return table, reasons


def _fitting(splits: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, Fitting]:
    """The images that are needed, and what each is for."""
    rng = np.random.default_rng([seed, 8])
    test, train = ((splits["split"] == part).to_numpy() for part in ("test", "train"))
    labels = np.where(test, -1, splits["label"].to_numpy(dtype=np.int64))
    normals = _at_most(train & (labels == 0), MOST_NORMALS, rng)
    labelled = _at_most(
        ~test & splits["split"].isin(("train", "val")).to_numpy(), MOST_LABELLED, rng
    )
    used = normals | labelled | test
    return splits[used].reset_index(drop=True), Fitting(
        normals[used], labelled[used], test[used], labels[used]
    )


def _at_most(mask: NDArray[np.bool_], count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    places = np.flatnonzero(mask)
    chosen = rng.choice(places, count, replace=False) if len(places) > count else places
    return np.isin(np.arange(len(mask)), chosen)


def _useless(values: Floats | pd.Series[Any] | None) -> str:
    """Why these features tell nothing; empty where they may."""
    if values is None or (isinstance(values, pd.Series) and nothing_known(values)):
        return NOT_RECORDED
    return ALL_THE_SAME if is_constant(values) else ""


def _one_class(values: Any, fitting: Fitting) -> Floats | str:
    normals, test = values[fitting.normals], values[fitting.test]
    if isinstance(values, pd.Series):
        return _rarity(normals, test, values.nunique())
    return (_nearest if values.shape[1] > MANY_FEATURES else _mahalanobis)(normals, test)


def _rarity(normals: pd.Series[Any], test: pd.Series[Any], values: int) -> Floats:
    counts = test.map(normals.value_counts()).fillna(0).to_numpy(dtype=np.float64)
    return np.asarray(-np.log((counts + 1) / (len(normals) + values)))


def _nearest(normals: Floats, test: Floats) -> Floats:
    from sklearn.neighbors import NearestNeighbors

    distances, _ = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(normals).kneighbors(test)
    return np.asarray(distances[:, 0])


def _mahalanobis(normals: Floats, test: Floats) -> Floats:
    from sklearn.covariance import LedoitWolf

    spread = normals.std(0)
    spread[spread == 0] = 1.0  # what no training normal varies in still counts, in its own unit
    return np.asarray(
        np.sqrt(np.maximum(LedoitWolf().fit(normals / spread).mahalanobis(test / spread), 0.0))
    )


def _probe(values: Any, fitting: Fitting) -> Floats | str:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    known = fitting.labels[fitting.labelled]
    if min(np.sum(known == 0), np.sum(known == 1)) < FEWEST_LABELLED:
        return FEW_LABELS
    table = (
        pd.get_dummies(values).to_numpy(dtype=np.float64)
        if isinstance(values, pd.Series)
        else values
    )
    learnt = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, max_iter=300)).fit(
        table[fitting.labelled], known
    )
    return np.asarray(learnt.decision_function(table[fitting.test]))


SCORERS: Mapping[str, Callable[[Any, Fitting], Floats | str]] = {
    "one_class": _one_class,
    "probe": _probe,
}
"""Kind of a shortcut to how it scores the test images, or why it cannot."""
