"""BiGAN and its two detectors: EGBAD, S0's "BiGAN", and ALAD, which adds cycles.

Papers: Donahue 2017 and Dumoulin 2017 (the game of pairs), Zenati 2018a (EGBAD), Zenati 2018b
(ALAD). D tells (x, E(x)), which it calls 1, from (G(z), z), which it calls 0, by binary
cross-entropy; with the logit D and sp the softplus

    D: E sp(-D(x, E(x))) + E sp(D(G(z), z))
    (EGBAD, section 3) G: E sp(-D(G(z), z))                 E: E sp(D(x, E(x)))
    score: 0.9 |x - G(E(x))|_1 + 0.1 |f_D(x, E(x)) - f_D(G(E(x)), E(x))|_1

f_D being D's layer before the logit; norms are sums. At the optimum E inverts G, but far from it
nothing asks G(E(x)) to resemble x. ALAD asks (`cycle: true`): D_xx tells (x, x) from (x, G(E(x))),
D_zz tells (z, z) from (z, E(G(z))), and G and E minimize besides their own

    E sp(-D_xx(x, G(E(x)))) + E sp(-D_zz(z, E(G(z))))
    (ALAD, eq. 5 to 7) score: |f_xx(x, x) - f_xx(x, G(E(x)))|_1

with spectral norm in the hidden layers of E and of all D. |x - G(E(x))| is the map of both. Adam
(0.5, 0.999).

Components of the score: reconstruction |x - G(E(x))|_1; feature, the f_D or f_xx term above; latent
|E(x) - E(G(E(x)))|_1, GANomaly's score (Akcay 2018, eq. 5) on this encoder, which neither paper
reports. EGBAD's score weighs the first two, ALAD's is the second alone.

G and E are one player: neither's own term reaches the other, so the gradient of the sum is to each
the gradient of its own loss, and with Adam, which keeps its state for each weight, one player moves
them exactly as two would; the cycles, which move both, are computed once.

Deviations: ALAD's other half of the cycles, E sp(D_xx(x, x)) + E sp(D_zz(z, z)), has no gradient in
G and E and is left out. D_xx sees its two images as channels of one; the reference code puts one
above the other, where no convolution can compare them pixel by pixel.
Networks are the DCGAN's, deeper with the image, so D_xx has no dropout; with spectral norm the Ds
have no batch norm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medgan.contracts import (
    AnomalyScores,
    Batch,
    ImageSpec,
    LossTerms,
    OptimizerSpec,
    Player,
    TrainingSet,
)
from medgan.losses import (
    bce_discriminator,
    bce_generator,
    l1_per_image,
    pairwise_accuracy,
    residual_map,
)
from medgan.networks.autoencoder import ConvolutionalEncoder
from medgan.networks.blocks import spectrally_normalized
from medgan.networks.dcgan import Discriminator, Generator, draw, latents_for
from medgan.networks.pairs import LatentPairDiscriminator, PairDiscriminator

TRAINING_SET = TrainingSet.NORMAL


@dataclass(frozen=True)
class Config:
    """Settings of `bigan`."""

    latent_dim: int = 64
    width: int = 32
    cycle: bool = True
    """ALAD; without it EGBAD."""
    lr: float = 2e-4
    feature_share: float = 0.1
    """Share of the feature term in EGBAD's score."""


class BiGAN(nn.Module):
    """Generator, encoder and the discriminator of pairs: EGBAD."""

    COUNTERPART = "reconstruction"
    DROPOUT = 0.5
    BATCH_NORM = True

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        self.generator = Generator(config.latent_dim, config.width, spec.size, spec.channels)
        self.encoder = ConvolutionalEncoder(
            config.latent_dim, config.width, spec.size, spec.channels
        )
        self.discriminator = PairDiscriminator(
            config.latent_dim,
            config.width,
            spec.size,
            spec.channels,
            batch_norm=self.BATCH_NORM,
            dropout=self.DROPOUT,
        )

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """One stage: the discriminators, then generator and encoder."""
        adam = OptimizerSpec("adam", self.config.lr, (0.5, 0.999))
        return {
            "adversarial": (
                Player("discriminator", self.discriminators(), self.discriminator_loss, adam),
                Player("generator", [self.generator, self.encoder], self.generator_loss, adam),
            )
        }

    def discriminators(self) -> Sequence[nn.Module]:
        """What plays against G and E."""
        return [self.discriminator]

    def discriminator_loss(self, batch: Batch) -> LossTerms:
        """(x, E(x)) is 1, (G(z), z) is 0."""
        latents = latents_for(batch, self.config.latent_dim)
        with torch.no_grad():
            encoded, drawn = self.encoder(batch.images), self.generator(latents)
        real_logits, fake_logits = (
            self.discriminator(batch.images, encoded),
            self.discriminator(drawn, latents),
        )
        return {
            "pairs": bce_discriminator(real_logits, fake_logits),
            "accuracy": pairwise_accuracy(real_logits, fake_logits),
        } | self.discriminator_cycle(batch.images, encoded, drawn, latents)

    def generator_loss(self, batch: Batch) -> LossTerms:
        """G wants (G(z), z) called 1, E wants (x, E(x)) called 0."""
        latents = latents_for(batch, self.config.latent_dim)
        encoded, drawn = self.encoder(batch.images), self.generator(latents)
        return {
            "generator": bce_generator(self.discriminator(drawn, latents)),
            "encoder": bce_generator(-self.discriminator(batch.images, encoded)),
        } | self.generator_cycle(batch.images, encoded, drawn, latents)

    def discriminator_cycle(
        self, images: Tensor, encoded: Tensor, drawn: Tensor, latents: Tensor
    ) -> dict[str, Tensor]:
        """EGBAD has no cycles."""
        return {}

    def generator_cycle(
        self, images: Tensor, encoded: Tensor, drawn: Tensor, latents: Tensor
    ) -> dict[str, Tensor]:
        """EGBAD has no cycles."""
        return {}

    @torch.inference_mode()
    def sample(self, n: int, labels: Tensor | None, rng: torch.Generator) -> Tensor:
        """(n, C, H, W) images of the class it was trained on; `labels` are not used."""
        return draw(self.generator, n, self.config.latent_dim, rng)

    @torch.inference_mode()
    def counterpart(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """G(E(x)): (N, C, H, W)."""
        rebuilt: Tensor = self.generator(self.encoder(images))
        return rebuilt

    @torch.inference_mode()
    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        """The form's score of each image, and the residual |x - G(E(x))|."""
        encoded = self.encoder(images)
        rebuilt = self.generator(encoded)
        components = {
            "reconstruction": l1_per_image(images, rebuilt),
            "feature": self.feature_distance(images, rebuilt, encoded),
            "latent": l1_per_image(encoded, self.encoder(rebuilt)),
        }
        return AnomalyScores.composed(
            components, self.score_weights(), residual_map(images, rebuilt)
        )

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """The latents E(x): (N, latent_dim)."""
        latents: Tensor = self.encoder(images)
        return latents

    def score_weights(self) -> Mapping[str, float]:
        """EGBAD's: 0.9 of the reconstruction, 0.1 of the features."""
        share = self.config.feature_share
        return {"reconstruction": 1 - share, "feature": share}

    def feature_distance(self, images: Tensor, rebuilt: Tensor, encoded: Tensor) -> Tensor:
        """|f_D(x, E(x)) - f_D(G(E(x)), E(x))|_1 of each image: (N,)."""
        return l1_per_image(
            self.discriminator.features(images, encoded),
            self.discriminator.features(rebuilt, encoded),
        )


class ALAD(BiGAN):
    """BiGAN with the discriminators of both cycles, and spectral norm."""

    DROPOUT = 0.2
    BATCH_NORM = False

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.discriminator_xx = Discriminator(
            config.width, spec.size, 2 * spec.channels, batch_norm=self.BATCH_NORM
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
        """All three; none shares a weight with another, so one player moves them as three would."""
        return [self.discriminator, self.discriminator_xx, self.discriminator_zz]

    def discriminator_cycle(
        self, images: Tensor, encoded: Tensor, drawn: Tensor, latents: Tensor
    ) -> dict[str, Tensor]:
        """(x, x) and (z, z) are 1, (x, G(E(x))) and (z, E(G(z))) are 0."""
        with torch.no_grad():
            rebuilt, found = self.generator(encoded), self.encoder(drawn)
        return {
            "images": bce_discriminator(
                self._of_images(images, images), self._of_images(images, rebuilt)
            ),
            "latents": bce_discriminator(
                self.discriminator_zz(latents, latents), self.discriminator_zz(latents, found)
            ),
        }

    def generator_cycle(
        self, images: Tensor, encoded: Tensor, drawn: Tensor, latents: Tensor
    ) -> dict[str, Tensor]:
        """Both want (x, G(E(x))) and (z, E(G(z))) called 1."""
        return {
            "images": bce_generator(self._of_images(images, self.generator(encoded))),
            "latents": bce_generator(self.discriminator_zz(latents, self.encoder(drawn))),
        }

    def score_weights(self) -> Mapping[str, float]:
        """ALAD's: the features alone."""
        return {"feature": 1.0}

    def feature_distance(self, images: Tensor, rebuilt: Tensor, encoded: Tensor) -> Tensor:
        """|f_xx(x, x) - f_xx(x, G(E(x)))|_1 of each image: (N,)."""
        same, cycled = (
            self.discriminator_xx.features(torch.cat([images, other], 1))
            for other in (images, rebuilt)
        )
        return l1_per_image(same, cycled)

    def _of_images(self, images: Tensor, others: Tensor) -> Tensor:
        logits: Tensor = self.discriminator_xx(torch.cat([images, others], 1))
        return logits


def build(config: Config, spec: ImageSpec) -> BiGAN:
    """An untrained BiGAN, ALAD with `cycle`."""
    return ALAD(config, spec) if config.cycle else BiGAN(config, spec)
