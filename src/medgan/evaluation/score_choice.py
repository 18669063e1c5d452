"""Choose on validation which components make up the score of a detector.

The candidates are the sum of the method, each component alone, and the sum of all components, each
divided by its standard deviation over validation normals: components have unlike scales, and a sum
follows the largest. The labels of anomalous validation images choose, those of test images never.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medgan.contracts import Composed, ScoreChoice
from medgan.evaluation.scores import Images, batches_on_device_of, score_images
from medgan.evaluation.selection import HeldOut
from medgan.stats.classification import area_of

if TYPE_CHECKING:
    from torch import nn

OWN, SCALED = "own", "scaled sum"
ONE_CLASS = "the validation images are all of one class: the weights of the method stay"
SMALLEST_SPREAD = 1e-12
Components = Mapping[str, NDArray[np.float32]]


def choose_score(
    detector: nn.Module, images: Images, held_out: HeldOut, batch_size: int, seed: int
) -> ScoreChoice:
    """Choose the candidate with the highest AUROC on the held-out validation images; of equal ones
    the first, which is the method's own. The detector is a `Composed` one in eval mode.
    """
    assert isinstance(detector, Composed)  # noqa: S101
    own, labels = dict(detector.score_weights()), held_out.anomalous.astype(np.int64)
    if labels.all() or not labels.any():
        return ScoreChoice(OWN, own, reason=ONE_CLASS)
    batches = batches_on_device_of(detector, batch_size, seed)
    components = score_images(detector, images, held_out.rows, batches).components  # type: ignore[arg-type]
    candidates = _candidates(own, components, labels == 0)
    areas = {
        name: area_of(labels, _weighted(components, weights)).value
        for name, weights in candidates.items()
    }
    best = max(areas, key=lambda name: areas[name])
    return ScoreChoice(best, candidates[best], areas, len(labels), int(labels.sum()))


def _candidates(
    own: dict[str, float], components: Components, normal: NDArray[np.bool_]
) -> dict[str, dict[str, float]]:
    scaled = {
        name: 1 / max(float(values[normal].std()), SMALLEST_SPREAD)
        for name, values in components.items()
    }
    return {OWN: own, **{name: {name: 1.0} for name in components}, SCALED: scaled}


def _weighted(components: Components, weights: Mapping[str, float]) -> NDArray[np.float64]:
    parts = [weight * components[name].astype(np.float64) for name, weight in weights.items()]
    return np.sum(parts, axis=0)
