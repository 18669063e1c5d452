"""An epoch of shuffled training batches of 64 px, after the first."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.paired import Case, NotCompared, Within
from benchmarks.plain.loading import BATCH, Films, loader, transform
from benchmarks.rows.films import FOLDER, films
from benchmarks.scale import Scale
from medgan.images.loading import BatchStream, StoredImages
from medgan.images.resizing import fit_square
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.sources.readers.decoding import read_picture

SIZE, SMALL, LARGE = 64, 224, 1_000
"""Sides of what is trained on, and of the files."""
Loader = DataLoader[Any]


def against_pil(scale: Scale) -> Case:
    """PIL and a DataLoader, from files of 224 px."""
    paths = _films(scale)
    batches, workers = _fastest(Films(paths, SIZE))
    return _case(scale, f"PIL + DataLoader, {workers} workers, {SMALL}-px files", 40.0, batches)


def against_large(scale: Scale) -> Case:
    """PIL and a DataLoader, from files of 1,000 px."""
    count, paths = len(_films(scale)), films(*scale.of((320, LARGE), (64, LARGE)))
    batches, workers = _fastest(Films(paths, SIZE))
    case = _case(scale, f"PIL + DataLoader, {workers} workers, {LARGE}-px files", 200.0, batches)
    return replace(
        case,
        outputs=NotCompared("they are other films"),
        scale=count / len(paths),
        note=f"Its time is that of {len(paths)} films, times {count / len(paths):.4g}.",
    )


def against_monai(scale: Scale) -> Case:
    """MONAI, which keeps the resized images in memory."""
    from monai.data import CacheDataset
    from monai.data import DataLoader as MonaiLoader
    from monai.transforms import Compose, EnsureChannelFirst, LoadImage, Resize, ScaleIntensityRange

    steps = [
        LoadImage(image_only=True),
        EnsureChannelFirst(),
        Resize((SIZE, SIZE)),
        ScaleIntensityRange(0, 255, -1, 1),
    ]
    cached = CacheDataset([*map(str, _films(scale))], Compose(steps), progress=False)
    batches, workers = _fastest(cached, MonaiLoader)
    return _case(scale, f"MONAI's `CacheDataset`, {workers} workers", 2.0, batches, 0.02)


def against_medmnist(scale: Scale) -> Case:
    """medmnist, whose images are in memory at 64 px."""
    from medmnist import PneumoniaMNIST

    count = len(_films(scale))
    pixels = _store(count).read(np.arange(count))[..., 0]
    np.savez(FOLDER / "pneumoniamnist_64.npz", train_images=pixels, train_labels=pixels[:, :1, 0])
    kept = PneumoniaMNIST("train", transform(SIZE), root=str(FOLDER), size=SIZE)
    kept.info = {**kept.info, "n_samples": {"train": count}}  # it checks its own number
    batches, workers = _fastest(_ImagesOnly(kept))
    return _case(scale, f"medmnist's Dataset, {workers} workers", 20.0, batches)


class _ImagesOnly(Dataset[Tensor]):
    """A Dataset of images and labels without the labels."""

    def __init__(self, pairs: Any) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Tensor:
        image: Tensor = self.pairs[index][0]
        return image


def _films(scale: Scale) -> tuple[Path, ...]:
    return films(scale.of(5_840, 320), SMALL)


@cache
def _store(count: int) -> ImageStore:
    """What preprocessing makes of the films."""
    folder = FOLDER / f"store_{count}"
    info = StoreInfo(count, SIZE, SIZE, 1, "unit", ("normal",))
    pixels = (fit_square(read_picture(path).pixels, SIZE, 1) for path in films(count, SMALL))
    write_store(folder, pixels, info)
    return ImageStore.open(folder)


def _case(
    scale: Scale, against: str, goal: float, batches: Loader, tolerance: float = 1e-6
) -> Case:
    count = len(_films(scale))
    stream = BatchStream(StoredImages(_store(count)), np.arange(count), seed=0)

    def epoch() -> Iterable[Tensor]:
        return (stream.draw("adversarial", index, BATCH).images for index in range(count // BATCH))

    def results() -> tuple[Any, Any]:
        """The mean of each image, sorted as every side shuffles in its own way."""
        every = DataLoader(batches.dataset, BATCH)
        return _means(batch.images for batch in stream.epoch(BATCH)), _means(every)

    return Case(
        f"An epoch of {count:,} films at {SIZE} px, after the first",
        against,
        goal,
        lambda: _consume(epoch()),
        lambda: _consume(batches),
        Within(tolerance, _largest_difference, "difference of the mean of an image", results),
    )


def _fastest(images: Dataset[Any], kind: type[Loader] = DataLoader) -> tuple[Loader, int]:
    """Choose the number of worker processes with the fastest epoch: none, or one for each core."""
    seconds = {}
    for workers in (0, os.cpu_count() or 1):
        batches = loader(images, workers, kind)
        _consume(batches)
        started = time.perf_counter()
        _consume(batches)
        seconds[time.perf_counter() - started] = batches
    fastest = seconds[min(seconds)]
    return fastest, fastest.num_workers


def _means(batches: Iterable[Any]) -> Any:
    return torch.cat([torch.as_tensor(batch).mean((1, 2, 3)) for batch in batches]).sort().values


def _largest_difference(mine: Tensor, theirs: Tensor) -> float:
    return float((mine - theirs).abs().max())


def _consume(batches: Iterable[Any]) -> None:
    deque(batches, maxlen=0)


CASES: tuple[Callable[[Scale], Case], ...] = (
    against_pil,
    against_large,
    against_monai,
    against_medmnist,
)
