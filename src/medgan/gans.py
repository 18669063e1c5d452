"""What the GANs have in common: two players, their losses, and drawing from latents."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from medgan.contracts import AnomalyScores, Batch, LossTerms, OptimizerSpec, Player
from medgan.losses import AdversarialLoss, gradient_penalty, pairwise_accuracy, residual_map
from medgan.networks.dcgan import latents_for, normal_latents


class Adversaries(nn.Module):
    """A generator of latents and a discriminator of images that minimize one adversarial loss."""

    TERM: ClassVar[str] = "adversarial"
    """Name of the loss among the terms."""
    config: Any
    adversarial: AdversarialLoss
    generator: Any
    discriminator: Any

    def players(
        self, optimizer: OptimizerSpec, updates: int = 1, *, per_image: bool = False
    ) -> tuple[Player, Player]:
        """Return the discriminator, which has `updates` in a step, and the generator."""
        return (
            Player(
                *("discriminator", [self.discriminator], self.discriminator_loss, optimizer),
                updates,
                self.critic,
                per_image,
            ),
            Player("generator", [self.generator], self.generator_loss, optimizer),
        )

    def critic(self, images: Tensor) -> Tensor:
        """Compute the logits (N,) of D."""
        return self.discriminator(images)

    def discriminator_loss(self, batch: Batch) -> LossTerms:
        """Compute the loss of D on real and generated images, with its gradient penalty if any."""
        loss = self.adversarial
        with torch.no_grad():
            fake = self.generator(latents_for(batch, self.config.latent_dim))
        real_logits, fake_logits = self.critic(batch.images), self.critic(fake)
        terms = {
            self.TERM: loss.discriminator(real_logits, fake_logits),
            "accuracy": pairwise_accuracy(real_logits, fake_logits),
        }
        if loss.gradient_penalty:
            penalty = gradient_penalty(self.critic, batch.images, fake, batch.rng)
            terms["gradient_penalty"] = loss.gradient_penalty * penalty
        return terms

    def generator_loss(self, batch: Batch) -> LossTerms:
        """Compute the loss of G on generated images."""
        fake = self.generator(latents_for(batch, self.config.latent_dim))
        return {self.TERM: self.adversarial.generator(self.critic(fake))}


class GAN(Adversaries):
    """Adversaries whose generator draws images for others too."""

    @torch.inference_mode()
    def realness(self, images: Tensor) -> Tensor:
        """Compute the logits (N,) of D."""
        return self.critic(images)

    @torch.inference_mode()
    def sample(self, n: int, labels: Tensor | None, rng: torch.Generator) -> Tensor:
        """Generate images (n, C, H, W); `labels` are as in `decode`."""
        device = next(self.parameters()).device
        return self.decode(normal_latents(n, self.config.latent_dim, rng, device), labels)

    @torch.inference_mode()
    def decode(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Compute G(z) of latents (n, latent_dim), images of the training class without labels."""
        return self.generator(latents)


class EncodingGAN(GAN):
    """A detector that compares an image x with its reconstruction G(E(x))."""

    COUNTERPART = "reconstruction"
    encoder: Any

    @torch.inference_mode()
    def counterpart(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Compute the reconstruction G(E(x)): (N, C, H, W)."""
        return self.generator(self.encoder(images))

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """Compute the latents E(x): (N, latent_dim)."""
        return self.encoder(images)

    @torch.inference_mode()
    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        """Compute the weighted distances of pixels, features and latents, and |x - G(E(x))|."""
        encoded = self.encoder(images)
        reconstructed = self.generator(encoded)
        components = {
            "reconstruction": self.distance(images, reconstructed),
            "feature": self.feature_distance(images, reconstructed, encoded),
            "latent": self.distance(encoded, self.encoder(reconstructed)),
        }
        maps = residual_map(images, reconstructed)
        return AnomalyScores.composed(components, self.score_weights(), maps)

    @staticmethod
    @abstractmethod
    def distance(a: Tensor, b: Tensor) -> Tensor:
        """Compute the distance of two images or latents: (N,)."""

    @abstractmethod
    def feature_distance(self, images: Tensor, reconstructed: Tensor, encoded: Tensor) -> Tensor:
        """Compute the distance of x and G(E(x)) in a layer of D: (N,)."""

    @abstractmethod
    def score_weights(self) -> Mapping[str, float]:
        """Return the weight of each component of the score."""
