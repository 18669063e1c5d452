"""How files are decoded: the key `reading` of a source. Wrong values raise `UserError`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from medgan.errors import require
from medgan.ranges import Count, Range, require_ranges

WINDOWS: dict[str, tuple[float, float]] = {
    "lung": (-1350.0, 150.0),
    "mediastinum": (-125.0, 225.0),
    "abdomen": (-150.0, 250.0),
    "liver": (-45.0, 105.0),
    "bone": (-500.0, 1300.0),
    "brain": (0.0, 80.0),
    "stroke": (20.0, 60.0),
    "subdural": (-25.0, 175.0),
}
"""Name -> lowest and highest value shown, in Hounsfield units: the usual windows of CT (Murphy,
"Windowing (CT)", Radiopaedia)."""
AXES = ("sagittal", "coronal", "axial")
"""Planes of a slice, by the axis of a volume in canonical orientation (right, anterior, superior)
that they are perpendicular to."""
SHORTEST_KEY = 16
Largest = Annotated[int, Range(1, math.inf)]


@dataclass(frozen=True)
class SlicePolicy:
    """Which slices of a volume become images: a fixed anatomical range along one axis."""

    axis: Literal["sagittal", "coronal", "axial"] = "axial"
    """axial (0 is the feet's end), coronal (0 is the back) or sagittal (0 is the left side of the
    body). Slices of an NPY volume, whose orientation is unknown, lie along its first axis."""
    start: float = 0.35
    stop: float = 0.65  # range as shares of the volume
    every: Count = 1  # take every n-th slice
    count: Count | None = None
    """Instead of `every`: at most this many slices, evenly spaced over the range."""

    def __post_init__(self) -> None:
        require_ranges("reading.slices", self)
        require(
            0.0 <= self.start < self.stop <= 1.0,
            f"reading.slices goes from {self.start} to {self.stop}; "
            "give shares of the volume with 0 <= start < stop <= 1",
        )
        require(
            self.count is None or self.every == 1,
            f"reading.slices.count is {self.count}, with every {self.every}; give one of them",
        )

    def numbers(self, length: int) -> list[int]:
        """Choose from `length` slices those whose middle is in the range, else the nearest one."""
        middles = (np.arange(length) + 0.5) / length
        inside = np.flatnonzero((self.start <= middles) & (middles < self.stop)).tolist()
        inside = inside or [min(length - 1, int((self.start + self.stop) / 2 * length))]
        if self.count is None:
            return inside[:: self.every]
        return [inside[place] for place in evenly_spaced(len(inside), self.count)]


def evenly_spaced(length: int, count: int) -> list[int]:
    """Choose at most `count` evenly spaced numbers below `length`."""
    places = np.linspace(0, length - 1, min(count, length)).round().astype(int)
    numbers: list[int] = np.unique(places).tolist()
    return numbers


@dataclass(frozen=True)
class ReadingConfig:
    """The key `reading` of a source."""

    window: str | tuple[float, float] | None = None
    """A key of `WINDOWS`, or [lowest, highest] value shown, in the unit of the file. By default the
    file's window; where it has none, percentiles of the image or volume."""
    frames: Literal["refuse", "first", "all"] = "refuse"
    """Files of several pages or frames: refuse, first, or all (one image each)."""
    slices: SlicePolicy | None = None
    """Which slices of a volume become images. Without it volumes are refused."""
    volumes_4d: Literal["refuse", "first"] = "refuse"  # NIfTI files of several volumes
    burned_in: Literal["refuse", "keep"] = "refuse"
    """DICOM images whose header says that text is drawn into the pixels: refuse, or keep."""
    secondary_captures: Literal["films", "all"] = "films"
    """DICOM captures of screens and paper: films (only digitized films and scans), or all."""
    pseudonym_key: str | None = None
    """Secret that turns patient ids into pseudonyms; better given as the environment variable
    MEDGAN_PSEUDONYM_KEY than in a file."""
    max_pixels: Largest = 64_000_000  # largest image, in pixels, that is decoded
    max_volume_bytes: Largest = 2**30  # largest volume, in unpacked bytes, that is decoded

    def __post_init__(self) -> None:
        require_ranges("reading", self)
        known = ", ".join(WINDOWS)
        if isinstance(self.window, str):
            problem = f"reading.window is `{self.window}`, which does not exist"
            require(self.window in WINDOWS, f"{problem}; choose from {known}")
        elif self.window is not None:
            low, high = self.window
            require(
                math.isfinite(low) and math.isfinite(high) and low < high,
                f"reading.window is {[low, high]}; give [lowest, highest] value shown, "
                f"or one of {known}",
            )
        if self.pseudonym_key is not None:
            check_secret(self.pseudonym_key, "reading.pseudonym_key")

    @property
    def limits(self) -> tuple[float, float] | None:
        """Lowest and highest value shown, where they are configured."""
        return WINDOWS[self.window] if isinstance(self.window, str) else self.window

    @property
    def window_name(self) -> str:
        """The configured window in words, for the manifest."""
        low, high = self.limits or (0.0, 0.0)
        return f"{self.window if isinstance(self.window, str) else 'set'} {low:g} to {high:g}"


def check_secret(key: str, where: str) -> None:
    """Raise `UserError` for a secret that is too short."""
    require(
        len(key) >= SHORTEST_KEY,
        f"{where} has {len(key)} characters; give a secret of at least {SHORTEST_KEY}",
    )
