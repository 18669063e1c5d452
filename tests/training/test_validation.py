"""Validation while training, weight selection and early stopping."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medgan.contracts import Batch, BatchSource, ImageSpec, Player
from medgan.stats.placements import Placements
from medgan.training.collapse import DIVERSITY, DIVERSITY_BELOW, collapse_warning
from medgan.training.loop import Progress, train
from medgan.training.runtime import Runtime
from medgan.training.settings import TrainingConfig
from medgan.training.validation import (
    HeldOutMetrics,
    Selection,
    Validation,
    Validator,
)
from tests.models.tiny import tiny

CPU = Runtime(torch.device("cpu"))


def validations_of(reports: list[Progress]) -> list[Mapping[str, float]]:
    return [report.validation.metrics for report in reports if report.validation]


def config(steps: int = 6, **changes: Any) -> TrainingConfig:
    return TrainingConfig(
        {"adversarial": steps},
        batch_size=4,
        checkpoint_every=2,
        report_every=100,
        inspect_every=2,
        **changes,
    )


class Scripted:
    """Held-out metrics that are given beforehand."""

    def __init__(self, values: list[float]) -> None:
        self.values = iter(values)

    def __call__(self, model: nn.Module) -> dict[str, Placements]:
        assert not model.training
        return {"aucp": area(next(self.values)), "other": area(0.1)}


def area(value: float, noise: float = 0.0) -> Placements:
    """Placements of 16 images of each class with this mean; `noise` sets every second one apart."""
    apart = np.tile([noise, -noise], 8)
    return Placements(value + apart, value - apart)


def held_out(values: list[float], criterion: str | None = "aucp") -> HeldOutMetrics:
    return HeldOutMetrics(Scripted(values), criterion)


def test_the_best_validation_is_published_and_not_the_last(
    spec: ImageSpec, batches: BatchSource
) -> None:
    model = tiny("dcgan", spec)
    reports = list(
        train(model, batches, config(ema_decay=0.5), None, CPU, held_out([0.6, 0.9, 0.7]))
    )
    state = reports[-1].state
    assert state is not None
    assert [metrics["aucp"] for metrics in validations_of(reports)] == [0.6, 0.9, 0.7]
    assert state.notes["selection"]["chosen"] == 1
    at_four = next(report.state for report in reports if report.step == 4)
    assert at_four is not None
    averaged = {
        name: value for name, value in at_four.part("ema.").items() if name != "__updates__"
    }
    assert all(torch.equal(value, averaged[name]) for name, value in state.weights().items())
    assert any(
        not torch.equal(value, state.part("ema.")[name]) for name, value in state.weights().items()
    )


def test_without_a_criterion_metrics_are_recorded_and_the_last_weights_published(
    spec: ImageSpec, batches: BatchSource
) -> None:
    state = list(
        train(tiny("dcgan", spec), batches, config(), None, CPU, held_out([0.9, 0.6, 0.7], None))
    )[-1].state
    assert state is not None
    assert [validation["aucp"] for validation in state.notes["selection"]["looks"]] == [
        0.9,
        0.6,
        0.7,
    ]
    assert all(
        torch.equal(value, state.part("model.")[name]) for name, value in state.weights().items()
    )


def test_patience_ends_the_training_and_a_resumed_one_remembers_it(
    spec: ImageSpec, batches: BatchSource
) -> None:
    values = [0.6, 0.9, 0.7, 0.8, 0.95]
    reports = list(
        train(tiny("dcgan", spec), batches, config(10, patience=2), None, CPU, held_out(values))
    )
    assert (reports[-1].step, reports[-1].total) == (8, 8)
    assert reports[-1].state is not None
    assert reports[-1].state.finished
    assert reports[-1].state.notes["planned_steps"] == 10
    half = next(report.state for report in reports if report.step == 6)
    again = list(
        train(
            tiny("dcgan", spec),
            batches,
            config(10, patience=2),
            half,
            CPU,
            held_out(values[3:]),
        )
    )
    assert again[-1].step == 8
    assert again[-1].state is not None
    assert again[-1].state.notes["selection"] == reports[-1].state.notes["selection"]
    assert all(
        torch.equal(value, again[-1].state.tensors[name])
        for name, value in reports[-1].state.tensors.items()
    )


def test_only_the_last_stage_has_held_out_metrics(spec: ImageSpec, batches: BatchSource) -> None:
    two = replace(config(), steps={"adversarial": 4, "encoder": 4})
    reports = list(train(tiny("fanogan", spec), batches, two, None, CPU, held_out([0.9, 0.8])))
    assert ["aucp" in metrics for metrics in validations_of(reports)] == [False, False, True, True]
    shown = [report.validation.samples is not None for report in reports if report.validation]
    assert shown == [True, True, False, False]  # the encoder's stage leaves the generator alone


@pytest.mark.parametrize("name", ["dcgan", "acgan", "autoencoder"])
def test_validation_does_not_affect_the_training(
    name: str, spec: ImageSpec, batches: BatchSource
) -> None:
    def final(every: int) -> dict[str, Tensor]:
        model = tiny(name, spec)
        some = TrainingConfig(dict.fromkeys(model.stages(), 4), batch_size=4, inspect_every=every)
        state = list(train(model, batches, some, None, CPU))[-1].state
        assert state is not None
        return state.part("model.")

    validated, without = final(1), final(0)
    assert all(torch.equal(validated[name], without[name]) for name in without)


def test_samples_come_from_the_same_latents(spec: ImageSpec, batches: BatchSource) -> None:
    model = tiny("dcgan", spec)
    validators = [Validator(model, batches, CPU, None) for _ in range(2)]
    first, again = (
        validator.validate(model.state_dict(), held_out=False).samples for validator in validators
    )
    assert first is not None
    assert again is not None
    assert torch.equal(first, again)


def test_a_grid_shows_one_class_after_the_other(spec: ImageSpec, batches: BatchSource) -> None:
    labels = Validator(tiny("acgan", spec), batches, CPU, None).real[0].labels
    assert labels is not None
    assert labels.unique().numel() > 1
    assert torch.equal(labels, labels.sort().values)


class Constant(nn.Module):
    """A collapsed generator: one image, whatever the latent."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Parameter(torch.zeros(1, 1, 32, 32))

    def stages(self) -> dict[str, list[Player]]:
        return {"adversarial": [Player("generator", [self], self.loss)]}

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        return {"term": self.image.square().mean()}

    def sample(self, n: int, labels: Tensor | None, rng: torch.Generator) -> Tensor:
        return self.image.expand(n, -1, -1, -1)


def test_f34_a_collapsed_generator_raises_the_alarm_and_a_varied_one_does_not(
    spec: ImageSpec, batches: BatchSource
) -> None:
    reports = list(train(Constant(), batches, config(), None, CPU))
    assert all(
        metrics[DIVERSITY] == pytest.approx(0.0, abs=1e-6) for metrics in validations_of(reports)
    )
    alarm = collapse_warning(validations_of(reports)[-1], 6, 6)
    assert alarm is not None
    assert "0.00 times" in alarm
    assert collapse_warning({DIVERSITY: DIVERSITY_BELOW}, 6, 6) is None
    assert (
        collapse_warning({DIVERSITY: 0.0}, 1, 6) is None
    )  # an untrained generator always draws one grey image
    assert collapse_warning({"aucp": 0.5}, 6, 6) is None


def selection_of(validations: list[tuple[float, float]]) -> Selection:
    """Validations of (AUCp, noise of its placements); the weights of each are its number."""
    selection = Selection("aucp")
    for step, (value, noise) in enumerate(validations):
        look = Validation({"aucp": value}, criterion=area(value, noise))
        selection.add(step, look, {"w": torch.tensor(float(step))}, eligible=True)
    return selection


# The error of a difference of noises d is sqrt(2 d^2 / 15), 0.365 d.
@pytest.mark.parametrize(
    ("validations", "chosen"),
    [
        # The latest within one error of the best: noise apart by 0.1, an error of 0.037.
        ([(0.7, 0.1), (0.8, 0.0), (0.77, 0.1), (0.76, 0.1)], 2),
        ([(0.7, 0.0), (0.8, 0.0), (0.79, 0.0)], 1),  # no noise: the best
        # The same noise in both is no error of their difference, however large it is.
        ([(0.8, 0.5), (0.75, 0.5)], 0),
        # A new best outdates the earlier choice.
        ([(0.70, 0.1), (0.68, 0.0), (0.9, 0.1), (0.8, 0.0)], 2),
    ],
)
def test_the_latest_validation_within_one_standard_error_of_the_best_is_selected(
    validations: list[tuple[float, float]], chosen: int
) -> None:
    selection = selection_of(validations)
    assert selection.chosen == chosen
    assert selection.weights["w"].item() == chosen


def test_validations_that_are_not_eligible_are_ignored_and_the_later_of_equals_is_selected() -> (
    None
):
    selection = Selection("aucp")
    for step, (value, eligible) in enumerate(
        [(0.9, False), (0.5, True), (0.5, True), (0.4, True), (0.4, True)]
    ):
        look = Validation({"aucp": value}, criterion=area(value))
        selection.add(step, look, {"w": torch.tensor(float(step))}, eligible=eligible)
    assert (selection.best, selection.chosen) == (1, 2)
    assert selection.weights["w"].item() == 2
    assert selection.exhausted(3)
    assert not selection.exhausted(4)
    assert not selection.exhausted(0)
    assert not Selection("aucp").exhausted(1)
