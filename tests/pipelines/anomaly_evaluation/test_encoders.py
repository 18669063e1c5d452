"""Parts of scores, projections and kinds of anomalies on a tiny store, with networks that a seed
decides.
"""

import json

import numpy as np
import pandas as pd
import pytest

from medgan import models
from medgan.evaluation.protocol import EvaluationConfig
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.models import PublishedModel
from medgan.pipelines import shared
from medgan.pipelines.anomaly_evaluation.audits import categories, encoders
from medgan.pipelines.anomaly_evaluation.scoring import nodes
from medgan.pipelines.shared import embed
from medgan.report.blocks import Material
from medgan.report.sections.embeddings import projections
from tests.models.tiny import SPEC, tiny

CONFIG = EvaluationConfig(
    dataset="tiny", n_resamples=100, batch_size=16, projected_images=60, category_images=40
)
SIDE, COUNT = 28, 150
BIAS = "encoder.to_latents.bias"
CARD = {"published_step": 4, "labels_used": "none"}


@pytest.fixture(scope="module")
def splits():
    patient = np.random.default_rng(0).integers(0, 75, COUNT)
    category = np.array(["normal", "bacterial", "viral"])[patient % 3]
    split = np.array(["train", "val", "test"])[(patient // 3) % 3]
    return pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(COUNT)],
            "group_id": [f"p{number}" for number in patient],
            "group_known": True,
            "label": (category != "normal").astype(int),
            "category": category,
            "split": split,
            "row": np.random.default_rng(1).permutation(COUNT),
            "provenance": "real",
            "role": np.where(
                split == "train",
                np.where((category == "normal") & (patient % 2 == 0), "normal", "mix"),
                None,
            ),
        }
    )


@pytest.fixture(scope="module")
def images(tmp_path_factory, splits):
    """Bacterial images have a bright corner above, viral ones below."""
    pixels = np.random.default_rng(1).integers(40, 90, (COUNT, SIDE, SIDE, 1), dtype=np.uint8)
    for row, category in splits[["row", "category"]].itertuples(index=False):
        pixels[
            row,
            {"bacterial": slice(2, 10), "viral": slice(18, 26), "normal": slice(0, 0)}[category],
            4:14,
        ] += 90
    folder = tmp_path_factory.mktemp("store") / "images"
    write_store(folder, iter(pixels), StoreInfo(COUNT, SIDE, SIDE, 1, "standardised", SPEC.classes))
    return ImageStore.open(folder)


def published(name: str) -> PublishedModel:
    return PublishedModel(name, {"latent_dim": 8, "width": 4}, SPEC, tiny(name).state_dict(), CARD)


@pytest.fixture(scope="module")
def bigan(images, splits):
    """The model, and everything that the pipeline makes of it before it is judged."""
    model = published("bigan")
    scores, arrays = nodes.score(model, images, splits, CONFIG, 0, None)
    row = nodes.evaluate(model, scores, splits, CONFIG, 0)[0]
    described = embed(model, images, splits, CONFIG, 0, None)
    return (
        model,
        scores,
        arrays,
        row,
        described,
        categories.residuals(model, images, splits, CONFIG, 0, None),
    )


def poisoned(splits):
    """Validation and test labels, findings and roles turned to nonsense."""
    outside = splits["split"] != "train"
    return splits.assign(
        label=splits["label"].where(~outside, 1 - splits["label"]),
        category=splits["category"].where(~outside, "poison"),
    )


def test_scores_carry_their_parts_and_a_cache_of_the_older_form_is_not_read(
    bigan, images, splits, monkeypatch
):
    model, scores, arrays, *_ = bigan
    parts = ["score_reconstruction", "score_feature", "score_latent"]
    assert list(scores.columns) == ["image_id", "split", "score", *parts, "key"]
    np.testing.assert_array_equal(scores["score"], scores["score_feature"])
    again, kept = nodes.score(model, images, splits, CONFIG, 0, arrays)
    pd.testing.assert_frame_equal(again, scores)
    assert kept["maps"] is arrays["maps"]
    monkeypatch.setattr(nodes, "SCORES_FORM", nodes.SCORES_FORM + 1)
    assert nodes.score(model, images, splits, CONFIG, 0, arrays)[1]["maps"] is not arrays["maps"]


def test_a_detector_without_parts_has_no_columns_of_them(images, splits):
    module = models.load("nearest_neighbour")
    memory = PublishedModel(
        "nearest_neighbour", {}, SPEC, {"memory": module.standardised(np_images(images))}, CARD
    )
    assert list(nodes.score(memory, images, splits, CONFIG, 0, None)[0].columns) == [
        "image_id",
        "split",
        "score",
        "key",
    ]


def np_images(images):
    from medgan.images.loading import StoredImages

    return StoredImages(images)(np.arange(4))


def test_features_and_residuals_are_made_without_labels_of_validation_and_test(
    bigan, images, splits
):
    model, _, _, _, described, cells = bigan
    for made, make in ((described, embed), (cells, categories.residuals)):
        blind = make(model, images, poisoned(splits), CONFIG, 0, None)
        assert made.keys() == blind.keys()
        for name, values in made.items():
            np.testing.assert_array_equal(values, blind[name])


def test_features_are_reused_until_something_that_decides_them_changes(
    bigan, images, splits, monkeypatch
):
    model, *_, described, cells = bigan
    monkeypatch.setattr(shared, "features_of", lambda *_: pytest.fail("described again"))
    monkeypatch.setattr(categories, "score_images", lambda *_, **__: pytest.fail("scored again"))
    assert embed(model, images, splits, CONFIG, 0, described)["features"] is described["features"]
    assert (
        categories.residuals(model, images, splits, CONFIG, 0, cells)["residuals"]
        is cells["residuals"]
    )
    changed = {**model.tensors, BIAS: model.tensors[BIAS] + 1}
    other = PublishedModel("bigan", model.configuration, SPEC, changed, CARD)
    with pytest.raises(pytest.fail.Exception, match="described again"):
        embed(other, images, splits, CONFIG, 0, described)
    with pytest.raises(pytest.fail.Exception, match="scored again"):
        categories.residuals(other, images, splits, CONFIG, 0, cells)


def test_the_parts_of_a_score_and_the_distance_of_features(bigan, images, splits):
    model, scores, _, row, described, _ = bigan
    document, figure = encoders.evaluate_parts(
        model, scores, row, images, splits, CONFIG, 0, described
    )
    assert (document["own"], document["weights"]) == ("feature", {"feature": 1.0})
    assert list(document["rows"]) == ["feature", "reconstruction", "latent", "mahalanobis"]
    assert document["rows"]["feature"]["auroc"] == row["auroc"]
    assert document["rows"]["mahalanobis"]["n_images"] == (splits["split"] == "test").sum()
    assert figure.draw().axes
    assert (
        "mahalanobis"
        not in encoders.evaluate_parts(model, scores, row, images, splits, CONFIG, 0)[0]["rows"]
    )


def test_the_distance_is_from_the_normals_that_the_detector_was_trained_on(bigan, images, splits):
    """A detector that sees the mix does not know which of it are normal."""
    _, scores, _, _, described, _ = bigan
    outside = splits.loc[splits["role"] == "normal", "image_id"]
    sees_mix = encoders._distances(published("healthygan"), scores, images, splits, described)
    cut = np.isin(described["image_id"], [*outside, *scores["image_id"]])
    only = {"image_id": described["image_id"][cut], "features": described["features"][cut]}
    np.testing.assert_allclose(
        encoders._distances(published("healthygan"), scores, images, splits, only), sees_mix
    )
    assert not np.allclose(
        encoders._distances(published("bigan"), scores, images, splits, described), sees_mix
    )


def test_projections_are_cached_and_only_colored_by_labels(bigan, splits, monkeypatch):
    _, scores, _, _, described, _ = bigan
    arrays, facts, figure = encoders.project_features(
        "bigan", described, splits, CONFIG, 0, None, scores
    )
    assert arrays["pca"].shape == arrays["tsne"].shape == (60, 2)
    assert (facts["n_images"], facts["n_features"]) == (60, 8)
    assert (
        json.loads(json.dumps(facts, allow_nan=False))["methods"]["tsne"]["trustworthiness"] > 0.5
    )
    assert len(figure.draw().subfigs) == 2 + 4
    blind = encoders.project_features(
        "bigan", described, poisoned(splits), CONFIG, 0, None, scores
    )[0]
    np.testing.assert_array_equal(arrays["tsne"], blind["tsne"])
    monkeypatch.setattr(encoders, "project", lambda *_: pytest.fail("projected again"))
    assert (
        encoders.project_features("bigan", described, splits, CONFIG, 0, arrays, scores)[0]["tsne"]
        is arrays["tsne"]
    )
    with pytest.raises(pytest.fail.Exception, match="projected again"):
        encoders.project_features("bigan", described, splits, CONFIG, 1, arrays, scores)


def test_without_the_supervised_network_the_page_goes_without_it(
    bigan, images, splits, monkeypatch
):
    monkeypatch.setattr(models, "encoders", lambda: ("bigan",))
    _, scores, _, _, described, _ = bigan
    arrays = encoders.project_features("bigan", described, splits, CONFIG, 0, None, scores)[0]
    missing, facts, figure = encoders.project_features(
        encoders.REFERENCE, None, splits, CONFIG, 0, None
    )
    assert facts["methods"]["pca"]["reason"] == encoders.NO_REFERENCE
    told = projections(
        Material({}, splits, [], each={"projection_facts": {encoders.REFERENCE: facts}})
    )
    assert encoders.NO_REFERENCE in str(told)
    assert figure.draw().axes
    page = encoders.projections_page(images, splits, CONFIG, 0, arrays, missing, scores)
    data = json.loads(page.split("const data = ")[1].split(";\n")[0])
    assert list(data["planes"]) == ["bigan"]
    assert len(data["ids"]) == len(data["scores"]["bigan"]["values"]) == 60
    train = [
        index
        for index, place in enumerate(data["ids"])
        if splits.set_index("image_id").loc[place, "split"] == "train"
    ]
    assert all(
        (data["scores"]["bigan"]["values"][index] is None) == (index in train)
        for index in range(60)
    )
    with_reference = encoders.projections_page(images, splits, CONFIG, 0, arrays, arrays, scores)
    assert '"domain_features"' in with_reference


def test_kinds_are_told_apart_beside_the_supervised_arms(bigan, splits):
    model, _, arrays, _, described, cells = bigan
    supervised = {
        "rows": {
            "real": {"categories": {"auroc": {"value": 0.9, "low": 0.8, "high": 1.0}}},
            "gan": {},
        }
    }
    document, figure = categories.categorize(
        model, described, cells, arrays, splits, supervised, CONFIG, 0
    )
    assert document["classes"] == ["bacterial", "viral"]
    assert document["labels_used"] == "training"
    assert list(document["rows"]) == ["features", "residual map", "both"]
    assert document["rows"]["residual map"]["auroc"]["value"] > 0.95
    test = splits[(splits["split"] == "test") & (splits["label"] == 1)]
    assert {row["n_images"] for row in document["rows"].values()} == {len(test)}
    assert document["supervised"]["real"]["auroc"]["value"] == 0.9
    assert "classifier_training" in document["supervised"]["gan"]["auroc"]["reason"]
    assert figure.draw().axes
    assert json.dumps(document, allow_nan=False)


def test_the_regression_never_sees_a_test_label(bigan, splits, monkeypatch):
    model, _, arrays, _, described, cells = bigan
    seen = []
    monkeypatch.setattr(
        categories,
        "fitted_probabilities",
        lambda *given: seen.append(given) or (np.full((len(given[3]), 2), 0.5), {}),
    )
    for given in (
        splits,
        splits.assign(
            category=splits["category"].where(
                splits["split"] == "train", splits["category"].map(SWAPPED)
            )
        ),
    ):
        categories.categorize(model, described, cells, arrays, given, None, CONFIG, 0)
    for honest, swapped in zip(seen[:3], seen[3:], strict=True):
        for a, b in zip(honest, swapped, strict=True):
            np.testing.assert_array_equal(a, b)


SWAPPED = {"bacterial": "viral", "viral": "bacterial", "normal": "normal"}


def test_one_kind_of_anomaly_is_a_document_that_says_why_there_is_no_figure(
    bigan, splits, monkeypatch
):
    monkeypatch.setattr(models, "encoders", lambda: ("bigan",))
    model, _, arrays, _, described, cells = bigan
    one = splits.assign(category=splits["category"].replace("viral", "bacterial"))
    document, figure = categories.categorize(model, described, cells, arrays, one, None, CONFIG, 0)
    assert document["rows"] == {}
    assert "fewer than two kinds" in document["reason"]
    assert "fewer than two kinds" in figure.draw().axes[0].texts[0].get_text()
    assert (
        "fewer than two kinds"
        in categories.compare_kinds(document).draw().axes[0].texts[0].get_text()
    )


def test_detectors_and_arms_stand_in_one_picture(bigan, splits, monkeypatch):
    monkeypatch.setattr(models, "encoders", lambda: ("bigan",))
    model, _, arrays, _, described, cells = bigan
    supervised = {
        "rows": {"real": {"categories": {"auroc": {"value": 0.9, "low": 0.8, "high": 1.0}}}}
    }
    document, _ = categories.categorize(
        model, described, cells, arrays, splits, supervised, CONFIG, 0
    )
    (axis,) = categories.compare_kinds(document).draw().axes
    assert {label.get_text() for label in axis.get_yticklabels()} == {"bigan", "supervised, real"}
    assert "bacterial or viral" in axis.get_title(loc="left")
