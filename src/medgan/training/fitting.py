"""Training on images in memory: from Python, without Kedro, in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from medgan.images.loading import BatchStream, TensorImages
from medgan.training.loop import Progress, train
from medgan.training.selection import Judge
from medgan.training.settings import TrainingConfig

M = TypeVar("M", bound=nn.Module)


def fit(
    model: M,
    images: Tensor,
    steps: int | Mapping[str, int] = 1000,
    labels: Tensor | None = None,
    unlabelled: Tensor | None = None,
    *,
    seed: int = 0,
    judge: Judge | None = None,
    on_progress: Callable[[Progress], Any] = lambda progress: None,
    **training: Any,
) -> M:
    """Trains a model and leaves it with the weights that would be published, in eval mode.

    Args:
        model: as `models.create` makes it.
        images: (N, C, H, W) in [-1, 1]; the normal ones, or all of them with `labels`.
        steps: of every stage, or of each by its name.
        labels: (N,) class indices or (N, K) multi-hot, for a model that is trained with labels.
        unlabelled: (M, C, H, W), the unlabelled mix, for a model that takes one.
        seed: of batches and noise. The initial weights are the model's: `seeding.seeded` decides them.
        judge: chooses among the looks that `inspect_every` asks for.
        on_progress: called every few steps.
        training: other fields of `TrainingConfig`, such as `batch_size=32`, `ema_decay=0.995`, `precision="bf16"`.

    Raises:
        Refusal: training cannot go on, for example because the loss is no longer a number.
    """
    names = model.stages()  # type: ignore[operator]
    config = TrainingConfig(dict.fromkeys(names, steps) if isinstance(steps, int) else steps, **training)
    mix = np.arange(len(images), len(images) + len(unlabelled)) if unlabelled is not None else None
    everything = TensorImages(images if unlabelled is None else torch.cat([images, unlabelled]))
    batches = BatchStream(everything, np.arange(len(images)), seed, None if labels is None else labels.numpy(), mix)
    state = None
    for progress in train(model, batches, config, "in memory", judge=judge):
        on_progress(progress)
        state = progress.state or state
    if state is not None:
        model.load_state_dict(state.weights())
    return model.eval()
