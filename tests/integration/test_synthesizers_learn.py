"""Real films: a few hundred steps bring every synthesizer at least halfway from noise to
PneumoniaMNIST, in the domain's own features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medgan import models
from medgan.contracts import ImageSpec, TrainingSet
from medgan.images.loading import BatchStream, TensorImages
from medgan.images.transforms import Intensity, prepare
from medgan.metrics.fid import frechet_distance, statistics
from medgan.models import classifier
from medgan.training.loop import train
from medgan.training.runtime import seeded
from medgan.training.settings import TrainingConfig
from tests.conftest import ROOT
from tests.integration.chosen import trained_in_suite

FILE = ROOT.parent / "shared" / "data" / "pneumoniamnist" / "pneumoniamnist.npz"
SPEC = ImageSpec(32, 1, ("normal", "pneumonia"))
TRAINED_ON, DRAWN = 500, 300
pytestmark = pytest.mark.skipif(
    not FILE.exists(), reason="PneumoniaMNIST is not on this machine (../shared/data)"
)


SMALL = {"width": 16, "latent_dim": 32, "n_critic": 1}
"""Fields that configurations share; each model takes those that it knows."""


@dataclass(frozen=True)
class Trial:
    """How long a model is trained here, and what else of its settings is not the usual."""

    steps: int = 200
    settings: Mapping[str, Any] = field(default_factory=dict)


TRIALS: Mapping[str, Trial] = {
    "fanogan": Trial(200, {"width": 8, "lr": 5e-4}),
    "sngan": Trial(150, {"width": 8, "lr": 1e-3}),
}


@dataclass(frozen=True)
class Films:
    """Images (N, 1, 32, 32) and labels (N,)."""

    images: Tensor
    labels: np.ndarray

    def stream(self, training_set: TrainingSet) -> BatchStream:
        """What a model of this kind is trained on."""
        rows = self.rows(training_set)
        labels = self.labels[rows] if training_set is TrainingSet.LABELLED else None
        return BatchStream(TensorImages(self.images), rows, 0, labels)

    def rows(self, training_set: TrainingSet) -> np.ndarray:
        """Every film for a model that sees the labels, the normal ones for any other."""
        return (
            np.arange(len(self.images))
            if training_set is TrainingSet.LABELLED
            else np.flatnonzero(self.labels == 0)
        )


def films(part: str, n: int) -> Films:
    data = np.load(FILE)
    chosen = np.random.default_rng(0).permutation(len(data[f"{part}_images"]))[:n]
    images = prepare(
        torch.from_numpy(data[f"{part}_images"][chosen][..., None]),
        Intensity("standardised"),
        SPEC.size,
    )
    return Films(images, data[f"{part}_labels"][chosen, 0].astype(np.int64))


@pytest.fixture(scope="module")
def distance() -> Callable[[nn.Module, TrainingSet], float]:
    """The domain's Fréchet distance of what a model draws to held-out films of the same kind."""
    held_out = films("val", 10_000)
    with seeded(0):
        network = classifier.build(classifier.Config(), SPEC)
    list(
        train(
            network,
            films("train", 2000).stream(TrainingSet.LABELLED),
            TrainingConfig({"classification": 200}, 32),
        )
    )

    def measure(model: nn.Module, training_set: TrainingSet) -> float:
        rows = held_out.rows(training_set)
        labels = torch.from_numpy(held_out.labels[rows])[torch.arange(DRAWN) % len(rows)]
        drawn = model.eval().sample(DRAWN, labels, torch.Generator().manual_seed(1))  # type: ignore[operator]
        with torch.inference_mode():
            real, synthetic = (
                statistics(network.features(images).numpy())
                for images in (held_out.images[rows], drawn)
            )
        return frechet_distance(real, synthetic)

    return measure


@pytest.mark.parametrize(
    "name", trained_in_suite(models.synthesizers(), also_long=("bigan", "fanogan"))
)
def test_a_few_hundred_steps_halve_the_distance_to_real_films(
    name: str, distance: Callable[[nn.Module, TrainingSet], float]
) -> None:
    module, trial = models.load(name), TRIALS.get(name, Trial())
    known = {item.name for item in fields(module.Config)}
    with seeded(0, name):
        model = module.build(
            module.Config(
                **{**{key: value for key, value in SMALL.items() if key in known}, **trial.settings}
            ),
            SPEC,
        )
    untrained = distance(model, module.TRAINING_SET)
    config = TrainingConfig(
        dict.fromkeys(model.stages(), trial.steps),
        batch_size=32,
        ema_decay=0.99,
        checkpoint_every=trial.steps,
    )
    *_, last = train(model, films("train", TRAINED_ON).stream(module.TRAINING_SET), config)
    assert last.state is not None
    model.load_state_dict(last.state.weights())
    assert distance(model, module.TRAINING_SET) < 0.5 * untrained
