"""Volumes through the nodes of the pipeline: one choice, made on validation, for every document of
a detector.
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from medgan import models
from medgan.evaluation.details import ExternalTests
from medgan.evaluation.protocol import EvaluationConfig
from medgan.evaluation.score_table import joined
from medgan.files.documents import to_json
from medgan.images.loading import StoredImages
from medgan.models import PublishedModel
from medgan.pipelines.anomaly_evaluation.audits import nodes as audits
from medgan.pipelines.anomaly_evaluation.reporting import comparison
from medgan.pipelines.anomaly_evaluation.reporting import nodes as reporting
from medgan.pipelines.anomaly_evaluation.scoring import nodes
from medgan.pipelines.anomaly_evaluation.scoring.maps import heat_maps
from medgan.pipelines.outputs import Audit, Evaluation, Illustrations, Scores, Trained
from medgan.pipelines.shared import EvaluationData
from tests.data_sets import fakes
from tests.data_sets.environments import ran
from tests.pipelines.conftest import data_of, nothing, trained
from tests.report.test_page import PNG

CONFIG = EvaluationConfig(
    dataset="migraine_mri", n_resamples=100, batch_size=32, heatmap_examples=1, random_errors=4
)
CARD = {"labels_used": "none", "published_step": 0}
Study = tuple[EvaluationData, Trained, Scores, Any]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Scans of noise of the migraine environment, and a nearest neighbour of its normal slices."""
    folder = tmp_path_factory.mktemp("migraine")
    root = fakes.migraine_mri(folder / "data", [f"sub-{number:02d}_T1w" for number in range(1, 13)])
    with pytest.MonkeyPatch.context() as patch:
        catalog = ran("migraine_mri", root, folder, patch)
        images, splits = catalog.load("images"), catalog.load("splits")
        leaks = catalog.load("leakage_audit")
    normals = splits.loc[(splits["split"] == "train") & (splits["label"] == 0), "row"].to_numpy()
    memory = StoredImages(images)(normals)
    model = trained(PublishedModel("nearest_neighbour", {}, images.spec, {"memory": memory}, CARD))
    data = data_of(images, splits, CONFIG)
    return data, model, nodes.score(data, model, nothing), leaks


def page_of(data: EvaluationData, evaluation: Evaluation, audited: Audit, leaks: Any) -> str:
    """The report of one detector."""
    compared = comparison.compare_detectors(
        data,
        {"nearest_neighbour": evaluation},
        {"nearest_neighbour": audited},
        audits.score_shortcuts(data.images, data.splits, 0),
    )[2]
    none = pd.DataFrame({"path": [], "code": [], "reason": []})
    pictures = {field.name: PNG for field in fields(compared) if is_figure(compared, field.name)}
    shown = replace(evaluation, confusion=PNG, histogram=PNG)
    made = reporting.Made(
        trained={},
        evaluations={"nearest_neighbour": shown},
        audits={"nearest_neighbour": replace(audited, robustness_figure=PNG, subgroups_figure=PNG)},
        illustrations={"nearest_neighbour": Illustrations(PNG, PNG, PNG, {})},
        features={},
        external={},
        comparison=replace(compared, **pictures),
        cohort=replace(audits.describe_cohort(data.splits, none, none, leaks), flow=PNG),
        leakage_audit=leaks,
        tested_elsewhere=ExternalTests("migraine_mri"),
    )
    return reporting.report(data, made)[0]


def is_figure(part: object, name: str) -> bool:
    return isinstance(getattr(part, name), Figure)


@pytest.mark.parametrize("wanted", ["auto", "mean", "max"])
def test_one_score_of_volumes_goes_through_all_documents(
    study: Study, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "detectors", lambda: ("nearest_neighbour",))
    given, model, scores, leaks = study
    data = replace(given, config=replace(CONFIG, volume_score=wanted))
    evaluation = nodes.evaluate(data, model, scores, None)
    row = evaluation.evaluation
    told = row.volume_score
    areas = {name: estimate.value for name, estimate in told.validation_auroc.items()}
    assert told.aggregate == (
        wanted if wanted != "auto" else max(areas, key=lambda name: areas[name])
    )
    slices = data.splits.merge(scores.scores[["image_id", "score"]]).query("split == 'test'")
    expected = slices.groupby("volume")["score"].agg(
        told.aggregate.replace("top10%", "max")
    )  # of two slices
    kept = evaluation.test_scores.set_index("unit")
    np.testing.assert_allclose(kept["score"], expected[kept.index])
    assert kept["called"].sum() == np.array(row.confusion_matrix)[:, 1].sum()
    audited = audits.audit(data, model, scores, evaluation, leaks)
    shortcuts = audits.score_shortcuts(data.images, data.splits, 0)
    one = {"nearest_neighbour": evaluation}, {"nearest_neighbour": audited}, shortcuts
    _, table, _ = comparison.compare_detectors(data, *one)
    assert table.loc[0, "volume_score"] == told.aggregate
    rng = np.random.default_rng(0)  # its worst slices are others
    noise = scores.scores.assign(score=rng.normal(size=len(scores.scores)))
    other = nodes.evaluate(data, model, replace(scores, scores=noise), None)
    two = {"autoencoder": other, "nearest_neighbour": evaluation}
    tests = comparison.compare_detectors(data, two, dict.fromkeys(two, audited), shortcuts)[2]
    assert tests.detector_tests.n_tests == 1
    assert tests.detector_tests.n_images == row.n_images == len(expected)
    assert audited.random_errors.false_negative.n == row.confusion_matrix[1][0]
    worst = audited.worst_slices
    assert json.dumps(to_json(worst), allow_nan=False)
    assert {volume.volume: volume.score for volume in worst.volumes} == pytest.approx(
        expected[[volume.volume for volume in worst.volumes]].to_dict()
    )
    *pictures, _ = heat_maps(data, model.model, (scores, evaluation), None, None)
    pictured = "\n".join(text.get_text() for picture in pictures for text in picture.findobj(Text))
    assert "/2 ·" in pictured
    assert f"{told.aggregate} of its slices" in pictured.replace("\n", " ")
    page = page_of(data, evaluation, audited, leaks)
    assert f"{told.aggregate} of slices" in page
    assert worst.volumes[0].volume in page


def test_poisoned_test_labels_change_neither_the_choice_nor_the_threshold(study: Study) -> None:
    data, model, scores, _ = study
    label = data.splits["label"].where(data.splits["split"] != "test", 1 - data.splits["label"])
    first, second = (
        nodes.evaluate(replace(data, splits=splits), model, scores, None).evaluation
        for splits in (data.splits, data.splits.assign(label=label))
    )
    assert first.volume_score == second.volume_score
    assert first.threshold == second.threshold
    assert first.auroc.value == pytest.approx(1 - second.auroc.value)


def test_images_without_volumes_have_none_of_it(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "detectors", lambda: ("nearest_neighbour",))
    given, model, scores, leaks = study
    data = replace(given, splits=given.splits.drop(columns=["volume", "slice"]))
    evaluation = nodes.evaluate(data, model, scores, None)
    assert evaluation.evaluation.volume_score is None
    audited = audits.audit(data, model, scores, evaluation, leaks)
    assert audited.worst_slices.volumes == ()
    assert audited.worst_slices.reason == "the images are no slices of volumes"
    page = page_of(data, evaluation, audited, leaks)
    for words in ("Worst slices", "One score for each volume", "of slices"):
        assert words not in page
    test = data.splits.loc[data.splits["split"] == "test", "image_id"]
    assert joined(scores.scores, data.splits, "test", "max")["image_id"].tolist() == test.tolist()
