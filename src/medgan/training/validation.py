"""Validate a model while it trains, select the weights to publish, and stop early."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from medgan.contracts import Batch, BatchSource, ImageSynthesizer
from medgan.training.runtime import Runtime, generator

if TYPE_CHECKING:
    from torch import Tensor, nn

Metrics = Mapping[str, float]
SAMPLES = 64
"""Generated images of a validation."""
STREAM = "inspection"
"""Name of the random stream of the samples and of the real images that they are compared with."""
DIVERSITY = "diversity"
"""Mean distance of two samples over that of two real images, within a class: about 1 for a
generator that is as varied as its data."""
COLLAPSED_BELOW = 0.3
"""Diversity below which a generator counts as collapsed."""
SETTLED_AFTER = 0.25
"""Share of a training before which no warning is given: an untrained generator draws one image."""


@dataclass(frozen=True)
class HeldOutMetrics:
    """Metrics of a model on held-out images, given to the loop by its caller."""

    compute: Callable[[nn.Module], Metrics]
    criterion: str | None
    """The metric that selects the weights; higher is better. Its standard error is
    `<criterion>_se`, if there is one. None selects the last weights."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Number and kind of the held-out images, for the model card."""


@dataclass
class Selection:
    """The validations of a training, and the weights selected among those of its last stage.

    The latest validation within one standard error of the best is selected (one-standard-error
    rule, Breiman 1984), because the best of several is partly chance, the more so on few images.
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

    def add(
        self, step: int, metrics: Metrics, weights: Mapping[str, Tensor], *, eligible: bool
    ) -> None:
        """Record a validation, and copy its weights if they are selected so far."""
        self.validations.append({"step": step, **metrics})
        if not (eligible and self.criterion in metrics):
            return
        latest = len(self.validations) - 1
        if self.best is None or self._value(latest) > self._value(self.best):
            self.best = latest
        error = self.validations[self.best].get(f"{self.criterion}_se", 0.0)
        if self._value(latest) >= self._value(self.best) - error:
            self.chosen = latest
            self.weights = {name: tensor.detach().clone() for name, tensor in weights.items()}

    def exhausted(self, patience: int) -> bool:
        """Return whether the last `patience` validations did not raise the criterion."""
        return self.best is not None and 0 < patience <= len(self.validations) - 1 - self.best

    def _value(self, index: int) -> float:
        return self.validations[index][str(self.criterion)]

    def notes(self) -> dict[str, Any]:
        """Return everything but the weights as JSON values, for a checkpoint."""
        return {
            "criterion": self.criterion,
            "looks": [dict(validation) for validation in self.validations],
            "best": self.best,
            "chosen": self.chosen,
        }

    @classmethod
    def restored(
        cls, criterion: str | None, notes: Mapping[str, Any], weights: Mapping[str, Tensor]
    ) -> Selection:
        """Restore a selection from its notes and weights."""
        validations = [dict(validation) for validation in notes.get("looks", ())]
        return cls(criterion, validations, dict(weights), notes.get("best"), notes.get("chosen"))


@dataclass(frozen=True)
class Validation:
    """Result of one validation."""

    metrics: Metrics = field(default_factory=dict)
    samples: Tensor | None = None
    """(n, C, H, W) in [-1, 1] from fixed latents; None if the model generates no images, or the
    same images as before."""


class Validator:
    """Validate a copy of a model, so that validation does not affect the training."""

    def __init__(
        self,
        model: nn.Module,
        batches: BatchSource,
        runtime: Runtime,
        held_out: HeldOutMetrics | None,
    ) -> None:
        self.copy = copy.deepcopy(model).eval()
        self.held_out = held_out
        self.last_samples: Tensor | None = None
        self.real: Batch | None = None
        if isinstance(model, ImageSynthesizer):
            self.real = runtime.move(_by_class(batches.draw(STREAM, 0, SAMPLES)))
            self.real_distance = mean_distance(self.real.images, self.real.labels)

    def validate(self, weights: Mapping[str, Tensor], *, held_out: bool) -> Validation:
        """Generate samples and compute their diversity, and the held-out metrics if wanted."""
        import torch

        self.copy.load_state_dict(weights)
        metrics: dict[str, float] = {}
        samples = None
        if self.real is not None and isinstance(self.copy, ImageSynthesizer):
            labels = self.real.labels
            drawn = self.copy.sample(SAMPLES, labels, generator(STREAM)).detach().float()
            metrics[DIVERSITY] = mean_distance(drawn, labels) / max(self.real_distance, 1e-12)
            changed = self.last_samples is None or not torch.equal(drawn, self.last_samples)
            samples, self.last_samples = drawn if changed else None, drawn
        if held_out and self.held_out is not None:
            metrics |= self.held_out.compute(self.copy)
        return Validation(metrics, samples)


def _by_class(batch: Batch) -> Batch:
    """Sort a batch by class, so that a sample grid shows one class after the other."""
    if batch.labels is None or batch.labels.ndim > 1:
        return batch
    order = batch.labels.argsort(stable=True)
    return replace(batch, images=batch.images[order], labels=batch.labels[order])


def mean_distance(images: Tensor, labels: Tensor | None = None) -> float:
    """Compute the mean Euclidean distance of two images (N, C, H, W), of the same class if there
    are labels (N, ...); 0 if there is no pair.
    """
    import torch

    distances = torch.cdist(images.flatten(1).float(), images.flatten(1).float())
    pairs = ~torch.eye(len(images), dtype=torch.bool, device=images.device)
    if labels is not None:
        rows = labels.reshape(len(labels), -1)
        pairs &= (rows[:, None] == rows[None]).all(2)
    return float(distances[pairs].mean()) if pairs.any() else 0.0


def collapse_warning(metrics: Metrics, step: int, total: int) -> str | None:
    """Return a sentence if the diversity indicates mode collapse, else None."""
    diversity = metrics.get(DIVERSITY)
    if diversity is None or diversity >= COLLAPSED_BELOW or step < SETTLED_AFTER * total:
        return None
    return (
        f"mode collapse? At step {step} two samples differ {diversity:.2f} times as much as two "
        f"real images do (warning below {COLLAPSED_BELOW}): check the sample grids, then try a "
        "lower learning rate or another adversarial loss."
    )
