"""Images on the page, and the ZIP file in which they leave it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medgan.inference.data_card import DataCard, data_card
from medgan.inference.generation import Drawn, JudgedGenerator, Request
from medgan.inference.sets import zipped

MOST = 64
"""Images drawn at once."""
SIDE = 128
"""Least side of an enlarged image, in pixels."""
AT_ONCE = 8
"""Images that appear together."""

STEPS = 8
"""Images on the way between two seeds."""


@dataclass(frozen=True)
class DrawnSet:
    """A set on the page."""

    card: DataCard
    images: Sequence[NDArray[np.uint8]]
    """(H, W, C) each."""
    packed: bytes
    """A ZIP file, as `medgan generate` writes it."""


def packed(using: JudgedGenerator, request: Request, batches: Sequence[Drawn]) -> DrawnSet:
    """Pack what was drawn; the name, card and images of a set that is not released say so."""
    flagged = None if using.check is None else sum(drawn.n_flagged for drawn in batches)
    card, buffer = data_card(using, request, flagged), io.BytesIO()
    with zipped(buffer, card) as made:
        for drawn in batches:
            made.add(drawn)
        made.close(card)
    images = [image for drawn in batches for _, image in drawn.kept()]
    return DrawnSet(card, images, buffer.getvalue())


def enlarged(image: NDArray[np.uint8], side: int = SIDE) -> NDArray[np.uint8]:
    """Repeat the pixels of an image (H, W, 1 or 3) to (k H, k W, 3), at least `side` long, without
    smoothing.
    """
    factor = max(1, -(-side // max(image.shape[:2])))
    colors = np.repeat(image, 3 // image.shape[2], axis=2)
    return colors.repeat(factor, axis=0).repeat(factor, axis=1)
