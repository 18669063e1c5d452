"""Anomaly scores one image at a time, as the code of the papers computes them."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def fanogan(model: Any, images: Tensor) -> Tensor:
    """Compute f-AnoGAN's score of each image, with the networks of a model: (N,)."""
    scores = []
    for image in images.split(1):
        with torch.no_grad():
            fake = model.generator(model.encoder(image))
            features = model.discriminator.features
            residual = F.mse_loss(fake, image) + F.mse_loss(features(fake), features(image))
        scores.append(residual.item())
    return torch.tensor(scores)


def egbad(model: Any, images: Tensor) -> Tensor:
    """Compute EGBAD's score of each image, with the networks of a model: (N,)."""
    scores = []
    for image in images.split(1):
        with torch.no_grad():
            latents = model.encoder(image)
            fake, features = model.generator(latents), model.discriminator.features
            residual = (image - fake).abs().sum()
            distance = (features(image, latents) - features(fake, latents)).abs().sum()
        scores.append((0.9 * residual + 0.1 * distance).item())
    return torch.tensor(scores)


def anogan(model: Any, images: Tensor, start: Tensor, steps: int) -> Tensor:
    """Search the latent of each image from the same start (1, D), and compute its loss: (N,)."""
    scores = []
    for image in images.split(1):
        latent = start.clone().requires_grad_(True)
        optimizer = torch.optim.Adam([latent], lr=0.01)
        for step in range(steps):
            rate = 0.01 if step < 0.4 * steps else 0.001 if step < 0.6 * steps else 0.0005
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad()
            anogan_loss(model, image, latent).backward()
            optimizer.step()
        with torch.no_grad():
            scores.append(anogan_loss(model, image, latent).item())
    return torch.tensor(scores)


def anogan_loss(model: Any, image: Tensor, latent: Tensor) -> Tensor:
    """Compute AnoGAN's loss: residuals of pixels, and of features of the discriminator."""
    fake, features = model.generator(latent), model.discriminator.features
    residual = (fake - image).abs().sum()
    return 0.9 * residual + 0.1 * (features(fake) - features(image)).abs().sum()
