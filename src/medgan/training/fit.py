"""Train a model on images in memory, from Python and without Kedro, in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from medgan.images.loading import BatchStream, TensorImages
from medgan.training.loop import Progress, train
from medgan.training.settings import TrainingConfig
from medgan.training.validation import HeldOutMetrics

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class FitConfig(TrainingConfig):
    """Settings of `fit`, all optional."""

    seed: int = 0
    """Seed of batches and noise. The initial weights are the model's; see `runtime.seeded`."""
    held_out: HeldOutMetrics | None = None
    """Selects among the validations that `inspect_every` asks for."""
    on_progress: Callable[[Progress], Any] = lambda progress: None
    """Called every few steps."""


def fit(
    model: M,
    images: Tensor,
    steps: int | Mapping[str, int] = 1000,
    labels: Tensor | None = None,
    unlabelled: Tensor | None = None,
    **settings: Any,
) -> M:
    """Train a model; it is left in eval mode with the weights that would be published.

    Args:
        model: an untrained model of `models.create`.
        images: (N, C, H, W) in [-1, 1]; normal images, or images of all classes with `labels`.
        steps: steps of every stage, or of each stage by name.
        labels: (N,) class indices or (N, K) multi-hot, for a model that is trained with labels.
        unlabelled: (M, C, H, W), the unlabelled mix, for a model that takes one.
        settings: fields of `FitConfig`, such as `batch_size=32`, `seed=1`, `precision="bf16"`.

    Raises:
        UserError: if training cannot go on, for example because the loss is NaN.
    """
    if isinstance(steps, int):
        steps = dict.fromkeys(model.stages(), steps)  # type: ignore[operator]
    config = FitConfig(steps, **settings).in_steps(len(images))
    mix = None
    if unlabelled is not None:
        mix = np.arange(len(images), len(images) + len(unlabelled))
        images = torch.cat([images, unlabelled])
    rows = np.arange(len(images) - (0 if mix is None else len(mix)))
    targets = None if labels is None else labels.numpy()
    batches = BatchStream(TensorImages(images), rows, config.seed, targets, mix)
    state = None
    for progress in train(model, batches, config, held_out=config.held_out):
        config.on_progress(progress)
        state = progress.state or state
    if state is not None:
        model.load_state_dict(state.weights())
    return model.eval()
