"""Privacy of synthetic images: copies of training images, and membership in the training set.

Held-out images of the same distribution are the baseline: what they show cannot have leaked from a
generator that has never seen them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.audits.release import CopyCheck
from medgan.errors import UserError
from medgan.metrics.copies import CopySearch, Matches
from medgan.metrics.features import Floats, Indices, halves
from medgan.metrics.planted import Calibration, Gray, calibrate, plant
from medgan.stats.bootstrap import Estimate, interval
from medgan.stats.classification import area_of

LEAST_HELD_OUT = 100
"""Held-out images without which nothing is calibrated: half of them decide, the others judge."""
CALIBRATING = 100
"""Training images whose planted copies take part in the calibration, at most; never those that
recall is measured with."""
PLANTED = 400
"""Training images whose planted copies recall is measured with, at most."""
BY_DISTANCE, BY_DISCRIMINATOR = "nearest synthetic image", "discriminator"
"""Names of the attacks."""
FEWEST_ATTACKED = 20
"""Members, and as many non-members, without which no attack is run."""


@dataclass(frozen=True)
class Known:
    """Real images of known origin."""

    images: Gray
    """(n, h, w), as `medgan.metrics.copies.gray` makes them."""
    table: pd.DataFrame
    """n rows of the splits: category, group_id, and sex and age where they are known."""

    def __len__(self) -> int:
        return len(self.images)

    def at(self, places: Indices) -> Known:
        """Some of them."""
        return Known(self.images[places], self.table.iloc[places])

    @property
    def patients(self) -> NDArray[Any]:
        """(n,), where patients are unknown a name for each image."""
        return self.table["group_id"].astype(str).to_numpy()


@dataclass(frozen=True)
class CopyResult:
    """Suspected copies among the synthetic images (copies in privacy.json)."""

    n: int
    """Synthetic images."""
    n_training: int
    rate: Estimate
    """Share of the synthetic images that is flagged, with its exact interval."""
    false_flags: Estimate
    """Share of held-out images that is flagged; none of them took part in the calibration."""
    n_held_out: int
    n_calibration: int
    recall: Mapping[str, Estimate]
    """Kind of planted copy -> share that is flagged."""
    n_planted: int
    """Of each kind."""
    calibration: Calibration
    median_ratio: float | None
    """Median distance to the nearest training image, over that of held-out images."""

    @property
    def n_flagged(self) -> int:
        """Synthetic images that are suspected copies."""
        return round((self.rate.value or 0.0) * self.n)


@dataclass(frozen=True)
class Attack:
    """How well a score tells training images from held-out ones."""

    auc: Estimate
    """0.5: not at all; the interval resamples patients."""
    n: int = 0
    """Training images, and as many held-out ones of the same categories."""
    about: str = ""


@dataclass(frozen=True)
class Disclosure:
    """How well an attribute of a record is inferred from synthetic images."""

    members: Estimate
    """AUC for training records."""
    held_out: Estimate
    """AUC for held-out records, the baseline."""
    above: Estimate
    """The first minus the second."""
    n: int = 0
    """Training records, and as many held-out ones."""


@dataclass(frozen=True)
class PrivacyResult:
    """What synthetic images tell of the training images (privacy.json)."""

    copies: CopyResult | None
    copies_reason: str = ""
    """Why copies were not searched."""
    membership: Mapping[str, Attack] = field(default_factory=dict)
    """Name of the attack -> how well it does."""
    attributes: Mapping[str, Disclosure] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckedImages:
    """Synthetic images whose copies were searched."""

    check: CopyCheck
    matches: Matches
    ratio: Floats
    """(n,), distance to the nearest training image over the median of held-out images."""
    result: CopyResult

    @property
    def flags(self) -> NDArray[np.bool_]:
        """(n,), the suspected copies."""
        return self.matches.similarity >= self.check.limit


def check_copies(synthetic: Gray, training: Known, held_out: Known, seed: int) -> CheckedImages:
    """Freeze a check on one half of the held-out patients, measure it on the other, and apply it.

    Args:
        synthetic: (n, h, w), as `gray` makes them.
        training: what the generator was trained on.
        held_out: of the same categories.
        seed: of the halves and of the planted copies.

    Raises:
        UserError: there are fewer than LEAST_HELD_OUT held-out images, or of one patient alone.
    """
    if len(held_out) < LEAST_HELD_OUT:
        raise UserError(
            f"Copies are not searched: the limit takes {LEAST_HELD_OUT} held-out images of the "
            f"generator's classes, there are {len(held_out)}."
        )
    deciding, judging = halves(held_out.patients, seed)
    if not len(deciding):
        raise UserError("Copies are not searched: all held-out images are of one patient.")
    search = CopySearch(training.images)
    baseline = search.nearest(held_out.images)
    order = np.random.default_rng([seed, 1]).permutation(len(training))
    first = min(CALIBRATING, len(order) // 2)
    decides = baseline.similarity[deciding]
    calibration = calibrate(search, decides, training.images[order[:first]], seed)
    originals = training.images[order[first : first + PLANTED]]
    found, limit = search.nearest(synthetic), calibration.limit
    ratio = found.distance / max(float(np.median(baseline.distance)), 1e-6)
    result = CopyResult(
        n=len(synthetic),
        n_training=len(training),
        rate=share(found.similarity >= limit),
        false_flags=share(baseline.similarity[judging] >= limit),
        n_held_out=len(judging),
        n_calibration=len(deciding),
        recall={
            name: share(search.nearest(copies).similarity >= limit)
            for name, copies in plant(originals, seed + 1).items()
        },
        n_planted=len(originals),
        calibration=calibration,
        median_ratio=float(np.median(ratio)),
    )
    return CheckedImages(CopyCheck(training.images, limit), found, ratio, result)


def share(flagged: NDArray[np.bool_]) -> Estimate:
    """Compute a share with its exact 95 % interval (Clopper & Pearson 1934)."""
    from scipy.stats import binomtest

    if not len(flagged):
        return Estimate(None, reason="there is no image")
    count = int(flagged.sum())
    bounds = binomtest(count, len(flagged)).proportion_ci(method="exact")
    return Estimate(count / len(flagged), float(bounds.low), float(bounds.high))


def alike(training: Known, held_out: Known, seed: int) -> tuple[Indices, Indices]:
    """Draw as many members as non-members of each category: their places, in random order."""
    rng, members, others = np.random.default_rng([seed, 2]), [], []
    for category in np.unique(held_out.table["category"].astype(str)):
        inside, outside = (
            rng.permutation(np.flatnonzero(known.table["category"].astype(str) == category))
            for known in (training, held_out)
        )
        n = min(len(inside), len(outside))
        members.append(inside[:n])
        others.append(outside[:n])
    return np.concatenate(members), np.concatenate(others)


def attack(
    members: Floats, others: Floats, patients: NDArray[Any], seed: int, about: str
) -> Attack:
    """Measure an attack by the AUC of its scores, higher for members, of training images (n,) and
    held-out ones (n,); `patients` (2 n,) are of both, one after the other.
    """
    if min(len(members), len(others)) < FEWEST_ATTACKED:
        few = f"fewer than {FEWEST_ATTACKED} training and held-out images of the same categories"
        return Attack(Estimate(None, reason=few), len(members), about)
    labels = np.repeat([1, 0], [len(members), len(others)])
    scores = np.concatenate([members, others])
    return Attack(interval(area_of(labels, scores), patients, seed=seed), len(members), about)
