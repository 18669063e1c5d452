"""What tells images apart and is no disease: border, thumbnail, size, exposure, and what is recorded of a patient and a machine.

DeGrave 2021 (AI for radiographic COVID-19 detection selects shortcuts over signal) and the COVIDx lists, on which the style of the file
name alone has an AUROC of .89, are why. Pixels are those of the store, before intensity is normalised: a detector that sees
standardised images may be blind to some of what is measured here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from medgan.evaluation.cohort import as_text
from medgan.images.demographics import UNKNOWN

Pixels = Callable[[NDArray[np.int64]], NDArray[np.uint8]]
"""Rows of the store (n,) to uint8 images (n, H, W, C)."""
Floats = NDArray[np.float64]
THUMBNAIL = 8
REFERENCE = 32
BORDER = 2
"""The frame: 2 pixels of an image pooled to 32 x 32, a sixteenth of its side."""
AT_ONCE = 512
RECORDED = ("site", "scanner", "sequence", "window", "view", "sex", "age_band", "colour", "file format")
"""Kinds of metadata; a value that is missing is a value of its own, since who is missing may differ between the classes as well."""


def pixel_features(pixels: Pixels, rows: NDArray[np.int64]) -> dict[str, Floats]:
    """`border`, `thumbnail` and `intensity` (mean and standard deviation of each channel) of images, each (n, features), in 0 to 1."""
    found: dict[str, list[Floats]] = {"border": [], "thumbnail": [], "intensity": []}
    for start in range(0, len(rows), AT_ONCE):
        images = torch.from_numpy(pixels(rows[start : start + AT_ONCE])).permute(0, 3, 1, 2).double() / 255
        found["border"].append(_frame(F.adaptive_avg_pool2d(images, REFERENCE)))
        found["thumbnail"].append(F.adaptive_avg_pool2d(images, THUMBNAIL).flatten(1).numpy())
        spread, mean = torch.std_mean(images, dim=(2, 3), correction=0)
        found["intensity"].append(torch.cat([mean, spread], 1).numpy())
    return {name: np.concatenate(parts) if parts else np.zeros((0, 1)) for name, parts in found.items()}


def _frame(images: torch.Tensor) -> Floats:
    inside = torch.zeros(REFERENCE, REFERENCE, dtype=torch.bool)
    inside[BORDER:-BORDER, BORDER:-BORDER] = True
    frame: Floats = images[:, :, ~inside].flatten(1).numpy()
    return frame


def size_features(splits: pd.DataFrame) -> Floats | None:
    """Logarithms of width, height and width / height of the images at their source (n, 3); None where they are not recorded."""
    sides = splits.reindex(columns=["width", "height"]).apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    if not np.isfinite(sides).all() or (sides <= 0).any():
        return None
    logarithms = np.log(sides)
    return np.column_stack([logarithms, logarithms[:, 0] - logarithms[:, 1]])


def recorded(splits: pd.DataFrame) -> Mapping[str, pd.Series[Any]]:
    """Each kind of metadata as text (n,), `unknown` where nothing is said."""
    extensions = splits.reindex(columns=["path"])["path"].astype(object).where(lambda path: path.notna(), "").astype(str)
    formats = extensions.str.extract(r"(\.[A-Za-z]\w*)(?:\.gz)?$")[0].str.lower()
    told = splits.reindex(columns=list(RECORDED)).assign(**{"file format": formats})
    return {name: as_text(told[name]) for name in RECORDED}


def is_constant(values: Floats | pd.Series[Any]) -> bool:
    """Whether all images have the same value, which tells none apart."""
    return pd.DataFrame(values).drop_duplicates().shape[0] <= 1


def nothing_known(values: pd.Series[Any]) -> bool:
    """Whether nothing is recorded of any image."""
    return bool((values == UNKNOWN).all())
