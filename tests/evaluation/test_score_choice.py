"""Which components make up a score: chosen on validation, by the AUROC of each candidate."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from medgan.contracts import AnomalyScores, ScoreChoice
from medgan.evaluation.score_choice import ONE_CLASS, OWN, SCALED, choose_score
from medgan.evaluation.selection import HeldOut

RNG = np.random.default_rng(0)
LABELS = np.arange(400) % 2
NOISE = RNG.normal(size=(2, 400))


class Detector(nn.Module):
    """Two components that are stored, the first on a scale that drowns the second."""

    def __init__(self, reconstruction: np.ndarray, feature: np.ndarray) -> None:
        super().__init__()
        self.stored = {"reconstruction": 1000 * reconstruction, "feature": feature}

    def score_weights(self) -> Mapping[str, float]:
        return {"reconstruction": 1.0, "feature": 1.0}

    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        rows = images[:, 0, 0, 0].long().numpy()
        parts = {name: torch.from_numpy(part[rows]) for name, part in self.stored.items()}
        return AnomalyScores.composed(parts, self.score_weights(), images)


def chosen(detector: nn.Module, labels: np.ndarray = LABELS) -> ScoreChoice:
    rows = np.arange(400)[::-1].copy()
    unused = np.zeros(400, dtype=bool)
    held_out = HeldOut(rows, labels[rows] == 1, unused, unused)
    return choose_score(
        detector, lambda of: torch.from_numpy(of).float().reshape(-1, 1, 1, 1), held_out, 64, 0
    )


def test_a_component_that_does_better_alone_is_chosen() -> None:
    found = chosen(Detector(NOISE[0], 2 * LABELS + NOISE[1]))
    assert (found.name, found.weights) == ("feature", {"feature": 1.0})
    expected = roc_auc_score(LABELS, 2 * LABELS + NOISE[1])
    assert found.validation_auroc["feature"] == pytest.approx(expected, abs=1e-6)
    assert found.validation_auroc[OWN] < 0.6
    assert (found.n_images, found.n_anomalous) == (400, 200)


def test_components_are_scaled_by_the_normals_before_they_are_summed() -> None:
    found = chosen(Detector(LABELS + NOISE[0], LABELS + NOISE[1]))
    assert found.name == SCALED
    spreads = [1000 * (LABELS + NOISE[0])[LABELS == 0].std(), NOISE[1][LABELS == 0].std()]
    assert list(found.weights.values()) == pytest.approx(1 / np.array(spreads))


def test_the_score_of_the_method_stays_where_nothing_is_better_or_nothing_can_choose() -> None:
    alike = Detector(2 * LABELS + NOISE[0], np.zeros(400))
    assert chosen(alike).name == OWN
    one_class = chosen(alike, np.zeros(400, dtype=int))
    assert (one_class.name, one_class.reason) == (OWN, ONE_CLASS)
    assert one_class.weights == alike.score_weights()
