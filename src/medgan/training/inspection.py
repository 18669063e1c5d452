"""A look at a model in training, as it would be published: averaged weights, eval mode, the same latents every time."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from medgan.contracts import Batch, BatchSource, ImageSynthesizer
from medgan.training.runtime import Runtime
from medgan.training.seeding import generator
from medgan.training.selection import Judge

SHOWN = 64
"""Images of a look."""
DIVERSITY = "diversity"
"""Distance between two samples over that between two real images, of one class: about 1 for a generator as varied as its data."""
COLLAPSED_BELOW = 0.3
"""Diversity under which a generator counts as collapsed."""
SETTLED_AFTER = 0.25
"""Share of a training before which nothing is said: an untrained generator draws one grey image."""


@dataclass(frozen=True)
class Look:
    """What was seen."""

    figures: Mapping[str, float] = field(default_factory=dict)
    samples: Tensor | None = None
    """(n, C, H, W) in [-1, 1] from fixed latents, None for a model that draws nothing."""


class Inspector:
    """Looks at copies, so that a look leaves no trace in the training, and a resumed training repeats an unbroken one."""

    def __init__(self, model: nn.Module, batches: BatchSource, runtime: Runtime, judge: Judge | None) -> None:
        self.copy = copy.deepcopy(model).eval()
        self.judge = judge
        self.shown: Tensor | None = None
        self.real = runtime.move(_by_class(batches.draw("inspection", 0, SHOWN))) if isinstance(model, ImageSynthesizer) else None
        self.real_spread = spread(self.real.images, self.real.labels) if self.real is not None else 0.0

    def look(self, weights: Mapping[str, Tensor], *, judging: bool) -> Look:
        """Samples and their diversity, and the judge's figures if `judging`; a grid that equals the last one is not shown again."""
        self.copy.load_state_dict(weights)
        figures: dict[str, float] = {}
        samples = None
        if self.real is not None and isinstance(self.copy, ImageSynthesizer):
            labels = self.real.labels
            drawn = self.copy.sample(SHOWN, labels, generator("inspection")).detach().float()
            figures[DIVERSITY] = spread(drawn, labels) / max(self.real_spread, 1e-12)
            samples = None if self.shown is not None and torch.equal(drawn, self.shown) else drawn
            self.shown = drawn
        if judging and self.judge is not None:
            figures |= self.judge.figures(self.copy)
        return Look(figures, samples)


def _by_class(batch: Batch) -> Batch:
    """Sorted by class, so that a grid shows one class after the other."""
    if batch.labels is None or batch.labels.ndim > 1:
        return batch
    order = batch.labels.argsort(stable=True)
    return replace(batch, images=batch.images[order], labels=batch.labels[order])


def spread(images: Tensor, labels: Tensor | None = None) -> float:
    """Mean Euclidean distance between two of the images (N, C, H, W), which with labels (N, ...) are of the same class."""
    distances = torch.cdist(images.flatten(1).float(), images.flatten(1).float())
    pairs = ~torch.eye(len(images), dtype=torch.bool, device=images.device)
    if labels is not None:
        rows = labels.reshape(len(labels), -1)
        pairs &= (rows[:, None] == rows[None]).all(2)
    return float(distances[pairs].mean()) if pairs.any() else 0.0


def collapse(figures: Mapping[str, float], step: int, total: int) -> str | None:
    """A sentence if the samples are too much alike to be the work of a healthy generator (fault F34), else None."""
    diversity = figures.get(DIVERSITY)
    if diversity is None or diversity >= COLLAPSED_BELOW or step < SETTLED_AFTER * total:
        return None
    return (
        f"mode collapse? At step {step} two samples differ {diversity:.2f} times as much as two real images do "
        f"(alarm below {COLLAPSED_BELOW}): look at the sample grids, then try a lower learning rate or another adversarial loss."
    )
