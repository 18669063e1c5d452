"""How files are decoded: the key `reading` of a source. Wrong values raise `UserError`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from medgan.sources.checks import check_choice, check_range, require

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
FRAME_POLICIES = ("refuse", "first", "all")
VOLUMES_4D_POLICIES = ("refuse", "first")
BURNED_IN_POLICIES = ("refuse", "keep")
SECONDARY_CAPTURE_POLICIES = ("films", "all")
SHORTEST_KEY = 16


@dataclass(frozen=True)
class SlicePolicy:
    """Which slices of a volume become images: a fixed anatomical range along one axis."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    axis: str = "axial"
    """axial (0 is the feet's end), coronal (0 is the back) or sagittal (0 is the left side of the
    body). Slices of an NPY volume, whose orientation is unknown, lie along its first axis."""
    start: float = 0.35
    stop: float = 0.65  # range as shares of the volume
    every: int = 1  # take every n-th slice
    count: int | None = None
    """Instead of `every`: at most this many slices, evenly spaced over the range."""

    def __post_init__(self) -> None:
        check_choice(self.axis, AXES, "reading.slices.axis")
        require(
            0.0 <= self.start < self.stop <= 1.0,
            f"reading.slices goes from {self.start} to {self.stop}; "
            "give shares of the volume with 0 <= start < stop <= 1",
        )
        check_range(self.every, 1, math.inf, "reading.slices.every")
        require(
            self.count is None or (self.count >= 1 and self.every == 1),
            f"reading.slices.count is {self.count}, with every {self.every}; "
            "give a count from 1 on, or `every`, not both",
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

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    window: str | tuple[float, float] | None = None
    """A key of `WINDOWS`, or [lowest, highest] value shown, in the unit of the file. By default the
    file's window; where it has none, percentiles of the image or volume."""
    frames: str = "refuse"
    """Files of several pages or frames: refuse, first, or all (one image each)."""
    slices: SlicePolicy | None = None
    """Which slices of a volume become images. Without it volumes are refused."""
    volumes_4d: str = "refuse"  # NIfTI files of several volumes: refuse, or first
    burned_in: str = "refuse"
    """DICOM images whose header says that text is drawn into the pixels: refuse, or keep."""
    secondary_captures: str = "films"
    """DICOM captures of screens and paper: films (only digitized films and scans), or all."""
    pseudonym_key: str | None = None
    """Secret that turns patient ids into pseudonyms; better given as the environment variable
    MEDGAN_PSEUDONYM_KEY than in a file."""
    max_pixels: int = 64_000_000  # largest image, in pixels, that is decoded
    max_volume_bytes: int = 2**30  # largest volume, in unpacked bytes, that is decoded

    def __post_init__(self) -> None:
        if isinstance(self.window, str):
            check_choice(self.window, WINDOWS, "reading.window")
        elif self.window is not None:
            low, high = self.window
            require(
                math.isfinite(low) and math.isfinite(high) and low < high,
                f"reading.window is {[low, high]}; give [lowest, highest] value shown, "
                f"or one of {', '.join(WINDOWS)}",
            )
        check_choice(self.frames, FRAME_POLICIES, "reading.frames")
        check_choice(self.volumes_4d, VOLUMES_4D_POLICIES, "reading.volumes_4d")
        check_choice(self.burned_in, BURNED_IN_POLICIES, "reading.burned_in")
        check_choice(
            self.secondary_captures, SECONDARY_CAPTURE_POLICIES, "reading.secondary_captures"
        )
        if self.pseudonym_key is not None:
            check_secret(self.pseudonym_key, "reading.pseudonym_key")
        check_range(self.max_pixels, 1, math.inf, "reading.max_pixels")
        check_range(self.max_volume_bytes, 1, math.inf, "reading.max_volume_bytes")

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
