"""Volumes through the nodes of the pipeline: one choice, made on validation, for every document of
a detector.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medgan import models
from medgan.evaluation.detector import joined
from medgan.evaluation.protocol import EvaluationConfig
from medgan.images.loading import StoredImages
from medgan.images.store import ImageStore
from medgan.models import PublishedModel
from medgan.pipelines.anomaly_evaluation.audits import nodes as audits
from medgan.pipelines.anomaly_evaluation.reporting import nodes as reporting
from medgan.pipelines.anomaly_evaluation.scoring import maps, nodes
from medgan.pipelines.anomaly_evaluation.scoring import nodes as comparisons
from medgan.pipelines.anomaly_evaluation.scoring import nodes as runs
from tests.data_sets import fakes
from tests.data_sets.environments import ran
from tests.report.test_page import PNG

CONFIG = EvaluationConfig(
    dataset="migraine_mri", n_resamples=100, batch_size=32, heatmap_examples=1, random_errors=4
)
PICTURE = {"figure_heatmaps_nearest_neighbour": PNG}
CARD = {"labels_used": "none", "published_step": 0}
Study = tuple[ImageStore, pd.DataFrame, PublishedModel, pd.DataFrame, dict[str, Any]]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Scans of noise of the migraine environment, and a nearest neighbour of its normal slices:
    images, splits, detector, scores, maps.
    """
    folder = tmp_path_factory.mktemp("migraine")
    root = fakes.migraine_mri(folder / "data", [f"sub-{number:02d}_T1w" for number in range(1, 13)])
    with pytest.MonkeyPatch.context() as patch:
        catalog = ran("migraine_mri", root, folder, patch)
        images, splits = catalog.load("images"), catalog.load("splits")
    normals = splits.loc[(splits["split"] == "train") & (splits["label"] == 0), "row"].to_numpy()
    memory = models.load("nearest_neighbour").standardised(StoredImages(images)(normals))
    published = PublishedModel("nearest_neighbour", {}, images.spec, {"memory": memory}, CARD)
    return (images, splits, published, *nodes.score(published, images, splits, CONFIG, 0, None))


@pytest.mark.parametrize("wanted", ["auto", "mean", "max"])
def test_one_score_of_volumes_goes_through_all_documents(
    study: Study, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "detectors", lambda: ("nearest_neighbour",))
    images, splits, published, scores, arrays = study
    config = replace(CONFIG, volume_score=wanted)
    row = nodes.evaluate(published, scores, splits, config, 0)[0]
    told = row["volume_score"]
    areas = {name: figure["value"] for name, figure in told["validation_auroc"].items()}
    assert told["aggregate"] == (
        wanted if wanted != "auto" else max(areas, key=lambda name: areas[name])
    )
    slices = splits.merge(scores[["image_id", "score"]]).query("split == 'test'")
    expected = slices.groupby("volume")["score"].agg(
        told["aggregate"].replace("top10%", "max")
    )  # of two slices
    kept = runs.keep_scores(scores, splits, row).set_index("unit")
    np.testing.assert_allclose(kept["score"], expected[kept.index])
    assert kept["called"].sum() == np.array(row["confusion_matrix"])[:, 1].sum()
    section, table, *_ = nodes.compare(images, splits, row, scores)
    assert table.loc[0, "volume_score"] == told["aggregate"]
    other = scores.assign(
        score=np.random.default_rng(0).normal(size=len(scores))
    )  # its worst slices are others
    judged = {
        "evaluation_autoencoder": nodes.evaluate(published, other, splits, config, 0)[0],
        "scores_autoencoder": other,
    }
    judged |= {"evaluation_nearest_neighbour": row, "scores_nearest_neighbour": scores}
    tests, _ = comparisons.differences_from_baselines(splits, config, 0, **judged)
    assert tests["n_tests"] == 1
    assert tests["n_images"] == row["n_images"] == len(expected)
    assert (
        audits.errors(scores, splits, row, config, 0)["miss"]["n"] == row["confusion_matrix"][1][0]
    )
    worst = audits.worst_slices(scores, splits, row, config, 0)
    assert json.loads(json.dumps(worst, allow_nan=False)) == worst
    assert {volume["volume"]: volume["score"] for volume in worst["volumes"]} == pytest.approx(
        expected[[volume["volume"] for volume in worst["volumes"]]].to_dict()
    )
    pictured = "\n".join(
        text.get_text()
        for picture in maps.illustrate(
            published, scores, arrays, images, None, splits, row, config, 0, None
        )[:3]
        for text in picture.draw().axes[0].texts
    )
    assert "/2 ·" in pictured
    assert f"{told['aggregate']} of its slices" in pictured.replace("\n", " ")
    page, _ = reporting.report(
        section,
        None,
        None,
        images,
        splits,
        config,
        0,
        None,
        worst_slices_nearest_neighbour=worst,
        **PICTURE,
    )
    assert ("One score for each volume" in page, f"{told['aggregate']} of slices" in page) == (
        True,
        True,
    )
    assert worst["volumes"][0]["volume"] in page


def test_poisoned_test_labels_change_neither_the_choice_nor_the_threshold(study: Study) -> None:
    _, splits, published, scores, _ = study
    flipped = splits.assign(
        label=splits["label"].where(splits["split"] != "test", 1 - splits["label"])
    )
    first, second = (
        nodes.evaluate(published, scores, kind, CONFIG, 0)[0] for kind in (splits, flipped)
    )
    for key in ("aggregate", "chosen_by", "validation_auroc"):
        assert first["volume_score"][key] == second["volume_score"][key]
    assert first["threshold"] == second["threshold"]
    assert first["auroc"]["value"] == pytest.approx(1 - second["auroc"]["value"])


def test_images_without_volumes_have_none_of_it(study: Study) -> None:
    images, splits, published, scores, _ = study
    films = splits.drop(columns=["volume", "slice"])
    row = nodes.evaluate(published, scores, films, CONFIG, 0)[0]
    assert "volume_score" not in row
    worst = audits.worst_slices(scores, films, row, CONFIG, 0)
    assert worst == {"reason": "the images are no slices of volumes", "volumes": []}
    section = {"data": "", "rows": {"nearest_neighbour": row}}
    page, _ = reporting.report(
        section,
        None,
        None,
        images,
        films,
        CONFIG,
        0,
        None,
        worst_slices_nearest_neighbour=worst,
        **PICTURE,
    )
    for words in ("Worst slices", "One score for each volume", "of slices"):
        assert words not in page
    assert (
        joined(scores, films, "test", "max")["image_id"].tolist()
        == films.loc[films["split"] == "test", "image_id"].tolist()
    )
