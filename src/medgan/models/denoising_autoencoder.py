"""A denoising autoencoder with coarse noise, a baseline of reconstruction (Kascenas 2022).

A U-Net f is trained on normal images to remove noise, and minimizes mean (x - f(x + n))^2. The
noise n is Gaussian on a coarse grid, interpolated bilinearly to the size of the image and shifted
at random, so that its blobs are as large as lesions. A new image is not disturbed: the score is the
mean of |x - f(x)|, which smoothed is the map.

Deviations: no foreground mask, so the noise covers the whole image; skip connections as in Kascenas
2022, but a smaller U-Net (`width` 16, four resolutions, average pooling); images in [-1, 1], so a
spread of 0.4 is the paper's 0.2; constant learning rate unless `training.decay` says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
from medgan.losses import mse_per_image, residual_map
from medgan.networks.unet import UNet
from medgan.ranges import Coarseness, LearningRate, Weight, Width
from medgan.sharing import own, rows

ON_REQUEST = True
TRAINING_SET = TrainingSet.NORMAL


@dataclass(frozen=True)
class Config:
    """Settings of `denoising_autoencoder`."""

    width: Width = 16
    noise: Weight = 0.4
    """Standard deviation of the noise on its grid."""
    coarseness: Coarseness = 8
    """Pixels between the points of that grid; the paper has 16 x 16 of them at 128 px."""
    lr: LearningRate = 1e-3


class DenoisingAutoencoder(nn.Module):
    """A U-Net, one player."""

    COUNTERPART = "denoised image"

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        self.network = UNet(spec.channels, spec.channels, config.width)

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """Return one stage with one player."""
        adam = OptimizerSpec("adam", self.config.lr, (0.9, 0.999))
        return {"denoising": (Player("autoencoder", [self.network], self.loss, adam),)}

    def loss(self, batch: Batch) -> LossTerms:
        """Compute the mean squared difference of the images from the denoised ones."""
        noise = coarse_noise(batch.images, self.config.coarseness, batch.rng)
        denoised = self.network(batch.images + self.config.noise * noise)
        return {"reconstruction": mse_per_image(batch.images, denoised).mean()}

    @torch.inference_mode()
    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        """Compute the mean absolute residual of the undisturbed image, and the residual map."""
        denoised = self.counterpart(images, rng)
        scores = (images - denoised).abs().mean((1, 2, 3))
        return AnomalyScores(scores, residual_map(images, denoised))

    @torch.inference_mode()
    def counterpart(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Denoise images (N, C, H, W)."""
        return self.network(images).clamp(-1, 1)


def coarse_noise(images: Tensor, coarseness: int, rng: torch.Generator) -> Tensor:
    """Draw noise of the shape of images (N, C, H, W): standard normal every `coarseness` pixels,
    interpolated in between, each image shifted around its borders by its own distance.
    """
    height, width = images.shape[2:]
    grid = (max(height // coarseness, 1), max(width // coarseness, 1))
    count, channels = rows(len(images)), images.shape[1]
    coarse = own(torch.randn(count, channels, *grid, generator=rng))
    noise = F.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)
    shifts = own(torch.randint(0, height, (count, 2), generator=rng)).tolist()
    moved = [one.roll(shift, (1, 2)) for one, shift in zip(noise, shifts, strict=True)]
    return torch.stack(moved).to(images.device)


def build(config: Config, spec: ImageSpec) -> DenoisingAutoencoder:
    """Build an untrained denoising autoencoder."""
    return DenoisingAutoencoder(config, spec)
