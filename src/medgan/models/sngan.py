"""SNGAN: a GAN whose discriminator is spectrally normalized. S1's "MedGAN" is its variant `medgan`.

Paper: Miyato 2018. Each weight W of D is used as W / s(W) (eq. 8), s(W) being its largest singular
value, estimated by one power iteration in each forward pass (algorithm 1); so D is Lipschitz
without a penalty. The default, `variant: resnet`, is the paper's at 128 px: residual networks,
batch norm in G, no norm in D, and the hinge loss

    D: E max(0, 1 - D(x)) + E max(0, 1 + D(G(z)))
            (eq. 16) G: -E D(G(z))
                                     (eq. 17)

with Adam 2e-4 (0, 0.9), `n_critic` 2 (5 on ImageNet), batches of 64, z of 128 from N(0, 1).

`variant: medgan` is S1's: transposed convolutions with batch norm, ReLU and tanh in G; strided
convolutions with spectral *and* batch norm, LeakyReLU and a final sigmoid in D, and cross-entropy
on its probability. The sigmoid stands in the loss (BCE on logits): the same mathematics. S1 names
no optimizer; it gets the paper's.

Deviations: depth follows the size of the image, and no feature map is wider than 8 times `width`
(the paper's smallest ones are 16 times as wide); a block of D widens in its first convolution, in
the authors' code in its second; the learning rate does not decay; what is published are averaged
weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from medgan.contracts import Batch, ImageSpec, LossTerms, OptimizerSpec, Player, TrainingSet
from medgan.losses import ADVERSARIAL, AdversarialLoss, pairwise_accuracy
from medgan.networks.blocks import spectrally_normalized
from medgan.networks.dcgan import Discriminator, Generator, draw, latents_for
from medgan.networks.resnet import ResNetDiscriminator, ResNetGenerator, xavier

TRAINING_SET = TrainingSet.NORMAL


@dataclass(frozen=True)
class Config:
    """Settings of `sngan`."""

    latent_dim: int = 128
    width: int = 64
    variant: Literal["resnet", "medgan"] = "resnet"
    lr: float = 2e-4
    n_critic: int = 2


@dataclass(frozen=True)
class Variant:
    """Factories of G, of (latent_dim, width, size, channels), and of D, of (width, size, channels),
    and the game that they play.
    """

    generator: Callable[[int, int, int, int], nn.Module]
    discriminator: Callable[[int, int, int], nn.Module]
    adversarial: AdversarialLoss


def _residual_generator(latent_dim: int, width: int, size: int, channels: int) -> nn.Module:
    return ResNetGenerator(latent_dim, width, size, channels).apply(xavier)


VARIANTS: Mapping[str, Variant] = {
    "resnet": Variant(_residual_generator, ResNetDiscriminator, ADVERSARIAL["hinge"]),
    "medgan": Variant(Generator, Discriminator, ADVERSARIAL["bce"]),
}


class SNGAN(nn.Module):
    """A generator, and a discriminator that is spectrally normalized in all its layers."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        variant = VARIANTS[config.variant]
        self.adversarial = variant.adversarial
        self.generator = variant.generator(
            config.latent_dim, config.width, spec.size, spec.channels
        )
        self.discriminator = spectrally_normalized(
            variant.discriminator(config.width, spec.size, spec.channels)
        )

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """One stage: the discriminator `n_critic` times, then the generator."""
        adam = OptimizerSpec("adam", self.config.lr, (0.0, 0.9))
        return {
            "adversarial": (
                Player(
                    "discriminator",
                    [self.discriminator],
                    self.discriminator_loss,
                    adam,
                    updates=self.config.n_critic,
                ),
                Player("generator", [self.generator], self.generator_loss, adam),
            )
        }

    def discriminator_loss(self, batch: Batch) -> LossTerms:
        """Eq. 16, or S1's cross-entropy."""
        with torch.no_grad():
            fake = self.generator(latents_for(batch, self.config.latent_dim))
        real_logits, fake_logits = self.discriminator(batch.images), self.discriminator(fake)
        return {
            "adversarial": self.adversarial.discriminator(real_logits, fake_logits),
            "accuracy": pairwise_accuracy(real_logits, fake_logits),
        }

    def generator_loss(self, batch: Batch) -> LossTerms:
        """Eq. 17, or S1's cross-entropy."""
        return {
            "adversarial": self.adversarial.generator(
                self.discriminator(self.generator(latents_for(batch, self.config.latent_dim)))
            )
        }

    @torch.inference_mode()
    def sample(self, n: int, labels: Tensor | None, rng: torch.Generator) -> Tensor:
        """(n, C, H, W) images of the class it was trained on; `labels` are not used."""
        return draw(self.generator, n, self.config.latent_dim, rng)


def build(config: Config, spec: ImageSpec) -> SNGAN:
    """An untrained SNGAN."""
    return SNGAN(config, spec)
