"""THE loop: who may move what, what a seed promises, what a kill costs."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import torch
from torch import Tensor, nn

from medgan import models
from medgan.contracts import (
    AnomalyDetector,
    Batch,
    BatchSource,
    ImageSpec,
    ImageSynthesizer,
    OptimizerSpec,
    Player,
)
from medgan.errors import UserError
from medgan.ranges import Range
from medgan.training.checkpoints import CheckpointFolder, TrainingState
from medgan.training.loop import Progress, train
from medgan.training.optimization import build_optimizer
from medgan.training.runtime import Runtime
from medgan.training.settings import TrainingConfig
from medgan.training.updates import update
from tests.models.tiny import tiny

TRAINED = [*(name for name in models.names() if tiny(name).stages()), "classifier"]
CPU = Runtime(torch.device("cpu"))


def config_for(model: Any, steps: int = 4, **changes: Any) -> TrainingConfig:
    return TrainingConfig(
        dict.fromkeys(model.stages(), steps),
        batch_size=4,
        checkpoint_every=2,
        report_every=1,
        **changes,
    )


def run(
    name: str,
    spec: ImageSpec,
    batches: BatchSource,
    resume: TrainingState | None = None,
    **changes: Any,
) -> list[Progress]:
    model = tiny(name, spec)
    return list(train(model, batches, config_for(model, **changes), resume, CPU))


def equal(a: TrainingState, b: TrainingState) -> bool:
    return a.tensors.keys() == b.tensors.keys() and all(
        torch.equal(a.tensors[name], b.tensors[name]) for name in a.tensors
    )


@pytest.mark.parametrize("name", TRAINED)
def test_each_update_moves_only_its_own_players_parameters(
    name: str, spec: ImageSpec, batches: BatchSource
) -> None:
    model = tiny(name, spec)
    for stage, players in model.stages().items():
        for player in players:
            before = {key: value.detach().clone() for key, value in model.named_parameters()}
            update(
                player,
                build_optimizer(player.parameters(), player.optimizer),
                [batches.draw(stage, 0, 4)],
                players,
                CPU,
            )
            own = {id(parameter) for parameter in player.parameters()}
            moved = {
                key
                for key, value in model.named_parameters()
                if not torch.equal(value, before[key])
            }
            assert moved
            assert all(id(dict(model.named_parameters())[key]) in own for key in moved), (
                stage,
                player.name,
                moved,
            )
            assert all(parameter.requires_grad for parameter in model.parameters())


def test_finished_networks_stay_frozen_and_in_eval_mode(
    spec: ImageSpec, batches: BatchSource
) -> None:
    model = tiny("fanogan", spec)
    states = [
        {
            key: value.clone()
            for key, value in model.state_dict().items()
            if not key.startswith("encoder")
        }
        for report in train(model, batches, config_for(model), None, CPU)
        if report.step >= 4
    ]
    assert len(states) > 2
    for state in states[1:]:  # batch norm statistics of G with it
        assert all(torch.equal(value, states[0][key]) for key, value in state.items())


def test_later_stages_build_on_the_averaged_weights(spec: ImageSpec, batches: BatchSource) -> None:
    reports = run("fanogan", spec, batches, ema_decay=0.9)
    after_the_game = next(report.state for report in reports if report.step == 4)
    assert after_the_game is not None
    assert reports[-1].state is not None
    published, averaged = reports[-1].state.weights(), after_the_game.part("ema.")
    generator = [name for name in published if name.startswith("generator.")]
    assert generator
    for name in generator:
        torch.testing.assert_close(published[name], averaged[name])
        assert torch.equal(reports[-1].state.part("model.")[name], averaged[name])


@pytest.mark.parametrize("name", TRAINED)
def test_one_seed_equal_weights(name: str, spec: ImageSpec, batches: BatchSource) -> None:
    first, second = run(name, spec, batches), run(name, spec, batches)
    assert first[-1].state is not None
    assert second[-1].state is not None
    assert first[-1].state.finished
    assert equal(first[-1].state, second[-1].state)


@pytest.mark.parametrize("name", TRAINED)
def test_a_killed_training_resumes_bit_exact(
    name: str, spec: ImageSpec, batches: BatchSource
) -> None:
    unbroken = run(name, spec, batches, ema_decay=0.9)
    for report in unbroken[:-1]:
        if report.state is not None:
            resumed = run(name, spec, batches, resume=report.state, ema_decay=0.9)
            assert resumed[-1].step == unbroken[-1].step
            assert equal(resumed[-1].state, unbroken[-1].state)  # type: ignore[arg-type]


def test_resuming_survives_the_file(tmp_path: Path, spec: ImageSpec, batches: BatchSource) -> None:
    unbroken = run("dcgan", spec, batches, ema_decay=0.9)
    folder = CheckpointFolder(tmp_path)
    state = next(report.state for report in unbroken if report.state is not None)
    folder.write(replace(state, key="key"))
    resumed = run("dcgan", spec, batches, resume=folder.latest("key"), ema_decay=0.9)
    assert equal(resumed[-1].state, unbroken[-1].state)  # type: ignore[arg-type]


def test_n_critic_updates_draw_new_batches(spec: ImageSpec, batches: BatchSource) -> None:
    drawn: list[tuple[str, int]] = []

    class Watched:
        def draw(self, stage: str, index: int, size: int, *_: object) -> Batch:
            drawn.append((stage, index))
            return batches.draw(stage, index, size)

        epoch = batches.epoch

    run("fanogan", spec, Watched(), steps=2)  # type: ignore[arg-type]
    assert drawn == [("adversarial", index) for index in range(6)] + [
        ("encoder", 0),
        ("encoder", 1),
    ]


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
    reports = train(
        model,
        batches,
        TrainingConfig({"only": 5}, batch_size=2, checkpoint_every=1, report_every=1),
        None,
        CPU,
    )
    states = []
    with pytest.raises(UserError, match="not a number"):
        states.extend(reports)
    assert [report.step for report in states] == [] or states[-1].step == 2
    assert torch.isfinite(model.weight).all()


class Exploding(Diverging):
    """Its loss is finite throughout, and the gradient infinite at the third batch."""

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return {
            "term": ((self.weight - self.weight.detach()) if batch.step == 2 else self.weight)
            .sum()
            .abs()
            .sqrt()
        }


def test_f33_a_gradient_that_is_not_a_number_moves_nothing_either(batches: BatchSource) -> None:
    model = Exploding()
    with pytest.raises(UserError, match="the gradient of the player is not a number"):
        list(train(model, batches, TrainingConfig({"only": 5}, batch_size=2), None, CPU))
    assert torch.isfinite(model.weight).all()


def test_f35_no_memory_on_the_accelerator_names_the_batch_size_that_fits(
    batches: BatchSource,
) -> None:
    class Hungry(Diverging):
        def loss(self, batch: Batch) -> dict[str, Tensor]:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(
        UserError, match=r"`training.batch_size` to 8 and `training.accumulate` to 2"
    ):
        list(train(Hungry(), batches, TrainingConfig({"only": 5}, batch_size=16), None, CPU))


def test_f28_another_number_of_threads_is_said(
    spec: ImageSpec, batches: BatchSource, caplog: pytest.LogCaptureFixture
) -> None:
    state = next(
        report.state for report in run("autoencoder", spec, batches) if report.state is not None
    )
    run("autoencoder", spec, batches, resume=replace(state, notes={**state.notes, "threads": 64}))
    assert "had 64" in caplog.text


def test_accumulated_gradients_are_those_of_one_large_batch() -> None:
    """A model without batch norm: four batches of 2 or one of 8."""
    images = torch.rand(8, 1, 32, 32, generator=torch.Generator().manual_seed(0))

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1, 32, 32))

        def stages(self) -> dict[str, list[Player]]:
            return {"only": [Player("player", [self], self.loss, OptimizerSpec("adam", 0.1))]}

        def loss(self, batch: Batch) -> dict[str, Tensor]:
            return {"term": (batch.images - self.weight).square().mean()}

    class Parts:
        def draw(self, stage: str, index: int, size: int, *_: object) -> Batch:
            return Batch(images[index * size : (index + 1) * size], torch.Generator())

        def epoch(self, size: int) -> Any:
            raise NotImplementedError

    weights = []
    for size, accumulate in ((8, 1), (2, 4)):
        model = Linear()
        reports = list(
            train(
                model,
                Parts(),
                TrainingConfig({"only": 1}, batch_size=size, accumulate=accumulate),
                None,
                CPU,
            )
        )
        weights.append((model.weight.detach(), reports[-1].terms["player/term"]))
    torch.testing.assert_close(weights[0][0], weights[1][0])
    assert weights[0][1] == pytest.approx(weights[1][1])


def test_a_schedule_lowers_the_rate_and_resumes_exactly(
    spec: ImageSpec, batches: BatchSource
) -> None:
    unbroken = run("autoencoder", spec, batches, steps=8, decay="linear", decay_from=0.25)
    assert not equal(unbroken[-1].state, run("autoencoder", spec, batches, steps=8)[-1].state)  # type: ignore[arg-type]
    middle = next(report.state for report in unbroken if report.step == 4)
    resumed = run(
        "autoencoder", spec, batches, resume=middle, steps=8, decay="linear", decay_from=0.25
    )
    assert equal(resumed[-1].state, unbroken[-1].state)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TRAINED)
def test_bf16_trains_near_to_fp32(name: str, spec: ImageSpec, batches: BatchSource) -> None:
    terms = []
    for precision in ("fp32", "bf16"):
        model = tiny(name, spec)
        runtime = Runtime(torch.device("cpu"), precision)
        terms.append(next(train(model, batches, config_for(model, 2), None, runtime)).terms)
        assert all(value.dtype == torch.float32 for value in model.parameters())
    for key, value in terms[0].items():
        if not key.endswith("accuracy"):
            assert terms[1][key] == pytest.approx(value, rel=0.1, abs=0.05), key


def test_autocast_is_on_inside_a_loss_and_nowhere_else(
    spec: ImageSpec, batches: BatchSource
) -> None:
    seen: list[bool] = []

    class Watching(Diverging):
        def loss(self, batch: Batch) -> dict[str, Tensor]:
            seen.append(torch.is_autocast_enabled("cpu"))
            return {"term": self.weight.sum()}

    list(
        train(
            Watching(),
            batches,
            TrainingConfig({"only": 2}, batch_size=2),
            None,
            Runtime(torch.device("cpu"), "bf16"),
        )
    )
    assert seen == [True, True]
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize(
    "name", ["dcgan", "fanogan"]
)  # fanogan differentiates twice, which a compiled module cannot
def test_compiled_training_gives_the_same_weights_up_to_rounding(
    name: str, spec: ImageSpec, batches: BatchSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[nn.Module] = []

    def compile_without_a_compiler(module: nn.Module) -> None:
        compiled.append(module)
        module._compiled_call_impl = torch.compile(
            module._call_impl, backend="aot_eager"
        )  # all of torch.compile but C++

    monkeypatch.setattr(nn.Module, "compile", compile_without_a_compiler)
    plain, other = (
        run(name, spec, batches, steps=1, compile=chosen)[-1].state for chosen in (False, True)
    )
    assert len(compiled) == len(list(tiny(name, spec).children()))
    assert plain is not None
    assert other is not None
    assert other.tensors.keys() == plain.tensors.keys()
    for key, value in plain.part("model.").items():
        # Adam makes a whole step of a gradient that is rounding alone, so single weights move.
        change = (other.part("model.")[key].double() - value.double()).abs()
        assert change.mean() < 1e-5 + 1e-3 * value.double().abs().mean(), key
        torch.testing.assert_close(other.part("model.")[key], value, rtol=1e-2, atol=2e-3)


def test_a_stage_without_a_budget_is_refused(spec: ImageSpec, batches: BatchSource) -> None:
    model = tiny("fanogan", spec)
    with pytest.raises(UserError, match=r"training\.steps\.encoder"):
        list(train(model, batches, TrainingConfig({"adversarial": 1}), None, CPU))


def test_averaged_weights_are_published_and_differ_from_the_last(
    spec: ImageSpec, batches: BatchSource
) -> None:
    state = run("autoencoder", spec, batches, ema_decay=0.9)[-1].state
    assert state is not None
    averaged, last = state.weights(), state.part("model.")
    assert averaged.keys() == last.keys()
    assert any(not torch.equal(averaged[name], last[name]) for name in last)
    assert (
        replace(state, tensors={f"model.{name}": value for name, value in last.items()})
        .weights()
        .keys()
        == last.keys()
    )


def test_a_small_game_learns(spec: ImageSpec, batches: BatchSource) -> None:
    reports = run("autoencoder", spec, batches, steps=60)
    first, last = (
        report.terms["autoencoder/reconstruction"] for report in (reports[0], reports[-1])
    )
    assert last < 0.95 * first


@pytest.mark.parametrize("name", TRAINED)
def test_a_model_of_the_smallest_settings_trains_and_works(
    name: str, spec: ImageSpec, batches: BatchSource
) -> None:
    hints = get_type_hints(models.load(name).Config, include_extras=True)
    ranges = {
        field: note
        for field, hint in hints.items()
        for note in getattr(hint, "__metadata__", ())
        if isinstance(note, Range)
    }
    smallest = {field: type(one.low)(one.low) for field, one in ranges.items() if not one.low_open}
    model = tiny(name, spec, **smallest)
    config = TrainingConfig(dict.fromkeys(model.stages(), 1), batch_size=2)
    *_, last = train(model, batches, config, None, CPU)
    assert last.state is not None
    model.eval()
    images, rng = torch.zeros(1, *spec.shape), torch.Generator().manual_seed(0)
    if isinstance(model, AnomalyDetector):
        assert torch.isfinite(model.score(images, rng).image_scores).all()
    if isinstance(model, ImageSynthesizer):
        assert model.sample(1, torch.zeros(1, dtype=torch.int64), rng).shape == images.shape
