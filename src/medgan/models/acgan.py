"""ACGAN: images of a chosen class. S4's generator; with `class_loss: d2d_ce`, ReACGAN's loss.

Paper: Odena, Olah, Shlens 2017. With C the class and S the source, D maximises L_S + L_C and G
maximises L_C - L_S, L_C being the log-likelihood of the class on real *and* on generated images.
Here both are minimized as losses, w being `class_weight`:

    D: adversarial(real, fake) + w class(real) + w class(fake)
    G: adversarial(fake) + w class(fake)

`class_loss` says what stands for `class`:

- `ce`, Odena's: cross-entropy over the classes, one for each image.
- `bce`: a binary cross-entropy for each class, so that an image may have several; with
`adversarial_loss: lsgan`, S4's notebook.
- `d2d_ce`, Kang 2021 (ReACGAN), the cure of ACGAN's early collapse: features and class proxies of
unit norm, a temperature, and margins
  beyond which easy images are left alone (formula in losses/classification.py). D learns it from
  real images only, G from its own; no dropout. The paper's w is 0.5 and its adversarial loss the
  hinge: set both with it.

Several classes: labels may be multi-hot. G embeds them as the sum of the embeddings of their
classes; for `d2d_ce` two images differ when their label rows do, and the proxy of a row is the sum
of its classes' proxies, scaled to unit norm. Neither paper has this.

Deviations: the networks are DCGAN's (ReACGAN: BigGAN's, with spectral normalisation); published are
averaged weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from medgan.contracts import Batch, ImageSpec, LossTerms, OptimizerSpec, Player, TrainingSet
from medgan.losses import (
    ADVERSARIAL,
    binary_cross_entropy,
    cross_entropy,
    data_to_data_cross_entropy,
    pairwise_accuracy,
)
from medgan.networks.dcgan import (
    AuxiliaryDiscriminator,
    ConditionalGenerator,
    ProxyHead,
    latents_for,
    normal_latents,
)

TRAINING_SET = TrainingSet.LABELLED


@dataclass(frozen=True)
class Config:
    """Settings of `acgan`."""

    latent_dim: int = 64
    width: int = 32
    adversarial_loss: Literal["bce", "hinge", "lsgan"] = "bce"
    class_loss: Literal["ce", "bce", "d2d_ce"] = "ce"
    class_weight: float = 1.0
    """w; 0.5 with `d2d_ce`."""
    positive_margin: float = 0.98
    """m_p of `d2d_ce`: the similarity to its proxy with which an image is left alone."""
    negative_margin: float = 0.02
    """m_n of `d2d_ce`: the similarity up to which images of other classes are left alone; Kang
    takes 1 - m_p.
    """
    temperature: float = 0.5
    """tau of `d2d_ce`."""
    lr: float = 2e-4


def _data_to_data(head: tuple[Tensor, Tensor], labels: Tensor, config: Config) -> Tensor:
    return data_to_data_cross_entropy(
        *head, labels, config.positive_margin, config.negative_margin, config.temperature
    )


@dataclass(frozen=True)
class ClassLoss:
    """The second head of D, the loss on (what it gives, labels), and who learns from it."""

    head: Callable[[int, int], nn.Module]
    loss: Callable[[Any, Tensor, Config], Tensor]
    dropout: float
    fakes_teach_discriminator: bool


CLASS_LOSSES: Mapping[str, ClassLoss] = {
    "ce": ClassLoss(nn.Linear, lambda logits, labels, _: cross_entropy(logits, labels), 0.5, True),
    "bce": ClassLoss(
        nn.Linear, lambda logits, labels, _: binary_cross_entropy(logits, labels), 0.5, True
    ),
    "d2d_ce": ClassLoss(ProxyHead, _data_to_data, 0.0, False),
}


class ACGAN(nn.Module):
    """A generator told the class, and a discriminator that names it."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config, self.classes = config, len(spec.classes)
        self.adversarial, self.class_loss = (
            ADVERSARIAL[config.adversarial_loss],
            CLASS_LOSSES[config.class_loss],
        )
        self.generator = ConditionalGenerator(
            config.latent_dim, self.classes, config.width, spec.size, spec.channels
        )
        self.discriminator = AuxiliaryDiscriminator(
            config.width,
            spec.size,
            spec.channels,
            self.classes,
            self.class_loss.head,
            self.class_loss.dropout,
        )

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """One stage: the discriminator, then the generator."""
        adam = OptimizerSpec("adam", self.config.lr, (0.5, 0.999))
        return {
            "adversarial": (
                Player("discriminator", [self.discriminator], self.discriminator_loss, adam),
                Player("generator", [self.generator], self.generator_loss, adam),
            )
        }

    def discriminator_loss(self, batch: Batch) -> LossTerms:
        """Source of real and of generated images; class of real ones, and of generated ones where
        the class loss says so.
        """
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
        if self.class_loss.fakes_teach_discriminator:
            terms["class_fake"] = self._class_term(fake_classes, labels)
        return terms

    def generator_loss(self, batch: Batch) -> LossTerms:
        """Be taken for real, and for the class that was asked for."""
        labels = self._labels(batch)
        fake_logits, fake_classes = self.discriminator(
            self.generator(latents_for(batch, self.config.latent_dim), labels)
        )
        return {
            "adversarial": self.adversarial.generator(fake_logits),
            "class_fake": self._class_term(fake_classes, labels),
        }

    @torch.inference_mode()
    def sample(self, n: int, labels: Tensor | None, rng: torch.Generator) -> Tensor:
        """(n, C, H, W) images of the classes in `labels`, (n,) or multi-hot (n, classes); without
        labels, of every class in turn.
        """
        device = next(self.parameters()).device
        labels = torch.arange(n) % self.classes if labels is None else labels
        images: Tensor = self.generator(
            normal_latents(n, self.config.latent_dim, rng, device), labels.to(device)
        )
        return images

    def _class_term(self, head: Any, labels: Tensor) -> Tensor:
        return self.config.class_weight * self.class_loss.loss(head, labels, self.config)

    def _labels(self, batch: Batch) -> Tensor:
        if batch.labels is None:
            raise ValueError("ACGAN trains on labelled batches")
        return batch.labels


def build(config: Config, spec: ImageSpec) -> ACGAN:
    """An untrained ACGAN."""
    return ACGAN(config, spec)
