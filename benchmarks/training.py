"""Training speed: the loop against a hand-written one, and bf16 against fp32, in the same run.

    python benchmarks/training.py                             # every model, 32 px, 2 threads
    python benchmarks/training.py --size 128 --models sngan   # the papers' widths with --width 64

Each value is the best of three blocks of steps, run in turns, so that a busy moment of the machine
does not decide a ratio. It needs torch, numpy and safetensors only, and uses the accelerator if
there is one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from medgan import models
from medgan.contracts import ImageSpec
from medgan.images.loading import BatchStream, TensorImages
from medgan.training.loop import train
from medgan.training.runtime import Runtime, seeded
from medgan.training.settings import TrainingConfig

CLASSES = ("normal", "bacterial", "viral")
BLOCKS = 3
RULE = "\n|---|---|---|---|"


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    device = Runtime.detect().device
    on_gpu = device.type == "cuda"
    where = torch.cuda.get_device_name() if on_gpu else f"CPU, {arguments.threads} threads"
    print(
        f"{arguments.size} px, width {arguments.width}, batch {arguments.batch}, {where}, "
        f"torch {torch.__version__}\n"
    )
    print("| model, stage | fp32 images/s | bf16 images/s | bf16 : fp32 |" + RULE)
    for name in arguments.models:
        for stage in _model(name, arguments).stages():
            runs = {
                precision: _loop(name, stage, Runtime(device, precision), arguments)
                for precision in ("fp32", "bf16")
            }
            best = _in_turns(runs, device)
            print(_row(f"{name}, {stage}", best["fp32"], best["bf16"], arguments), flush=True)
    print("\n| dcgan, both players | plain images/s | the loop's images/s | loop : plain |" + RULE)
    runs = {
        "plain": _plain(arguments, device),
        "loop": _loop("dcgan", "adversarial", Runtime(device), arguments),
    }
    best = _in_turns(runs, device)
    print(_row("DataLoader and a hand-written loop", best["plain"], best["loop"], arguments))


def _row(what: str, reference: float, other: float, arguments: argparse.Namespace) -> str:
    images = arguments.steps * arguments.batch
    return f"| {what} | {images / reference:.0f} | {images / other:.0f} | {reference / other:.2f} |"


def _in_turns(runs: dict[str, Callable[[], Any]], device: torch.device) -> dict[str, float]:
    """Measure the seconds of the fastest block of each run, after one round of warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(BLOCKS + 1):
        for name, run in runs.items():
            _wait(device)
            started = time.perf_counter()
            run()
            _wait(device)
            seconds[name].append(time.perf_counter() - started)
    return {name: min(taken[1:]) for name, taken in seconds.items()}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _model(name: str, arguments: argparse.Namespace) -> Any:
    module = models.load(name)
    known = {field.name for field in fields(module.Config)}
    with seeded(0, name):
        config = module.Config(**({"width": arguments.width} if "width" in known else {}))
        return module.build(config, ImageSpec(arguments.size, 1, CLASSES))


def _images(arguments: argparse.Namespace) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.rand(1024, 1, arguments.size, arguments.size, generator=rng) * 2 - 1


def _loop(
    name: str, stage: str, runtime: Runtime, arguments: argparse.Namespace
) -> Callable[[], Any]:
    model, images = _model(name, arguments), _images(arguments)
    labels = torch.arange(512).remainder(3).numpy()
    rows = torch.arange(1024).numpy()
    batches = BatchStream(TensorImages(images), rows[:512], 0, labels, rows[512:])
    steps = {other: arguments.steps if other == stage else 0 for other in model.stages()}
    config = TrainingConfig(steps, batch_size=arguments.batch, checkpoint_every=10**9)
    return lambda: list(train(model, batches, config, None, runtime))


def _plain(arguments: argparse.Namespace, device: torch.device) -> Callable[[], Any]:
    """Train a DCGAN as in tutorials: a DataLoader, two optimizers, one batch of fakes for both."""
    model = _model("dcgan", arguments).to(device)
    loader = DataLoader(
        TensorDataset(_images(arguments)), batch_size=arguments.batch, shuffle=True, drop_last=True
    )
    of_d, of_g = (
        torch.optim.Adam(part.parameters(), 2e-4, (0.5, 0.999))
        for part in (model.discriminator, model.generator)
    )
    cross_entropy = F.binary_cross_entropy_with_logits

    def run() -> None:
        done = 0
        while done < arguments.steps:
            for (images,) in loader:
                real = images.to(device)
                ones = torch.ones(len(real), device=device)
                zeros = torch.zeros(len(real), device=device)
                latents = torch.randn(len(real), model.config.latent_dim, device=device)
                fake = model.generator(latents)
                of_d.zero_grad()
                on_real = cross_entropy(model.discriminator(real), ones)
                on_fake = cross_entropy(model.discriminator(fake.detach()), zeros)
                (on_real + on_fake).backward()
                of_d.step()
                of_g.zero_grad()
                cross_entropy(model.discriminator(fake), ones).backward()
                of_g.step()
                done += 1
                if done == arguments.steps:
                    return

    return run


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    trained = [name for name in models.names() if name != "nearest_neighbour"]
    parser.add_argument("--models", nargs="+", default=trained, choices=trained)
    parser.add_argument("--size", type=int, default=32, help="side of the images in pixels")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10, help="steps of a block")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
