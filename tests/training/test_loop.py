"""THE loop: who may move what, what a seed promises, what a kill costs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from medgan import models
from medgan.contracts import Batch, BatchSource, ImageSpec, OptimizerSpec, Player, Refusal
from medgan.training.checkpoints import CheckpointFolder, TrainingState
from medgan.training.loop import Progress, train, update
from medgan.training.optimizers import build_optimizer
from medgan.training.runtime import Runtime
from medgan.training.settings import TrainingConfig
from tests.models.tiny import tiny

TRAINED = [*(name for name in models.names() if tiny(name).stages()), "classifier"]
CPU = Runtime(torch.device("cpu"))


def config_for(model: Any, steps: int = 4, **changes: Any) -> TrainingConfig:
    return TrainingConfig(dict.fromkeys(model.stages(), steps), batch_size=4, checkpoint_every=2, report_every=1, **changes)


def run(name: str, spec: ImageSpec, batches: BatchSource, resume: TrainingState | None = None, **changes: Any) -> list[Progress]:
    model = tiny(name, spec)
    return list(train(model, batches, config_for(model, **changes), "key", resume, CPU))


def equal(a: TrainingState, b: TrainingState) -> bool:
    return a.tensors.keys() == b.tensors.keys() and all(torch.equal(a.tensors[name], b.tensors[name]) for name in a.tensors)


@pytest.mark.parametrize("name", TRAINED)
def test_each_update_moves_only_its_own_players_parameters(name: str, spec: ImageSpec, batches: BatchSource) -> None:
    model = tiny(name, spec)
    for stage, players in model.stages().items():
        for player in players:
            before = {key: value.detach().clone() for key, value in model.named_parameters()}
            update(player, build_optimizer(player.parameters(), player.optimizer), [batches.draw(stage, 0, 4)], players, CPU)
            own = {id(parameter) for parameter in player.parameters()}
            moved = {key for key, value in model.named_parameters() if not torch.equal(value, before[key])}
            assert moved
            assert all(id(dict(model.named_parameters())[key]) in own for key in moved), (stage, player.name, moved)
            assert all(parameter.requires_grad for parameter in model.parameters())


def test_finished_networks_stay_frozen_and_in_eval_mode(spec: ImageSpec, batches: BatchSource) -> None:
    model = tiny("fanogan", spec)
    states = [
        {key: value.clone() for key, value in model.state_dict().items() if not key.startswith("encoder")}
        for report in train(model, batches, config_for(model), "key", None, CPU)
        if report.step >= 4
    ]
    assert len(states) > 2
    for state in states[1:]:  # batch norm statistics of G with it
        assert all(torch.equal(value, states[0][key]) for key, value in state.items())


@pytest.mark.parametrize("name", TRAINED)
def test_one_seed_equal_weights(name: str, spec: ImageSpec, batches: BatchSource) -> None:
    first, second = run(name, spec, batches), run(name, spec, batches)
    assert first[-1].state is not None
    assert second[-1].state is not None
    assert first[-1].state.finished
    assert equal(first[-1].state, second[-1].state)


@pytest.mark.parametrize("name", TRAINED)
def test_a_killed_training_resumes_bit_exact(name: str, spec: ImageSpec, batches: BatchSource) -> None:
    unbroken = run(name, spec, batches, ema_decay=0.9)
    for report in unbroken[:-1]:
        if report.state is not None:
            resumed = run(name, spec, batches, resume=report.state, ema_decay=0.9)
            assert resumed[-1].step == unbroken[-1].step
            assert equal(resumed[-1].state, unbroken[-1].state)  # type: ignore[arg-type]


def test_resuming_survives_the_file(tmp_path: Path, spec: ImageSpec, batches: BatchSource) -> None:
    unbroken = run("dcgan", spec, batches, ema_decay=0.9)
    folder = CheckpointFolder(tmp_path)
    folder.write(next(report.state for report in unbroken if report.state is not None))
    resumed = run("dcgan", spec, batches, resume=folder.latest("key"), ema_decay=0.9)
    assert equal(resumed[-1].state, unbroken[-1].state)  # type: ignore[arg-type]


def test_n_critic_updates_draw_new_batches(spec: ImageSpec, batches: BatchSource) -> None:
    drawn: list[tuple[str, int]] = []

    class Watched:
        def draw(self, stage: str, index: int, size: int) -> Batch:
            drawn.append((stage, index))
            return batches.draw(stage, index, size)

        epoch = batches.epoch

    run("fanogan", spec, Watched(), steps=2)  # type: ignore[arg-type]
    assert drawn == [("adversarial", index) for index in range(6)] + [("encoder", 0), ("encoder", 1)]


class Diverging(nn.Module):
    """Its loss becomes NaN at the third batch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def stages(self) -> dict[str, list[Player]]:
        return {"only": [Player("player", [self], self.loss, OptimizerSpec("adam", 0.1))]}

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"term": self.weight.sum() * (float("nan") if batch.step == 2 else 1.0)}


def test_f33_nan_loss_stops_within_one_step_and_nothing_has_moved(batches: BatchSource) -> None:
    model = Diverging()
    reports = train(model, batches, TrainingConfig({"only": 5}, batch_size=2, checkpoint_every=1, report_every=1), "key", None, CPU)
    states = []
    with pytest.raises(Refusal, match="not a number"):
        states.extend(reports)
    assert [report.step for report in states] == [] or states[-1].step == 2
    assert torch.isfinite(model.weight).all()


def test_a_stage_without_a_budget_is_refused(spec: ImageSpec, batches: BatchSource) -> None:
    model = tiny("fanogan", spec)
    with pytest.raises(Refusal, match=r"training\.steps\.encoder"):
        list(train(model, batches, TrainingConfig({"adversarial": 1}), "key", None, CPU))


def test_averaged_weights_are_published_and_differ_from_the_last(spec: ImageSpec, batches: BatchSource) -> None:
    state = run("autoencoder", spec, batches, ema_decay=0.9)[-1].state
    assert state is not None
    averaged, last = state.weights(), state.part("model.")
    assert averaged.keys() == last.keys()
    assert any(not torch.equal(averaged[name], last[name]) for name in last)
    assert replace(state, tensors={f"model.{name}": value for name, value in last.items()}).weights().keys() == last.keys()


def test_a_small_game_learns(spec: ImageSpec, batches: BatchSource) -> None:
    reports = run("autoencoder", spec, batches, steps=60)
    first, last = (report.terms["autoencoder/reconstruction"] for report in (reports[0], reports[-1]))
    assert last < 0.95 * first
