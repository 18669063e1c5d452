"""What the parts of medgan promise each other.

Models hold mathematics, the loop owns optimisation, pipelines hold the data flow; these are the
only types they share.
Images are tensors of shape (N, C, H, W), float32, in [-1, 1]; `normal` is class 0.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

NORMAL = "normal"
COMPONENTS = ("reconstruction", "feature", "latent")
"""What the score of a detector may be made of: residual of the pixels, distance in a
discriminator's features, distance of latents.
"""
LossTerms = Mapping[str, Tensor]
"""Weighted, scalar terms by name. The sum of those that carry a gradient is what is optimized; all
are logged, so a detached one - D's accuracy, say - is watched and nothing else."""


class TrainingSet(enum.Enum):
    """Which training images a model may see."""

    NORMAL = "normal"
    """All normal training images, no labels."""
    LABELLED = "labelled"
    """All training images with their categories."""
    MIX = "mix"
    """`Batch.images` are the normals outside the mix, `Batch.unlabelled` the unlabelled mix of
    normal and anomalous images.
    """


@dataclass(frozen=True)
class ImageSpec:
    """What a model has to know about its images before it is built."""

    size: int
    """Side of the square image in pixels: a power of two, at least 32."""
    channels: int
    """1 (grey) or 3 (color)."""
    classes: tuple[str, ...] = (NORMAL,)
    """Category names; a label is an index into them and `normal` is the first."""

    def __post_init__(self) -> None:
        if self.size < 32 or self.size & (self.size - 1):
            raise ValueError(f"ImageSpec.size must be a power of two from 32 on, got {self.size}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        return (self.channels, self.size, self.size)


@dataclass(frozen=True)
class Batch:
    """What one update of one player sees."""

    images: Tensor
    """(N, C, H, W) in [-1, 1]."""
    rng: torch.Generator
    """Noise for this update: a function of the seed, the stage and the number of the update, so
    that a resumed run repeats it.
    """
    labels: Tensor | None = None
    """For models trained on `TrainingSet.LABELLED`: (N,) int64 indices into `ImageSpec.classes`, or
    (N, classes) multi-hot float32 where an image may show several."""
    unlabelled: Tensor | None = None
    """(N, C, H, W), the unlabelled mix, for models trained on `TrainingSet.MIX`."""
    step: int = 0


class BatchSource(Protocol):
    """Training batches as a pure function of their number."""

    def draw(self, stage: str, index: int, size: int) -> Batch:
        """The `index`-th batch of `size` images of a training stage; the same arguments give the
        same batch.
        """
        ...

    def epoch(self, size: int) -> Iterator[Batch]:
        """Every training image once, in a fixed order; the last batch may be smaller."""
        ...


@dataclass(frozen=True)
class OptimizerSpec:
    """The optimizer of one player. `name` is a key of `training.optimizers.OPTIMIZERS`."""

    name: str = "adam"
    lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Player:
    """One side of the training game (Goodfellow 2014): it moves its own modules to lower its own
    loss.

    A classifier or an autoencoder is a game of one player.
    """

    name: str
    modules: Sequence[nn.Module]
    loss: Callable[[Batch], LossTerms]
    optimizer: OptimizerSpec = field(default_factory=OptimizerSpec)
    updates: int = 1
    """Updates of this player per step; `n_critic` of a discriminator."""

    def parameters(self) -> list[nn.Parameter]:
        """The parameters that this player, and nobody else, may move."""
        return [parameter for module in self.modules for parameter in module.parameters()]


@dataclass(frozen=True)
class AnomalyScores:
    """The verdict of a detector. Higher is more anomalous; scores of different detectors do not
    compare.
    """

    image_scores: Tensor
    """(N,)"""
    anomaly_maps: Tensor
    """(N, 1, H, W), at the size of the images."""
    components: Mapping[str, Tensor] = field(default_factory=dict)
    """What the score could be made of, (N,) each, by names of COMPONENTS; empty for a detector that
    has no such parts.
    """

    @classmethod
    def composed(
        cls, components: Mapping[str, Tensor], weights: Mapping[str, float], anomaly_maps: Tensor
    ) -> AnomalyScores:
        """The verdict whose image scores are the weighted sum of the components."""
        scores = torch.stack([weight * components[name] for name, weight in weights.items()]).sum(0)
        return cls(scores, anomaly_maps, components)


@runtime_checkable
class Model(Protocol):
    """A method. Each module of `medgan.models` exports TRAINING_SET, a frozen dataclass `Config`,
    and `build(config, spec)`.

    Every model is also an `nn.Module`: its `state_dict` is what is saved.
    """

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """Training stages in order; the players of a stage alternate. Empty for a model that is
        only fitted.
        """
        ...


@runtime_checkable
class Fitted(Protocol):
    """A model whose state is computed from the training images in one pass, without gradients, and
    lives in buffers.
    """

    def fit(self, batches: Iterator[Batch]) -> None:
        """Sets the buffers from all training images."""
        ...


@runtime_checkable
class ImageSynthesizer(Protocol):
    """A model that draws images."""

    def sample(self, n: int, labels: Tensor | None, rng: torch.Generator) -> Tensor:
        """(n, C, H, W) in [-1, 1]; `labels` as in `Batch`, None for an unconditional model."""
        ...


@runtime_checkable
class AnomalyDetector(Protocol):
    """A model that says how unusual an image is."""

    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        """Scores (N, C, H, W) images in eval mode; the score of an image does not depend on its
        batch.

        The detector owns its gradient mode: a latent search needs gradients while it scores.
        """
        ...


@runtime_checkable
class Composed(Protocol):
    """A detector that says what its score is made of."""

    def score_weights(self) -> Mapping[str, float]:
        """The image score is the sum of these times the components of the same names.
        Configuration: never fitted, least of all on test.
        """
        ...


@runtime_checkable
class Reconstructs(Protocol):
    """A detector that can show what it holds an image against. One that compares with no image,
    such as a classifier, leaves this out.
    """

    COUNTERPART: str
    """What the counterpart is, in two or three words, such as `reconstruction`."""

    def counterpart(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """(N, C, H, W) in [-1, 1], for each image the one that it is compared with; one image's
        does not depend on its batch.

        `rng` as in `AnomalyDetector.score`: the same one gives the image behind the same score.
        """
        ...


@runtime_checkable
class FeatureExtractor(Protocol):
    """A network that describes an image by a vector: its latent, or its penultimate layer."""

    def features(self, images: Tensor) -> Tensor:
        """(N, D) features of (N, C, H, W) images."""
        ...
