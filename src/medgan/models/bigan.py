"""BiGAN and its detectors EGBAD and ALAD, which adds cycle consistency.

Papers: BiGAN (Donahue 2017, Dumoulin 2017), EGBAD (Zenati 2018a), ALAD (Zenati 2018b). D separates
(x, E(x)), label 1, from (G(z), z), label 0, by binary cross-entropy. With D the logit and sp the
softplus (EGBAD, section 3):

    D: E sp(-D(x, E(x))) + E sp(D(G(z), z))
    G: E sp(-D(G(z), z))
    E: E sp(D(x, E(x)))
    score: 0.9 |x - G(E(x))|_1 + 0.1 |f_D(x, E(x)) - f_D(G(E(x)), E(x))|_1

f_D is the layer before the logit; norms are sums. At the optimum E inverts G; before it nothing
makes G(E(x)) resemble x. ALAD (`cycle: true`) adds D_xx, which separates (x, x) from (x, G(E(x))),
and D_zz, which separates (z, z) from (z, E(G(z))). G and E also minimize (ALAD, eq. 5 to 7)

    E sp(-D_xx(x, G(E(x)))) + E sp(-D_zz(z, E(G(z))))
    score: |f_xx(x, x) - f_xx(x, G(E(x)))|_1

with spectral norm in the hidden layers of E and of all discriminators. Both have the map
|x - G(E(x))| and Adam (0.5, 0.999).

Components: `reconstruction`, |x - G(E(x))|_1; `feature`, the f_D or f_xx term above; `latent`,
|E(x) - E(G(E(x)))|_1 (GANomaly, Akcay 2018, eq. 5), which neither paper reports.

Deviations: the other half of ALAD's cycle losses, E sp(D_xx(x, x)) + E sp(D_zz(z, z)), has no
gradient in G and E and is left out. D_xx has the reference code's two convolutions of 5x5 with
dropout, but sees its two images as channels of one image; the reference stacks them vertically,
where no convolution compares them pixel by pixel. The other networks are DCGAN's with a depth that
follows the image size. ALAD's D_xz has one dense layer on z, where the reference has two of 512
units; with spectral norm the discriminators have no batch norm. The moving average (`ema_decay`) is
of all weights, statistics of batch norm included; the references average the trained weights alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medgan.contracts import (
    Batch,
    ImageSpec,
    LossTerms,
    OptimizerSpec,
    Player,
    TrainingSet,
)
from medgan.gans import EncodingGAN
from medgan.losses import (
    bce_discriminator,
    bce_generator,
    l1_per_image,
    pairwise_accuracy,
)
from medgan.networks.autoencoder import ConvolutionalEncoder
from medgan.networks.blocks import spectrally_normalized
from medgan.networks.dcgan import Generator, latents_for
from medgan.networks.pairs import (
    ImagePairDiscriminator,
    LatentPairDiscriminator,
    PairDiscriminator,
)
from medgan.ranges import LatentDim, LearningRate, Share, Width

NAME = "BiGAN"
TRAINING_SET = TrainingSet.NORMAL


@dataclass(frozen=True)
class Config:
    """Settings of `bigan`."""

    latent_dim: LatentDim = 64
    width: Width = 32
    cycle: bool = True
    """ALAD; EGBAD without it."""
    lr: LearningRate = 2e-4
    feature_share: Share = 0.1
    """Share of the feature term in EGBAD's score."""

    @property
    def form(self) -> str:
        """Name of the method in a title."""
        return _method(self).FORM


@dataclass(frozen=True)
class Pairs:
    """The pairs (x, E(x)) and (G(z), z) of one update."""

    images: Tensor
    encoded: Tensor
    fake: Tensor
    latents: Tensor


class BiGAN(EncodingGAN):
    """EGBAD: a generator, an encoder and a discriminator of pairs."""

    distance = staticmethod(l1_per_image)
    FORM = "EGBAD"
    DROPOUT = 0.5
    BATCH_NORM = True

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        shape = config.latent_dim, config.width, spec.size, spec.channels
        self.generator = Generator(*shape)
        self.encoder = ConvolutionalEncoder(*shape)
        self.discriminator = PairDiscriminator(
            *shape, batch_norm=self.BATCH_NORM, dropout=self.DROPOUT
        )

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """Return one stage: the discriminators, then generator and encoder.

        G and E are one player: the gradient of the sum is for each of them the gradient of its own
        loss, and Adam keeps its state per weight, so two players would make the same updates.
        """
        adam = OptimizerSpec("adam", self.config.lr, (0.5, 0.999))
        return {
            "adversarial": (
                Player(
                    "discriminator",
                    self.discriminators(),
                    self.discriminator_loss,
                    adam,
                    critic=self.critic,
                ),
                Player("generator", [self.generator, self.encoder], self.generator_loss, adam),
            )
        }

    def discriminators(self) -> Sequence[nn.Module]:
        """Return the discriminators, which share no weights."""
        return [self.discriminator]

    def discriminator_loss(self, batch: Batch) -> LossTerms:
        """Compute the loss of D: (x, E(x)) is 1, (G(z), z) is 0."""
        with torch.no_grad():
            pairs = self._pairs(batch)
        real_logits = self.discriminator(pairs.images, pairs.encoded)
        fake_logits = self.discriminator(pairs.fake, pairs.latents)
        return {
            "pairs": bce_discriminator(real_logits, fake_logits),
            "accuracy": pairwise_accuracy(real_logits, fake_logits),
        } | self.discriminator_cycle(pairs)

    def generator_loss(self, batch: Batch) -> LossTerms:
        """Compute the losses of G and E: (G(z), z) is 1, (x, E(x)) is 0."""
        pairs = self._pairs(batch)
        return {
            "generator": bce_generator(self.discriminator(pairs.fake, pairs.latents)),
            "encoder": bce_generator(-self.discriminator(pairs.images, pairs.encoded)),
        } | self.generator_cycle(pairs)

    def discriminator_cycle(self, pairs: Pairs) -> dict[str, Tensor]:
        """Return no terms: EGBAD has no cycles."""
        return {}

    def generator_cycle(self, pairs: Pairs) -> dict[str, Tensor]:
        """Return no terms: EGBAD has no cycles."""
        return {}

    def critic(self, images: Tensor) -> Tensor:
        """Compute the logits (N,) of D for (x, E(x))."""
        return self.discriminator(images, self.encoder(images).detach())

    def score_weights(self) -> Mapping[str, float]:
        """Return EGBAD's weights, 0.9 and 0.1 by default."""
        share = self.config.feature_share
        return {"reconstruction": 1 - share, "feature": share}

    def feature_distance(self, images: Tensor, reconstructed: Tensor, encoded: Tensor) -> Tensor:
        """Compute |f_D(x, E(x)) - f_D(G(E(x)), E(x))|_1 for each image: (N,)."""
        features = self.discriminator.features
        return l1_per_image(features(images, encoded), features(reconstructed, encoded))

    def _pairs(self, batch: Batch) -> Pairs:
        latents = latents_for(batch, self.config.latent_dim)
        encoded = self.encoder(batch.images)
        return Pairs(batch.images, encoded, self.generator(latents), latents)


class ALAD(BiGAN):
    """BiGAN with a discriminator for each cycle, and spectral norm."""

    FORM = "ALAD"
    DROPOUT = 0.2
    BATCH_NORM = False

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.discriminator_xx = ImagePairDiscriminator(
            config.width, spec.size, spec.channels, self.DROPOUT
        )
        self.discriminator_zz = LatentPairDiscriminator(config.latent_dim, self.DROPOUT)
        for hidden in (
            self.encoder.convolutions,
            self.discriminator.from_images,
            self.discriminator.from_latents,
            self.discriminator.join,
            self.discriminator_xx.convolutions,
            self.discriminator_zz.hidden,
        ):
            spectrally_normalized(hidden)

    def discriminators(self) -> Sequence[nn.Module]:
        """Return the three discriminators, which share no weights."""
        return [self.discriminator, self.discriminator_xx, self.discriminator_zz]

    def discriminator_cycle(self, pairs: Pairs) -> dict[str, Tensor]:
        """Compute the losses of D_xx and D_zz: equal pairs are 1, cycled pairs are 0."""
        images, latents = pairs.images, pairs.latents
        with torch.no_grad():
            reconstructed = self.generator(pairs.encoded)
            reencoded = self.encoder(pairs.fake)
        return {
            "images": bce_discriminator(
                self.discriminator_xx(images, images), self.discriminator_xx(images, reconstructed)
            ),
            "latents": bce_discriminator(
                self.discriminator_zz(latents, latents), self.discriminator_zz(latents, reencoded)
            ),
        }

    def generator_cycle(self, pairs: Pairs) -> dict[str, Tensor]:
        """Compute the cycle losses of G and E: cycled pairs are 1."""
        reconstructed, reencoded = self.generator(pairs.encoded), self.encoder(pairs.fake)
        return {
            "images": bce_generator(self.discriminator_xx(pairs.images, reconstructed)),
            "latents": bce_generator(self.discriminator_zz(pairs.latents, reencoded)),
        }

    def score_weights(self) -> Mapping[str, float]:
        """Return ALAD's weights: the feature distance alone."""
        return {"feature": 1.0}

    def feature_distance(self, images: Tensor, reconstructed: Tensor, encoded: Tensor) -> Tensor:
        """Compute |f_xx(x, x) - f_xx(x, G(E(x)))|_1 for each image: (N,)."""
        features = self.discriminator_xx.features
        return l1_per_image(features(images, images), features(images, reconstructed))


def _method(config: Config) -> type[BiGAN]:
    return ALAD if config.cycle else BiGAN


def build(config: Config, spec: ImageSpec) -> BiGAN:
    """Build an untrained ALAD with `cycle`, else an untrained EGBAD."""
    return _method(config)(config, spec)
