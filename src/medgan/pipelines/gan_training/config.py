"""Settings of gan_training that all models share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GanTrainingConfig:
    """Section `gan_training`."""

    judged_images: int = 400
    """Validation images that each look at a detector scores."""
