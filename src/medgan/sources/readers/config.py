"""How files become pictures: the key `reading` of a source. Wrong values are refused with the name
of their key.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from medgan.errors import UserError

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
"Windowing (CT)", Radiopaedia).
"""
AXES = ("sagittal", "coronal", "axial")
"""Planes of a slice; the place in this tuple is the axis of a volume in canonical orientation
(right, anterior, superior).
"""
FRAME_POLICIES = ("refuse", "first", "all")
VOLUMES_4D_POLICIES = ("refuse", "first")
BURNED_IN_POLICIES = ("refuse", "keep")
SHORTEST_KEY = 16


def _one_of(value: str, choices: tuple[str, ...], key: str) -> None:
    if value not in choices:
        raise UserError(
            f"{key} is `{value}`, which does not exist; choose from {', '.join(choices)}"
        )


@dataclass(frozen=True)
class SlicePolicy:
    """Which slices of a volume become images: a fixed anatomical range, as shares of the volume
    along one axis.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    axis: str = "axial"
    """axial (0 is the feet's end), coronal (0 is the back) or sagittal (0 is the left side of the
    body). An NPY volume has no known orientation: its slices lie along its first axis."""
    start: float = 0.35
    stop: float = 0.65
    every: int = 1
    """Every how many slices one is taken."""
    count: int | None = None
    """Instead of `every`: at most so many slices, evenly spread over the range."""

    def __post_init__(self) -> None:
        _one_of(self.axis, AXES, "reading.slices.axis")
        if not 0.0 <= self.start < self.stop <= 1.0:
            raise UserError(
                f"reading.slices goes from {self.start} to {self.stop}; they are shares of the volume with 0 <= start < stop <= 1"
            )
        if self.every < 1:
            raise UserError(
                f"reading.slices.every is {self.every}; give 1 to take every slice, 2 to take every other, and so on"
            )
        if self.count is not None and (self.count < 1 or self.every != 1):
            raise UserError(
                f"reading.slices.count is {self.count}, with every {self.every}; give a count from 1 on, or `every`, not both"
            )

    def numbers(self, length: int) -> list[int]:
        """Numbers of the chosen slices of `length`: those whose middle lies in the range; the
        nearest one where none does.
        """
        inside = [
            number for number in range(length) if self.start <= (number + 0.5) / length < self.stop
        ]
        inside = inside or [min(length - 1, int((self.start + self.stop) / 2 * length))]
        if self.count is None:
            return inside[:: self.every]
        return [
            inside[place]
            for place in np.unique(
                np.linspace(0, len(inside) - 1, min(self.count, len(inside))).round().astype(int)
            )
        ]


@dataclass(frozen=True)
class ReadingConfig:
    """The key `reading` of a source."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    window: str | tuple[float, float] | None = None
    """A key of `WINDOWS`, or [lowest, highest] value shown, after the file's own scaling. By
    default the file's window; where it has none, percentiles of the image or volume."""
    frames: str = "refuse"
    """What happens to a file of several pages or frames: refuse, first, or all (one image for
    each).
    """
    slices: SlicePolicy | None = None
    """Which slices of a volume become images. Without it volumes are refused."""
    volumes_4d: str = "refuse"
    """What happens to a NIfTI file of several volumes: refuse, or first (the first volume
    counts).
    """
    burned_in: str = "refuse"
    """What happens to a DICOM image that says of itself that names are drawn into it: refuse, or
    keep.
    """
    pseudonym_key: str | None = None
    """Secret that turns patient ids into pseudonyms. Better given as the environment variable
    MEDGAN_PSEUDONYM_KEY than in a file.
    """
    max_pixels: int = 64_000_000
    """Largest image, in pixels, that is decoded."""
    max_volume_bytes: int = 2**30
    """Largest volume, in unpacked bytes, that is decoded."""

    def __post_init__(self) -> None:
        _check_window(self.window)
        _one_of(self.frames, FRAME_POLICIES, "reading.frames")
        _one_of(self.volumes_4d, VOLUMES_4D_POLICIES, "reading.volumes_4d")
        _one_of(self.burned_in, BURNED_IN_POLICIES, "reading.burned_in")
        if self.pseudonym_key is not None and len(self.pseudonym_key) < SHORTEST_KEY:
            raise UserError(
                f"reading.pseudonym_key has {len(self.pseudonym_key)} characters; give a secret of at least {SHORTEST_KEY}"
            )
        if min(self.max_pixels, self.max_volume_bytes) < 1:
            raise UserError(
                f"reading.max_pixels is {self.max_pixels} and max_volume_bytes {self.max_volume_bytes}; give numbers from 1 on"
            )

    @property
    def limits(self) -> tuple[float, float] | None:
        """The lowest and highest value shown, where the configuration says it."""
        return WINDOWS[self.window] if isinstance(self.window, str) else self.window

    @property
    def window_name(self) -> str:
        """What the manifest calls the configured window."""
        low, high = self.limits or (0.0, 0.0)
        return f"{self.window if isinstance(self.window, str) else 'set'} {low:g} to {high:g}"


def _check_window(window: str | tuple[float, float] | None) -> None:
    if isinstance(window, str):
        _one_of(window, tuple(WINDOWS), "reading.window")
    elif window is not None and not (
        math.isfinite(window[0]) and math.isfinite(window[1]) and window[0] < window[1]
    ):
        raise UserError(
            f"reading.window is {list(window)}; give [lowest, highest] value shown, or one of {', '.join(WINDOWS)}"
        )
