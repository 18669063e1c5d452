"""The processes that share a training: one leads, the others help it.

Gradients are averaged by plain `torch.distributed`, one collective for each update, since the losses
of a GAN need several forwards and `autograd.grad`, which a wrapper around a module does not see.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from medgan.contracts import WHOLE, Share
from medgan.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor
    from torch._C._distributed_c10d import Store

PATIENCE = timedelta(days=7)
"""How long a process waits for the others: helpers wait while the leader prepares images."""
STARTED_WITHIN = timedelta(minutes=5)


class WorkerLost(UserError):
    """Another process of the training has ended."""

    def __init__(self) -> None:
        super().__init__(
            "A worker of the training has ended before it: run the same command again, which "
            "resumes from the last checkpoint, also with another number of workers."
        )


@dataclass(frozen=True)
class Workers:
    """The processes of a training, as one of them sees them; alone, it does nothing."""

    share: Share = WHOLE

    @property
    def leads(self) -> bool:
        """Whether this process writes checkpoints, validates and reports."""
        return self.share.rank == 0

    @contextmanager
    def together(self) -> Iterator[None]:
        """A block in which other processes may be waited for.

        Raises:
            WorkerLost: one of them has ended.
        """
        try:
            yield
        except RuntimeError as error:
            if self.share.count > 1 and _is_of_connection(error):
                raise WorkerLost from error
            raise

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their mean over all workers, bit for bit the same on each."""
        if self.share.count == 1 or not tensors:
            return
        import torch
        import torch.distributed as dist

        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.share.count
        means = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, mean in zip(tensors, means, strict=True):
            tensor.copy_(mean.view(tensor.shape))

    def copy(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by those of the leader."""
        if self.share.count > 1:
            import torch.distributed as dist

            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def told(self, value: Any) -> Any:
        """Return the value of the leader."""
        if self.share.count == 1:
            return value
        import torch.distributed as dist

        values = [value]
        with self.together():
            dist.broadcast_object_list(values, 0)
        return values[0]


def join(share: Share, store: Store | None = None) -> Workers:
    """Meet the other processes of a training.

    Args:
        share: the number of this process, and how many there are.
        store: where they meet; None for the address that `MASTER_ADDR` and `MASTER_PORT` name.
    """
    import torch
    import torch.distributed as dist

    accelerated = torch.cuda.is_available()
    if accelerated:
        torch.cuda.set_device(local_rank())
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if accelerated else "gloo",
        store=store,
        rank=share.rank,
        world_size=share.count,
        timeout=PATIENCE,
    )
    return Workers(share)


def local_rank() -> int:
    """Return the number of this process on its machine, as torchrun or SLURM give it."""
    return int(os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID") or 0)


def _is_of_connection(error: RuntimeError) -> bool:
    import torch.distributed as dist

    return isinstance(error, dist.DistError) or "gloo" in str(error)
