"""ACGAN: generates images of a chosen class (Odena, Olah, Shlens 2017); ReACGAN with `d2d_ce`.

D and G minimize, w being `class_weight`:

    D: adversarial(real, fake) + w class(real) + w class(fake)
    G: adversarial(fake) + w class(fake)

The paper maximizes the log-likelihood of the class on real and on generated images, for both
players. `class_loss` selects `class`:

- `ce`: cross-entropy, for images of one class each (Odena 2017).
- `bce`: one binary cross-entropy per class, so that an image may have several.
- `d2d_ce`: D2D-CE (Kang 2021), against the early collapse of ACGAN: normalized features and class
  proxies, a temperature, and margins beyond which easy images have no gradient. D learns it from
  real images only; there is no dropout. The paper sets w = 0.5 and the hinge loss.

Labels may be multi-hot: G sums the embeddings of the classes. Neither paper has this.

Deviations: the networks are DCGAN's (ReACGAN: BigGAN's, spectrally normalized); averaged weights
are published.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from medgan.contracts import Batch, ImageSpec, LossTerms, OptimizerSpec, Player, TrainingSet
from medgan.gans import GAN
from medgan.losses import (
    ADVERSARIAL,
    binary_cross_entropy,
    cross_entropy,
    data_to_data_cross_entropy,
    pairwise_accuracy,
)
from medgan.networks.blocks import NORMS
from medgan.networks.dcgan import (
    AuxiliaryDiscriminator,
    ConditionalGenerator,
    ModulatedGenerator,
    ProxyHead,
    latents_for,
)
from medgan.ranges import Cosine, LatentDim, LearningRate, Temperature, Weight, Width

NAME = "ACGAN"
TRAINING_SET = TrainingSet.LABELLED


@dataclass(frozen=True)
class Config:
    """Settings of `acgan`."""

    latent_dim: LatentDim = 64
    width: Width = 32
    adversarial_loss: Literal["bce", "hinge", "lsgan"] = "bce"
    class_loss: Literal["ce", "bce", "d2d_ce"] = "ce"
    class_weight: Weight = 1.0
    """w; 0.5 with `d2d_ce`."""
    positive_margin: Cosine = 0.98
    """m_p of `d2d_ce`: similarity to its proxy above which an image has no gradient."""
    negative_margin: Cosine = 0.02
    """m_n of `d2d_ce`: similarity below which images of other classes have no gradient; Kang takes
    1 - m_p."""
    temperature: Temperature = 0.5
    """tau of `d2d_ce`."""
    conditioning: Literal["latent", "batch_norm", "self_modulated"] = "latent"
    """How G gets the class: times the latent (Odena 2017), in batch norms, or there with the latent."""
    discriminator_norm: Literal["batch", "group"] = "batch"
    """`group` makes D see each image alone, as `training.privacy` needs."""
    lr: LearningRate = 2e-4


@dataclass(frozen=True)
class ClassLoss:
    """Class head of D, the loss of (its output, labels, settings), and whether D minimizes it on
    generated images; a loss that compares images with each other is not.
    """

    head: Callable[[int, int], nn.Module]
    loss: Callable[[Any, Tensor, Config], Tensor]
    dropout: float
    on_fakes: bool


def _data_to_data(head: tuple[Tensor, Tensor], labels: Tensor, config: Config) -> Tensor:
    margins = config.positive_margin, config.negative_margin
    return data_to_data_cross_entropy(*head, labels, *margins, config.temperature)


CLASS_LOSSES: Mapping[str, ClassLoss] = {
    "ce": ClassLoss(nn.Linear, lambda head, labels, _: cross_entropy(head, labels), 0.5, True),
    "bce": ClassLoss(
        nn.Linear, lambda head, labels, _: binary_cross_entropy(head, labels), 0.5, True
    ),
    "d2d_ce": ClassLoss(ProxyHead, _data_to_data, 0.0, False),
}


GENERATORS: Mapping[str, Callable[[int, int, int, int, int], nn.Module]] = {
    "latent": ConditionalGenerator,
    "batch_norm": partial(ModulatedGenerator, self_modulated=False),
    "self_modulated": partial(ModulatedGenerator, self_modulated=True),
}
"""Of (latent_dim, classes, width, size, channels)."""


class ACGAN(GAN):
    """A class-conditional generator and a discriminator with a class head."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config, self.classes = config, len(spec.classes)
        self.adversarial = ADVERSARIAL[config.adversarial_loss]
        self.class_loss = CLASS_LOSSES[config.class_loss]
        self.generator = GENERATORS[config.conditioning](
            config.latent_dim, self.classes, config.width, spec.size, spec.channels
        )
        self.discriminator = AuxiliaryDiscriminator(
            config.width,
            spec.size,
            spec.channels,
            self.classes,
            self.class_loss.head,
            self.class_loss.dropout,
            NORMS[config.discriminator_norm],
        )

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """Return one stage: the discriminator, then the generator."""
        adam = OptimizerSpec("adam", self.config.lr, (0.5, 0.999))
        return {
            "adversarial": self.players(
                adam,
                per_image=self.class_loss.on_fakes and self.config.discriminator_norm == "group",
            )
        }

    def critic(self, images: Tensor) -> Tensor:
        """Compute the logits (N,) of D."""
        return self.discriminator(images)[0]

    def discriminator_loss(self, batch: Batch) -> LossTerms:
        """Compute the loss of D: source and class of real and of generated images."""
        labels = self._labels(batch)
        with torch.no_grad():
            fake = self.generator(latents_for(batch, self.config.latent_dim), labels)
        real_logits, real_classes = self.discriminator(batch.images)
        fake_logits, fake_classes = self.discriminator(fake)
        terms = {
            "adversarial": self.adversarial.discriminator(real_logits, fake_logits),
            "accuracy": pairwise_accuracy(real_logits, fake_logits),
            "class_real": self._class_term(real_classes, labels),
        }
        if self.class_loss.on_fakes:
            terms["class_fake"] = self._class_term(fake_classes, labels)
        return terms

    def generator_loss(self, batch: Batch) -> LossTerms:
        """Compute the loss of G: source and class of generated images."""
        labels = self._labels(batch)
        fake = self.generator(latents_for(batch, self.config.latent_dim), labels)
        fake_logits, fake_classes = self.discriminator(fake)
        return {
            "adversarial": self.adversarial.generator(fake_logits),
            "class_fake": self._class_term(fake_classes, labels),
        }

    @torch.inference_mode()
    def decode(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Compute G(z, class) of latents (n, latent_dim) and labels (n,) or multi-hot (n, classes).

        Without labels the classes alternate.
        """
        labels = torch.arange(len(latents)) % self.classes if labels is None else labels
        return self.generator(latents, labels.to(latents.device))

    def _class_term(self, head: Any, labels: Tensor) -> Tensor:
        return self.config.class_weight * self.class_loss.loss(head, labels, self.config)

    def _labels(self, batch: Batch) -> Tensor:
        if batch.labels is None:
            raise ValueError("ACGAN trains on labelled batches")
        return batch.labels


def build(config: Config, spec: ImageSpec) -> ACGAN:
    """Build an untrained ACGAN."""
    return ACGAN(config, spec)
