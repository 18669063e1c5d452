"""Two workers that share batches: what each of their processes runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from medgan import models
from medgan.contracts import ImageSpec, Player, Share
from medgan.images.loading import BatchStream, TensorImages
from medgan.training.loop import train
from medgan.training.runtime import Runtime
from medgan.training.settings import DiscriminatorConfig, TrainingConfig
from medgan.training.stages import Stage, stages_of
from medgan.training.updates import update
from medgan.training.workers import Workers, join
from tests.conftest import ROOT
from tests.models.tiny import tiny

SPEC = ImageSpec(32, 1, ("normal", "bacterial", "viral"))
SIZE = 32
PRECISION = torch.float64
"""In single precision, rounding decides on which side of a kink a value near it is."""
HELD_BACK = DiscriminatorConfig(
    ("rotation", "brightness", "horizontal_flip"), 0.5, 0.6, r1=1.0, r1_every=1, top_k=0.5
)
CASES: dict[str, tuple[str, dict[str, Any], DiscriminatorConfig | None]] = {
    "acgan d2d_ce": ("acgan", {"class_loss": "d2d_ce"}, None),
    "acgan batch_norm": ("acgan", {"conditioning": "batch_norm"}, None),
    "bigan EGBAD": ("bigan", {"cycle": False}, None),
    "classifier mixup": ("classifier", {"mixup": 0.5, "class_weights": (0.5, 1.0, 3.0)}, None),
    "dcgan encoder": ("dcgan", {"encoder": True}, None),
    "dcgan held back": ("dcgan", {}, HELD_BACK),
    "dcgan wgan_gp": ("dcgan", {"adversarial_loss": "wgan_gp"}, None),
    "healthygan mask": ("healthygan", {"output": "mask"}, None),
    "sngan medgan": ("sngan", {"variant": "medgan"}, None),
}
QUICK = ("acgan", "dcgan", "fpi", "healthygan mask")
"""Dropout, batch norm, partners in the batch, and a loss that is no mean over images."""


def every_case() -> list[str]:
    """Every model that is trained, as it is and as CASES changes it; it takes seconds."""
    trained = [name for name in models.names() if tiny(name, SPEC).stages()]
    return [*trained, "classifier", *CASES]


def batches(augment: Sequence[str] = ("rotation", "horizontal_flip")) -> BatchStream:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.uniform(-1, 1, (150, 1, 32, 32))).to(torch.get_default_dtype())
    rows, mix = np.arange(100), np.arange(100, 150)
    return BatchStream(TensorImages(images), rows, 3, rng.integers(0, 3, 100), mix, augment)


def gradients(case: str, workers: Workers) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """What an update of each player leaves: gradients, terms, and the state of the model."""
    name, changes, discriminator = CASES.get(case, (case, {}, None))
    torch.set_default_dtype(PRECISION)
    model = tiny(name, SPEC, **changes)
    steps = dict.fromkeys(model.stages(), 10)
    config = TrainingConfig(steps, SIZE, discriminator=discriminator)
    runtime = Runtime(torch.device("cpu"), workers=workers)
    runtime.place(model)
    for stage in stages_of(model, batches(), config):
        model.eval()
        for player in stage.players:
            nn.ModuleList(player.modules).train()
        for player in stage.players:
            terms = _terms(stage, player, runtime)
            found = {f"gradient {n}": p.grad for n, p in enumerate(player.parameters())}
            state = {f"state {n}": value.clone() for n, value in model.state_dict().items()}
            yield f"{stage.name}/{player.name}", {**_known(found), **state, **terms}


def _terms(stage: Stage, player: Player, runtime: Runtime) -> dict[str, Tensor]:
    still = torch.optim.SGD(player.parameters(), 0.0)
    batch = stage.batch(player, batches(), 1, SIZE, runtime.workers.share)
    terms = update(player, still, [batch], stage.players, runtime)
    return {f"term {name}": value for name, value in terms.items()}


def _known(found: dict[str, Tensor | None]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in found.items() if value is not None}


def start(command: str, folder: Path, count: int = 2) -> list[subprocess.Popen[bytes]]:
    """Run `python -m tests.training.sharing COMMAND` in processes that meet in a folder."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.training.sharing",
                command,
                folder,
                f"{rank}",
                f"{count}",
            ],
            cwd=ROOT,
            env=environment,
        )
        for rank in range(count)
    ]


def main(command: str, folder: Path, rank: int, count: int) -> None:
    store = torch.distributed.FileStore(str(folder / "store"), count)
    workers = join(Share(rank, count), store)
    if command in ("quick", "all"):
        found = {
            f"{case}|{player}|{name}": value.contiguous()
            for case in (QUICK if command == "quick" else every_case())
            for player, values in gradients(case, workers)
            for name, value in values.items()
        }
        save_file(found, folder / f"{rank}.safetensors")
    else:
        save_file(trained(command, 50, workers), folder / f"{rank}.safetensors")


def trained(name: str, steps: int, workers: Workers) -> dict[str, Tensor]:
    """The weights of a model after some steps."""
    torch.set_default_dtype(torch.float32)
    model = tiny(name, SPEC)
    config = TrainingConfig(dict.fromkeys(model.stages(), steps), 8, inspect_every=20)
    for _ in train(model, batches(), config, runtime=Runtime(torch.device("cpu"), workers=workers)):
        pass
    return {key: value.contiguous() for key, value in model.state_dict().items()}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
