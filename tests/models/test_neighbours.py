"""Neighbours in features: of a trained critic, and of an untrained one as its control."""

from pathlib import Path

import numpy as np
import pytest
import torch

from medgan.contracts import Batch, BatchSource, ImageSpec
from medgan.models import critic_neighbours, fanogan
from medgan.networks.memory import FeatureMemory, Memory
from medgan.stats.placements import Placements
from medgan.training.checkpoints import AVERAGE, MODEL, CheckpointFolder, TrainingState
from medgan.training.loop import train
from medgan.training.runtime import Runtime, seeded
from medgan.training.settings import TrainingConfig
from medgan.training.validation import HeldOutMetrics
from tests.models.tiny import tiny
from tests.training.conftest import RandomBatches

SPEC = ImageSpec(32, 1)
CPU = Runtime(torch.device("cpu"))


@pytest.fixture
def batches() -> BatchSource:
    return RandomBatches()


def states(
    batches: BatchSource,
    resume: TrainingState | None = None,
    held_out: HeldOutMetrics | None = None,
    **changes: object,
) -> list[TrainingState]:
    config = TrainingConfig({"adversarial": 4}, batch_size=4, checkpoint_every=2, **changes)  # type: ignore[arg-type]
    model = tiny("critic_neighbours")
    found = train(model, batches, config, resume, CPU, held_out)
    return [progress.state for progress in found if progress.state]


def test_neighbours_by_hand() -> None:
    memory = Memory(2)
    memory.vectors = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    distances, found = memory.nearest(torch.tensor([[0.0, 0.0], [3.0, 0.0]]), 2)
    torch.testing.assert_close(distances, torch.tensor([[0.0, 1.0], [3.0, 10**0.5]]))
    assert found.tolist() == [[0, 2], [0, 2]]
    assert memory.nearest(torch.zeros(1, 2), 9)[0].shape == (1, 3)


def test_distances_of_features_that_barely_differ_are_exact() -> None:
    memory = Memory(64)
    memory.vectors = torch.full((3, 64), 1e3) + torch.eye(3, 64)
    distances, _ = memory.nearest(memory.vectors[:1], 3)
    torch.testing.assert_close(distances, torch.tensor([[0.0, 2**0.5, 2**0.5]]))


def test_features_are_scaled_by_the_training_normals_and_a_dead_one_counts_nothing_twice() -> None:
    memory = FeatureMemory(3)
    memory.store(iter([torch.tensor([[0.0, 10.0, 5.0], [2.0, 30.0, 5.0]])]))
    torch.testing.assert_close(memory.mean, torch.tensor([1.0, 20.0, 5.0]))
    stored = torch.tensor([[-1.0, -1.0, 0.0], [1.0, 1.0, 0.0]])
    torch.testing.assert_close(memory.memory.vectors, stored)
    distances, maps = memory.distances(torch.tensor([[2.0, 50.0, 5.0]]), 1, 1)
    torch.testing.assert_close(distances, torch.tensor([2.0 / 3**0.5]))
    torch.testing.assert_close(maps.flatten(), distances)


def test_the_map_decomposes_the_distance_to_one_neighbour() -> None:
    model = tiny("untrained_neighbours", SPEC, neighbours=1)
    images = torch.rand(9, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    model.fit(iter([Batch(images[:6], torch.Generator())]))
    features = model.critic.features(images[6:])
    distances, maps = model.memory.distances(features, 1, 4)
    torch.testing.assert_close(maps.square().mean((1, 2, 3)).sqrt(), distances)


def test_the_score_is_the_mean_distance_to_three() -> None:
    model = tiny("untrained_neighbours", SPEC)
    images = torch.rand(8, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    model.fit(iter([Batch(images[:6], torch.Generator())]))
    features = model.critic.features(images).detach()
    spread, mean = torch.std_mean(features[:6], 0, correction=0)
    scaled = (features - mean) / spread.clamp_min(1e-6)
    apart = (scaled[6:, None] - scaled[None, :6]).square().mean(2).sqrt()
    expected = apart.sort(1).values[:, :3].mean(1)
    found = model.score(images[6:], torch.Generator()).image_scores
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_critic_is_that_of_fanogan() -> None:
    """Equal settings and noise give equal losses."""
    shared = {"latent_dim": 8, "width": 4}
    with seeded(3):
        one = critic_neighbours.build(critic_neighbours.Config(**shared), SPEC)  # type: ignore[arg-type]
    with seeded(4):
        other = fanogan.build(fanogan.Config(**shared), SPEC)  # type: ignore[arg-type]
    one.to(memory_format=torch.channels_last)  # as fanogan is built, and as both are trained
    weights = one.state_dict()
    other.load_state_dict(
        {name: value for name, value in weights.items() if not name.startswith("memory")},
        strict=False,
    )
    images = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1

    def batch() -> Batch:
        return Batch(images, torch.Generator().manual_seed(1))

    first, second = one.discriminator_loss(batch()), other.discriminator_loss(batch())
    assert first.keys() == second.keys() == {"wasserstein", "accuracy", "gradient_penalty"}
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(
        one.generator_loss(batch())["wasserstein"], other.generator_loss(batch())["wasserstein"]
    )


def test_it_is_fitted_after_its_training_and_not_before(batches: BatchSource) -> None:
    *before, last = states(batches)
    assert [state.finished for state in (*before, last)] == [False, False, True]
    assert last.step == before[-1].step == 4
    name = f"{MODEL}memory.memory.vectors"
    assert {len(state.tensors[name]) for state in before} == {0}
    assert len(last.tensors[name]) == 8


def test_a_killed_training_resumes_bit_exact_before_and_after_its_last_step(
    batches: BatchSource, tmp_path: Path
) -> None:
    *before, last = states(batches)
    for state in before:
        folder = CheckpointFolder(tmp_path / str(state.step))
        folder.write(state)
        resumed = states(batches, folder.latest(""))[-1]
        assert resumed.finished
        assert resumed.tensors.keys() == last.tensors.keys()
        assert all(torch.equal(last.tensors[key], resumed.tensors[key]) for key in last.tensors)


def test_it_is_judged_once_when_it_can_score(batches: BatchSource) -> None:
    stored: list[int] = []

    def judge(model: torch.nn.Module) -> dict[str, Placements]:
        stored.append(len(model.memory.memory.vectors))  # type: ignore[union-attr, arg-type]
        return {"aucp": Placements(np.array([0.7]), np.array([0.7]))}

    last = states(batches, held_out=HeldOutMetrics(judge, "aucp"), inspect_every=2)[-1]
    assert stored == [8]
    assert last.notes["selection"]["looks"] == [{"step": 4, "aucp": 0.7}]
    assert last.notes["selection"]["chosen"] is None
    assert not last.part("chosen.")


def test_the_averaged_weights_are_those_that_are_fitted(batches: BatchSource) -> None:
    *before, last = states(batches, ema_decay=0.5)
    averaged = {
        name: value for name, value in before[-1].part(AVERAGE).items() if "discriminator" in name
    }
    assert averaged
    assert all(torch.equal(last.weights()[name], averaged[name]) for name in averaged)
