"""Batches that several workers share: worker r of n has the rows r, r + n, ... of each.

What couples the images of a batch has to see all of them: batch norm, dropout and random draws, and
losses that are no mean over images. Outside of `shared`, one worker has the whole batch, and every
function here returns what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from medgan.contracts import WHOLE, Share

_SHARE: ContextVar[Share] = ContextVar("share", default=WHOLE)


@contextmanager
def shared(share: Share) -> Iterator[None]:
    """Let this module's functions, batch norm and dropout work on whole batches.

    The gradients of what is computed inside are those of the mean of the workers' losses.
    """
    if share.count == 1:
        yield
        return
    token = _SHARE.set(share)
    try:
        with _WholeBatch():
            yield
    finally:
        _SHARE.reset(token)


def rows(count: int) -> int:
    """Return the rows of the whole batch, of which this worker has `count`."""
    return count * _SHARE.get().count


def own(values: Tensor, dim: int = 0) -> Tensor:
    """Return this worker's rows of values of the whole batch."""
    share = _SHARE.get()
    if share.count == 1:
        return values
    places = torch.arange(share.rank, values.shape[dim], share.count, device=values.device)
    return values.index_select(dim, places)


def whole(values: Tensor) -> Tensor:
    """Return the values (n, ...) of all workers in the order of the batch; differentiable twice."""
    share = _SHARE.get()
    if share.count == 1:
        return values
    others = torch.zeros_like(values)
    placed = [values if rank == share.rank else others for rank in range(share.count)]
    gathered: Tensor = _Sum.apply(torch.stack(placed, 1))
    return gathered.flatten(0, 1)


class _Sum(torch.autograd.Function):
    """The sum over all workers, which is the gradient of itself."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        found: Tensor = _Sum.apply(gradient)
        return found


class _WholeBatch(TorchFunctionMode):
    """Batch norm by the statistics of the whole batch, dropout by its part of the batch's draw."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return _CHANGED.get(func, func)(*args, **(kwargs or {}))


def _batch_norm(
    values: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not training:
        return F.batch_norm(values, running_mean, running_var, weight, bias, False, momentum, eps)
    dims = [0, *range(2, values.ndim)]
    with torch.autocast(values.device.type, enabled=False):
        found = values.to(torch.promote_types(values.dtype, torch.float32))
        parts = torch.stack(torch.var_mean(found, dims, correction=0))
        variances, means = whole(parts[None]).unbind(1)
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        count = rows(values.numel() // values.shape[1])
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(mean.detach(), momentum)
            running_var.lerp_(variance.detach() * (count / (count - 1)), momentum)
        factor = torch.rsqrt(variance + eps) * (1 if weight is None else weight)
        offset = (0 if bias is None else bias) - mean * factor
        shape = (-1, *[1] * (values.ndim - 2))
        return torch.addcmul(offset.view(shape), found, factor.view(shape)).to(values.dtype)


def _dropout(
    values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    if not training or not p:
        return values
    ones = values.new_ones(rows(len(values)), *values.shape[1:])
    if values.ndim == 4 and values.is_contiguous(memory_format=torch.channels_last):
        ones = ones.contiguous(memory_format=torch.channels_last)  # draws are in memory's order
    return values * own(F.dropout(ones, p))


_CHANGED: Mapping[Callable[..., Any], Callable[..., Any]] = {
    F.batch_norm: _batch_norm,
    F.dropout: _dropout,
}
