"""Training steps of ours, which the rows of training share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from medgan.images.loading import BatchStream, TensorImages
from medgan.training.loop import train
from medgan.training.runtime import Runtime
from medgan.training.settings import TrainingConfig

IMAGES = 256
FOREVER = 10**9
ADVERSARIAL = "adversarial"


def images(size: int, channels: int) -> Tensor:
    """Draw images in [-1, 1] in memory, so that loading is no part of a step."""
    rng = torch.Generator().manual_seed(0)
    return torch.rand(IMAGES, channels, size, size, generator=rng) * 2 - 1


@dataclass(frozen=True)
class Loop:
    """Settings of our training loop."""

    batch: int
    precision: str = "fp32"
    compiled: bool = False
    mixed: bool = False
    """Whether the model sees a second batch, the unlabelled mix."""


def steps(model: Any, data: Tensor, loop: Loop) -> Callable[[], None]:
    """Return a function that makes one adversarial step by the training loop."""
    rows = torch.arange(len(data)).numpy()
    config = TrainingConfig(
        {name: FOREVER if name == ADVERSARIAL else 0 for name in model.stages()},
        loop.batch,
        precision=loop.precision,
        compile=loop.compiled,
        report_every=1,
        checkpoint_every=FOREVER,
    )
    unlabelled = rows[::-1] if loop.mixed else None
    stream = BatchStream(TensorImages(data), rows, 0, unlabelled_rows=unlabelled)
    running = train(model, stream, config, runtime=Runtime.detect(loop.precision))

    def step() -> None:
        next(report for report in running if report.terms)  # others are checkpoints

    return step


def operations(run: Callable[[], Any]) -> int:
    """Count the floating-point operations of a call: those of its products and convolutions."""
    with _Counter() as counter:
        run()
    return counter.total


class _Counter(TorchDispatchMode):
    """`torch.utils.flop_counter` without its hooks of modules, which forbid `autograd.grad`."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        formula = flop_registry.get(func.overloadpacket)
        if formula is None:
            with self:  # inference mode does not take composite operations apart
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        result = func(*args, **kwargs)
        if formula is not None:
            self.total += int(formula(*args, **kwargs, out_val=result))
        return result
