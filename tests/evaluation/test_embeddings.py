import importlib.util
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from medgan.errors import UserError
from medgan.evaluation import embeddings
from medgan.evaluation.details import Projection
from medgan.evaluation.embeddings import (
    METHODS,
    NO_UMAP,
    described_images,
    features_of,
    project,
    shown_images,
)


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
    monkeypatch.setattr(embeddings, "NORMALS", 9)
    found = described_images(splits, 5, seed=1)
    for part in ("val", "test"):
        assert (found["split"] == part).sum() == (splits["split"] == part).sum()
    assert found.loc[found["split"] == "train", "category"].value_counts().to_dict() == {
        "normal": 9,
        "bacterial": 5,
        "viral": 5,
    }


def test_which_images_are_described_and_shown_does_not_depend_on_labels_outside_training(splits):
    poisoned = splits.copy()
    outside = poisoned["split"] != "train"
    poisoned.loc[outside, "label"], poisoned.loc[outside, "category"] = (
        1 - poisoned.loc[outside, "label"],
        "poison",
    )
    for choose in (
        lambda given: described_images(given, 20, 3),
        lambda given: shown_images(given, 20, 60, 3),
    ):
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
    found = features_of(
        Means(), lambda part: images[torch.from_numpy(part)], rows, list("abcd"), batch_size=3
    )
    np.testing.assert_allclose(found, images[[7, 3, 10, 0]].mean((2, 3)).numpy())


def test_features_that_are_no_numbers_name_their_images():
    images = torch.rand(4, 1, 2, 2)
    images[2] = torch.nan
    with pytest.raises(UserError, match=r"1 of 4 images .* \(c\)"):
        features_of(
            Means(),
            lambda part: images[torch.from_numpy(part)],
            np.arange(4),
            list("abcd"),
            batch_size=2,
        )


@pytest.fixture
def clusters():
    """Three far groups of 20 in 60 dimensions, with a scale that only standardizing takes away."""
    centres = np.random.default_rng(1).normal(size=(3, 60)) * 6
    return (
        centres[np.repeat(np.arange(3), 20)] + np.random.default_rng(2).normal(size=(60, 60))
    ) * np.logspace(-3, 3, 60)


def separated(plane):
    groups = plane.reshape(3, 20, 2)
    spread = groups.std(1).max()
    return (
        min(
            np.linalg.norm(groups[a].mean(0) - groups[b].mean(0))
            for a, b in ((0, 1), (0, 2), (1, 2))
        )
        > 2 * spread
    )


def test_clusters_stay_apart_and_a_seed_gives_the_same_plane(clusters, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    planes, facts = project(clusters, seed=4)
    assert set(planes) == {"pca", "tsne"}
    for name, plane in planes.items():
        assert plane.shape == (60, 2)
        assert separated(plane), name
        assert facts[name].trustworthiness > 0.8
        np.testing.assert_array_equal(plane, project(clusters, seed=4)[0][name])
    assert sum(facts["pca"].explained_variance) > 0.5


def test_a_missing_umap_is_a_row_that_says_how_to_get_it(clusters, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    assert project(clusters)[1]["umap"] == Projection(reason=NO_UMAP)
    assert "medgan[umap]" in NO_UMAP


@pytest.mark.skipif(
    importlib.util.find_spec("umap") is None,
    reason="umap-learn is not installed: pip install 'medgan[umap]'",
)
def test_umap_keeps_clusters_apart(clusters):
    planes, facts = project(clusters)
    assert separated(planes["umap"])
    assert facts["umap"].trustworthiness > 0.8


@pytest.mark.parametrize(
    ("features", "words"),
    [(np.zeros((5, 8)), "fewer than 10 images"), (np.ones((40, 8)), "features differ")],
)
def test_what_cannot_be_projected_says_why(features, words):
    planes, facts = project(features)
    assert planes == {}
    assert set(facts) == set(METHODS)
    assert all(words in about.reason for about in facts.values())
