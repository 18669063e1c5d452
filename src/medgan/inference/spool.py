"""Images with their maps on disk, until it is known which are drawn."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from medgan.plots.anomaly_maps import MapScale, own_scale

Map = NDArray[np.float16]


class Spool:
    """Images with their maps in a temporary file without a name, so that memory stays at one."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by __exit__
        self._images = list[tuple[int, tuple[int, ...]]]()
        self.scale: MapScale | None = None
        """Of the maps in it; None while there are none."""

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, pixels: NDArray[np.uint8], anomaly_map: Map) -> int:
        """Keep an image (h, w, C) with its map (h, w); return its number."""
        self._images.append((self._file.seek(0, 2), pixels.shape))
        self._file.write(pixels.tobytes() + anomaly_map.astype(np.float16).tobytes())
        self.scale = own_scale(anomaly_map, self.scale)
        return len(self._images) - 1

    def read(self, number: int) -> tuple[NDArray[np.uint8], Map]:
        """Return an image with its map."""
        place, shape = self._images[number]
        self._file.seek(place)
        pixels = np.frombuffer(self._file.read(math.prod(shape)), dtype=np.uint8)
        map_bytes = np.dtype(np.float16).itemsize * shape[0] * shape[1]
        values = np.frombuffer(self._file.read(map_bytes), dtype=np.float16)
        return pixels.reshape(shape), values.reshape(shape[:2])
