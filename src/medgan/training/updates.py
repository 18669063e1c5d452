"""One update of one player: its losses, their gradient, and one step of its optimizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from medgan.contracts import Batch, LossTerms, Player
from medgan.errors import UserError
from medgan.sharing import shared
from medgan.training.runtime import Runtime


def update(
    player: Player,
    optimizer: Optimizer,
    batches: Sequence[Batch],
    players: Sequence[Player],
    runtime: Runtime,
) -> LossTerms:
    """Make one optimizer step of one player, with its gradient averaged over the batches.

    Returns:
        The detached terms of the loss, averaged over the batches.

    Raises:
        UserError: if the loss or its gradient is infinite or NaN, or the memory of the accelerator
            is full; no parameter has changed then.
    """
    optimizer.zero_grad(set_to_none=True)
    workers = runtime.workers
    with _frozen_except(player, players), _memory_errors(batches), workers.together():
        with shared(workers.share):
            parts = [_backward(player, batch, runtime, len(batches)) for batch in batches]
        gradients = [p.grad for p in player.parameters() if p.grad is not None]
        workers.average(gradients)
    if not torch.isfinite(get_total_norm(gradients)):
        raise _not_a_number(player, "gradient", parts[-1])
    optimizer.step()
    if len(parts) == 1:
        return parts[0]
    return {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}


def _backward(player: Player, batch: Batch, runtime: Runtime, count: int) -> dict[str, Tensor]:
    # Dropout draws from the global generator, which must not depend on earlier steps.
    runtime.seed(batch.rng.initial_seed())
    with runtime.autocast():
        terms = player.loss(batch)
    loss = torch.stack([term for term in terms.values() if term.requires_grad]).sum()
    values = torch.stack([loss.detach(), *(value.detach().to(loss) for value in terms.values())])
    runtime.workers.average([values])  # so that all of them stop here or none
    detached = dict(zip(terms, values[1:], strict=True))
    if not torch.isfinite(values[0]):
        raise _not_a_number(player, "loss", detached)
    (loss / count).backward()  # type: ignore[no-untyped-call]
    return detached


def _not_a_number(player: Player, what: str, terms: LossTerms) -> UserError:
    values = ", ".join(f"{name} = {value.item():g}" for name, value in terms.items())
    return UserError(
        f"Training stopped: the {what} of the {player.name} is not a number ({values}); the last "
        "good checkpoint is kept, lower the learning rate or use precision fp32."
    )


@contextmanager
def _memory_errors(batches: Sequence[Batch]) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        size = len(batches[0].images)
        raise UserError(
            f"Training stopped: the accelerator has no memory for batches of {size} images; set "
            f"`training.batch_size` to {max(1, size // 2)} and `training.accumulate` to "
            f"{2 * len(batches)}. The last checkpoint is kept."
        ) from error


@contextmanager
def _frozen_except(player: Player, players: Sequence[Player]) -> Iterator[None]:
    others = [p for other in players if other is not player for p in other.parameters()]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)
