"""What every source of images gives: a picture, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

METADATA = (
    "group_id",
    "sex",
    "age",
    "site",
    "view",
    "date",
    "sequence",
    "scanner",
    "window",
    "color",
    "volume",
    "slice",
)
"""What a file may say of its image besides the pixels. All of it is text, none of it identifies a
person: `group_id` is a pseudonym.
"""


class ImageRefused(Exception):
    """An image that is left out. `code` is one word in capitals for the quarantine report, such as
    UNREADABLE or TOO_LARGE.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Picture:
    """One image, ready to be stored."""

    pixels: NDArray[np.uint8]
    """(H, W, C), C 1 (grey) or 3 (RGB), upright."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Keys of METADATA that are known."""
