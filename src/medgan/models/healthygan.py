"""HealthyGAN: translates any image to a healthy one; what the translation changes is the anomaly.
S2's detector.

Papers: Rahman Siddiquee 2022 (HealthyGAN, `output: mask`) and 2024 (Brainomaly, `output:
additive`). Two training sets: A, an unlabelled mix of healthy and diseased images, and B, healthy
ones. G turns x into y, D tells y_A from x_B. Score = mean |x - y| / 2, map = |x - y|.

    both:      D:  D(y_A) - D(x_B) + 10 (|grad D(x')| - 1)^2,  x' between x_B and y_A

    mask:      G gives f = tanh(.) and m = (tanh(.) + 1) / 2;  y = m f + (1 - m) x
               G:  - D(y_A) - D(y_B) + 1 |x_B - f_B| + 1 |x_A - (m x_A + (1 - m) f_A)| + 0.1 focus
               focus = mean over A and B of  (mean m)^2 + mean 1 / (|m - 0.5| + 0.01) - 1 / 0.51

    additive:  G gives one channel;  y = tanh(x + map)
               G:  - D(y_A) + 1 |x_B - y_B|

D never sees y_B in its own loss. Distances are means over pixels, as in the reference code; D(x) is
the mean over patches, its penalty takes the gradient of their sum.

Deviations: D has log2(size) - 2 stride-2 convolutions, which keeps the papers' 4x4 patches at every
size and is their 6 at 256 px. The reference's learning rate decays by 0.1 %, ours not at all; CPU
budgets have a faster D, a slower G and n_critic 5 (decision 0014). The threshold comes from
validation, theirs from test labels.

Components of the score: reconstruction, mean |x - y| / 2, which is the whole of it; feature, mean
|f_D(x) - f_D(y)| with f_D the last hidden layer of D, which neither paper scores by. There is no
encoder, so no latent distance; where features of an image are asked for, they are f_D(x), averaged
over positions.

Of the additive form: |y| < 1, so an empty map still changes x to tanh(x). Pixels near -1 or 1 (a
black border that was not standardised) carry a floor of up to 0.24 in |x - y| that is no disease; x
= 0, the padding, carries none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

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
from medgan.losses import ADVERSARIAL, gradient_penalty, pairwise_accuracy, residual_map
from medgan.networks.translator import PatchDiscriminator, Translator

TRAINING_SET = TrainingSet.MIX
WGAN_GP = ADVERSARIAL["wgan_gp"]
Critic = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Config:
    """Settings of `healthygan`."""

    output: Literal["mask", "additive"] = "additive"
    """What G's head means: Brainomaly's additive map, or HealthyGAN's image and mask, weaker in a
    short training (decision 0014).
    """
    width: int = 64
    residual_blocks: int = 6
    lr: float = 1e-4
    discriminator_lr: float = 1e-4
    """The papers have one rate for both; in a CPU's few steps D has to be the faster (decision
    0014).
    """
    n_critic: int = 2
    identity_weight: float = 1.0
    reconstruction_weight: float = 1.0
    """Of the mask output alone, as is the next."""
    focus_weight: float = 0.1


class Output(Protocol):
    """How G's head becomes a healthy image, and what G minimises."""

    def channels(self, image_channels: int) -> int:
        """Channels of G's head."""
        ...

    def translated(self, images: Tensor, head: Tensor) -> Tensor:
        """The healthy counterpart y of x."""
        ...

    def generator_terms(
        self, mix: Tensor, mix_head: Tensor, normals: Tensor, normals_head: Tensor, critic: Critic
    ) -> LossTerms:
        """The terms of G: x_A and its head, x_B and its head."""
        ...


class MaskedImage:
    """HealthyGAN: the head is a new image and where to use it."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def channels(self, image_channels: int) -> int:
        """An image, and its mask."""
        return image_channels + 1

    def translated(self, images: Tensor, head: Tensor) -> Tensor:
        """Healthy counterpart: y = m f + (1 - m) x."""
        healthy, mask = self.image_and_mask(head)
        return mask * healthy + (1 - mask) * images

    def generator_terms(
        self, mix: Tensor, mix_head: Tensor, normals: Tensor, normals_head: Tensor, critic: Critic
    ) -> LossTerms:
        """- D(y_A) - D(y_B) + |x_B - f_B| + |x_A - (m x_A + (1 - m) f_A)| + 0.1 focus."""
        (mix_healthy, mix_mask), (healthy, mask) = (
            self.image_and_mask(mix_head),
            self.image_and_mask(normals_head),
        )
        rebuilt = mix_mask * mix + (1 - mix_mask) * mix_healthy
        return {
            "wasserstein": WGAN_GP.generator(critic(self.translated(mix, mix_head))),
            "wasserstein_normal": WGAN_GP.generator(critic(self.translated(normals, normals_head))),
            "identity": self.config.identity_weight * (normals - healthy).abs().mean(),
            "reconstruction": self.config.reconstruction_weight * (mix - rebuilt).abs().mean(),
            "focus": self.config.focus_weight * 0.5 * (focus(mix_mask) + focus(mask)),
        }

    @staticmethod
    def image_and_mask(head: Tensor) -> tuple[Tensor, Tensor]:
        """Image f (N, C, H, W) in (-1, 1) and mask m (N, 1, H, W) in (0, 1)."""
        squashed = torch.tanh(head)
        return squashed[:, :-1], (squashed[:, -1:] + 1) / 2


class AdditiveMap:
    """Brainomaly: the head is added to the image."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def channels(self, image_channels: int) -> int:
        """One map for all channels."""
        return 1

    def translated(self, images: Tensor, head: Tensor) -> Tensor:
        """Healthy counterpart: y = tanh(x + map)."""
        return torch.tanh(images + head)

    def generator_terms(
        self, mix: Tensor, mix_head: Tensor, normals: Tensor, normals_head: Tensor, critic: Critic
    ) -> LossTerms:
        """- D(y_A) + |x_B - y_B|."""
        return {
            "wasserstein": WGAN_GP.generator(critic(self.translated(mix, mix_head))),
            "identity": self.config.identity_weight
            * (normals - self.translated(normals, normals_head)).abs().mean(),
        }


OUTPUTS: Mapping[str, Callable[[Config], Output]] = {"mask": MaskedImage, "additive": AdditiveMap}


def focus(mask: Tensor) -> Tensor:
    """(mean m)^2 + mean 1 / (|m - 0.5| + 0.01) - 1 / 0.51: the mask is to be small, and 0 or 1; a
    scalar, 0 where m = 0.
    """
    return mask.mean().square() + (1 / ((mask - 0.5).abs() + 0.01)).mean() - 1 / 0.51


class HealthyGAN(nn.Module):
    """Translator and patch discriminator."""

    COUNTERPART = "healthy translation"

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        self.output = OUTPUTS[config.output](config)
        self.generator = Translator(
            spec.channels, self.output.channels(spec.channels), config.width, config.residual_blocks
        )
        self.discriminator = PatchDiscriminator(config.width, spec.size, spec.channels)

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """One stage: the discriminator, then the generator."""
        slow, fast = (
            OptimizerSpec("adam", lr, (0.5, 0.999))
            for lr in (self.config.lr, self.config.discriminator_lr)
        )
        return {
            "adversarial": (
                Player(
                    "discriminator",
                    [self.discriminator],
                    self.discriminator_loss,
                    fast,
                    updates=self.config.n_critic,
                ),
                Player("generator", [self.generator], self.generator_loss, slow),
            )
        }

    def discriminator_loss(self, batch: Batch) -> LossTerms:
        """D(y_A) - D(x_B) + 10 * penalty."""
        with torch.no_grad():
            translated = self(_mix(batch))
        real_logits, fake_logits = self._critic(batch.images), self._critic(translated)
        return {
            "wasserstein": WGAN_GP.discriminator(real_logits, fake_logits),
            "accuracy": pairwise_accuracy(real_logits, fake_logits),
            "gradient_penalty": WGAN_GP.gradient_penalty
            * gradient_penalty(self.discriminator, batch.images, translated, batch.rng),
        }

    def generator_loss(self, batch: Batch) -> LossTerms:
        """The terms of the chosen output."""
        mix = _mix(batch)
        return self.output.generator_terms(
            mix, self.generator(mix), batch.images, self.generator(batch.images), self._critic
        )

    def forward(self, images: Tensor) -> Tensor:
        """y, the healthy counterpart of each image (N, C, H, W)."""
        return self.output.translated(images, self.generator(images))

    @torch.inference_mode()
    def counterpart(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """y, the healthy counterpart (N, C, H, W)."""
        healthy: Tensor = self(images)
        return healthy

    @torch.inference_mode()
    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        """Score mean |x - y| / 2, map |x - y|."""
        healthy = self(images)
        maps = residual_map(images, healthy)
        of_image, of_healthy = (
            self.discriminator.features(images),
            self.discriminator.features(healthy),
        )
        components = {
            "reconstruction": maps.mean((1, 2, 3)) / 2,
            "feature": (of_image - of_healthy).abs().mean((1, 2, 3)),
        }
        return AnomalyScores.composed(components, self.score_weights(), maps)

    def score_weights(self) -> Mapping[str, float]:
        """The papers' score: the residual alone."""
        return {"reconstruction": 1.0}

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """f_D(x), averaged over positions: (N, channels of D's last hidden layer)."""
        features: Tensor = self.discriminator.features(images).mean((2, 3))
        return features

    def _critic(self, images: Tensor) -> Tensor:
        """The mean over the patches of each image (N,)."""
        logits: Tensor = self.discriminator(images)
        return logits.mean((1, 2, 3))


def _mix(batch: Batch) -> Tensor:
    if batch.unlabelled is None:
        raise ValueError("healthygan trains on batches with an unlabelled mix")
    return batch.unlabelled


def build(config: Config, spec: ImageSpec) -> HealthyGAN:
    """An untrained HealthyGAN."""
    return HealthyGAN(config, spec)
