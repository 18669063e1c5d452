"""Validate a model while it trains, select the weights to publish, and stop early."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from medgan.contracts import Batch, BatchSource, ImageSynthesizer
from medgan.stats.placements import Placements
from medgan.training.collapse import DIVERSITY, mean_distance, overlap, pooled
from medgan.training.runtime import Runtime, generator

if TYPE_CHECKING:
    from torch import Tensor, nn

Metrics = Mapping[str, float]
SAMPLES = 64
"""Generated images of a sample grid, and of its diversity."""
DRAWS = 4
"""Times SAMPLES: the images of recall and coverage."""
STREAM = "inspection"
"""Name of the random stream of the samples and of the real images that they are compared with."""


@dataclass(frozen=True)
class HeldOutMetrics:
    """Metrics of a model on held-out images, given to the loop by its caller."""

    compute: Callable[[nn.Module], Mapping[str, Placements]]
    """Areas under ROC curves by name, always of the same images."""
    criterion: str | None
    """The metric that selects the weights. None selects the last ones."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Number and kind of the held-out images, for the model card."""


@dataclass
class Selection:
    """The validations of a training, and the weights selected among those of its last stage.

    The latest validation within one standard error of the best is selected (one-standard-error
    rule, Breiman 1984), because the best of several is partly chance, the more so on few images.
    The error is that of the difference of the two: they are of the same images.
    """

    criterion: str | None = None
    validations: list[dict[str, float]] = field(default_factory=list)
    """`step` and the metrics of every validation, in order."""
    weights: dict[str, Tensor] = field(default_factory=dict)
    """Weights of the selected validation."""
    best: int | None = None
    """Index of the validation with the highest criterion."""
    chosen: int | None = None
    """Index of the selected validation; None if the last weights are published."""
    highest: Placements | None = None
    """The criterion of the best validation."""

    def add(
        self, step: int, validation: Validation, weights: Mapping[str, Tensor], *, eligible: bool
    ) -> None:
        """Record a validation, and copy its weights if they are selected so far."""
        self.validations.append({"step": step, **validation.metrics})
        found = validation.criterion
        if not eligible or found is None:
            return
        latest = len(self.validations) - 1
        if self.highest is None or found.area > self.highest.area:
            self.best, self.highest = latest, found
        if found.area >= self.highest.area - self.highest.difference_error(found):
            self.chosen = latest
            self.weights = {name: tensor.detach().clone() for name, tensor in weights.items()}

    def exhausted(self, patience: int) -> bool:
        """Return whether the last `patience` validations did not raise the criterion."""
        return self.best is not None and 0 < patience <= len(self.validations) - 1 - self.best

    def notes(self) -> dict[str, Any]:
        """Return everything but the weights as JSON values, for a checkpoint."""
        return {
            "criterion": self.criterion,
            "looks": [dict(validation) for validation in self.validations],
            "best": self.best,
            "chosen": self.chosen,
            "highest": self.highest
            and [self.highest.positives.tolist(), self.highest.negatives.tolist()],
        }

    @classmethod
    def restored(
        cls, criterion: str | None, notes: Mapping[str, Any], weights: Mapping[str, Tensor]
    ) -> Selection:
        """Restore a selection from its notes and weights."""
        validations = [dict(validation) for validation in notes.get("looks", ())]
        kept = notes.get("highest")
        highest = Placements(*map(np.array, kept)) if kept else None
        indices = notes.get("best"), notes.get("chosen")
        return cls(criterion, validations, dict(weights), *indices, highest)


@dataclass(frozen=True)
class Validation:
    """Result of one validation."""

    metrics: Metrics = field(default_factory=dict)
    samples: Tensor | None = None
    """(n, C, H, W) in [-1, 1] from fixed latents; None if the model generates no images, or the
    same images as before."""
    criterion: Placements | None = None
    """The metric that selects the weights."""


class Validator:
    """Validate a copy of a model, so that validation does not affect the training."""

    def __init__(
        self,
        model: nn.Module,
        batches: BatchSource,
        runtime: Runtime,
        held_out: HeldOutMetrics | None,
    ) -> None:
        import torch

        self.copy = copy.deepcopy(model).eval()
        self.held_out = held_out
        self.last_samples: Tensor | None = None
        self.real: list[Batch] = []
        if isinstance(model, ImageSynthesizer):
            drawn = (batches.draw(STREAM, number, SAMPLES) for number in range(DRAWS))
            self.real = [runtime.move(_by_class(batch)) for batch in drawn]
            self.real_distance = mean_distance(self.real[0].images, self.real[0].labels)
            features = torch.cat([pooled(batch.images) for batch in self.real])
            # Where there are fewer images, some were drawn twice.
            self.real_features = torch.unique(features, dim=0)

    def validate(self, weights: Mapping[str, Tensor], *, held_out: bool) -> Validation:
        """Generate samples and compute what shows collapse, and the held-out metrics if wanted."""
        self.copy.load_state_dict(weights)
        metrics: dict[str, float] = {}
        samples, criterion = None, None
        if isinstance(self.copy, ImageSynthesizer):
            samples, metrics = self._sampled(self.copy)
        if held_out and self.held_out is not None:
            found = self.held_out.compute(self.copy)
            metrics |= {name: placements.area for name, placements in found.items()}
            criterion = found.get(str(self.held_out.criterion))
        return Validation(metrics, samples, criterion)

    def _sampled(self, model: ImageSynthesizer) -> tuple[Tensor | None, dict[str, float]]:
        """Return the sample grid, if it has changed, and the metrics of collapse."""
        import torch

        rng = generator(STREAM)
        drawn = [model.sample(SAMPLES, batch.labels, rng).detach().float() for batch in self.real]
        grid, features = drawn[0], torch.cat([pooled(images) for images in drawn])
        distance = mean_distance(grid, self.real[0].labels)
        metrics = {
            DIVERSITY: distance / max(self.real_distance, 1e-12),
            **overlap(self.real_features, features[: len(self.real_features)]),
        }
        changed = self.last_samples is None or not torch.equal(grid, self.last_samples)
        self.last_samples = grid
        return (grid if changed else None), metrics


def _by_class(batch: Batch) -> Batch:
    """Sort a batch by class, so that a sample grid shows one class after the other."""
    if batch.labels is None or batch.labels.ndim > 1:
        return batch
    order = batch.labels.argsort(stable=True)
    return replace(batch, images=batch.images[order], labels=batch.labels[order])
