"""Several workers that share a training: the same gradients, one set of files, and lost workers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from medgan.contracts import Share
from medgan.errors import UserError
from medgan.training import job as jobs
from medgan.training.checkpoints import UNCHANGED, CheckpointFolder, TrainingState
from medgan.training.crew import launched
from medgan.training.job import TrainingJob, TrainingStep
from medgan.training.settings import ComputeConfig, PrivacyConfig, TrainingConfig
from medgan.training.stages import require_shareable
from medgan.training.workers import Workers
from tests.conftest import ROOT
from tests.models.tiny import tiny
from tests.training import sharing

MONITORED = "latent_distance"
"""Of the first images of each worker; it is not minimized."""


@pytest.fixture(autouse=True)
def single_precision() -> Iterator[None]:
    yield
    torch.set_default_dtype(torch.float32)


def both(command: str, folder: Path) -> list[dict[str, Tensor]]:
    for process in sharing.start(command, folder):
        assert process.wait(timeout=300) == 0
    return [load_file(folder / f"{rank}.safetensors") for rank in range(2)]


def check_gradients(case: str, workers: list[dict[str, Tensor]]) -> None:
    """Compare the gradients, the state of batch norm and the terms of the loss."""
    for player, values in sharing.gradients(case, Workers()):
        for name, value in values.items():
            if MONITORED in name:
                continue
            first, second = (found[f"{case}|{player}|{name}"] for found in workers)
            assert torch.equal(first, second), (player, name)
            scale = max(1.0, float(value.abs().max())) if value.numel() else 1.0
            torch.testing.assert_close(first, value, rtol=0, atol=1e-12 * scale)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    return both("quick", tmp_path_factory.mktemp("quick"))


@pytest.mark.parametrize("case", sharing.QUICK)
def test_two_workers_have_the_gradients_of_one(case: str, quick: list[dict[str, Tensor]]) -> None:
    check_gradients(case, quick)


@pytest.mark.long
def test_two_workers_have_the_gradients_of_one_for_every_player(tmp_path: Path) -> None:
    workers = both("all", tmp_path)
    for case in sharing.every_case():
        check_gradients(case, workers)


@pytest.mark.long
def test_workers_are_bit_equal_after_50_steps(tmp_path: Path) -> None:
    first, second = both("dcgan", tmp_path)
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert any(
        not torch.equal(first[name], value) for name, value in tiny("dcgan").state_dict().items()
    )


def planned(steps: int = 6, batch_size: int = 8) -> TrainingJob:
    model = tiny("autoencoder")
    training = TrainingConfig({"reconstruction": steps}, batch_size, checkpoint_every=2)
    return TrainingJob(
        "autoencoder", "autoencoder", model.config, sharing.SPEC, sharing.batches(), training, 1, ""
    )


def states(steps: Iterator[TrainingStep]) -> Iterator[TrainingState]:
    return (step.state for step in steps if step.state is not UNCHANGED)  # type: ignore[misc]


def scores(job: TrainingJob, state: TrainingState) -> Tensor:
    """What a model says of images: rounding moves a bias before batch norm, which says nothing."""
    model = job.build().eval()
    model.load_state_dict(state.weights())
    images = next(job.batches.epoch(32)).images
    return model.score(images, torch.Generator()).image_scores  # type: ignore[operator]


def test_a_training_resumes_at_another_number_of_workers(tmp_path: Path) -> None:
    job, two = planned(), ComputeConfig(workers=2)
    alone = list(states(jobs.train(job, CheckpointFolder(tmp_path / "alone"))))
    folder = CheckpointFolder(tmp_path / "shared")
    running = states(jobs.train(job, folder, two))
    folder.write(next(running))
    running.close()
    assert not torch.distributed.is_initialized()
    *_, last = states(jobs.train(job, folder))
    assert last.finished
    assert last.step == alone[-1].step == 6
    torch.testing.assert_close(scores(job, last), scores(job, alone[-1]), rtol=1e-3, atol=0)


def test_a_batch_that_cannot_be_shared_evenly_is_refused() -> None:
    with pytest.raises(UserError, match="batch_size` is 9, which 2 workers"):
        require_shareable(TrainingConfig(batch_size=9), Share(0, 2))


def test_a_private_or_compiled_training_is_not_shared() -> None:
    for name, value in {"privacy": PrivacyConfig(), "compile": True}.items():
        config = replace(TrainingConfig(batch_size=8), **{name: value})
        with pytest.raises(UserError, match=f"`training.{name}` is for one worker"):
            require_shareable(config, Share(1, 2))
        require_shareable(config, Share())


def test_an_engine_that_has_not_started_the_command_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(UserError, match="torchrun, which has not started this command"):
        launched(ComputeConfig("torchrun"))
    monkeypatch.setenv("SLURM_PROCID", "3")
    monkeypatch.setenv("SLURM_NTASKS", "8")
    assert launched(ComputeConfig("slurm")) == Share(3, 8)
    assert launched(ComputeConfig()) is None


KILLED = """
import sys
from pathlib import Path
from medgan.training import job as jobs
from medgan.training.checkpoints import UNCHANGED, CheckpointFolder
from medgan.training.settings import ComputeConfig
from tests.training.test_workers import planned

folder = CheckpointFolder(Path(sys.argv[1]))
for step in jobs.train(planned(20_000), folder, ComputeConfig(workers=2)):
    if step.state is not UNCHANGED:
        folder.write(step.state)
"""


@pytest.mark.long
@pytest.mark.parametrize("victim", ["helper", "leader"])
def test_a_killed_worker_costs_at_most_one_checkpoint_interval(victim: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    leader = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    key = planned(20_000).key
    await_true(lambda: len(list(tmp_path.glob("*/step-*.json"))) >= 2)
    children = Path(f"/proc/{leader.pid}/task/{leader.pid}/children").read_text().split()
    (helper,) = (int(pid) for pid in children)
    os.kill(helper if victim == "helper" else leader.pid, signal.SIGKILL)
    _, said = leader.communicate(timeout=60)
    assert (b"WorkerLost" in said) == (victim == "helper")
    await_true(lambda: not Path(f"/proc/{helper}").exists())
    kept = CheckpointFolder(tmp_path).latest(key)
    assert kept is not None
    assert kept.step % 2 == 0
    resumed = states(
        jobs.train(planned(20_000), CheckpointFolder(tmp_path), ComputeConfig(workers=2))
    )
    assert next(resumed).step == kept.step + 2
    resumed.close()


def await_true(condition: Callable[[], bool]) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it has not come in a minute")
