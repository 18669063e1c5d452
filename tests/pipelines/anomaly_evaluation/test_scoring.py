"""The nodes on a tiny store, and the wiring."""

import re

import numpy as np
import pandas as pd
import pytest
import torch

from medgan import models
from medgan.evaluation.external import not_asked
from medgan.evaluation.protocol import EvaluationConfig
from medgan.images.splits import data_hash
from medgan.models import PublishedModel
from medgan.pipelines.anomaly_evaluation.pipeline import _documents, create_pipeline
from medgan.pipelines.anomaly_evaluation.reporting import nodes as reporting
from medgan.pipelines.anomaly_evaluation.scoring import nodes
from tests.pipelines.conftest import CARD, SIDE

CONFIG = EvaluationConfig(dataset="tiny", n_resamples=100, batch_size=7, heatmap_examples=2)


def test_scores_are_reused_until_something_that_decides_them_changes(
    published, images, splits, monkeypatch
):
    table, arrays = nodes.score(published, images, splits, CONFIG, 0, None)
    assert set(table["split"]) == {"val", "test"}
    assert arrays["maps"].shape == (len(table), SIDE, SIDE)
    monkeypatch.setattr(nodes, "scored", lambda *_, **__: pytest.fail("scored again"))
    again, kept = nodes.score(published, images, splits, CONFIG, 0, arrays)
    pd.testing.assert_frame_equal(table, again)
    assert kept["maps"] is arrays["maps"]
    other = PublishedModel(
        "nearest_neighbour", {}, images.spec, {"memory": published.tensors["memory"] * 0.9}
    )
    for changed in (
        (other, images, splits, CONFIG, 0),
        (published, images, splits, CONFIG, 1),
        (published, images, splits[::-1], CONFIG, 0),
    ):
        with pytest.raises(pytest.fail.Exception, match="scored again"):
            nodes.score(*changed, arrays)


def test_scoring_reads_no_label(published, images, splits):
    _, arrays = nodes.score(published, images, splits, CONFIG, 0, None)
    blind = splits[["image_id", "split", "row"]]
    assert np.array_equal(
        nodes.score(published, images, blind, CONFIG, 0, None)[1]["score"], arrays["score"]
    )


def test_maps_are_cut_back_to_the_image_and_lie_where_the_anomaly_is(published, images, splits):
    table, arrays = nodes.score(published, images, splits, CONFIG, 0, None)
    anomalous = table.merge(splits[["image_id", "label"]])["label"].to_numpy() == 1
    mean = arrays["maps"][anomalous].astype(float).mean(0)
    assert mean[5:15, 5:15].mean() > 1.2 * mean[16:, 16:].mean()


def test_the_row_the_figures_the_comparison_and_the_report(published, images, splits, monkeypatch):
    monkeypatch.setattr(models, "detectors", lambda: ("nearest_neighbour", "dcgan"))
    scores, _ = nodes.score(published, images, splits, CONFIG, 0, None)
    row, confusion, histogram = nodes.evaluate(published, scores, splits, CONFIG, 0)
    assert row["auroc"]["value"] > 0.95
    assert (row["sees_mix"], row["interval_unit"]) == (False, "patient")
    assert all(drawn.draw().axes for drawn in (confusion, histogram))
    section, table, *pictures = nodes.compare(
        images, splits, row, {**row, "search_steps": 5}, scores, scores
    )
    assert (
        section["data"]
        == data_hash(images, splits)
        != data_hash(images, splits.assign(split="test"))
    )
    assert list(section["rows"]) == ["nearest_neighbour", "dcgan"]
    assert table.loc[0, ["auroc", "auroc_low"]].tolist() == [
        row["auroc"]["value"],
        row["auroc"]["low"],
    ]
    assert table.loc[0, "patient_auroc"] == row["patient_level"]["auroc"]["value"]
    assert (
        table.loc[0, "sensitivity (fpr=0.05)_low"]
        == row["decisions"]["fpr=0.05"]["sensitivity"]["low"]
    )
    assert table.loc[0, "auroc (viral)"] == row["per_category"]["viral"]["auroc"]["value"]
    assert len(pictures) == 3
    page, _ = reporting.report(
        section,
        None,
        None,
        images,
        splits,
        CONFIG,
        0,
        None,
        figure_samples_acgan=None,
        published_nn=published,
    )
    elsewhere = {"trained_on": "tiny", "tests": []}
    documents = {"external_dcgan": not_asked(), "tested_elsewhere": elsewhere}
    filled = reporting.fill_checklist(
        section, images, splits, CONFIG, 0, published_nn=published, **documents
    )
    assert len(filled["items"]) == 44
    assert re.search(r"<h1>(Nearest neighbour|Dcgan)", page)
    assert "kedro run --pipeline synthesis" in page
    for words in ("40 of 80", "weights of the highest AUCp", "0.123"):
        assert words in page


def test_search_steps_and_the_mix_are_on_the_row(images, splits):
    module = models.load("dcgan")
    config = module.Config(latent_dim=4, width=4, search_steps=1, warm_start=2)
    torch.manual_seed(0)
    model = module.build(config, images.spec)
    settings = {"latent_dim": 4, "width": 4, "search_steps": 1, "warm_start": 2}
    chosen = {**CARD, "labels_used": "checkpoint"}
    published = PublishedModel("dcgan", settings, images.spec, model.state_dict(), chosen)
    scores, _ = nodes.score(published, images, splits, CONFIG, 0, None)
    row = nodes.evaluate(published, scores, splits, CONFIG, 0)[0]
    assert (row["search_steps"], row["labels_used"], row["published_step"]) == (1, "checkpoint", 40)


def test_the_split_table_counts_patients_only_where_they_are_known(splits):
    counted = reporting.split_table(splits)
    assert counted["images"].sum() == 90
    assert (
        counted.loc[counted["category"] == "viral", "patients"].sum()
        == splits.loc[splits["label"] == 1, "group_id"].nunique()
    )
    assert "patients" not in reporting.split_table(splits.assign(group_known=False))


def test_documents_of_one_detector_are_told_from_those_of_all():
    """Both are inputs of one node, by name."""
    named = {name for name, stored in _documents().items() if "." not in stored}
    assert not {name for name in named for kind in reporting.EACH if name.startswith(f"{kind}_")}


def test_every_detector_has_a_namespace_and_the_inputs_have_owners():
    pipeline = create_pipeline()
    for name in models.detectors():
        made = {
            node.name.removeprefix(f"{name}.") for node in pipeline.only_nodes_with_tags(name).nodes
        }
        assert made >= {
            "score",
            "evaluate",
            "score_perturbed",
            "robustness",
            "subgroups",
            "random_errors",
            "illustrate",
            "localize",
        }
        assert ("embed" in made) == ("categorize" in made) == (name in models.encoders())
        assert ("evaluate_parts" in made) == (name in models.composed())
    made = {
        "images",
        "splits",
        "params:evaluation",
        "params:seed",
        "results.classifiers",
        "results.quality",
    }
    made |= {
        "leakage_audit",
        "masks",
        "splits_from",
        "quarantine",
        "exclusions",
        "cut_profile",
        "tested_elsewhere",
        "cached_report_pictures",
    }
    made |= {
        f"{name}.cached_{kind}"
        for name in models.detectors()
        for kind in ("perturbed_scores", "counterparts")
    }
    made |= {
        f"{name}.cached_{kind}"
        for name in models.encoders()
        for kind in ("embeddings", "residuals", "projection")
    }
    made |= {"domain_features.embeddings", "domain_features.cached_projection"}
    made |= {f"{name}.published" for name in models.names()} | {
        f"{name}.cached_maps" for name in models.detectors()
    }
    made |= {
        f"{name}.{what}_from" for name in models.detectors() for what in ("published", "evaluation")
    }
    made |= {f"{name}.external_so_far" for name in models.detectors()}
    made |= {f"{name}.samples" for name in models.synthesizers()} | {
        f"{name}.curves_figure" for name in models.names()
    }
    made |= {f"{arm}.confusion" for arm in ("real", "classical", "gan", "gan_classical")}
    cached = {
        f"{name}.cached_{kind}"
        for name in models.encoders()
        for kind in ("embeddings", "residuals", "projection")
    }
    made |= cached | {"domain_features.embeddings", "domain_features.cached_projection"}
    assert pipeline.inputs() == made


def test_wrong_settings_are_refused_by_name():
    from medgan.errors import UserError

    with pytest.raises(UserError, match=r"evaluation\.n_resamples"):
        EvaluationConfig(n_resamples=10)
    with pytest.raises(UserError, match=r"evaluation\.threshold_rule"):
        EvaluationConfig(threshold_rule="best")
