"""What the `gpu` budget of each model costs on 1, 8 and 64 GPUs: a model, not a measurement.

Run `PYTHONPATH=src python benchmarks/cost.py --images 112120 --epochs 50`; without `--images` the
steps are those of the budget. Floating-point operations and bytes are counted for
one step on fake tensors; speed, price, bandwidth and latency are assumptions, which options change.

    step = FLOPs / (GPUs * sustained) + updates * (2 (n - 1) / n * gradient bytes / bandwidth)
           + (updates * 2 + norms * 2) * latency * log2(n)

`updates * 2`: the terms of the loss and the gradients; `norms * 2`: statistics and their gradients.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch._subclasses import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from medgan import models
from medgan.contracts import Batch, ImageSpec, Player
from medgan.project.environment import Environment

MODELS = ("sngan", "acgan", "dcgan", "fanogan", "bigan", "healthygan", "autoencoder")


class Norms(TorchFunctionMode):
    """Count batch norms in training mode."""

    count = 0

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        given = kwargs or {}
        self.count += func is F.batch_norm and bool(
            given.get("training", len(args) > 5 and args[5])
        )
        return func(*args, **given)


class Operations(TorchDispatchMode):
    """Count floating-point operations; `FlopCounterMode` does not bear `autograd.grad`."""

    count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        given = kwargs or {}
        found = func(*args, **given)
        if func._overloadpacket in flop_registry:
            self.count += flop_registry[func._overloadpacket](*args, **given, out_val=found)
        return found


@dataclass
class Step:
    """Of a stage: steps, and of each of them FLOPs, bytes of gradients, updates and batch norms."""

    steps: int
    flops: float = 0.0
    sent: float = 0.0
    updates: int = 0
    norms: int = 0

    def add(self, player: Player, batch: Batch) -> None:
        counter, norms = Operations(), Norms()
        with counter, norms:
            terms = player.loss(batch)
            torch.stack([term for term in terms.values() if term.requires_grad]).sum().backward()
        parameters = sum(one.numel() for one in player.parameters())
        self.flops += player.updates * counter.count
        self.sent += player.updates * 4 * parameters
        self.updates += player.updates
        self.norms += player.updates * norms.count

    def seconds(self, gpus: int, given: argparse.Namespace) -> tuple[float, float]:
        """Computing and waiting for the network in the whole stage."""
        bandwidth = given.node if gpus <= 8 else given.network
        waiting = 0.0
        if gpus > 1:
            calls = 2 * (self.updates + self.norms) * given.latency * 1e-6 * math.log2(gpus)
            waiting = 2 * (gpus - 1) / gpus * self.sent / (bandwidth * 1e9) + calls
        return self.steps * self.flops / (gpus * given.sustained * 1e12), self.steps * waiting


def counted(name: str, settings: Any, given: argparse.Namespace) -> list[Step]:
    spec, training = ImageSpec(given.size, 1, ("normal", "abnormal")), settings.training
    given_steps = math.ceil(given.images * given.epochs / training.batch_size)
    model = models.load(name).build(settings.model, spec)
    images = torch.zeros(training.batch_size, *spec.shape)
    labels = torch.zeros(training.batch_size, dtype=torch.int64)
    found = []
    for stage, players in model.stages().items():
        found.append(Step(given_steps or training.steps[stage]))
        model.eval().requires_grad_(False)
        for player in players:
            for module in player.modules:
                module.train()
        for player in players:
            for module in player.modules:
                module.requires_grad_(True)
            found[-1].add(player, Batch(images, torch.Generator(), labels, images))
            for module in player.modules:
                module.requires_grad_(False)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=128, help="side of the images in pixels")
    parser.add_argument("--images", type=int, default=0, help="0: the steps of the budget")
    parser.add_argument("--epochs", type=int, default=50, help="of these images, in each stage")
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--sustained", type=float, default=50.0, help="TFLOP/s of a GPU, bf16")
    parser.add_argument("--price", type=float, default=2.0, help="of a GPU for an hour")
    parser.add_argument("--node", type=float, default=200.0, help="GB/s between GPUs of a node")
    parser.add_argument("--network", type=float, default=10.0, help="GB/s between nodes")
    parser.add_argument("--latency", type=float, default=15.0, help="microseconds of a hop")
    given = parser.parse_args()
    settings = Environment(Path("conf"), None, {"scale": "gpu"}).parameters()
    print(
        "| model | GFLOP a step | MB sent a step | batch norms | GPUs | hours | of it network | price |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in given.models:
        with FakeTensorMode():
            stages = counted(name, settings[name], given)
        for gpus in given.gpus:
            times = [one.seconds(gpus, given) for one in stages]
            work, wait = (sum(column) / 3600 for column in zip(*times, strict=True))
            hours = work + wait
            first = stages[0]
            head = (
                f"| {name} | {first.flops / 1e9:.0f} | {first.sent / 1e6:.0f} | {first.norms} "
                if gpus == 1
                else "| | | | "
            )
            print(
                f"{head}| {gpus} | {hours:.2f} | {100 * wait / hours:.0f} % | {hours * gpus * given.price:.1f} |"
            )


if __name__ == "__main__":
    main()
