"""SNGAN: a GAN with a spectrally normalized discriminator (Miyato 2018); MedGAN is a variant.

Each weight W of D is used as W / s(W) (eq. 8). s(W) is its largest singular value, estimated by one
power iteration in each forward pass (algorithm 1), which makes D Lipschitz without a penalty.

`variant: resnet`, the default, is the paper's network at 128 px: residual networks, batch norm in
G, no norm in D, and the hinge loss

    D: E max(0, 1 - D(x)) + E max(0, 1 + D(G(z)))   (eq. 16)
    G: -E D(G(z))                                   (eq. 17)

with Adam 2e-4 (0, 0.9), `n_critic` 2 (5 on ImageNet), batches of 64 and z of 128 from N(0, 1).

`variant: medgan` is MedGAN: transposed convolutions with batch norm, ReLU and tanh in G; strided
convolutions with spectral and batch norm, LeakyReLU and a final sigmoid in D, and cross-entropy.
The sigmoid is in the loss, which is computed from logits. MedGAN names no optimizer; SNGAN's is
used.

Deviations: depth follows the image size, and no feature map is wider than 8 times `width` (the
paper's smallest maps are 16 times as wide); a block of D widens in its first convolution, in the
authors' code in its second; the learning rate does not decay; averaged weights are published.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from medgan.contracts import ImageSpec, OptimizerSpec, Player, TrainingSet
from medgan.gans import GAN
from medgan.losses import ADVERSARIAL, AdversarialLoss
from medgan.networks.blocks import spectrally_normalized
from medgan.networks.dcgan import Discriminator, Generator
from medgan.networks.resnet import ResNetDiscriminator, ResNetGenerator, xavier
from medgan.ranges import CriticSteps, LatentDim, LearningRate, Width

NAME = "SNGAN"
TRAINING_SET = TrainingSet.NORMAL


@dataclass(frozen=True)
class Config:
    """Settings of `sngan`."""

    latent_dim: LatentDim = 128
    width: Width = 64
    variant: Literal["resnet", "medgan"] = "resnet"
    lr: LearningRate = 2e-4
    n_critic: CriticSteps = 2


@dataclass(frozen=True)
class Variant:
    """Factories of G and D, and their loss."""

    generator: Callable[[int, int, int, int], nn.Module]
    """Of (latent_dim, width, size, channels)."""
    discriminator: Callable[[int, int, int], nn.Module]
    """Of (width, size, channels)."""
    adversarial: AdversarialLoss


def _residual_generator(latent_dim: int, width: int, size: int, channels: int) -> nn.Module:
    return ResNetGenerator(latent_dim, width, size, channels).apply(xavier)


VARIANTS: Mapping[str, Variant] = {
    "resnet": Variant(_residual_generator, ResNetDiscriminator, ADVERSARIAL["hinge"]),
    "medgan": Variant(Generator, Discriminator, ADVERSARIAL["bce"]),
}


class SNGAN(GAN):
    """A generator, and a discriminator with spectral norm in all layers."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        variant = VARIANTS[config.variant]
        shape = config.width, spec.size, spec.channels
        self.adversarial = variant.adversarial
        self.generator = variant.generator(config.latent_dim, *shape)
        self.discriminator = spectrally_normalized(variant.discriminator(*shape))

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """Return one stage: the discriminator `n_critic` times, then the generator."""
        adam = OptimizerSpec("adam", self.config.lr, (0.0, 0.9))
        return {"adversarial": self.players(adam, self.config.n_critic)}


def build(config: Config, spec: ImageSpec) -> SNGAN:
    """Build an untrained SNGAN."""
    return SNGAN(config, spec)
