"""Training batches as functions of (seed, stage, index), so that a killed run resumes exactly."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medgan.contracts import STAGE_OF_LABEL, WHOLE, Batch, BatchSource, Share
from medgan.errors import UserError
from medgan.images.store import ImageStore
from medgan.images.transforms import (
    Change,
    Intensity,
    augment,
    check_augmentations,
    prepare,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Rows = NDArray[np.int64]
Images: TypeAlias = "Callable[[Rows], Tensor]"
"""Rows of the store (n,) int64 to images (n, C, H, W) in [-1, 1]."""
NOISE, AUGMENTATION, LABELLED, UNLABELLED = range(4)  # random streams of one seed
VERSION = 2
"""Part of the key of a training; raise it when models get other images than before."""


class ImageSet(Protocol):
    """Numbered images, which can be changed before their intensity is scaled."""

    def __len__(self) -> int: ...

    def __call__(self, rows: Rows, change: Change | None = None) -> Tensor:
        """Load (n, C, size, size) in [-1, 1]."""
        ...


@dataclass(frozen=True)
class StoredImages:
    """The images of a store as a network sees them."""

    store: ImageStore

    def __len__(self) -> int:
        return len(self.store)

    def __call__(self, rows: Rows, change: Change | None = None) -> Tensor:
        """Load (n, C, size, size) in [-1, 1]."""
        import torch

        pixels = torch.from_numpy(self.store.read(rows))
        return prepare(pixels, self.store.info.scaling, self.store.spec.size, change)


@dataclass(frozen=True)
class DrawnImages:
    """Images as a generator has drawn them, uint8 (n, H, W, C): their intensity is scaled already,
    and once more where they are changed, as that of a real image would be.
    """

    pixels: NDArray[np.uint8]
    intensity: Intensity
    size: int

    def __len__(self) -> int:
        return len(self.pixels)

    def __call__(self, rows: Rows, change: Change | None = None) -> Tensor:
        """Load (n, C, size, size) in [-1, 1]."""
        import torch

        pixels = torch.from_numpy(self.pixels[rows])
        scaled = Intensity("unit") if change is None else self.intensity
        return prepare(pixels, scaled, self.size, change)


@dataclass(frozen=True)
class TensorImages:
    """Images in memory: (n, C, H, W) in [-1, 1], of no intensity to be scaled."""

    images: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __call__(self, rows: Rows, change: Change | None = None) -> Tensor:
        """Load (n, C, H, W) in [-1, 1]."""
        import torch

        images = self.images[torch.from_numpy(np.asarray(rows, dtype=np.int64))]
        return images if change is None else change(images)


class Concatenated:
    """Several sets of images as one, their rows numbered one after another."""

    def __init__(self, parts: Sequence[ImageSet]) -> None:
        self.parts = list(parts)
        self._starts = np.cumsum([0, *(len(part) for part in parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __call__(self, rows: Rows, change: Change | None = None) -> Tensor:
        """Load (n, C, H, W) in [-1, 1], in the order of `rows`."""
        import torch

        rows = np.asarray(rows, dtype=np.int64)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        images, order = [], []
        for index in np.unique(owner):
            places = np.flatnonzero(owner == index)
            images.append(self.parts[index](rows[places] - self._starts[index], change))
            order.append(places)
        return torch.cat(images)[torch.from_numpy(np.argsort(np.concatenate(order)))]


def stream_seed(seed: int, stage: str, *numbers: int) -> np.random.SeedSequence:
    """Return the seed of one step of one stage, the same on every machine."""
    return np.random.SeedSequence([seed, zlib.crc32(stage.encode()), *numbers])


def _generator(seed: int, stage: str, stream: int, index: int) -> torch.Generator:
    import torch

    state = stream_seed(seed, stage, stream, index).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


@lru_cache(maxsize=16)
def _permutation(count: int, seed: int, stage: str, stream: int, epoch: int) -> Rows:
    bits = np.random.Philox(stream_seed(seed, stage, stream, epoch))
    return np.random.Generator(bits).permutation(count)


def positions(count: int, seed: int, stage: str, stream: int, index: int, size: int) -> Rows:
    """Choose (size,) of `count` items for the `index`-th batch.

    Batches run on across epochs, each a permutation: batches are full, items equally frequent.
    """
    epochs, offsets = np.divmod(np.arange(index * size, (index + 1) * size), count)
    parts = [
        _permutation(count, seed, stage, stream, int(epoch))[offsets[epochs == epoch]]
        for epoch in np.unique(epochs)
    ]
    return np.concatenate(parts)


class BatchStream:
    """`contracts.BatchSource` over some rows of a set of images.

    `labels`, (n,) classes or (n, K) multi-hot, belong to `rows` (n,); `unlabelled_rows` are drawn
    in their own order. `augment` names augmentations of drawn batches, done before intensity is
    scaled; epochs have none.
    """

    def __init__(
        self,
        images: ImageSet,
        rows: Rows,
        seed: int,
        labels: NDArray[Any] | None = None,
        unlabelled_rows: Rows | None = None,
        augment: Sequence[str] = (),
    ) -> None:
        if not len(rows) or (unlabelled_rows is not None and not len(unlabelled_rows)):
            raise UserError(
                "there is no image to train on in this part of the training split; "
                "check the splits and preprocessing.contamination"
            )
        if labels is not None and len(labels) != len(rows):
            raise ValueError(f"{len(labels)} labels for {len(rows)} rows")
        check_augmentations(augment)
        self.images, self.seed, self.augmentations = images, seed, tuple(augment)
        self.rows = np.asarray(rows, dtype=np.int64)
        self.labels = self.unlabelled_rows = None
        if labels is not None:
            kind = np.int64 if np.ndim(labels) == 1 else np.float32
            self.labels = np.asarray(labels, dtype=kind)
        if unlabelled_rows is not None:
            self.unlabelled_rows = np.asarray(unlabelled_rows, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.rows)

    def draw(self, stage: str, index: int, size: int, share: Share = WHOLE) -> Batch:
        """Draw a share of the `index`-th batch of a stage, always full and a function of the
        arguments.
        """
        from medgan.sharing import shared

        own, among = slice(share.rank, None, share.count), self._among(stage)
        chosen = among[positions(len(among), self.seed, stage, LABELLED, index, size)][own]
        changes = _generator(self.seed, stage, AUGMENTATION, index) if self.augmentations else None
        unlabelled = None
        with shared(share):
            images = self._load(self.rows[chosen], changes)
            if self.unlabelled_rows is not None:
                count = len(self.unlabelled_rows)
                mixed = positions(count, self.seed, stage, UNLABELLED, index, size)[own]
                unlabelled = self._load(self.unlabelled_rows[mixed], changes)
        rng = _generator(self.seed, stage, NOISE, index)
        return Batch(images, rng, self._labels(chosen), unlabelled, step=index)

    def epoch(self, size: int) -> Iterator[Batch]:
        """Iterate once over all rows, in order and unaugmented; the last batch may be smaller."""
        for index, start in enumerate(range(0, len(self.rows), size)):
            chosen = np.arange(start, min(start + size, len(self.rows)))
            rng = _generator(self.seed, "epoch", NOISE, index)
            images = self._load(self.rows[chosen], None)
            yield Batch(images, rng, self._labels(chosen), step=index)

    def _among(self, stage: str) -> Rows:
        """Return the places of the images of a stage: all, or those of one label."""
        _, _, label = stage.partition(STAGE_OF_LABEL)
        if not label or self.labels is None:
            return np.arange(len(self.rows))
        shown = self.labels == int(label) if self.labels.ndim == 1 else self.labels[:, int(label)]
        return np.flatnonzero(shown)

    @property
    def classes(self) -> int:
        """Number of classes; 0 without labels."""
        if self.labels is None:
            return 0
        return int(self.labels.max()) + 1 if self.labels.ndim == 1 else self.labels.shape[1]

    def take(self, places: Rows, rng: torch.Generator, step: int) -> Batch:
        """Return a batch of the images at these places of `rows`, changed as `rng` draws."""
        images = self._load(self.rows[places], rng if self.augmentations else None)
        return Batch(images, rng, self._labels(places), step=step)

    def _load(self, rows: Rows, changes: torch.Generator | None) -> Tensor:
        if changes is None:
            return self.images(rows)
        return self.images(rows, partial(augment, names=self.augmentations, rng=changes))

    def _labels(self, chosen: Rows) -> Tensor | None:
        import torch

        return None if self.labels is None else torch.from_numpy(self.labels[chosen])


@dataclass(frozen=True)
class StagedBatches:
    """Batches of a training whose stages see different images."""

    stages: Mapping[str, BatchSource]
    others: BatchSource
    """Of any other stage, and of an epoch."""

    def draw(self, stage: str, index: int, size: int, share: Share = WHOLE) -> Batch:
        """Draw a share of the `index`-th batch of a stage."""
        return self.stages.get(stage, self.others).draw(stage, index, size, share)

    def epoch(self, size: int) -> Iterator[Batch]:
        """Iterate once over the images of `others`."""
        return self.others.epoch(size)
