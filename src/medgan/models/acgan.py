"""ACGAN: images of a chosen class. S4's generator.

Paper: Odena, Olah, Shlens 2017. With C the class and S the source, D maximises L_S + L_C and G maximises L_C - L_S, L_C being the
log-likelihood of the class on real *and* on generated images. Here both are minimised as losses:

    D: adversarial(real, fake) + CE(class | real) + CE(class | fake)
    G: adversarial(fake) + CE(class | fake)

Deviation: `adversarial_loss: lsgan` is what S4's notebook uses; `bce` is Odena's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medgan.contracts import Batch, ImageSpec, LossTerms, OptimizerSpec, Player, TrainingSet
from medgan.losses.adversarial import ADVERSARIAL, pairwise_accuracy
from medgan.networks.dcgan import AuxiliaryDiscriminator, ConditionalGenerator, normal_latents

TRAINING_SET = TrainingSet.LABELLED


@dataclass(frozen=True)
class Config:
    """Settings of `acgan`."""

    latent_dim: int = 64
    width: int = 32
    adversarial_loss: Literal["bce", "hinge", "lsgan"] = "bce"
    class_weight: float = 1.0
    lr: float = 2e-4


class ACGAN(nn.Module):
    """A generator told the class, and a discriminator that names it."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config, self.classes = config, len(spec.classes)
        self.adversarial = ADVERSARIAL[config.adversarial_loss]
        self.generator = ConditionalGenerator(config.latent_dim, self.classes, config.width, spec.size, spec.channels)
        self.discriminator = AuxiliaryDiscriminator(config.width, spec.size, spec.channels, self.classes)

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
        """Source and class of real and of generated images."""
        labels = self._labels(batch)
        with torch.no_grad():
            fake = self.generator(self._latents(batch), labels)
        real_logits, real_classes = self.discriminator(batch.images)
        fake_logits, fake_classes = self.discriminator(fake)
        return {
            "adversarial": self.adversarial.discriminator(real_logits, fake_logits),
            "accuracy": pairwise_accuracy(real_logits, fake_logits),
            "class_real": self.config.class_weight * F.cross_entropy(real_classes, labels),
            "class_fake": self.config.class_weight * F.cross_entropy(fake_classes, labels),
        }

    def generator_loss(self, batch: Batch) -> LossTerms:
        """Be taken for real, and for the class that was asked for."""
        labels = self._labels(batch)
        fake_logits, fake_classes = self.discriminator(self.generator(self._latents(batch), labels))
        return {
            "adversarial": self.adversarial.generator(fake_logits),
            "class_fake": self.config.class_weight * F.cross_entropy(fake_classes, labels),
        }

    @torch.inference_mode()
    def sample(self, n: int, labels: Tensor | None, rng: torch.Generator) -> Tensor:
        """(n, C, H, W) images of the classes in `labels` (n,); without labels, of every class in turn."""
        device = next(self.parameters()).device
        labels = torch.arange(n) % self.classes if labels is None else labels
        images: Tensor = self.generator(normal_latents(n, self.config.latent_dim, rng, device), labels.to(device))
        return images

    def _labels(self, batch: Batch) -> Tensor:
        if batch.labels is None:
            raise ValueError("ACGAN trains on labelled batches")
        return batch.labels

    def _latents(self, batch: Batch) -> Tensor:
        return normal_latents(batch.images.shape[0], self.config.latent_dim, batch.rng, batch.images.device)


def build(config: Config, spec: ImageSpec) -> ACGAN:
    """An untrained ACGAN."""
    return ACGAN(config, spec)
