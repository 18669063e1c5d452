"""What a training is told, whatever its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

C = TypeVar("C")


@dataclass(frozen=True)
class TrainingConfig:
    """The budget of a training, in steps, so that figures repeat."""

    steps: Mapping[str, int] = field(default_factory=dict)
    """Steps of each stage of the model."""
    batch_size: int = 32
    ema_decay: float = 0.0
    """Decay of the averaged weights that are published; 0 publishes the last weights."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """`bf16` is autocast."""
    checkpoint_every: int = 250
    """Steps between checkpoints; a killed training resumes from the last one."""
    report_every: int = 10
    """Steps between rows of the curves."""


@dataclass(frozen=True)
class ModelSettings(Generic[C]):
    """One section of `conf/*/parameters/models`: the method's own settings, and its training."""

    model: C
    training: TrainingConfig = field(default_factory=TrainingConfig)
