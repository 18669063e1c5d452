"""Mode collapse: diversity, recall and coverage, and which generators raise the alarm."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medgan.contracts import Batch, BatchSource
from medgan.metrics import precision_recall
from medgan.training.collapse import (
    COVERAGE,
    DIVERSITY,
    DIVERSITY_BELOW,
    RECALL,
    collapse_warning,
    mean_distance,
    overlap,
)
from medgan.training.runtime import Runtime
from medgan.training.validation import Validator

CPU = Runtime(torch.device("cpu"))
MODES = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)) - 0.5


def test_diversity_is_one_for_the_data_itself_and_less_within_a_class() -> None:
    images = torch.cat([torch.zeros(4, 1, 8, 8), torch.ones(4, 1, 8, 8)])
    labels = torch.tensor([0] * 4 + [1] * 4)
    assert mean_distance(images) == pytest.approx(8 * 4 / 7)
    assert mean_distance(images, labels) == 0.0
    several = torch.nn.functional.one_hot(labels).float()
    assert mean_distance(images, several) == 0.0


def test_recall_and_coverage_are_those_of_the_quality_metrics() -> None:
    rng = np.random.default_rng(0)
    real, samples = rng.normal(size=(60, 5)), rng.normal(size=(60, 5)) * 0.6 + 0.3
    found = overlap(torch.from_numpy(real), torch.from_numpy(samples))
    expected = precision_recall.overlap(real, samples)
    assert found == pytest.approx({RECALL: expected.recall, COVERAGE: expected.coverage})
    assert 0 < expected.recall < 1
    assert overlap(torch.zeros(5, 2), torch.zeros(60, 2)) == {}


def images_of(modes: Tensor, n: int, rng: torch.Generator) -> Tensor:
    """Images of 32 x 32 that are one of the modes each, with noise of every pixel."""
    chosen = modes[torch.randint(0, len(modes), (n,), generator=rng)]
    noise = 0.3 * torch.randn(n, 1, 32, 32, generator=rng)
    return nn.functional.interpolate(chosen, scale_factor=4.0) + noise


class ManyModes:
    """Training images of 40 modes."""

    def draw(self, stage: str, index: int, size: int, *_: object) -> Batch:
        rng = torch.Generator().manual_seed(index)
        return Batch(images_of(MODES, size, rng), rng)


class Drawer(nn.Module):
    """A generator of some of the modes."""

    def __init__(self, modes: Tensor) -> None:
        super().__init__()
        self.modes = modes

    def sample(self, n: int, labels: Tensor | None, rng: torch.Generator) -> Tensor:
        return images_of(self.modes, n, rng)


@pytest.mark.parametrize(("count", "collapsed"), [(3, True), (40, False)])
def test_a_generator_of_three_images_with_noise_raises_the_alarm_and_one_of_all_does_not(
    count: int, collapsed: bool
) -> None:
    generator = Drawer(MODES[:count])
    batches: BatchSource = ManyModes()  # type: ignore[assignment]
    metrics = Validator(generator, batches, CPU, None).validate({}, held_out=False).metrics
    assert metrics[DIVERSITY] > DIVERSITY_BELOW  # the noise spreads the three images
    assert (collapse_warning(metrics, 6, 6) is not None) == collapsed
    assert collapse_warning(metrics, 1, 6) is None


def test_few_training_images_that_are_drawn_twice_count_once() -> None:
    class Few(ManyModes):
        def draw(self, stage: str, index: int, size: int, *_: object) -> Batch:
            return super().draw(stage, 0, size)

    batches: BatchSource = Few()  # type: ignore[assignment]
    validator = Validator(Drawer(MODES), batches, CPU, None)
    assert len(validator.real_features) == 64
    assert COVERAGE in validator.validate({}, held_out=False).metrics
