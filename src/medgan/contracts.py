"""Types shared by models, training and evaluation.

Images are float32 tensors of shape (N, C, H, W) with values in [-1, 1]. Class 0 is `normal`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

NORMAL = "normal"
PRETRAINING, CLASSIFICATION = "pretraining", "classification"
"""Stages of a classifier."""
COMPONENTS = ("reconstruction", "feature", "latent")
"""Components of an anomaly score: pixel residual, distance of discriminator features, distance of
latents."""
STAGE_OF_LABEL = "/"
"""Between the name of a stage and the label of its images."""
LossTerms: TypeAlias = "Mapping[str, Tensor]"
"""Weighted scalar terms by name. The sum of the terms that carry a gradient is minimized; all terms
are logged, so a detached term such as an accuracy is monitored only."""


class TrainingSet(enum.Enum):
    """Training images that a model may use."""

    NORMAL = "normal"
    """All normal training images, without labels."""
    LABELLED = "labelled"
    """All training images with their categories."""
    MIX = "mix"
    """`Batch.images` are the normal images outside the mix, `Batch.unlabelled` is the unlabelled
    mix of normal and anomalous images."""


@dataclass(frozen=True)
class ImageSpec:
    """Properties of the images that determine the networks of a model.

    Raises:
        ValueError: if `size` is not a power of two of at least 32.
    """

    size: int
    """Side of the square image in pixels: a power of two, at least 32."""
    channels: int
    """1 (gray) or 3 (color)."""
    classes: tuple[str, ...] = (NORMAL,)
    """Category names. A label is an index into them; the first is `normal`."""

    def __post_init__(self) -> None:
        if self.size < 32 or self.size & (self.size - 1):
            raise ValueError(f"ImageSpec.size must be a power of two from 32 on, got {self.size}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (C, H, W) of one image."""
        return (self.channels, self.size, self.size)


@dataclass(frozen=True)
class Share:
    """The part of each batch that a worker has: the rows `rank`, `rank + count`, ... of it."""

    rank: int = 0
    count: int = 1


WHOLE = Share()
"""The only worker has the whole batch."""


@dataclass(frozen=True)
class Batch:
    """Input of one update of one player."""

    images: Tensor
    """(N, C, H, W) in [-1, 1]."""
    rng: torch.Generator
    """Noise of this update: a function of the seed, the stage and the number of the update, so that
    a resumed training repeats it."""
    labels: Tensor | None = None
    """Only for `TrainingSet.LABELLED`: (N,) int64 indices into `ImageSpec.classes`, or (N, classes)
    multi-hot float32 where an image may have several classes."""
    unlabelled: Tensor | None = None
    """Only for `TrainingSet.MIX`: the unlabelled mix (N, C, H, W)."""
    step: int = 0


class BatchSource(Protocol):
    """Training batches as a pure function of their number."""

    def draw(self, stage: str, index: int, size: int, share: Share = WHOLE) -> Batch:
        """Return a share of the `index`-th batch of `size` images of a stage; equal arguments,
        equal batch.

        A stage named `<stage>/<label>` gets images of that label alone.
        """

    def epoch(self, size: int) -> Iterator[Batch]:
        """Yield every training image once, in a fixed order; the last batch may be smaller."""


@runtime_checkable
class NumberedImages(Protocol):
    """Training images by number, of which a private training takes samples of its own."""

    @property
    def classes(self) -> int:
        """Number of classes; 0 without labels."""

    def __len__(self) -> int: ...

    def take(self, places: NDArray[np.int64], rng: torch.Generator, step: int) -> Batch:
        """Return a batch of the images with these numbers (n,), in 0 to len - 1."""


@dataclass(frozen=True)
class OptimizerSpec:
    """Optimizer of one player. `name` is a key of `training.optimization.OPTIMIZERS`."""

    name: str = "adam"
    lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Player:
    """Modules that are updated together to minimize one loss (Goodfellow 2014).

    A GAN has at least two players per stage; a classifier or an autoencoder has one.
    """

    name: str
    modules: Sequence[nn.Module]
    loss: Callable[[Batch], LossTerms]
    optimizer: OptimizerSpec = field(default_factory=OptimizerSpec)
    updates: int = 1
    """Updates of this player per step; `n_critic` of a discriminator."""
    critic: Callable[[Tensor], Tensor] | None = None
    """Of a discriminator: the logits (N,) of images (N, C, H, W). `training.discriminator` is for
    such a player."""
    per_image: bool = False
    """Whether the loss is a mean over images, of which none changes the term of another, so that
    `training.privacy` can bound what each one contributes."""

    def parameters(self) -> list[nn.Parameter]:
        """Return the parameters that only this player updates."""
        return [parameter for module in self.modules for parameter in module.parameters()]


@dataclass(frozen=True)
class AnomalyScores:
    """Scores of a detector: higher is more anomalous. Detectors have different scales."""

    image_scores: Tensor
    """(N,)"""
    anomaly_maps: Tensor
    """(N, 1, H, W), at the size of the images."""
    components: Mapping[str, Tensor] = field(default_factory=dict)
    """(N,) each, named as in COMPONENTS; empty for a detector without components."""

    @classmethod
    def composed(
        cls, components: Mapping[str, Tensor], weights: Mapping[str, float], anomaly_maps: Tensor
    ) -> AnomalyScores:
        """Return scores whose image scores are the weighted sum of the components."""
        import torch

        scores = torch.stack([weight * components[name] for name, weight in weights.items()]).sum(0)
        return cls(scores, anomaly_maps, components)


@runtime_checkable
class Model(Protocol):
    """A method. Every model is also an `nn.Module`, and its `state_dict` is saved.

    Each module of `medgan.models` exports TRAINING_SET, a frozen dataclass `Config`, and
    `build(config, spec)`.
    """

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """Return the training stages in order; the players of a stage are updated in turn.

        Empty for a model that is only fitted.
        """


@runtime_checkable
class Fitted(Protocol):
    """A model whose buffers are computed from the training images in one pass.

    If it has stages, it is fitted after the last one, in eval mode, and cannot score before.
    """

    def fit(self, batches: Iterator[Batch]) -> None:
        """Set the buffers from all training images, without gradients (`torch.no_grad`: buffers of
        inference mode cannot be loaded again).
        """


@runtime_checkable
class Pretrained(Protocol):
    """A model with a frozen network whose weights come from a file.

    Its `Config` names the network of torchvision in `backbone`. The weights are set once, before
    the model is trained or fitted, and are saved with it.
    """

    def load_pretrained(self, tensors: Mapping[str, Tensor]) -> None:
        """Set the weights, by torchvision's names.

        Raises:
            UserError: one is missing, or has another shape.
        """


@runtime_checkable
class ImageSynthesizer(Protocol):
    """A model that generates images."""

    def sample(self, n: int, labels: Tensor | None, rng: torch.Generator) -> Tensor:
        """Generate images (n, C, H, W) in [-1, 1].

        `labels` are as in `Batch`; None for an unconditional model.
        """


@runtime_checkable
class LatentSynthesizer(Protocol):
    """A synthesizer whose `sample` decodes latents of N(0, 1), (n, `config.latent_dim`), the only
    numbers that it draws.
    """

    config: Any

    def decode(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Generate images (n, C, H, W) in [-1, 1] from latents; labels as in `sample`."""


@runtime_checkable
class Discriminates(Protocol):
    """A generator that keeps its discriminator."""

    def realness(self, images: Tensor) -> Tensor:
        """Return the discriminator's output (N,) for images (N, C, H, W), higher for real ones."""


@runtime_checkable
class AnomalyDetector(Protocol):
    """A model that scores how anomalous an image is."""

    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        """Score images (N, C, H, W) in eval mode.

        The score of an image does not depend on its batch. The detector sets its own gradient mode,
        because a latent search needs gradients.
        """


@runtime_checkable
class Composed(Protocol):
    """A detector whose image score is a weighted sum of components."""

    def score_weights(self) -> Mapping[str, float]:
        """Return the weight of each component: the method's, or what validation chose."""


@dataclass(frozen=True)
class ScoreChoice:
    """The weights of the components, and what validation says of each candidate."""

    name: str
    """Of the candidate: a component, or a sum of them."""
    weights: Mapping[str, float]
    validation_auroc: Mapping[str, float] = field(default_factory=dict)
    """Of each candidate."""
    n_images: int = 0
    n_anomalous: int = 0
    reason: str = ""
    """Why nothing was chosen."""


@runtime_checkable
class Reconstructs(Protocol):
    """A detector that compares each image with another image."""

    COUNTERPART: str
    """Name of the other image in two or three words, such as `reconstruction`."""

    def counterpart(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return the image (N, C, H, W) in [-1, 1] that each image is compared with.

        It does not depend on the batch. The `rng` of a call of `AnomalyDetector.score` gives the
        images of that call.
        """


@runtime_checkable
class FeatureExtractor(Protocol):
    """A network that maps an image to a vector: its latent or its penultimate layer."""

    def features(self, images: Tensor) -> Tensor:
        """Return features (N, D) of images (N, C, H, W)."""
