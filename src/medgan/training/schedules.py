"""How learning rates fall, as a function of the step alone, so that a resumed training repeats it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "none": lambda share: 1.0,
    "linear": lambda share: 1.0 - share,
    "cosine": lambda share: 0.5 * (1.0 + math.cos(math.pi * share)),
}
"""Share of the falling part that is done, in [0, 1), to the factor of the learning rate."""


def rate_factor(decay: str, decay_from: float, step: int, steps: int) -> float:
    """The factor of the learning rate at `step` of `steps`: 1 up to the share `decay_from`, then down the schedule."""
    flat = decay_from * steps
    return SCHEDULES[decay](max(0.0, step - flat) / max(1.0, steps - flat))
