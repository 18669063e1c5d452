"""Images as tutorials load them: a Dataset that opens files, and a DataLoader."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision.transforms import v2

BATCH = 32


def transform(size: int) -> Callable[[Image.Image], Tensor]:
    """Resize, and scale to [-1, 1]."""
    steps = [
        v2.Resize((size, size)),
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.5], [0.5]),
    ]
    return v2.Compose(steps)


class Films(Dataset[Tensor]):
    """Gray images of files."""

    def __init__(self, paths: Sequence[Path], size: int) -> None:
        self.paths, self.transform = paths, transform(size)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self.paths[index]) as image:
            return self.transform(image.convert("L"))


def loader(
    images: Dataset[Any], workers: int, kind: type[DataLoader[Any]] = DataLoader
) -> DataLoader[Any]:
    """Shuffled batches, read by so many processes, which live as long as the loader."""
    return kind(
        images,
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def endless(images: Tensor, batch: int) -> Iterator[Tensor]:
    """Iterate over shuffled batches of images in memory, without an end."""
    loader = DataLoader(TensorDataset(images), batch_size=batch, shuffle=True, drop_last=True)
    while True:
        for (found,) in loader:
            yield found
