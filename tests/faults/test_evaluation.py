"""Faults F41 to F47: what the evaluation does about each."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from medgan import models
from medgan.contracts import AnomalyScores
from medgan.datasets.documents import write_document
from medgan.errors import UserError
from medgan.evaluation.detector import evaluate_detector
from medgan.evaluation.protocol import EvaluationConfig, Protocol
from medgan.evaluation.reading import read_results, require_finite_numbers
from medgan.evaluation.results import Results
from medgan.evaluation.score_table import joined
from medgan.evaluation.scores import score_images
from medgan.files.documents import to_json
from medgan.images.config import AugmentationConfig, PreprocessingConfig
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.pipelines.anomaly_evaluation.scoring.arrays import anomaly_maps
from medgan.pipelines.gan_training.nodes import GanTrainingConfig, plan_model
from medgan.pipelines.preprocessing.nodes import split_images
from medgan.pipelines.shared import EvaluationData
from medgan.stats.bootstrap import Estimate
from medgan.stats.thresholds import (
    Conformal,
    FalsePositiveRate,
    Sensitivity,
    Youden,
    frozen_on,
)
from medgan.tracking.client import Tracker
from medgan.tracking.spool import Spool
from medgan.training import job as jobs
from medgan.training.checkpoints import CheckpointFolder, TrainingState
from medgan.training.settings import ModelSettings, TrainingConfig

PARTS = ("train", "val", "test")
RULES = (Youden(), FalsePositiveRate(0.05), Conformal(0.05), Sensitivity(0.95))


def a_cohort(n: int = 240, effect: float = 1.5) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Splits of two images a patient, and scores that rise with the label."""
    rng = np.random.default_rng(0)
    patient = np.arange(n) // 2
    category = np.array(["normal", "bacterial", "viral"])[patient % 3]
    splits = pd.DataFrame(
        {
            "image_id": [f"image{number}" for number in range(n)],
            "group_id": [f"p{number}" for number in patient],
            "group_known": True,
            "label": (category != "normal").astype(int),
            "category": category,
            "split": np.array(PARTS)[(patient // 3) % 3],
            "provenance": "real",
            "pixel_hash": [f"hash{number}" for number in range(n)],
        }
    )
    scores = splits[["image_id", "split"]].assign(
        score=rng.normal(splits["label"] * effect, 1).astype(np.float32)
    )
    return splits, scores


@pytest.mark.parametrize("kind", [0, 1])
def test_f41_a_test_set_of_one_class_has_no_auroc_and_says_why(kind: int) -> None:
    splits, scores = a_cohort()
    row = evaluate_detector(
        scores,
        splits[(splits["split"] != "test") | (splits["label"] == kind)],
        Protocol(n_resamples=100),
    )
    for figure in (row.auroc, row.average_precision, row.patient_level.auroc):
        assert (figure.value, "one class" in figure.reason) == (None, True)
    assert (row.sensitivity.value is None, row.specificity.value is None) == (
        kind == 0,
        kind == 1,
    )
    assert row.predictive_values["0.1"].ppv.value is None
    results = Results(dataset="cohort", detectors={"flat": row})
    assert read_results(json.loads(json.dumps(to_json(results), allow_nan=False))) == results


@pytest.mark.parametrize("bad", [np.nan, np.inf, None])
def test_f42_a_score_that_is_not_finite_fails_with_the_name_of_the_image(bad: float | None) -> None:
    splits, scores = a_cohort()
    victim = splits.index[splits["split"] == "test"][3]
    scores["score"] = scores["score"].astype(float)
    scores.loc[victim, "score"] = bad
    with pytest.raises(UserError, match=rf"1 of 78 .*{splits.loc[victim, 'image_id']}\)"):
        evaluate_detector(scores, splits, Protocol(n_resamples=100))


def test_f42_a_detector_that_gives_nan_fails_while_it_scores() -> None:
    class Broken:
        def score(self, images: torch.Tensor, rng: torch.Generator) -> AnomalyScores:
            return AnomalyScores(torch.tensor([0.0, math.nan, 1.0]), images)

    with pytest.raises(UserError, match=r"\(second\)"):
        score_images(
            Broken(),
            lambda rows: torch.zeros(len(rows), 1, 4, 4),
            np.arange(3),
            names=["first", "second", "third"],
        )


@pytest.fixture
def manifest() -> pd.DataFrame:
    number = np.arange(120)
    category = np.array(["normal", "viral"])[number % 2]
    return pd.DataFrame(
        {
            "image_id": [f"i{n}" for n in number],
            "path": [f"i{n}.png" for n in number],
            "group_id": [f"p{n}" for n in number],
            "group_known": True,
            "label": number % 2,
            "category": category,
            "split": np.array(["train", "train", "val", "test"])[(number // 2) % 4],
            "pixel_hash": [f"h{n}" for n in number],
            "provenance": "real",
        }
    )


@pytest.fixture
def images(tmp_path: Path, manifest: pd.DataFrame) -> ImageStore:
    pixels = np.random.default_rng(0).integers(0, 200, (120, 32, 32, 1), dtype=np.uint8)
    pixels[manifest["label"] == 1, 8:20, 8:20] += 50
    write_store(
        tmp_path / "store",
        iter(pixels),
        StoreInfo(120, 32, 32, 1, "standardised", ("normal", "viral")),
    )
    return ImageStore.open(tmp_path / "store")


def flipped(manifest: pd.DataFrame) -> pd.DataFrame:
    test = manifest["split"] == "test"
    other = manifest.assign(
        label=1 - manifest["label"], category=np.where(manifest["label"] == 1, "normal", "viral")
    )
    return manifest.where(~test, other)


def garbage(manifest: pd.DataFrame) -> pd.DataFrame:
    test = manifest["split"] == "test"
    return manifest.where(~test, manifest.assign(label=-7, category="not to be read"))


SETTINGS = {
    "nearest_neighbour": ({}, {}),
    "autoencoder": ({"latent_dim": 4, "width": 4}, {"reconstruction": 6}),
    "mix_vs_normal": ({"width": 4}, {"classification": 6}),
}


def found_without_test_labels(
    name: str, manifest: pd.DataFrame, images: ImageStore, folder: Path
) -> dict[str, object]:
    """All that is decided before a metric node reads test labels, by the nodes that decide it."""
    splits, _ = split_images(manifest, PreprocessingConfig(size=32, split="official"), 0)
    known, steps = SETTINGS[name]
    training = TrainingConfig(steps, batch_size=8, inspect_every=2, report_every=1)
    job = plan_model(
        name,
        images,
        splits,
        ModelSettings(models.load(name).Config(**known), training),
        GanTrainingConfig(40),
        AugmentationConfig(),
        0,
    )
    checkpoints = CheckpointFolder(folder)
    for state, *_ in jobs.train(job, checkpoints):
        if isinstance(state, TrainingState):
            checkpoints.write(state)
    published = jobs.publish(job, checkpoints)
    data = EvaluationData(images, splits, EvaluationConfig(n_resamples=100), 0)
    arrays = anomaly_maps(published, data, None)
    scores = pd.DataFrame({name: arrays[name] for name in ("image_id", "score")})
    validation = joined(scores, splits, "val", "mean")
    return {
        "parts": splits[["image_id", "split", "role"]].astype(str).to_numpy().tolist(),
        "training rows": np.asarray(job.batches.rows).tolist(),  # type: ignore[attr-defined]
        "weights": published.key,
        "chosen": [
            published.card[key] for key in ("published_step", "choice", "labels_used", "figures")
        ],
        "scores": scores["score"].tolist(),
        "thresholds": [frozen_on(validation, rule) for rule in RULES],
    }


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("poison", [flipped, garbage])
def test_f43_from_splits_to_thresholds_nothing_depends_on_test_labels(
    name: str, poison: object, manifest: pd.DataFrame, images: ImageStore, tmp_path: Path
) -> None:
    clean = found_without_test_labels(name, manifest, images, tmp_path / "clean")
    poisoned = found_without_test_labels(name, poison(manifest), images, tmp_path / "poisoned")  # type: ignore[operator]
    for what, value in clean.items():
        assert poisoned[what] == value, what
    assert len(set(clean["scores"])) > 10  # type: ignore[arg-type]


def test_f43_the_poison_works_on_validation_labels(
    manifest: pd.DataFrame, images: ImageStore, tmp_path: Path
) -> None:
    """The same change one part earlier is seen: the test above can fail."""
    clean = found_without_test_labels("nearest_neighbour", manifest, images, tmp_path / "clean")
    val = manifest["split"] == "val"
    turned = manifest.where(~val, manifest.assign(label=1 - manifest["label"]))
    assert (
        found_without_test_labels("nearest_neighbour", turned, images, tmp_path / "turned")[
            "thresholds"
        ]
        != clean["thresholds"]
    )


class Untouchable:
    """A label that nobody may look at."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("a test label was read")

    __hash__ = __lt__ = __gt__ = __int__ = __float__ = __bool__ = __index__ = __eq__  # type: ignore[assignment]


def test_f43_thresholds_are_frozen_while_test_labels_cannot_be_read() -> None:
    splits, scores = a_cohort()
    sealed = splits.astype({"label": object})
    for row in splits.index[splits["split"] == "test"]:
        sealed.loc[row, "label"] = Untouchable()
    for rule in RULES:
        assert frozen_on(joined(scores, sealed, "val", "mean"), rule) == frozen_on(
            joined(scores, splits, "val", "mean"), rule
        )
    with pytest.raises(AssertionError, match="was read"):
        evaluate_detector(scores, sealed, Protocol(n_resamples=100))


def test_f43_a_row_of_flipped_test_labels_keeps_all_that_comes_from_validation() -> None:
    splits, scores = a_cohort()
    turned = splits.assign(
        label=splits["label"].where(splits["split"] != "test", 1 - splits["label"])
    )
    first, second = (
        evaluate_detector(scores, kind, Protocol(n_resamples=100)) for kind in (splits, turned)
    )
    for key in ("threshold", "validation", "validation_auroc", "labels_used"):
        assert getattr(first, key) == getattr(second, key)
    for rule, decision in first.decisions.items():
        assert decision.threshold == second.decisions[rule].threshold
    assert first.patient_level.threshold == second.patient_level.threshold
    assert first.auroc.value == pytest.approx(1 - second.auroc.value)


def test_f44_without_anomalies_in_validation_the_threshold_is_a_conformal_quantile_and_says_so() -> (
    None
):
    splits, scores = a_cohort()
    splits = splits[(splits["split"] != "val") | (splits["label"] == 0)]
    row = evaluate_detector(scores, splits, Protocol(n_resamples=100))
    assert row.threshold.rule.startswith("conformal=0.05")
    assert "no anomalous images" in row.threshold.rule
    assert row.labels_used == "none"
    assert row.validation_auroc.value is None
    assert row.sensitivity.value is not None
    assert row.at_95_sensitivity.false_alarms_per_100_normals.value is None
    assert any("no anomalous image" in warning for warning in row.warnings)


def test_f45_flipped_labels_or_scores_warn() -> None:
    splits, scores = a_cohort()
    assert not evaluate_detector(scores, splits, Protocol(n_resamples=100)).warnings
    turned_scores = evaluate_detector(
        scores.assign(score=-scores["score"]), splits, Protocol(n_resamples=100)
    )
    turned_labels = evaluate_detector(
        scores, splits.assign(label=1 - splits["label"]), Protocol(n_resamples=100)
    )
    for row in (turned_scores, turned_labels):
        assert row.auroc.high < 0.5
        assert any("may be flipped" in warning for warning in row.warnings)
    chance = evaluate_detector(
        scores.assign(score=np.random.default_rng(1).normal(size=len(scores))),
        splits,
        Protocol(n_resamples=100),
    )
    assert not any("flipped" in warning for warning in chance.warnings)


def test_f46_a_synthetic_test_image_fails() -> None:
    splits, scores = a_cohort()
    planted = splits.index[splits["split"] == "test"][0]
    splits.loc[planted, "provenance"] = "synthetic:dcgan@1"
    with pytest.raises(
        UserError,
        match=rf"1 test images are not real ones \(the first is {splits.loc[planted, 'image_id']}\)",
    ):
        evaluate_detector(scores, splits, Protocol(n_resamples=100))


@pytest.mark.parametrize("key", ["pixel_hash", "image_id"])
def test_f46_a_training_image_in_the_test_set_fails(key: str) -> None:
    splits, scores = a_cohort()
    trained, planted = (splits.index[splits["split"] == part][0] for part in ("train", "test"))
    if key == "image_id":
        copy = splits.loc[[trained]].assign(split="test", pixel_hash="another")
        splits, expected = (
            pd.concat([splits, copy], ignore_index=True),
            splits.loc[trained, "image_id"],
        )
    else:
        splits.loc[planted, "pixel_hash"] = splits.loc[trained, "pixel_hash"]
        expected = splits.loc[planted, "image_id"]
    with pytest.raises(
        UserError,
        match=rf"1 test images stand in the training part too \(the first is {expected}\).*on_leak",
    ):
        evaluate_detector(scores, splits, Protocol(n_resamples=100))


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_f47_a_figure_that_is_not_finite_ends_the_evaluation_before_it_is_stored(
    bad: float, tmp_path: Path
) -> None:
    splits, scores = a_cohort()
    row = evaluate_detector(scores, splits, Protocol(n_resamples=100))
    broken = replace(row, metrics={"auroc": Estimate(bad)})
    with pytest.raises(UserError, match=r"The result of the detector\.auroc\.value is (inf|nan)"):
        require_finite_numbers(to_json(broken), "The result of the detector")
    document = to_json(Results(dataset="cohort"))
    document["detectors"]["flat"] = {"auroc": bad}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_document(tmp_path / "results.json", document)
    assert not (tmp_path / "results.json").exists()


def test_f47_the_tracker_leaves_an_infinite_metric_out_and_names_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path / "spool")
    tracker = Tracker(spool, "cohort", "")
    tracker.metrics("run", {"auroc": {"value": 0.8, "high": math.inf}, "f1": {"value": math.nan}})
    (stored,) = [record for _, record in spool.records(0) if record.kind == "metrics"]
    assert [(name, value) for name, value, *_ in stored.points] == [("auroc.value", 0.8)]
    assert "2 metrics are not finite" in caplog.text
    assert "auroc.high, f1.value" in caplog.text


def test_f41_to_f47_hold_for_figures_of_the_document_too() -> None:
    """A row whose nested figure has neither value nor reason is no row."""
    splits, scores = a_cohort()
    row = evaluate_detector(scores, splits, Protocol(n_resamples=100))
    document = to_json(Results(dataset="cohort", detectors={"flat": row}))
    read_results(document)
    document["detectors"]["flat"]["predictive_values"]["0.1"]["ppv"] = {"value": None}
    with pytest.raises(UserError, match=r"detectors\.flat\.predictive_values\.0\.1\.ppv"):
        read_results(document)
