"""A training on one process and on several, in turns: time, and processor time of all of them.

Run `OMP_NUM_THREADS=1 PYTHONPATH=src python benchmarks/workers.py --models sngan dcgan --workers 2`.
Every process has one thread, so that n processes have n cores. A round trains on one process, then
on several, then on one again, which is the control. `speed` is the ratio of the times of a step,
`work` that of the processor times, which other programs on the machine change less: n / work is the
speed on n cores that do nothing else, without the waiting for each other.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from medgan import models
from medgan.contracts import ImageSpec
from medgan.images.loading import BatchStream, TensorImages
from medgan.training import job as jobs
from medgan.training.checkpoints import CheckpointFolder
from medgan.training.job import TrainingJob
from medgan.training.settings import ComputeConfig, TrainingConfig


def planned(name: str, steps: int, given: argparse.Namespace) -> TrainingJob:
    """Train the first stage of a model on noise."""
    module = models.load(name)
    known = {field.name for field in fields(module.Config)}
    config = module.Config(**({"width": given.width} if "width" in known else {}))
    spec = ImageSpec(given.size, 1, ("normal", "abnormal"))
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.uniform(-1, 1, (256, *spec.shape)).astype(np.float32))
    rows, mix = np.arange(192), np.arange(192, 256)
    batches = BatchStream(TensorImages(images), rows, 0, rng.integers(0, 2, 192), mix)
    first = next(iter(module.build(config, spec).stages()))
    budget = dict.fromkeys(module.build(config, spec).stages(), 0) | {first: steps}
    training = TrainingConfig(budget, given.batch, report_every=steps, checkpoint_every=10**6)
    return TrainingJob(name, name, config, spec, batches, training, 0, "")


def costs(name: str, workers: int, given: argparse.Namespace) -> tuple[float, float]:
    """Return seconds and processor seconds of all processes for one step.

    They are those of the steps that a longer training has more: neither has the start.
    """
    found = []
    for steps in (given.steps, 3 * given.steps):
        job = planned(name, steps, given)
        wall, spent = time.perf_counter(), _cpu()
        with tempfile.TemporaryDirectory() as folder:
            compute = ComputeConfig(workers=workers)
            list(jobs.train(job, CheckpointFolder(Path(folder)), compute))
        found.append((time.perf_counter() - wall, _cpu() - spent))
    short, long = found
    return (long[0] - short[0]) / (2 * given.steps), (long[1] - short[1]) / (2 * given.steps)


def _cpu() -> float:
    """Processor seconds of this process and of helpers that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["sngan", "dcgan", "autoencoder"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, dict[str, list[float]]] = {}
    for name in given.models:
        costs(name, 1, given)  # what a process does once
        rows = found[name] = {"speed": [], "control": [], "work": [], "work control": []}
        for _ in range(given.rounds):
            one, several, again = (costs(name, count, given) for count in (1, given.workers, 1))
            rows["speed"].append(one[0] / several[0])
            rows["control"].append(one[0] / again[0])
            rows["work"].append(several[1] / one[1])
            rows["work control"].append(again[1] / one[1])
        for what, values in rows.items():
            line = f"{statistics.median(values):.2f}  ({min(values):.2f} to {max(values):.2f})"
            print(f"{name:14} {what:13} {line}", flush=True)
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
