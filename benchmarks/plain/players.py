"""The players of any of our GANs in a hand-written loop: fp32, no averaged weights, no checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from medgan.contracts import Batch


def steps(model: Any, stage: str, batches: Iterator[Tensor]) -> Callable[[], None]:
    """Return a function that makes one step of a stage; the images are on the model's device."""
    players = model.stages()[stage]
    adams = [
        torch.optim.Adam(player.parameters(), player.optimizer.lr, player.optimizer.betas)
        for player in players
    ]
    noise = torch.Generator().manual_seed(0)
    model.train()

    def step() -> None:
        for player, optimizer in zip(players, adams, strict=True):
            for _ in range(player.updates):
                optimizer.zero_grad()
                images = next(batches)
                losses = player.loss(Batch(images, noise, unlabelled=images.flip(0)))
                sum(term for term in losses.values() if term.requires_grad).backward()
                optimizer.step()

    return step
