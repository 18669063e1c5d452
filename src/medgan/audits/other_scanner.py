"""Validation images as another scanner might have made them: a stand-in for images from elsewhere.

Settings that are chosen on clean validation images alone are chosen for one make-up of images. So
each validation image is also scored under a draw of its own of gamma, shading and shift, which
happen to the stored pixels before anything else. Nothing is fitted here, and no test image is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.evaluation.score_table import joined
from medgan.stats.bootstrap import Estimate, interval
from medgan.stats.classification import area_of

Pixels = NDArray[np.uint8]
VERSION = 1
"""Part of the key of cached scores; raise it when the draw changes."""
SEED = 0
"""Of the draws, whatever the seed of the run: all detectors are judged on the same images."""
GAMMA = 1.5
"""Largest gamma; the smallest is its inverse, and the logarithm is uniform between them."""
SHADING = 25.0
"""Largest coefficient of x, y and x y in gray levels of 255, with x and y from -1 to 1."""
SHIFT = 0.05
"""Largest shift to each side, as a share of it; edges are repeated."""
NOT_SCORED = "the validation images were not scored as another scanner might have made them"


def rescanned(images: Pixels, rows: NDArray[np.int64]) -> Pixels:
    """Change the images (n, H, W, C) of these rows of the store.

    The same rows give the same pixels in any batch and any run.
    """
    name = crc32(b"another scanner")
    generators = (np.random.default_rng([SEED, name, int(row)]) for row in rows)
    changed = [_rescan(image, rng) for image, rng in zip(images, generators, strict=True)]
    return np.stack(changed) if changed else images


def _rescan(image: Pixels, rng: np.random.Generator) -> Pixels:
    from scipy import ndimage

    height, width = image.shape[:2]
    gamma = GAMMA ** rng.uniform(-1.0, 1.0)
    across, down, both = rng.uniform(-SHADING, SHADING, 3)
    shifts = rng.uniform(-SHIFT, SHIFT, 2) * (height, width)
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    shading = across * x + down * y + both * x * y
    values = 255.0 * (image / 255.0) ** gamma + shading[:, :, None]
    moved = ndimage.shift(values, (*shifts, 0.0), order=1, mode="nearest")
    return np.asarray(np.clip(np.rint(moved), 0, 255), dtype=np.uint8)


def perturbed_auroc(
    arrays: Mapping[str, NDArray[Any]] | None,
    splits: pd.DataFrame,
    aggregate: str,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Compute the AUROC of the validation images as another scanner might have made them.

    `arrays` are image_id (n,), scores (n,), and `reason`: why nothing was scored, or empty.
    """
    reason = NOT_SCORED if arrays is None else str(arrays["reason"])
    if arrays is None or reason:
        return Estimate(None, reason=reason)
    scores = pd.DataFrame({"image_id": arrays["image_id"], "score": arrays["scores"]})
    units = joined(scores, splits, "val", aggregate)
    labels, values, groups = (units[name].to_numpy() for name in ("label", "score", "group_id"))
    return interval(area_of(labels, values), groups, n_resamples, seed)
