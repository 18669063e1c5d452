import importlib.util
import sys

import numpy as np
import pytest

from medgan.evaluation.projections import METHODS, NO_UMAP, project


@pytest.fixture
def clusters():
    """Three far groups of 20 in 60 dimensions, with a scale that only standardising takes away."""
    centres = np.random.default_rng(1).normal(size=(3, 60)) * 6
    return (centres[np.repeat(np.arange(3), 20)] + np.random.default_rng(2).normal(size=(60, 60))) * np.logspace(-3, 3, 60)


def separated(plane):
    groups = plane.reshape(3, 20, 2)
    spread = groups.std(1).max()
    return min(np.linalg.norm(groups[a].mean(0) - groups[b].mean(0)) for a, b in ((0, 1), (0, 2), (1, 2))) > 2 * spread


def test_clusters_stay_apart_and_a_seed_gives_the_same_plane(clusters, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    planes, facts = project(clusters, seed=4)
    assert set(planes) == {"pca", "tsne"}
    for name, plane in planes.items():
        assert plane.shape == (60, 2)
        assert separated(plane), name
        assert facts[name]["trustworthiness"] > 0.8
        np.testing.assert_array_equal(plane, project(clusters, seed=4)[0][name])
    assert sum(facts["pca"]["explained_variance"]) > 0.5


def test_a_missing_umap_is_a_row_that_says_how_to_get_it(clusters, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    assert project(clusters)[1]["umap"] == {"value": None, "reason": NO_UMAP}
    assert "medgan[umap]" in NO_UMAP


@pytest.mark.skipif(importlib.util.find_spec("umap") is None, reason="umap-learn is not installed: pip install 'medgan[umap]'")
def test_umap_keeps_clusters_apart(clusters):
    planes, facts = project(clusters)
    assert separated(planes["umap"])
    assert facts["umap"]["trustworthiness"] > 0.8


@pytest.mark.parametrize(("features", "words"), [(np.zeros((5, 8)), "fewer than 10 images"), (np.ones((40, 8)), "features differ")])
def test_what_cannot_be_projected_says_why(features, words):
    planes, facts = project(features)
    assert planes == {}
    assert set(facts) == set(METHODS)
    assert all(words in about["reason"] for about in facts.values())
