"""A step of SNGAN's residual networks: D several times, then G."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import torch

from benchmarks.paired import Case, NotCompared
from benchmarks.plain.loading import endless
from benchmarks.plain.residual import Critic, Generator
from benchmarks.plain.sngan import LATENTS, spectrally_normalized
from benchmarks.plain.sngan import steps as plain_steps
from benchmarks.rows.steps import Loop, images, operations, steps
from benchmarks.scale import Scale
from medgan.contracts import ImageSpec
from medgan.models import sngan
from medgan.networks.blocks import channel_widths

CHANNELS = 3
"""mimicry has color images only."""
FACTOR = 16
"""Channels of mimicry's widest map as a multiple of the narrowest, `width`."""
FP32, BF16 = ("fp32", 2.0), ("bf16", 3.0)
DIFFERENT = NotCompared("weights and noise are drawn in another order")


def mimicry_64(scale: Scale) -> Case:
    """torch-mimicry at 64 px, fp32 on both sides."""
    return _against_mimicry(scale, 64, 5, *FP32)


def mimicry_64_bf16(scale: Scale) -> Case:
    """torch-mimicry at 64 px in fp32, ours in bf16."""
    return _against_mimicry(scale, 64, 5, *BF16)


def mimicry_128(scale: Scale) -> Case:
    """torch-mimicry at 128 px, fp32 on both sides."""
    return _against_mimicry(scale, 128, 2, *FP32)


def mimicry_128_bf16(scale: Scale) -> Case:
    """torch-mimicry at 128 px in fp32, ours in bf16."""
    return _against_mimicry(scale, 128, 2, *BF16)


def plain_64(scale: Scale) -> Case:
    """A loop as in tutorials, with networks that convolve before they pool."""
    size, (width, batch) = 64, _sizes(scale)
    data, widths = images(size, CHANNELS), channel_widths(size, width)
    generator = Generator(LATENTS, [*widths[::-1], width], CHANNELS)
    discriminator = spectrally_normalized(Critic([width, *widths], CHANNELS, torch.nn.Identity))
    other = plain_steps(generator, discriminator, endless(data, batch), 5)
    return _case(scale, size, 5, "a plain loop", other, *FP32)


def _against_mimicry(scale: Scale, size: int, n_critic: int, precision: str, goal: float) -> Case:
    other = _mimicry(scale, size, n_critic)
    return _case(scale, size, n_critic, "torch-mimicry, fp32", other, precision, goal)


def _case(
    scale: Scale,
    size: int,
    n_critic: int,
    against: str,
    other: Callable[[], Any],
    precision: str,
    goal: float,
) -> Case:
    width, batch = _sizes(scale)
    config = sngan.Config(LATENTS, width, n_critic=n_critic)
    model = sngan.build(config, ImageSpec(size, CHANNELS))
    mine = steps(model, images(size, CHANNELS), Loop(batch, precision))
    return Case(
        f"An SNGAN step at {size} px, width {width}, batch {batch}, {n_critic} D + 1 G, {precision}",
        against,
        goal,
        mine,
        other,
        DIFFERENT,
        operations=operations(mine),
        precision=precision,
    )


def _sizes(scale: Scale) -> tuple[int, int]:
    """Width and batch."""
    return scale.of((16, 16), (4, 4))


def _mimicry(scale: Scale, size: int, n_critic: int) -> Callable[[], Any]:
    """Return a step of mimicry by its own `train_step`."""
    networks = _mimicry_networks(size)
    width, batch = _sizes(scale)
    generator = getattr(networks, f"SNGANGenerator{size}")(LATENTS, FACTOR * width)
    discriminator = getattr(networks, f"SNGANDiscriminator{size}")(FACTOR * width)
    of_g, of_d = (
        torch.optim.Adam(network.parameters(), 2e-4, (0.0, 0.9))
        for network in (generator, discriminator)
    )
    batches = endless(images(size, CHANNELS), batch)
    log = _Log()

    def step() -> None:
        for number in range(n_critic):
            real = next(batches), None
            discriminator.train_step(real, generator, of_d, log, torch.device("cpu"))
            if number == n_critic - 1:
                generator.train_step(real, discriminator, of_g, log, torch.device("cpu"))

    return step


class _Log:
    """What mimicry logs to."""

    def add_metric(self, name: str, value: Any, group: str) -> None:
        """Keep nothing."""


def _mimicry_networks(size: int) -> ModuleType:
    """Import the networks alone: the package imports TensorFlow for its metrics."""
    name = "torch_mimicry"
    if name not in sys.modules:
        folders = [f"{place}/{name}" for place in sys.path]
        package = ModuleType(name)
        package.__path__ = folders
        sys.modules[name] = package
    return import_module(f"{name}.nets.sngan.sngan_{size}")


CASES = (mimicry_64, mimicry_64_bf16, mimicry_128, mimicry_128_bf16, plain_64)
