"""Another data set's detectors on this one's test images. Test labels are read here; nothing is fitted to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from medgan.contracts import Refusal
from medgan.evaluation.config import EvaluationConfig
from medgan.evaluation.external import evaluate_externally, not_asked, require_fit, require_unseen
from medgan.images.store import ImageStore
from medgan.models import PublishedModel
from medgan.pipelines.anomaly_evaluation.scored import scored
from medgan.pipelines.jobs import data_hash


def validate_externally(
    published: PublishedModel | None,
    home: Mapping[str, Any] | None,
    other_splits: pd.DataFrame | None,
    kept: Mapping[str, Any] | None,
    images: ImageStore,
    splits: pd.DataFrame,
    config: EvaluationConfig,
    seed: int,
) -> dict[str, Any]:
    """The row of the detector that was trained on `evaluation.model_from`.

    Where that is not set, the row of an earlier run on the same test images stays; without one, the reason why there is none.

    Args:
        published: the model of the other data set.
        home: its row there.
        other_splits: the splits there, for images that are in both.
        kept: the document of an earlier run.
        images: of this data set.
        splits: of this data set.
        config: names the other data set.
        seed: of the scores and the resamples.

    Raises:
        Refusal: the other data set has no such model, or has not evaluated it, or the model does not fit the images.
    """
    data = data_hash(images, splits)
    if config.model_from is None:
        return dict(kept) if kept is not None and kept.get("data") == data else not_asked()
    if config.model_from == config.dataset:
        raise Refusal(f"evaluation.model_from is '{config.model_from}', which is this very data set: name another one.")
    model, row = _complete(published, home, config.model_from)
    info = images.info
    here = {"image_size": [info.height, info.width], "channels": info.channels, "intensity": info.intensity}
    require_fit(model.name, config.model_from, model.card, model.spec.channels, here)
    known = require_unseen(splits, other_splits, config.model_from)
    scores = _scores(model, images, splits, config, seed)
    return {**evaluate_externally(scores, splits, row, config.model_from, known, config.n_boot, seed), "data": data}


def _complete(
    published: PublishedModel | None, home: Mapping[str, Any] | None, trained_on: str
) -> tuple[PublishedModel, Mapping[str, Any]]:
    """The model and its row.

    Raises:
        Refusal: one is missing, or the row is of other weights.
    """
    if published is None:
        raise Refusal(
            f"'{trained_on}' has not published every detector that is to run: give evaluation.model_from with --params, as the name of a "
            f"data set below data/06_models; train them with `kedro run --env {trained_on}`, or choose with --namespaces those it has."
        )
    if home is None or home.get("published_key") != published.key:
        raise Refusal(
            f"The frozen threshold of {published.name} of '{trained_on}' is not that of its newest weights: "
            f"`kedro run --env {trained_on} --pipeline anomaly_evaluation` makes it."
        )
    return published, home


def _scores(model: PublishedModel, images: ImageStore, splits: pd.DataFrame, config: EvaluationConfig, seed: int) -> pd.DataFrame:
    chosen = splits.loc[splits["split"] == "test", ["image_id", "split", "row"]]
    found = scored(model, images, chosen, config.batch_size, seed, f"{model.name} of {config.model_from}")
    return chosen[["image_id", "split"]].assign(score=found.scores)
