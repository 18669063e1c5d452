"""HealthyGAN: translates any image to a healthy one; the change of an image is its anomaly map.

Papers: HealthyGAN (Rahman Siddiquee 2022, `output: mask`), Brainomaly (Rahman Siddiquee 2024,
`output: additive`), and Brainomaly with a map of low resolution (`output: coarse`). There are two training sets: A, an unlabelled mix of healthy and diseased
images, and B, healthy images. G maps x to y, D separates y_A from x_B. The score is
mean |x - y| / 2, the map is |x - y|.

    both:      D:  D(y_A) - D(x_B) + 10 (|grad D(x')| - 1)^2,  x' between x_B and y_A

    mask:      G returns f = tanh(.) and m = (tanh(.) + 1) / 2;  y = m f + (1 - m) x
               G:  - D(y_A) - D(y_B) + 1 |x_B - f_B| + 1 |x_A - (m x_A + (1 - m) f_A)| + 0.1 focus
               focus = mean over A and B of  (mean m)^2 + mean 1 / (|m - 0.5| + 0.01) - 1 / 0.51

    additive:  G returns one channel;  y = tanh(x + map)
               G:  - D(y_A) + 1 |x_B - y_B|

    coarse:    y = clamp(x + up(avgpool_k(head)), -1, 1), with the loss of the additive form

D never sees y_B in its own loss. Distances are means over pixels, as in the reference code; D(x) is
the mean over patches, and its penalty takes the gradient of their sum.

Components: `reconstruction`, mean |x - y| / 2, which is the score; `feature`, mean
|f_D(x) - f_D(y)| with f_D the last hidden layer of D, which neither paper uses. There is no encoder
and so no latent distance; `features` are f_D(x) averaged over positions.

Deviations: `coarse` is no paper's. Averaging over cells of k x k pixels (`map_scale`) and bilinear
interpolation leave the map no pixel noise to deceive D with, which is what a short training of the
additive form ends in (decision 0014; compare the coarse masks of Fong and Vedaldi 2017). A coarse
map cannot undo the tanh of single pixels either, so y is clamped: an empty map changes nothing. D
has log2(size) - 2 stride-2 convolutions, which keeps the papers' 4x4 patches at every
size and equals their 6 at 256 px. The learning rate does not decay (theirs by 0.1 %). The CPU
budgets have a faster D (decision 0014). The threshold comes from validation, theirs from test
labels.

In the additive form |y| < 1, so an empty map still changes x to tanh(x): pixels near -1 or 1, such
as a black border, add up to 0.24 to |x - y| without any disease. x = 0, the padding, adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
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
from medgan.networks.blocks import enlarged
from medgan.networks.translator import PatchDiscriminator, Translator
from medgan.ranges import CriticSteps, LearningRate, ResidualBlocks, Weight, Width
from medgan.sharing import whole

NAME = "HealthyGAN"
TRAINING_SET = TrainingSet.MIX
WGAN_GP = ADVERSARIAL["wgan_gp"]
Critic = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Config:
    """Settings of `healthygan`."""

    output: Literal["mask", "additive", "coarse"] = "additive"
    """Meaning of G's head: Brainomaly's additive map, HealthyGAN's image and mask, which is weaker
    after a short training, or an additive map of low resolution (decision 0014)."""
    map_scale: Literal[2, 4, 8, 16] = 4
    """k, the side in pixels of a cell of the map. Of the coarse output only."""
    width: Width = 64
    residual_blocks: ResidualBlocks = 6
    lr: LearningRate = 1e-4
    discriminator_lr: LearningRate = 1e-4
    """Both rates are equal in the papers; in the CPU budgets D has to be faster (decision 0014)."""
    n_critic: CriticSteps = 2
    identity_weight: Weight = 1.0
    reconstruction_weight: Weight = 1.0
    """Of the mask output only."""
    focus_weight: Weight = 0.1
    """Of the mask output only."""

    @property
    def form(self) -> str:
        """Name of the selected output in a title."""
        return OUTPUTS[self.output].FORM


class MaskedImage:
    """HealthyGAN: the head is an image f and a mask m."""

    FORM = "HealthyGAN, mask"

    def __init__(self, config: Config) -> None:
        self.config = config

    def channels(self, image_channels: int) -> int:
        """Return the channels of the image and of the mask."""
        return image_channels + 1

    def translated(self, images: Tensor, head: Tensor) -> Tensor:
        """Compute y = m f + (1 - m) x."""
        healthy, mask = self.image_and_mask(head)
        return mask * healthy + (1 - mask) * images

    def generator_terms(
        self, mix: Tensor, mix_head: Tensor, normals: Tensor, normals_head: Tensor, critic: Critic
    ) -> LossTerms:
        """- D(y_A) - D(y_B) + |x_B - f_B| + |x_A - (m x_A + (1 - m) f_A)| + 0.1 focus."""
        mix_healthy, mix_mask = self.image_and_mask(mix_head)
        healthy, mask = self.image_and_mask(normals_head)
        reconstructed = mix_mask * mix + (1 - mix_mask) * mix_healthy
        residual = (mix - reconstructed).abs().mean()
        return {
            "wasserstein": WGAN_GP.generator(critic(self.translated(mix, mix_head))),
            "wasserstein_normal": WGAN_GP.generator(critic(self.translated(normals, normals_head))),
            "identity": self.config.identity_weight * (normals - healthy).abs().mean(),
            "reconstruction": self.config.reconstruction_weight * residual,
            "focus": self.config.focus_weight * 0.5 * (focus(mix_mask) + focus(mask)),
        }

    @staticmethod
    def image_and_mask(head: Tensor) -> tuple[Tensor, Tensor]:
        """Return the image f (N, C, H, W) in (-1, 1) and the mask m (N, 1, H, W) in (0, 1)."""
        squashed = torch.tanh(head)
        return squashed[:, :-1], (squashed[:, -1:] + 1) / 2


class AdditiveMap:
    """Brainomaly: the head is added to the image."""

    FORM = "Brainomaly"

    def __init__(self, config: Config) -> None:
        self.config = config

    def channels(self, image_channels: int) -> int:
        """Return 1: all channels share the map."""
        return 1

    def translated(self, images: Tensor, head: Tensor) -> Tensor:
        """Compute y = tanh(x + map)."""
        return torch.tanh(images + head)

    def generator_terms(
        self, mix: Tensor, mix_head: Tensor, normals: Tensor, normals_head: Tensor, critic: Critic
    ) -> LossTerms:
        """- D(y_A) + |x_B - y_B|."""
        change = (normals - self.translated(normals, normals_head)).abs().mean()
        return {
            "wasserstein": WGAN_GP.generator(critic(self.translated(mix, mix_head))),
            "identity": self.config.identity_weight * change,
        }


class CoarseMap(AdditiveMap):
    """Brainomaly with a map of low resolution."""

    FORM = "Brainomaly, coarse map"

    def translated(self, images: Tensor, head: Tensor) -> Tensor:
        """Compute y = clamp(x + up(avgpool_k(head)), -1, 1), bilinear between centers of cells."""
        cells = F.avg_pool2d(head, self.config.map_scale)
        return (images + enlarged(cells, images.shape[-1])).clamp(-1, 1)


OUTPUTS: Mapping[str, type[MaskedImage | AdditiveMap]] = {
    "mask": MaskedImage,
    "additive": AdditiveMap,
    "coarse": CoarseMap,
}
"""Meaning of the head of G."""


def focus(mask: Tensor) -> Tensor:
    """Compute (mean m)^2 + mean 1 / (|m - 0.5| + 0.01) - 1 / 0.51, a scalar that is 0 where m = 0.

    It makes the mask small, and its values 0 or 1.
    """
    shown = whole(mask.mean()[None]).mean()  # workers have equally many images
    return shown.square() + (1 / ((mask - 0.5).abs() + 0.01)).mean() - 1 / 0.51


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
        """Return one stage: the discriminator, then the generator."""
        slow = OptimizerSpec("adam", self.config.lr, (0.5, 0.999))
        fast = OptimizerSpec("adam", self.config.discriminator_lr, (0.5, 0.999))
        critic = Player(
            "discriminator",
            [self.discriminator],
            self.discriminator_loss,
            fast,
            self.config.n_critic,
            self._critic,
        )
        generator = Player("generator", [self.generator], self.generator_loss, slow)
        return {"adversarial": (critic, generator)}

    def discriminator_loss(self, batch: Batch) -> LossTerms:
        """Compute D(y_A) - D(x_B) + 10 penalty."""
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
        """Compute the loss of the selected output."""
        mix, normals = _mix(batch), batch.images
        heads = self.generator(mix), self.generator(normals)
        return self.output.generator_terms(mix, heads[0], normals, heads[1], self._critic)

    def forward(self, images: Tensor) -> Tensor:
        """Translate images (N, C, H, W) to healthy images y."""
        return self.output.translated(images, self.generator(images))

    @torch.inference_mode()
    def counterpart(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Translate images (N, C, H, W) to healthy images y."""
        return self(images)

    @torch.inference_mode()
    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        """Compute the score mean |x - y| / 2 and the map |x - y|, smoothed."""
        healthy = self(images)
        difference = self.discriminator.features(images) - self.discriminator.features(healthy)
        components = {
            "reconstruction": (images - healthy).abs().mean((1, 2, 3)) / 2,
            "feature": difference.abs().mean((1, 2, 3)),
        }
        maps = residual_map(images, healthy)
        return AnomalyScores.composed(components, self.score_weights(), maps)

    def score_weights(self) -> Mapping[str, float]:
        """Return the weight of the residual, the only part of the papers' score."""
        return {"reconstruction": 1.0}

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """Compute f_D(x) averaged over positions: (N, D)."""
        return self.discriminator.features(images).mean((2, 3))

    def _critic(self, images: Tensor) -> Tensor:
        """Compute the mean over the patches of each image: (N,)."""
        logits: Tensor = self.discriminator(images)
        return logits.mean((1, 2, 3))


def _mix(batch: Batch) -> Tensor:
    if batch.unlabelled is None:
        raise ValueError("healthygan trains on batches with an unlabelled mix")
    return batch.unlabelled


def build(config: Config, spec: ImageSpec) -> HealthyGAN:
    """Build an untrained HealthyGAN."""
    return HealthyGAN(config, spec)
