"""Prepared images and their maps on disk, until it is known which of them get a picture and on which scale."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from medgan.images.store import StoreInfo
from medgan.scoring.listing import Seen
from medgan.scoring.preparing import BRIGHTEST
from medgan.scoring.reference import Frozen
from medgan.scoring.tables import NOT_KEPT

Wanted = Callable[[Seen, float], bool]


class Spool:
    """A file without a name that vanishes with the command. Memory stays at one image."""

    def __init__(self, folder: Path, info: StoreInfo) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by __exit__
        self._info = info
        self._count = 0
        self.range = (np.inf, -np.inf)
        """Lowest value, and highest 99.5th percentile, of the maps in it."""

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def add(self, pixels: NDArray[np.uint8], anomaly_map: NDArray[np.float16]) -> int:
        """Keeps an image (h, w, C) with its map (h, w); returns its number."""
        self._file.seek(0, 2)
        self._file.write(pixels.tobytes() + anomaly_map.tobytes())
        low, high = float(anomaly_map.min()), float(np.quantile(anomaly_map.astype(np.float64), BRIGHTEST))
        self.range = (min(self.range[0], low), max(self.range[1], high))
        self._count += 1
        return self._count - 1

    def read(self, number: int) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
        """An image with its map."""
        info = self._info
        map_bytes = 2 * info.height * info.width
        self._file.seek(number * (info.image_bytes + map_bytes))
        pixels = np.frombuffer(self._file.read(info.image_bytes), dtype=np.uint8).reshape(info.image_shape)
        return pixels, np.frombuffer(self._file.read(map_bytes), dtype=np.float16).reshape(info.height, info.width)


def keep_if(wanted: bool, spool: Spool, seen: Seen, anomaly_map: NDArray[np.float16]) -> int:
    """The number under which an image is kept, or NOT_KEPT."""
    return spool.add(seen.pixels, anomaly_map) if wanted and seen.pixels is not None else NOT_KEPT


def _none(frozen: Frozen | None) -> Wanted:
    return lambda seen, score: False


def _all(frozen: Frozen | None) -> Wanted:
    return lambda seen, score: True


def _anomalous(frozen: Frozen | None) -> Wanted:
    """Images at or above the threshold; of a volume that is judged as a whole, each slice that is the highest so far."""
    if frozen is None:
        return _none(frozen)
    highest: dict[str, float] = {}

    def wanted(seen: Seen, score: float) -> bool:
        if frozen.unit == "image" or not seen.group:
            return score >= frozen.value
        before = highest.get(seen.group, -np.inf)
        highest[seen.group] = max(before, score)
        return score > before

    return wanted


MAPS: Mapping[str, Callable[[Frozen | None], Wanted]] = {"none": _none, "anomalous": _anomalous, "all": _all}
"""What `--maps` may say -> which images may get a picture."""
