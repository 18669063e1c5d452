"""Synthetic against real images by the features of a network of the data set's own: every figure from one set of features.

Keys end in `_domain`: features of the domain, not the Inception features of the literature, so figures do not compare with published ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.contracts import Refusal
from medgan.metrics.features import FeatureSets
from medgan.metrics.frechet import domain_fid
from medgan.metrics.kernel import domain_kid
from medgan.metrics.manifold import PUBLISHED, Neighbours, domain_overlap
from medgan.metrics.memorisation import copied_share
from medgan.metrics.perceptual import Unavailable

Figures = dict[str, dict[str, Any]]
BACKBONE = "classifier of the real training split"
SUFFIX = "_domain"


@dataclass(frozen=True)
class LabelledFeatures:
    """Features (n, D), the class number of each (n,), and the patient of each (n,) where it matters."""

    features: NDArray[Any]
    labels: NDArray[Any]
    groups: NDArray[Any] | None = None

    def of(self, classes: Sequence[int]) -> LabelledFeatures:
        """Those of these classes."""
        chosen = np.isin(self.labels, list(classes))
        return LabelledFeatures(self.features[chosen], self.labels[chosen], None if self.groups is None else self.groups[chosen])


@dataclass(frozen=True)
class DescribedImages:
    """The features of everything that is compared; each image passes the network once."""

    synthetic: LabelledFeatures
    real: LabelledFeatures
    training: LabelledFeatures | None = None

    def of(self, classes: Sequence[int]) -> FeatureSets:
        """What the figures of these classes rest on."""
        real = self.real.of(classes)
        training = None if self.training is None else self.training.of(classes).features
        return FeatureSets(self.synthetic.of(classes).features, real.features, real.groups, training)


def domain_figures(sets: FeatureSets | Unavailable, seed: int, neighbours: Neighbours = PUBLISHED) -> Figures:
    """fid_domain, kid_domain, precision_domain, recall_domain, density_domain, coverage_domain, copied_share_domain.

    Args:
        sets: features of the images of one class or of several, or why there are none.
        seed: of halves and draws.
        neighbours: k of precision and recall, and of density and coverage.

    Returns:
        Each figure with its `real_vs_real`, or {"value": None, "reason"}.
    """
    figures: Figures = {}
    for names, measure in _MEASURES.items():
        figures |= {f"{name}{SUFFIX}": figure for name, figure in _measured(names, measure, sets, seed, neighbours).items()}
    return figures


Measure = Callable[[FeatureSets, int, Neighbours], Mapping[str, dict[str, Any]]]


def _measured(
    names: Sequence[str], measure: Measure, sets: FeatureSets | Unavailable, seed: int, neighbours: Neighbours
) -> Mapping[str, dict[str, Any]]:
    try:
        if isinstance(sets, Unavailable):
            raise Refusal(sets.reason)
        return measure(sets, seed, neighbours)
    except Refusal as refusal:
        return {name: {"value": None, "reason": str(refusal)} for name in names}


def _fid(sets: FeatureSets, seed: int, _: Neighbours) -> dict[str, dict[str, Any]]:
    found = domain_fid(sets, BACKBONE, seed)
    return {"fid": {**found, "n": found["n_fake"], "real_vs_real": found["floor"]}}


_MEASURES: Mapping[tuple[str, ...], Measure] = {
    ("fid",): _fid,
    ("kid",): lambda sets, seed, _: {"kid": domain_kid(sets, BACKBONE, seed)},
    ("precision", "recall", "density", "coverage"): lambda sets, seed, neighbours: domain_overlap(sets, BACKBONE, seed, neighbours),
    ("copied_share",): lambda sets, seed, _: {"copied_share": copied_share(sets, BACKBONE, seed)},
}
