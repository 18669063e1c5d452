"""Training on an accelerator: our loop against a plain one with the same networks and losses.

    make bench-gpu                   # the published sizes, on the accelerator
    make bench-gpu ARGS=--compile    # with torch.compile too, after minutes of warm-up
    make bench-gpu ARGS=--toy        # tiny networks, to see that it runs on a CPU

Needs torch, numpy and safetensors; neither Kedro nor MLflow. The images are on the device, as uint8
in a store of 128 px and less would be. Sides take turns as in `benchmarks.paired`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.machine import roof, wait
from benchmarks.paired import ROUNDS, Case, Comparison, NotCompared, compare
from benchmarks.plain import players
from benchmarks.rows.steps import ADVERSARIAL, Loop, images, operations, steps
from medgan import models
from medgan.contracts import ImageSpec, TrainingSet
from medgan.training.runtime import Runtime

COLUMNS = (
    *("training", "loop", "images/s", "times as fast as plain", "control"),
    *("TFLOP/s", "share of the roof"),
)
NOISE = NotCompared("noise is drawn in another order")


@dataclass(frozen=True)
class Training:
    """A model at its published size."""

    model: str
    size: int
    batch: int
    toy_size: int = 32
    toy_batch: int = 4


TRAININGS = (
    Training("sngan", 128, 64),
    Training("healthygan", 256, 16),
    Training("fanogan", 64, 64),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for the plain loop and each form of ours."""
    given = _arguments(arguments)
    device = Runtime.detect().device
    roofs = {
        precision: roof(dtype, device.type, 256 if given.toy else 8192)
        for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
    }
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    found = ", ".join(f"{value:.3g} TFLOP/s in {precision}" for precision, value in roofs.items())
    print(f"{name}, torch {torch.__version__}; matrix products: {found}\n")
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for training in TRAININGS:
        for precision, compiled in _forms(given.compile):
            _measure(training, precision, compiled, given.toy, roofs[precision])


def _forms(compiled: bool) -> list[tuple[str, bool]]:
    return [("fp32", False), ("bf16", False), *([("bf16", True)] if compiled else [])]


def _measure(training: Training, precision: str, compiled: bool, toy: bool, peak: float) -> None:
    device = Runtime.detect().device
    size, batch = (
        (training.toy_size, training.toy_batch) if toy else (training.size, training.batch)
    )
    data = images(size, 1).to(device)
    plain = players.steps(
        _model(training, size, toy).to(device), ADVERSARIAL, _batches(data, batch)
    )
    model = _model(training, size, toy)
    mixed = models.load(training.model).TRAINING_SET is TrainingSet.MIX
    ours = steps(model, data, Loop(batch, precision, compiled, mixed))
    done = operations(plain)
    case = Case("", "", 3.0, _synchronized(ours, device), _synchronized(plain, device), NOISE)
    found = compare(case, 1 if toy else ROUNDS)
    seen = batch * sum(player.updates for player in model.stages()[ADVERSARIAL])
    name = f"{training.model}, {size} px, batch {batch}"
    form = f"ours, {precision}, channels_last{', compiled' if compiled else ''}"
    print(_line(name, form, found, seen, done, peak), flush=True)


def _line(name: str, form: str, found: Comparison, seen: int, done: int, peak: float) -> str:
    reached = done / found.seconds.median / 1e12
    cells = (
        name,
        form,
        f"{seen / found.seconds.median:,.0f} (plain {seen / found.other_seconds.median:,.0f})",
        f"{found.ratio.median:.2f} ({found.ratio.low:.2f} to {found.ratio.high:.2f})",
        f"{found.control.low:.2f} to {found.control.high:.2f}",
        f"{reached:.3g}",
        f"{reached / peak:.0%}",
    )
    return f"| {' | '.join(cells)} |"


def _model(training: Training, size: int, toy: bool) -> Any:
    module = models.load(training.model)
    config = module.Config(width=4) if toy else module.Config()
    return module.build(config, ImageSpec(size, 1))


def _batches(data: Tensor, batch: int) -> Iterator[Tensor]:
    while True:
        order = torch.randperm(len(data), device=data.device)
        yield from (data[rows] for rows in order.split(batch) if len(rows) == batch)


def _synchronized(run: Callable[[], Any], device: torch.device) -> Callable[[], None]:
    def synchronized() -> None:
        run()
        wait(device)

    return synchronized


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--compile", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
