"""The release gate: whether synthetic images of a generator may be handed out.

A verdict has one outcome for each rule. A rule whose value is unknown does not hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medgan.files.documents import ALWAYS
from medgan.metrics.copies import CopySearch, Matches, gray

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class RuleOutcome:
    """One rule of the gate: what was measured, and whether it holds."""

    rule: str
    """Its key: under `synthesis.release` in the configuration, unless it cannot be set."""
    sentence: str
    """What it asks and what was found, for a reader."""
    value: float | None
    low: float | None
    high: float | None
    n: int | None
    limit: float
    holds: bool | None
    """None where the value is unknown; such a rule does not hold."""
    reason: str | None = None
    """Why there is no value."""


@dataclass(frozen=True, kw_only=True)
class ReleaseVerdict:
    """Whether images of one generator may be handed out (verdict.json)."""

    released: bool
    rules: tuple[RuleOutcome, ...]
    n_images: int
    """Synthetic images that were judged."""
    n_flagged: int
    """Those that are left out of every set, as suspected copies."""
    generator: str
    generator_key: str
    """`PublishedModel.key` of the generator that was judged."""
    differential_privacy: str = "none"
    """What the training of the generator guarantees (`guarantee`)."""
    limits: tuple[str, ...] = field(default=(), metadata=ALWAYS)
    """What the verdict does not show."""

    @property
    def first_failed(self) -> RuleOutcome | None:
        """The first rule that does not hold; None for a released generator."""
        return next((rule for rule in self.rules if not rule.holds), None)


def guarantee(card: Mapping[str, Any]) -> str:
    """Say what differential privacy a model card guarantees."""
    found = card.get("privacy")
    if not found:
        return "none"
    spent = f"epsilon {found['epsilon']:.3g} at delta {found['delta']:g}"
    return f"{spent}; it covers {found['covers']}"


@dataclass(frozen=True)
class CopyCheck:
    """The frozen check of single images for copies of training images."""

    training: NDArray[np.uint8]
    """(t, h, w), what the generator was trained on. They are not for handing out."""
    limit: float
    """Similarity from which an image is flagged."""

    def matches(self, images: Tensor) -> Matches:
        """Find the nearest training image of each of (N, C, H, W) in [-1, 1], without padding."""
        return self._search.nearest(gray(images))

    def flags(self, images: Tensor) -> NDArray[np.bool_]:
        """Flag suspected copies among images (N, C, H, W) in [-1, 1], without the padding of the
        networks: (N,), True for an image that must not be handed out.
        """
        return self.matches(images).similarity >= self.limit

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Convert to plain arrays for an NPZ file."""
        return {"training": self.training, "limit": np.array(self.limit)}

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> CopyCheck:
        """Read what `arrays` returned."""
        return cls(arrays["training"], float(arrays["limit"]))

    @cached_property
    def _search(self) -> CopySearch:
        return CopySearch(self.training)
