"""Which images are described by features, and their features, in batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from medgan.contracts import FeatureExtractor
from medgan.evaluation.scoring import Images, require_finite

NORMALS = 1000
"""Training normals that are described, at most."""


def described_images(splits: pd.DataFrame, per_category: int, seed: int) -> pd.DataFrame:
    """All validation and test images, up to 1,000 normal training images, and up to `per_category` of each other training category.

    Reads the categories of training images alone. The rows are those of `splits`, in its order.
    """
    train = splits[splits["split"] == "train"]
    rng = np.random.default_rng([seed, 3])
    chosen: list[Any] = splits.index[splits["split"].isin(("val", "test"))].tolist()
    for _, rows in sorted(train.groupby("category"), key=lambda item: str(item[0])):
        limit = NORMALS if bool((rows["label"] == 0).all()) else per_category
        chosen += rng.permutation(rows.index.to_numpy())[:limit].tolist()
    return splits[splits.index.isin(chosen)]


def shown_images(splits: pd.DataFrame, per_category: int, limit: int, seed: int) -> pd.DataFrame:
    """Those described images that a projection shows: normal training images, validation and test, a seeded draw of at most `limit`.

    Every model gets the same ones.
    """
    described = described_images(splits, per_category, seed)
    candidates = described[(described["split"] != "train") | (described["label"] == 0)]
    drawn = np.random.default_rng([seed, 4]).permutation(len(candidates))[:limit]
    return candidates.iloc[np.sort(drawn)]


def features_of(
    extractor: FeatureExtractor, images: Images, rows: NDArray[np.int64], names: list[str], batch_size: int, device: str = "cpu"
) -> NDArray[np.float32]:
    """(n, D) features of the images in `rows`.

    Args:
        extractor: in eval mode, on `device`.
        images: rows of the store to images.
        rows: (n,) of the store, n > 0.
        names: what to call the images in an error (n,).
        batch_size: images at a time.
        device: where the extractor is.

    Raises:
        Refusal: a feature is not finite; it names the images.
    """
    with torch.inference_mode():
        parts = [
            extractor.features(images(rows[start : start + batch_size]).to(device)).float().cpu()
            for start in range(0, len(rows), batch_size)
        ]
    features: NDArray[np.float32] = torch.cat(parts).numpy()
    require_finite(np.isfinite(features).all(axis=1, keepdims=False).astype(bool), names)
    return features
