"""A step of f-AnoGAN's WGAN-GP: the critic five times, then the generator."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.paired import Case, Within, relative_difference
from benchmarks.plain import wgan_gp
from benchmarks.plain.loading import endless
from benchmarks.plain.residual import Critic, Generator
from benchmarks.rows.steps import Loop, images, operations, steps
from benchmarks.scale import Scale
from medgan.contracts import ImageSpec
from medgan.models import fanogan
from medgan.networks.blocks import channel_widths
from medgan.networks.resnet import layer_norm

CRITIC_STEPS = 5


def against_plain(scale: Scale) -> Case:
    """A loop as in tutorials, with networks that convolve before they pool."""
    size, width, batch = scale.of((64, 32, 16), (32, 8, 4))
    data = images(size, 1)
    config = fanogan.Config(wgan_gp.LATENTS, width, n_critic=CRITIC_STEPS)
    model = fanogan.build(config, ImageSpec(size, 1))
    widths = [width, *channel_widths(size, width)]
    generator = Generator(wgan_gp.LATENTS, [*channel_widths(size, width)[::-1], width], channels=1)
    critic = Critic(widths, 1, layer_norm)
    mine = steps(model, data, Loop(batch))

    def results() -> tuple[Any, Any]:
        """The logits of generated images, with equal weights."""
        copy_weights(model.generator, generator)
        copy_weights(model.discriminator, critic)
        latents = torch.randn(batch, wgan_gp.LATENTS, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            parts = ((model.generator.train(), model.discriminator), (generator, critic))
            found = [of(draw(latents)) for draw, of in parts]
        return found[0], found[1]

    return Case(
        f"A WGAN-GP step at {size} px, width {width}, batch {batch}, {CRITIC_STEPS} D + 1 G",
        "a plain loop",
        2.5,
        mine,
        wgan_gp.steps(generator, critic, endless(data, batch), CRITIC_STEPS),
        Within(1e-3, relative_difference, "relative difference of D(G(z))", results),
        operations=operations(mine),
    )


def copy_weights(source: torch.nn.Module, target: torch.nn.Module) -> None:
    """Copy the parameters of a network to one of the same layers in the same order."""
    with torch.no_grad():
        for ours, theirs in zip(source.parameters(), target.parameters(), strict=True):
            theirs.copy_(ours)


CASES = (against_plain,)
