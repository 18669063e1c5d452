"""Another data set's detector here: nothing is fitted, what does not fit is refused, and its own
images are no test of it.
"""

import json

import numpy as np
import pandas as pd
import pytest

from medgan.datasets.models import PublishedDataset, PublishedElsewhereDataset
from medgan.datasets.tables import JSONDataset, ParquetDataset
from medgan.errors import UserError
from medgan.evaluation.external import NOT_ASKED, UNCHECKED, require_fit
from medgan.evaluation.protocol import EvaluationConfig
from medgan.models import PublishedModel
from medgan.pipelines.anomaly_evaluation.scoring.nodes import validate_externally
from tests.models.tiny import tiny
from tests.pipelines.conftest import SIDE

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
    figure = {"value": 0.9, "low": 0.8, "high": 0.95}
    facts = {
        "threshold": {"rule": "youden", "value": 0.11},
        "sees_mix": False,
        "labels_used": "threshold",
        "published_key": published.key,
    }
    return {"auroc": figure, "sensitivity": figure, "specificity": figure, **facts}


def elsewhere(hashes=("z1",)):
    return pd.DataFrame({"pixel_hash": list(hashes)})


def test_the_row_carries_the_threshold_from_there_and_says_so(published, home, images, splits):
    row = validate_externally(published, home, elsewhere(), None, images, splits, CONFIG, 0)
    assert row["claim"] == "external: trained on there, threshold frozen there"
    assert row["threshold"] == home["threshold"]
    assert row["at_home"]["auroc"] == home["auroc"]
    assert row["published_key"] == published.key
    assert row["n_images"] == int((splits["split"] == "test").sum())
    assert np.sum(row["confusion_matrix"]) == row["n_images"]


def test_nothing_here_moves_the_threshold(published, home, images, splits):
    """Neither the validation images nor any label of this data set."""
    flipped = splits.assign(
        label=np.where(splits["split"] == "val", 1 - splits["label"], splits["label"])
    )
    first, second = (
        validate_externally(published, home, None, None, images, table, CONFIG, 0)
        for table in (splits, flipped)
    )
    decided = [
        {key: row[key] for key in ("threshold", "confusion_matrix", "auroc")}
        for row in (first, second)
    ]
    assert decided[0] == decided[1]
    other_labels = splits.assign(label=1 - splits["label"])
    called = np.sum(
        validate_externally(published, home, None, None, images, other_labels, CONFIG, 0)[
            "confusion_matrix"
        ],
        axis=0,
    )
    assert called.tolist() == np.sum(first["confusion_matrix"], axis=0).tolist()


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
        validate_externally(other, home, None, None, images, splits, CONFIG, 0)


def test_other_channels_are_refused():
    here = {"image_size": [32, 32], "channels": 1, "intensity": "unit"}
    with pytest.raises(UserError, match="channels 3"):
        require_fit("bigan", "there", {"image_size": [32, 32], "intensity": "unit"}, 3, here)


def test_images_of_the_other_data_set_are_no_test(published, home, images, splits):
    test = splits.loc[splits["split"] == "test", "pixel_hash"].iloc[0]
    with pytest.raises(UserError, match="not external"):
        validate_externally(published, home, elsewhere([test]), None, images, splits, CONFIG, 0)
    only_val = splits.loc[splits["split"] == "val", "pixel_hash"]
    assert validate_externally(
        published, home, elsewhere(only_val), None, images, splits, CONFIG, 0
    )["claim"].startswith("external")
    assert (
        UNCHECKED
        in validate_externally(published, home, None, None, images, splits, CONFIG, 0)["warnings"]
    )


def test_what_is_missing_or_stale_there_names_its_command(published, home, images, splits):
    with pytest.raises(UserError, match="kedro run --env there"):
        validate_externally(None, home, None, None, images, splits, CONFIG, 0)
    for row in (None, {**home, "published_key": "older"}):
        with pytest.raises(UserError, match="--pipeline anomaly_evaluation"):
            validate_externally(published, row, None, None, images, splits, CONFIG, 0)
    with pytest.raises(UserError, match="this very data set"):
        validate_externally(
            published,
            home,
            None,
            None,
            images,
            splits,
            EvaluationConfig(dataset="there", model_from="there"),
            0,
        )


def test_a_later_run_keeps_the_row_until_the_images_change(published, home, images, splits):
    quiet = EvaluationConfig(dataset="here", n_resamples=100)
    row = validate_externally(published, home, None, None, images, splits, CONFIG, 0)
    assert validate_externally(None, None, None, row, images, splits, quiet, 0) == row
    assert (
        validate_externally(None, None, None, row, images, splits.head(50), quiet, 0)["claim"]
        == NOT_ASKED
    )
    assert validate_externally(None, None, None, None, images, splits, quiet, 0)["auroc"] == {
        "value": None,
        "reason": NOT_ASKED,
    }


def test_entries_of_another_data_set_may_be_absent(tmp_path, published):
    path = str(tmp_path / "published")
    assert PublishedElsewhereDataset(filepath=path).load() is None
    PublishedDataset(filepath=path).save(published)
    assert PublishedElsewhereDataset(filepath=path).load().key == published.key
    for kind, name in ((JSONDataset, "row.json"), (ParquetDataset, "splits.parquet")):
        assert kind(filepath=str(tmp_path / name), metadata={"optional": True}).load() is None
    (tmp_path / "row.json").write_text(json.dumps({"a": 1}))
    assert JSONDataset(filepath=str(tmp_path / "row.json"), metadata={"optional": True}).load() == {
        "a": 1
    }
