"""Another data set's detector here: nothing is fitted, what does not fit is refused, and its own
images are no test of it.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from medgan.errors import UserError
from medgan.evaluation.external import NOT_ASKED, UNCHECKED, Images, require_fit
from medgan.evaluation.protocol import EvaluationConfig
from medgan.evaluation.results import DetectorResult, FrozenThreshold
from medgan.models import PublishedModel
from medgan.pipelines.anomaly_evaluation.scoring.nodes import validate_externally
from medgan.stats.bootstrap import Estimate
from tests.models.tiny import tiny
from tests.pipelines.conftest import SIDE, data_of, earlier, trained

CONFIG = EvaluationConfig(dataset="here", n_resamples=100, batch_size=16, model_from="there")


@pytest.fixture
def published(images):
    model = tiny("autoencoder", images.spec)
    card = {"image_size": [SIDE, SIDE], "intensity": "standardised"}
    return PublishedModel(
        "autoencoder", {"latent_dim": 8, "width": 4}, images.spec, model.state_dict(), card
    )


@pytest.fixture
def home(published):
    metric = Estimate(0.9, 0.8, 0.95)
    return DetectorResult(
        metrics=dict.fromkeys(("auroc", "sensitivity", "specificity"), metric),
        n_images=40,
        n_patients=20,
        interval_unit="patient",
        n_seeds=1,
        seeds=(0,),
        threshold=FrozenThreshold("youden", 0.11),
        sees_mix=False,
        labels_used="threshold",
        published_key=published.key,
    )


def hashes(values=("z1",)):
    return pd.DataFrame({"pixel_hash": list(values)})


def validated(published, home, splits_there, kept, images, splits, config=CONFIG):
    """The node, with what another dataset and an earlier run have left."""
    elsewhere = earlier(
        trained=published and trained(published),
        evaluation=home and SimpleNamespace(evaluation=home),
        splits=splits_there,
    )
    data = data_of(images, splits, config)
    return validate_externally("autoencoder", data, elsewhere, earlier(external=kept))


def test_the_row_carries_the_threshold_from_there_and_says_so(published, home, images, splits):
    row = validated(published, home, hashes(), None, images, splits)
    assert row.claim == "external: trained on there, threshold frozen there"
    assert row.threshold == home.threshold
    assert row.at_home["auroc"] == home.auroc
    assert row.published_key == published.key
    assert row.n_images == int((splits["split"] == "test").sum())
    assert np.sum(row.confusion_matrix) == row.n_images


def test_nothing_here_moves_the_threshold(published, home, images, splits):
    """Neither the validation images nor any label of this data set."""
    flipped = splits.assign(
        label=np.where(splits["split"] == "val", 1 - splits["label"], splits["label"])
    )
    first, second = (
        validated(published, home, None, None, images, table) for table in (splits, flipped)
    )
    decided = [(row.threshold, row.confusion_matrix, row.auroc) for row in (first, second)]
    assert decided[0] == decided[1]
    other_labels = splits.assign(label=1 - splits["label"])
    called = np.sum(
        validated(published, home, None, None, images, other_labels).confusion_matrix,
        axis=0,
    )
    assert called.tolist() == np.sum(first.confusion_matrix, axis=0).tolist()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_size": [64, 64]}, "64 x 64 px"),
        ({"intensity": "unit"}, "intensity unit"),
        ({"image_size": None, "intensity": None}, r"\? px"),
    ],
)
def test_images_that_do_not_fit_are_refused(published, home, images, splits, change, words):
    card = {
        name: value for name, value in {**published.card, **change}.items() if value is not None
    }
    other = PublishedModel(
        published.name, published.configuration, published.spec, published.tensors, card
    )
    with pytest.raises(UserError, match=words):
        validated(other, home, None, None, images, splits)


def test_other_channels_are_refused():
    here, there = Images((32, 32), 1, "unit"), Images((32, 32), 3, "unit")
    with pytest.raises(UserError, match="channels 3"):
        require_fit("bigan", "there", there, here)


def test_images_of_the_other_data_set_are_no_test(published, home, images, splits):
    test = splits.loc[splits["split"] == "test", "pixel_hash"].iloc[0]
    with pytest.raises(UserError, match="not external"):
        validated(published, home, hashes([test]), None, images, splits)
    only_val = splits.loc[splits["split"] == "val", "pixel_hash"]
    assert validated(published, home, hashes(only_val), None, images, splits).claim.startswith(
        "external"
    )
    assert UNCHECKED in validated(published, home, None, None, images, splits).warnings


def test_what_is_missing_or_stale_there_names_its_command(published, home, images, splits):
    with pytest.raises(UserError, match="kedro run --env there"):
        validated(None, home, None, None, images, splits)
    for row in (None, replace(home, published_key="older")):
        with pytest.raises(UserError, match="--pipeline anomaly_evaluation"):
            validated(published, row, None, None, images, splits)
    with pytest.raises(UserError, match="this very data set"):
        itself = EvaluationConfig(dataset="there", model_from="there")
        validated(published, home, None, None, images, splits, itself)


def test_a_later_run_keeps_the_row_until_the_images_change(published, home, images, splits):
    quiet = EvaluationConfig(dataset="here", n_resamples=100)
    row = validated(published, home, None, None, images, splits)
    assert validated(None, None, None, row, images, splits, quiet) == row
    assert validated(None, None, None, row, images, splits.head(50), quiet).claim == NOT_ASKED
    assert validated(None, None, None, None, images, splits, quiet).auroc == Estimate(
        None, reason=NOT_ASKED
    )
