"""Training batches as a function of (seed, stage, number): a killed run resumes with those it would
have seen. numpy and torch only.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medgan.contracts import Batch
from medgan.errors import UserError
from medgan.images.store import ImageStore
from medgan.images.transforms import augment, check_augmentations, prepare

Images = Callable[[NDArray[np.int64]], Tensor]
"""Rows to images: (n,) int64 to (n, C, H, W) in [-1, 1]."""
NOISE, AUGMENTATION, LABELLED, UNLABELLED = range(4)
"""Streams of randomness that one seed feeds."""


class StoredImages:
    """The images of a store as a network sees them; intensity and padding are computed on
    `device`.
    """

    def __init__(self, store: ImageStore, device: torch.device | str = "cpu") -> None:
        self.store = store
        self.device = torch.device(device)
        self._size = store.spec.size

    def __len__(self) -> int:
        return len(self.store)

    def __call__(self, rows: NDArray[np.int64]) -> Tensor:
        """(n, C, size, size) in [-1, 1]."""
        return prepare(
            torch.from_numpy(self.store.read(rows)).to(self.device),
            self.store.info.intensity,
            self._size,
        )


class TensorImages:
    """Images that are in memory: (n, C, H, W) in [-1, 1]."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __call__(self, rows: NDArray[np.int64]) -> Tensor:
        """(n, C, H, W) in [-1, 1]."""
        return self.images[torch.from_numpy(np.asarray(rows, dtype=np.int64))]


class Concatenated:
    """Several sets of images as one; its rows count through the first set, then through the second,
    and so on.
    """

    def __init__(self, parts: Sequence[StoredImages | TensorImages]) -> None:
        self.parts = list(parts)
        self._starts = np.cumsum([0, *(len(part) for part in parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __call__(self, rows: NDArray[np.int64]) -> Tensor:
        """(n, C, H, W) in [-1, 1], in the order of `rows`."""
        rows = np.asarray(rows, dtype=np.int64)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        images, order = [], []
        for index in np.unique(owner):
            places = np.flatnonzero(owner == index)
            images.append(self.parts[index](rows[places] - self._starts[index]))
            order.append(places)
        return torch.cat(images)[torch.from_numpy(np.argsort(np.concatenate(order)))]


def stream_seed(seed: int, stage: str, *numbers: int) -> np.random.SeedSequence:
    """The randomness of one moment of one stage; the same on every machine."""
    return np.random.SeedSequence([seed, zlib.crc32(stage.encode()), *numbers])


def _generator(seed: int, stage: str, stream: int, index: int) -> torch.Generator:
    state = stream_seed(seed, stage, stream, index).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


@lru_cache(maxsize=16)
def _permutation(count: int, seed: int, stage: str, stream: int, epoch: int) -> NDArray[np.int64]:
    return np.random.Generator(
        np.random.Philox(stream_seed(seed, stage, stream, epoch))
    ).permutation(count)


def positions(
    count: int, seed: int, stage: str, stream: int, index: int, size: int
) -> NDArray[np.int64]:
    """Which of `count` items are in the `index`-th batch of `size`: (size,) int64.

    Every epoch is a permutation of its own, and batches run on across epochs, so each is full and
    each item comes equally often.
    """
    places = np.arange(index * size, (index + 1) * size)
    epochs, offsets = np.divmod(places, count)
    parts = [
        _permutation(count, seed, stage, stream, int(epoch))[offsets[epochs == epoch]]
        for epoch in np.unique(epochs)
    ]
    return np.concatenate(parts)


class BatchStream:
    """`contracts.BatchSource` over some rows of a set of images.

    `labels`, (n,) classes or (n, K) multi-hot, belong to `rows` (n,) one by one; `unlabelled_rows`
    are drawn from in their own order.
    `augment` names augmentations that drawn batches get and epochs do not.
    """

    def __init__(
        self,
        images: Images,
        rows: NDArray[np.int64],
        seed: int,
        labels: NDArray[Any] | None = None,
        unlabelled_rows: NDArray[np.int64] | None = None,
        augment: Sequence[str] = (),
        device: torch.device | str = "cpu",
    ) -> None:
        if not len(rows) or (unlabelled_rows is not None and not len(unlabelled_rows)):
            raise UserError(
                "there is no image to train on in this part of the training split; look at the splits and at preprocessing.contamination"
            )
        if labels is not None and len(labels) != len(rows):
            raise ValueError(f"{len(labels)} labels for {len(rows)} rows")
        check_augmentations(augment)
        self.images, self.seed, self.augmentations, self.device = (
            images,
            seed,
            tuple(augment),
            torch.device(device),
        )
        self.rows = np.asarray(rows, dtype=np.int64)
        self.labels = (
            None
            if labels is None
            else np.asarray(labels, dtype=np.int64 if np.ndim(labels) == 1 else np.float32)
        )
        self.unlabelled_rows = (
            None if unlabelled_rows is None else np.asarray(unlabelled_rows, dtype=np.int64)
        )

    def __len__(self) -> int:
        return len(self.rows)

    def draw(self, stage: str, index: int, size: int) -> Batch:
        """The `index`-th batch of `size` images of a stage, always full; the same arguments give
        the same batch.
        """
        chosen = positions(len(self.rows), self.seed, stage, LABELLED, index, size)
        changes = _generator(self.seed, stage, AUGMENTATION, index) if self.augmentations else None
        return Batch(
            images=self._load(self.rows[chosen], changes),
            rng=_generator(self.seed, stage, NOISE, index),
            labels=self._labels(chosen),
            unlabelled=self._draw_unlabelled(stage, index, size, changes),
            step=index,
        )

    def epoch(self, size: int) -> Iterator[Batch]:
        """Every training image once, in the order of the rows, without augmentation; the last batch
        may be smaller.
        """
        for index, start in enumerate(range(0, len(self.rows), size)):
            chosen = np.arange(start, min(start + size, len(self.rows)))
            rng = _generator(self.seed, "epoch", NOISE, index)
            yield Batch(
                images=self._load(self.rows[chosen], None),
                rng=rng,
                labels=self._labels(chosen),
                step=index,
            )

    def _load(self, rows: NDArray[np.int64], changes: torch.Generator | None) -> Tensor:
        images = self.images(rows).to(self.device)
        return images if changes is None else augment(images, self.augmentations, changes)

    def _labels(self, chosen: NDArray[np.int64]) -> Tensor | None:
        return (
            None if self.labels is None else torch.from_numpy(self.labels[chosen]).to(self.device)
        )

    def _draw_unlabelled(
        self, stage: str, index: int, size: int, changes: torch.Generator | None
    ) -> Tensor | None:
        if self.unlabelled_rows is None:
            return None
        chosen = positions(len(self.unlabelled_rows), self.seed, stage, UNLABELLED, index, size)
        return self._load(self.unlabelled_rows[chosen], changes)
