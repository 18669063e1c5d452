"""Prepare a folder of films, one at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Hash = Callable[[Image.Image], object]


class Prepared(NamedTuple):
    """One film."""

    checksum: str
    perceptual: str
    pixels: NDArray[np.uint8]


def prepare(path: Path, size: int, hashed: Hash) -> Prepared:
    """Decode, hash and resize a film."""
    with Image.open(path) as file:
        image = file.convert("L")
    checksum = hashlib.sha256(image.tobytes()).hexdigest()
    pixels = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
    return Prepared(checksum, str(hashed(image)), pixels)


def prepare_all(
    paths: Sequence[Path], size: int, hashed: Hash, processes: int
) -> Iterator[Prepared]:
    """Prepare films in their order."""
    work = partial(prepare, size=size, hashed=hashed)
    if processes == 1:
        yield from map(work, paths)
    else:
        with ProcessPoolExecutor(processes) as pool:
            yield from pool.map(work, paths, chunksize=16)


def to_array(films: Iterable[Prepared], target: Path) -> NDArray[np.uint8]:
    """Store films as one NPY file."""
    pixels = np.stack([film.pixels for film in films])
    np.save(target, pixels)
    return pixels
