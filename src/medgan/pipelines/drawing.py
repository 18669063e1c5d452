"""Draw images from a published generator: the pipeline, the command and the app draw here.

An image is a function of the generator, the seed, the class, its index in the class and the
truncation. The network computes BLOCK images at once, whatever the batch size of the caller,
because its rounding errors depend on how many it sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from medgan.contracts import LatentSynthesizer
from medgan.errors import UserError, unknown
from medgan.images.transforms import as_uint8, crop_padding
from medgan.models import PublishedModel
from medgan.ranges import Range
from medgan.training.runtime import Runtime, generator

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Pixels = NDArray[np.uint8]
Truncation = Annotated[float, Range(0.01, 100.0)]
"""Absolute value that no component of a latent exceeds."""
BLOCK = 16


class Drawing:
    """What a generator draws from one seed: an endless sequence of images for each class.

    Args:
        published: the generator.
        seed: of the sequences.
        truncation: components of the latents beyond it, in absolute value, are drawn again
            (Marchesi 2017; Brock 2019, section 3.1): images are more alike and often look better.
            Latents without such a component stay as they are.

    Raises:
        UserError: the generator is not truncated, since it does not decode latents.
    """

    def __init__(
        self, published: PublishedModel, seed: int, truncation: float | None = None
    ) -> None:
        self.published, self.seed, self.truncation = published, seed, truncation
        self._device = Runtime.detect().device
        self._model: Any = published.build().to(self._device)
        if truncation is not None and not isinstance(self._model, LatentSynthesizer):
            raise UserError(
                f"{published.name} does not decode latents, so there is nothing to truncate: "
                "leave the truncation out."
            )

    def images(self, label: str) -> Iterator[Pixels]:
        """Draw images (H, W, C) of a class, without the padding around them.

        Raises:
            UserError: the generator does not draw this class.
        """
        known = self.published.drawable
        if label not in known:
            raise unknown(f"class that {self.published.name} draws", label, known)
        return (image for number in count() for image in self._block(label, number))

    def _block(self, label: str, number: int) -> Pixels:
        import torch

        labels = torch.full((BLOCK,), self.published.spec.classes.index(label))
        rng = generator(self.seed, "drawing", self.published.name, label, number)
        if self.truncation is None:
            drawn = self._model.sample(BLOCK, labels, rng)
        else:
            latents = truncated(self._model.config.latent_dim, self.truncation, rng)
            drawn = self._model.decode(latents.to(self._device), labels.to(self._device))
        return as_uint8(crop_padding(drawn, *image_size(self.published)))


def truncated(dimension: int, limit: float, rng: torch.Generator) -> Tensor:
    """Draw latents (BLOCK, dimension) from N(0, 1); draw components beyond the limit again."""
    import torch

    latents = torch.randn(BLOCK, dimension, generator=rng)
    while (beyond := latents.abs() > limit).any():
        latents[beyond] = torch.randn(int(beyond.sum()), generator=rng)
    return latents


def image_size(published: PublishedModel) -> tuple[int, int]:
    """Return (H, W) of the stored training images, without the padding around them."""
    height, width = published.card.get("image_size", (published.spec.size, published.spec.size))
    return height, width
