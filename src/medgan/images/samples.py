"""A random sample of the images of a data set, to look at and to measure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from medgan.contracts import Refusal
from medgan.images.parallel import in_order
from medgan.images.picture import ImageRefused
from medgan.images.profiling import categories_of
from medgan.images.resizing import thumbnail
from medgan.images.sources import ImageSource

BINS = 32
"""Bins of an intensity histogram, 8 grey levels each."""
SAMPLE = 7
"""Stream of randomness of the sample."""


def sample(manifest: pd.DataFrame, per_category: int, seed: int) -> pd.DataFrame:
    """Up to this many images of each category, drawn at random, those of different patients first: by category, then as drawn."""
    shuffled = manifest.iloc[np.random.default_rng([seed, SAMPLE]).permutation(len(manifest))]
    repeated = shuffled.groupby(["category", "group_id"]).cumcount().to_numpy()
    drawn = shuffled.iloc[np.argsort(repeated, kind="stable")]
    return pd.concat([drawn[drawn["category"] == name].head(per_category) for name in categories_of(manifest)])


@dataclass(frozen=True)
class Look:
    """What is kept of an image that was looked at."""

    picture: NDArray[np.uint8]
    """(h, w, C), the longer side as asked."""
    shares: NDArray[np.float64]
    """(32,): `intensity_shares` of the whole image."""


def read_again(source: ImageSource, path: str) -> NDArray[np.uint8]:
    """The pixels (H, W, C) of an image of the manifest. Raises `Refusal` where it cannot be read any more."""
    try:
        return source.read(path).pixels
    except ImageRefused as error:
        raise Refusal(
            f"{path} was readable at ingestion and is not any more ({error}); run `kedro run --pipeline ingestion` again"
        ) from error


def look_at(source: ImageSource, paths: Sequence[str], size: int) -> list[Look]:
    """Reads images of the manifest, in order; only a few of them are in memory at a time."""

    def look(path: str) -> Look:
        pixels = read_again(source, path)
        return Look(thumbnail(pixels, size, pixels.shape[2]), intensity_shares(pixels))

    return list(in_order(look, paths))


def intensity_shares(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(H, W, C) to (32,): share of the pixels in each bin of luminance."""
    grey = image[:, :, 0] if image.shape[2] == 1 else np.asarray(Image.fromarray(image).convert("L"))
    shares: NDArray[np.float64] = np.bincount((grey >> 3).ravel(), minlength=BINS) / grey.size
    return shares


def intensity_bands(categories: Iterable[str], looks: Iterable[Look]) -> Mapping[str, NDArray[np.float64]]:
    """Category to (3, 32): 5th percentile, mean and 95th percentile of the histograms of its images."""
    rows: dict[str, list[NDArray[np.float64]]] = {}
    for category, look in zip(categories, looks, strict=True):
        rows.setdefault(category, []).append(look.shares)
    return {name: _band(np.stack(found)) for name, found in rows.items()}


def _band(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = np.percentile(shares, (5, 95), axis=0)
    return np.stack([low, shares.mean(axis=0), high])
