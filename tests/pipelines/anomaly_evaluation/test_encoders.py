"""Components of scores, projections and anomaly types on a tiny store, with networks that a seed
decides.
"""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text

from medgan.evaluation.protocol import EvaluationConfig
from medgan.files.documents import to_json
from medgan.images.loading import StoredImages
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.models import PublishedModel
from medgan.pipelines import shared
from medgan.pipelines.anomaly_evaluation.audits import categories
from medgan.pipelines.anomaly_evaluation.reporting.comparison import projections_page
from medgan.pipelines.anomaly_evaluation.scoring import arrays, nodes, projections
from medgan.pipelines.anomaly_evaluation.scoring.nodes import _distances, evaluate_parts
from medgan.pipelines.shared import embed
from tests.models.tiny import SPEC, tiny
from tests.pipelines.conftest import data_of, earlier, nothing, trained

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
def data(images, splits):
    return data_of(images, splits, CONFIG)


@pytest.fixture(scope="module")
def bigan(data):
    """The model, what the pipeline makes of it before it is judged, and the judgement."""
    model = trained(published("bigan"))
    scores = nodes.score(data, model, nothing)
    return model, scores, nodes.evaluate(data, model, scores, None)


def poisoned(splits):
    """Validation and test labels, findings and roles turned to nonsense."""
    outside = splits["split"] != "train"
    return splits.assign(
        label=splits["label"].where(~outside, 1 - splits["label"]),
        category=splits["category"].where(~outside, "poison"),
    )


def test_scores_carry_their_parts_and_a_cache_of_the_older_form_is_not_read(
    bigan, data, monkeypatch
):
    model, scores, _ = bigan
    parts = ["score_reconstruction", "score_feature", "score_latent"]
    assert list(scores.scores.columns) == ["image_id", "split", "score", *parts, "key"]
    np.testing.assert_array_equal(scores.scores["score"], scores.scores["score_feature"])
    again = nodes.score(data, model, earlier(scores=scores))
    pd.testing.assert_frame_equal(again.scores, scores.scores)
    assert again.maps["maps"] is scores.maps["maps"]
    monkeypatch.setattr(shared, "FORM", shared.FORM + 1)
    newer = arrays.anomaly_maps(model.model, data, scores.maps)
    assert newer["maps"] is not scores.maps["maps"]


def test_a_detector_without_parts_has_no_columns_of_them(data):
    normals = StoredImages(data.images)(np.arange(4))
    memory = PublishedModel("nearest_neighbour", {}, SPEC, {"memory": normals}, CARD)
    found = nodes.score(data, trained(memory), nothing)
    assert list(found.scores.columns) == ["image_id", "split", "score", "key"]
    assert (found.embeddings, found.residuals) == (None, None)


def test_features_and_residuals_are_made_without_labels_of_validation_and_test(bigan, data):
    model, scores, _ = bigan
    blind = replace(data, splits=poisoned(data.splits))
    for made, make in ((scores.embeddings, embed), (scores.residuals, arrays.residuals)):
        again = make(model.model, blind, None)
        assert made.keys() == again.keys()
        for name, values in made.items():
            np.testing.assert_array_equal(values, again[name])


def test_features_are_reused_until_something_that_decides_them_changes(bigan, data, monkeypatch):
    trained_model, scores, _ = bigan
    model, described, cells = trained_model.model, scores.embeddings, scores.residuals
    monkeypatch.setattr(shared, "features_of", lambda *_: pytest.fail("described again"))
    monkeypatch.setattr(arrays, "score_images", lambda *_, **__: pytest.fail("scored again"))
    assert embed(model, data, described)["features"] is described["features"]
    assert arrays.residuals(model, data, cells)["residuals"] is cells["residuals"]
    changed = {**model.tensors, BIAS: model.tensors[BIAS] + 1}
    other = PublishedModel("bigan", model.configuration, SPEC, changed, CARD)
    with pytest.raises(pytest.fail.Exception, match="described again"):
        embed(other, data, described)
    with pytest.raises(pytest.fail.Exception, match="scored again"):
        arrays.residuals(other, data, cells)


def test_the_parts_of_a_score_and_the_distance_of_features(bigan, data):
    model, scores, evaluation = bigan
    found, row = evaluation.components, evaluation.evaluation
    assert (found.own, found.weights) == ("feature", {"feature": 1.0})
    assert list(found.rows) == ["feature", "reconstruction", "latent", "mahalanobis"]
    assert found.rows["feature"].auroc == row.auroc
    assert found.rows["mahalanobis"].n_images == (data.splits["split"] == "test").sum()
    assert evaluation.components_figure.axes
    alone = evaluate_parts(model.model, replace(scores, embeddings=None), row, data)[0]
    assert "mahalanobis" not in alone.rows


def test_the_distance_is_from_the_normals_that_the_detector_was_trained_on(bigan, data):
    """A detector that sees the mix does not know which of it are normal."""
    _, scores, _ = bigan
    table, described = scores.scores, scores.embeddings
    outside = data.splits.loc[data.splits["role"] == "normal", "image_id"]
    sees_mix = _distances(published("healthygan"), table, data, described)
    cut = np.isin(described["image_id"], [*outside, *table["image_id"]])
    only = {name: described[name][cut] for name in ("image_id", "features")}
    np.testing.assert_allclose(_distances(published("healthygan"), table, data, only), sees_mix)
    assert not np.allclose(_distances(published("bigan"), table, data, described), sees_mix)


def test_projections_are_cached_and_only_colored_by_labels(bigan, data, monkeypatch):
    _, scores, _ = bigan
    described, table = scores.embeddings, scores.scores
    found = projections.project_features("bigan", described, data, None, table)
    arrays_of, facts = found.plane, found.projections
    assert arrays_of["pca"].shape == arrays_of["tsne"].shape == (60, 2)
    assert (facts.n_images, facts.n_features) == (60, 8)
    told = json.loads(json.dumps(to_json(facts), allow_nan=False))
    assert told["methods"]["tsne"]["trustworthiness"] > 0.5
    assert found.projections_figure.findobj(Axes)
    blind = replace(data, splits=poisoned(data.splits))
    again = projections.project_features("bigan", described, blind, None, table)
    np.testing.assert_array_equal(arrays_of["tsne"], again.plane["tsne"])
    monkeypatch.setattr(projections, "project", lambda *_: pytest.fail("projected again"))
    kept = projections.project_features("bigan", described, data, arrays_of, table)
    assert kept.plane["tsne"] is arrays_of["tsne"]
    with pytest.raises(pytest.fail.Exception, match="projected again"):
        projections.project_features("bigan", described, replace(data, seed=1), arrays_of, table)


def test_without_the_supervised_network_the_page_goes_without_it(bigan, data):
    _, scores, evaluation = bigan
    found = projections.project_features("bigan", scores.embeddings, data, None, scores.scores)
    missing = projections.describe_reference_network(data, None, nothing)
    assert missing.projections.methods["pca"].reason == projections.NO_REFERENCE
    assert missing.projections_figure.axes or missing.projections_figure.texts
    given = data, {"bigan": evaluation}, {"bigan": found}
    page = projections_page(*given, {projections.REFERENCE: missing})
    shown = json.loads(page.split("const data = ")[1].split(";\n")[0])
    assert list(shown["planes"]) == ["bigan"]
    values = shown["scores"]["bigan"]["values"]
    assert len(shown["ids"]) == len(values) == 60
    split = data.splits.set_index("image_id").loc[shown["ids"], "split"]
    assert [value is None for value in values] == (split == "train").tolist()
    assert '"domain_features"' in projections_page(*given, {projections.REFERENCE: found})


def test_types_are_told_apart_beside_the_supervised_arms(bigan, data):
    model, scores, _ = bigan
    document, figure = categories.categorize(data, model, scores, None)
    assert document.classes == ("bacterial", "viral")
    assert document.labels_used == "training"
    assert list(document.rows) == ["features", "residual map", "both"]
    assert document.rows["residual map"].auroc.value > 0.95
    test = data.splits[(data.splits["split"] == "test") & (data.splits["label"] == 1)]
    assert {row.n_images for row in document.rows.values()} == {len(test)}
    assert document.supervised == {}
    assert figure.axes
    assert json.dumps(to_json(document), allow_nan=False)


def test_the_regression_never_sees_a_test_label(bigan, data, monkeypatch):
    model, scores, _ = bigan
    seen = []
    monkeypatch.setattr(
        categories,
        "fitted_probabilities",
        lambda *given: seen.append(given) or (np.full((len(given[3]), 2), 0.5), FIT),
    )
    in_train = data.splits["split"] == "train"
    category = data.splits["category"].where(in_train, data.splits["category"].map(SWAPPED))
    for splits in (data.splits, data.splits.assign(category=category)):
        categories.categorize(replace(data, splits=splits), model, scores, None)
    for honest, swapped in zip(seen[:3], seen[3:], strict=True):
        for a, b in zip(honest, swapped, strict=True):
            np.testing.assert_array_equal(a, b)


SWAPPED = {"bacterial": "viral", "viral": "bacterial", "normal": "normal"}
FIT = SimpleNamespace(c=1.0, folds=2, n_train=10)


def test_one_type_of_anomaly_is_a_document_that_says_why_there_is_no_metric(bigan, data):
    model, scores, _ = bigan
    one = data.splits.assign(category=data.splits["category"].replace("viral", "bacterial"))
    document, figure = categories.categorize(replace(data, splits=one), model, scores, None)
    assert document.rows == {}
    assert "fewer than two" in document.reason
    for shown in (figure, categories.compare_categories({"bigan": document})):
        assert "fewer than two" in " ".join(text.get_text() for text in shown.findobj(Text))


def test_detectors_and_arms_stand_in_one_picture(bigan, data):
    model, scores, _ = bigan
    document, _ = categories.categorize(data, model, scores, None)
    document = replace(document, supervised={"real": document.rows["both"]})
    (axis,) = categories.compare_categories({"bigan": document}).axes
    labels = {label.get_text().lower() for label in axis.get_yticklabels()}
    assert {"bigan", "supervised, real"} <= labels
    written = " ".join(text.get_text() for text in axis.figure.findobj(Text)).lower()
    assert "bacterial or viral" in written
