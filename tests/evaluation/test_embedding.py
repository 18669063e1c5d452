import numpy as np
import pandas as pd
import pytest
import torch

from medgan.contracts import Refusal
from medgan.evaluation import embedding
from medgan.evaluation.embedding import described_images, features_of, shown_images


@pytest.fixture
def splits():
    rng = np.random.default_rng(0)
    category = rng.choice(["normal", "bacterial", "viral"], 300)
    return pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(300)],
            "category": category,
            "label": (category != "normal").astype(int),
            "split": rng.choice(["train", "val", "test"], 300),
            "row": np.arange(300),
        }
    )


def test_validation_and_test_are_described_whole_and_training_within_limits(splits, monkeypatch):
    monkeypatch.setattr(embedding, "NORMALS", 9)
    found = described_images(splits, 5, seed=1)
    for part in ("val", "test"):
        assert (found["split"] == part).sum() == (splits["split"] == part).sum()
    assert found.loc[found["split"] == "train", "category"].value_counts().to_dict() == {"normal": 9, "bacterial": 5, "viral": 5}


def test_which_images_are_described_and_shown_does_not_depend_on_labels_outside_training(splits):
    poisoned = splits.copy()
    outside = poisoned["split"] != "train"
    poisoned.loc[outside, "label"], poisoned.loc[outside, "category"] = 1 - poisoned.loc[outside, "label"], "poison"
    for choose in (lambda given: described_images(given, 20, 3), lambda given: shown_images(given, 20, 60, 3)):
        assert choose(splits)["image_id"].tolist() == choose(poisoned)["image_id"].tolist()


def test_a_projection_shows_no_training_anomaly_and_no_more_than_its_limit(splits):
    shown = shown_images(splits, 20, 60, seed=2)
    assert len(shown) == 60
    assert not ((shown["split"] == "train") & (shown["label"] == 1)).any()
    assert shown["image_id"].tolist() == shown_images(splits, 20, 60, seed=2)["image_id"].tolist()
    assert shown["image_id"].tolist() != shown_images(splits, 20, 60, seed=3)["image_id"].tolist()
    assert set(shown["image_id"]) <= set(described_images(splits, 20, seed=2)["image_id"])


class Means:
    def features(self, images):
        return images.mean((2, 3))


def test_features_come_in_the_order_of_the_rows_whatever_the_batch():
    images = torch.rand(11, 3, 4, 4)
    rows = np.array([7, 3, 10, 0])
    found = features_of(Means(), lambda part: images[torch.from_numpy(part)], rows, list("abcd"), batch_size=3)
    np.testing.assert_allclose(found, images[[7, 3, 10, 0]].mean((2, 3)).numpy())


def test_features_that_are_no_numbers_name_their_images():
    images = torch.rand(4, 1, 2, 2)
    images[2] = torch.nan
    with pytest.raises(Refusal, match=r"1 of 4 images .* \(c\)"):
        features_of(Means(), lambda part: images[torch.from_numpy(part)], np.arange(4), list("abcd"), batch_size=2)
