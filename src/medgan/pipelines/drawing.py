"""Draw images from a published generator: the pipeline, the command and the app draw here.

An image is a function of the generator, the seed, the class, its index in the class and the
truncation. The network computes BLOCK images at once, whatever the batch size of the caller,
because its rounding errors depend on how many it sees.
"""

from __future__ import annotations

import math
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
        if truncation is not None:
            self._require_latents("to truncate")

    def images(self, label: str) -> Iterator[Pixels]:
        """Draw images (H, W, C) of a class, without the padding around them.

        Raises:
            UserError: the generator does not draw this class.
        """
        labels = self._labels(label)
        return (image for number in count() for image in self._block(label, labels, number))

    def between(self, label: str, other: Drawing, steps: int) -> Pixels:
        """Draw the way from the first image of a class to that of another seed.

        Latents are interpolated on a great circle (White 2016, section 2.1): on the straight line
        they would be shorter than those of training.

        Args:
            label: the class.
            other: the same generator with another seed.
            steps: images, from 2 to BLOCK.

        Returns:
            (steps, H, W, C).

        Raises:
            UserError: the generator does not draw this class, or decodes no latents.
        """
        import torch

        labels = self._labels(label)
        self._require_latents("between two images")
        start, end = (one._latents(label, 0)[0] for one in (self, other))
        angle = torch.arccos(torch.cosine_similarity(start, end, dim=0).clamp(-1, 1))
        shares = torch.linspace(0, 1, steps)[:, None]
        path = (torch.sin((1 - shares) * angle) * start + torch.sin(shares * angle) * end) / (
            torch.sin(angle).clamp_min(1e-6)
        )
        padded = torch.cat([path, path[-1:].expand(BLOCK - steps, -1)])
        return self._decoded(padded, labels)[:steps]

    def _require_latents(self, purpose: str) -> None:
        if not isinstance(self._model, LatentSynthesizer):
            raise UserError(
                f"{self.published.name} does not decode latents, so there is nothing {purpose}."
            )

    def _labels(self, label: str) -> Tensor:
        import torch

        known = self.published.drawable
        if label not in known:
            raise unknown(f"class that {self.published.name} draws", label, known)
        return torch.full((BLOCK,), self.published.spec.classes.index(label))

    def _block(self, label: str, labels: Tensor, number: int) -> Pixels:
        if isinstance(self._model, LatentSynthesizer):
            return self._decoded(self._latents(label, number), labels)
        return self._pixels(self._model.sample(BLOCK, labels, self._rng(label, number)))

    def _decoded(self, latents: Tensor, labels: Tensor) -> Pixels:
        return self._pixels(self._model.decode(latents.to(self._device), labels.to(self._device)))

    def _latents(self, label: str, number: int) -> Tensor:
        """Draw (BLOCK, latent_dim) from N(0, 1); draw components beyond the truncation again."""
        import torch

        rng = self._rng(label, number)
        latents = torch.randn(BLOCK, self._model.config.latent_dim, generator=rng)
        limit = math.inf if self.truncation is None else self.truncation
        while (beyond := latents.abs() > limit).any():
            latents[beyond] = torch.randn(int(beyond.sum()), generator=rng)
        return latents

    def _rng(self, label: str, number: int) -> torch.Generator:
        return generator(self.seed, "drawing", self.published.name, label, number)

    def _pixels(self, images: Tensor) -> Pixels:
        return as_uint8(crop_padding(images, *image_size(self.published)))


def image_size(published: PublishedModel) -> tuple[int, int]:
    """Return (H, W) of the stored training images, without the padding around them."""
    height, width = published.card.get("image_size", (published.spec.size, published.spec.size))
    return height, width
