"""Decoded images, and the error for images that cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Values = NDArray[np.generic]
METADATA = (
    *("group_id", "sex", "age", "site", "view", "date"),
    *("volume", "slice", "sequence", "scanner", "window", "color"),
)
"""What a file may tell of its image besides the pixels, as text. Nothing identifies a person:
`group_id` is a pseudonym."""
IDENTITY = ("issuer", "number", "study")
"""What a file may tell of its patient besides `group_id`: whether that includes an issuer,
and pseudonyms of the id without its issuer and of the study."""

OF_ANOTHER_KIND = frozenset(("NOT_AN_IMAGE", "LOCALIZER"))
"""Codes of sound files that are no images of the data set: left out and counted, not quarantined."""


class ImageRefused(Exception):
    """An image that cannot be used. `code` names the reason in capitals, such as UNREADABLE."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Picture:
    """One decoded image."""

    pixels: Pixels  # (H, W, C), C 1 (gray) or 3 (RGB), upright
    metadata: Mapping[str, str] = field(default_factory=dict)  # known keys of METADATA and IDENTITY
