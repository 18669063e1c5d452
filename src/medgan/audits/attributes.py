"""Attribute disclosure: whether synthetic images tell more of training records than of others.

An attacker has a record's image and the synthetic images, and wants the sex or the age. Synthetic
images have neither, so the attacker estimates them with a model that was fitted to other people's
images (a half of the held-out patients), and takes the mean of the synthetic images nearest to the
record. What this reaches on the other held-out patients is what images tell anyway; only what it
reaches above that on training records is disclosed (after Stadler 2022, Synthetic Data -
Anonymisation Groundhog Day).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.audits.cohort import as_text, column_of
from medgan.audits.privacy import FEWEST_ATTACKED, Disclosure, Known, alike
from medgan.images.metadata import UNKNOWN
from medgan.metrics.copies import thumbnails
from medgan.metrics.features import Floats, halves
from medgan.metrics.planted import Gray
from medgan.stats.bootstrap import Estimate, estimate, resampled
from medgan.stats.classification import Predictions
from medgan.stats.differences import difference
from medgan.stats.strata import Stratum

NEAREST = 5
ATTRIBUTES = ("sex", "age")


def disclosures(
    synthetic: Gray, training: Known, held_out: Known, seed: int
) -> Mapping[str, Disclosure]:
    """Measure the disclosure of sex and of age (above or below the median of training), from
    synthetic images (n, h, w) of `medgan.metrics.copies.gray` and held-out ones of the same
    categories.
    """
    return {name: _disclosure(name, synthetic, training, held_out, seed) for name in ATTRIBUTES}


def _disclosure(
    name: str, synthetic: Gray, training: Known, held_out: Known, seed: int
) -> Disclosure:
    levels = _levels(name, training.table)
    if levels is None:
        return _missing(f"{name} is not recorded for the training images, or is the same for all")
    training, held_out = (
        known.at(np.flatnonzero(np.isfinite(_label(name, levels, known.table))))
        for known in (training, held_out)
    )
    fitting, others = halves(held_out.patients, seed)
    judged = held_out.at(others)
    inside, outside = alike(training, judged, seed) if len(others) else (others, others)
    members, judged, model = training.at(inside), judged.at(outside), held_out.at(fitting)
    labels = [_label(name, levels, known.table) for known in (members, judged, model)]
    if any(min(np.sum(one == 0), np.sum(one == 1)) < FEWEST_ATTACKED for one in labels):
        few = f"fewer than {FEWEST_ATTACKED} records of each {name} in a part"
        return _missing(f"{few} (training, held out, model of the attacker)")
    scores = _inferred(model.images, labels[2], synthetic, [members.images, judged.images])
    return _compared(labels[:2], scores, (members, judged), seed)


def _inferred(
    model: Gray, labels: NDArray[Any], synthetic: Gray, records: list[Gray]
) -> list[Floats]:
    """Infer an attribute of records from their nearest synthetic images."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsRegressor

    guess = LogisticRegression(max_iter=1000).fit(thumbnails(model), labels)
    described = thumbnails(synthetic)
    nearest = KNeighborsRegressor(min(NEAREST, len(described)))
    nearest.fit(described, guess.predict_proba(described)[:, 1])
    return [nearest.predict(thumbnails(images)) for images in records]


def _compared(
    labels: list[NDArray[Any]], scores: list[Floats], records: tuple[Known, Known], seed: int
) -> Disclosure:
    """AUC of members, of held-out records, and the difference, on the same resamples."""
    truth, inferred = np.concatenate(labels), np.concatenate(scores)
    inside = np.repeat([True, False], [len(one) for one in labels])
    patients = np.concatenate([one.patients for one in records])
    both = {
        part: Stratum(Predictions(truth, inferred, truth), mask).metric("auroc")
        for part, mask in (("members", inside), ("held_out", ~inside))
    }
    drawn = resampled(both, patients, seed=seed)
    above = difference(drawn["members"], drawn["held_out"]).estimate
    members, held_out = (estimate(both[part], found) for part, found in drawn.items())
    return Disclosure(members, held_out, above, int(inside.sum()))


def _levels(name: str, table: pd.DataFrame) -> Any | None:
    """The median age, or the two most frequent sexes; None where there are no two groups."""
    if name == "age":
        ages = pd.to_numeric(column_of(table, name), errors="coerce").dropna()
        return float(ages.median()) if ages.nunique() > 1 else None
    text = as_text(column_of(table, name))
    frequent = text[text != UNKNOWN].value_counts().index[:2].tolist()
    return frequent if len(frequent) == 2 else None


def _label(name: str, levels: Any, table: pd.DataFrame) -> NDArray[Any]:
    """1 or 0 for each record (n,), NaN where the attribute is unknown."""
    if name == "age":
        ages = pd.to_numeric(column_of(table, name), errors="coerce")
        return np.where(ages.isna(), np.nan, ages >= levels)
    return as_text(column_of(table, name)).map({levels[0]: 0.0, levels[1]: 1.0}).to_numpy(float)


def _missing(reason: str) -> Disclosure:
    absent = Estimate(None, reason=reason)
    return Disclosure(absent, absent, absent)
