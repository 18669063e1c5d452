"""The classifier arms: what each sees, and a study of them from plan to contrasts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from medgan.errors import MissingWeights, UserError
from medgan.evaluation.protocol import EvaluationConfig, Region
from medgan.evaluation.results import LeftOut, SynthesisResult
from medgan.images.config import AugmentationConfig, IngestionConfig
from medgan.images.labels import SEVERAL, shows
from medgan.images.resizing import fit_square
from medgan.images.splits import split_by_patient, training_digest, with_share
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.pipelines.arms import ARMS
from medgan.pipelines.classifier_training.batches import BALANCES, with_prior
from medgan.pipelines.classifier_training.config import ClassifierConfig
from medgan.pipelines.classifier_training.looks import explain_arm
from medgan.pipelines.classifier_training.nodes import compare_arms, evaluate_arm, plan_arm
from medgan.pipelines.outputs import Synthetic, Trained
from medgan.sources.medigan.drawing import SourceCard
from medgan.sources.phantoms import PhantomSource
from medgan.stats.trainings import difference_of_trainings
from medgan.training import job as jobs
from medgan.training.checkpoints import CheckpointFolder, TrainingState
from medgan.training.job import TrainingJob
from medgan.training.settings import TrainingConfig
from tests.images.known import tables
from tests.pipelines.conftest import data_of

CLASSES = ("normal", "bacterial", "viral")
STEPS = TrainingConfig({"classification": 24}, batch_size=16, ema_decay=0.9)
CONFIG = ClassifierConfig(training=STEPS)
FEW = EvaluationConfig(n_resamples=100)


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageStore, pd.DataFrame]:
    """160 phantoms of 80 patients, with large opacities, and their splits."""
    source = PhantomSource(images=160, patients=80, effect=2.0).open()
    manifest, _, _ = tables(source, IngestionConfig())
    splits = split_by_patient(manifest, {"train": 0.5, "val": 0.2, "test": 0.3}, seed=0)
    pixels = np.stack([fit_square(source.read(path).pixels, 32, 1) for path in manifest["path"]])
    folder = tmp_path_factory.mktemp("store") / "images"
    write_store(folder, iter(pixels), StoreInfo(160, 32, 32, 1, "standardised", CLASSES))
    return ImageStore.open(folder), splits


def drawn(images: ImageStore, splits: pd.DataFrame, count: int = 8) -> Synthetic:
    """In place of a generator, training images with noise."""
    train = splits[splits["split"] == "train"]
    rows, labels = [], []
    for label, name in enumerate(CLASSES):
        own = train.loc[train["category"] == name, "row"].to_numpy()[:count]
        rows.append(np.resize(own, count))
        labels += [label] * count
    pixels = images.read(np.concatenate(rows))
    origin = {"training_split": training_digest(splits)}
    arrays = {"images": pixels, "labels": np.array(labels)}
    return Synthetic(arrays, SynthesisResult({}), b"", origin=origin)


def plan(
    name: str, data: tuple[ImageStore, pd.DataFrame], seed: int = 0, **settings: Any
) -> TrainingJob:
    config = replace(CONFIG, **settings)
    added = [drawn(*data)] if ARMS[name].synthetic else []
    return plan_arm(name, *data, config, "small", AugmentationConfig(("rotation",)), seed, *added)


def finish(job: TrainingJob, folder: Path, stop_after: int = 10**9) -> CheckpointFolder:
    """Train until the end, or until so many checkpoints are written."""
    checkpoints = CheckpointFolder(folder)
    for step in jobs.train(job, checkpoints):
        if isinstance(step.state, TrainingState):
            checkpoints.write(step.state)
            stop_after -= 1
        if not stop_after:
            break
    return checkpoints


def test_every_arm_has_the_same_number_of_steps_and_sees_what_it_is_for(phantoms) -> None:
    images, splits = phantoms
    real = set(splits.loc[splits["split"] == "train", "row"])
    for name, arm in ARMS.items():
        job = plan(name, phantoms)
        assert sum(job.training.steps.values()) == 24
        if arm.pretraining:
            assert min(job.batches.stages["pretraining"].rows) >= len(images)  # type: ignore[attr-defined]
            assert set(job.batches.others.rows) == real  # type: ignore[attr-defined]
            continue
        rows = set(job.batches.rows)  # type: ignore[attr-defined]
        assert bool(rows & real) == arm.real
        assert bool(rows - real) == arm.synthetic
        assert rows >= (real if arm.real else set())
        assert (job.config.mixup > 0) == arm.mixup
    assert (
        len({plan(name, phantoms).key for name in ("gan", "synthetic_only", "mixup", "real")}) == 4
    )


def test_a_generator_of_other_training_images_is_refused(phantoms) -> None:
    images, splits = phantoms
    fewer = with_share(splits, 0.5, 0)
    stale = drawn(images, splits)
    with pytest.raises(UserError, match="acgan trained on another training split"):
        plan_arm("gan", images, fewer, CONFIG, "small", AugmentationConfig(), 0, stale)
    plan_arm("gan", images, fewer, CONFIG, "small", AugmentationConfig(), 0, drawn(images, fewer))


def test_shares_and_priors_of_synthetic_images() -> None:
    made = {"labels": np.repeat([0, 1, 2], 100), "images": np.arange(300)}
    real = np.repeat([0, 1, 2], [60, 30, 10])
    counted = {
        key: np.bincount(with_prior(made, real, *key)["labels"], minlength=3).tolist()
        for key in (("real", 0.5), ("real", 0.2), ("balanced", None), ("balanced", 0.25))
    }
    assert counted["real", 0.5] == [60, 30, 10]
    assert counted["real", 0.2] == [15, 7, 2]
    assert counted["balanced", None] == [0, 30, 50]
    assert counted["balanced", 0.25] == [0, 12, 20]
    with pytest.raises(UserError, match=r"wants 540 synthetic images of class 0, and 100"):
        with_prior(made, real, "real", 0.9)
    one_class = {"labels": np.zeros(50, int), "images": np.arange(50)}
    with pytest.raises(UserError, match="of class 1, and 0 are there"):
        with_prior(one_class, real)


def test_images_of_one_class_fill_it_up(phantoms) -> None:
    images, splits = phantoms
    own = drawn(images, splits, 40)
    viral = own.synthetic["labels"] == 2
    arrays = {name: own.synthetic[name][viral] for name in ("images", "labels")}
    card = SourceCard("medigan-1", "1", "", "", "", "", "", 0, 40, {}, {}, "")
    foreign = replace(own, synthetic=arrays, origin=None, source=card)
    config = replace(CONFIG, synthetic_prior="balanced")
    inputs = (config, "small", AugmentationConfig(), 0, foreign)
    job = plan_arm("gan_medigan", images, splits, *inputs)
    real = splits.loc[splits["split"] == "train", "category"].value_counts()
    counted = np.bincount(job.batches.labels, minlength=3)  # type: ignore[attr-defined]
    assert counted[:2].tolist() == [real["normal"], real["bacterial"]]
    assert counted[2] == min(real["normal"], real["viral"] + 40)
    with pytest.raises(UserError, match="synthetic_prior to balanced"):
        plan_arm("gan_medigan", images, splits, CONFIG, *inputs[1:])


def test_classes_are_balanced_by_weights_or_by_sampling() -> None:
    labels = np.repeat([0, 1, 2], [6, 3, 1])
    weights = BALANCES["weights"](labels, 3)
    assert weights.weights == pytest.approx((10 / 18, 10 / 9, 10 / 3), abs=1e-6)
    assert np.array_equal(weights.order, np.arange(10))
    sampled = BALANCES["sampling"](labels, 3)
    assert np.bincount(labels[sampled.order]).tolist() == [6, 6, 6]
    assert set(sampled.order) == set(range(10))


def test_normal_against_all_others_is_a_task_of_two_classes(phantoms, tmp_path) -> None:
    job = plan("gan", phantoms, task="anomaly")
    assert job.spec.classes == ("normal", "anomalous")
    assert set(job.batches.labels) == {0, 1}  # type: ignore[attr-defined]
    published = jobs.publish(job, finish(job, tmp_path))
    found = evaluate_arm(data_of(*phantoms, FEW), Trained(published, pd.DataFrame(), b""))
    assert np.shape(found.evaluation.confusion_matrix) == (2, 2)
    assert found.evaluation.categories is None


def test_findings_are_told_each_by_itself_and_images_of_several_are_learned(
    phantoms, tmp_path
) -> None:
    images, splits = phantoms
    several = (splits["label"] == 1) & (splits["row"] % 3 == 0)
    both = splits.assign(
        findings=splits["category"].mask(several, "bacterial|viral"),
        category=splits["category"].mask(several, SEVERAL),
    )
    added = replace(drawn(images, splits), origin={"training_split": training_digest(both)})
    config = replace(CONFIG, task="findings", balance="weights")
    job = plan_arm("gan", images, both, config, "small", AugmentationConfig(), 0, added)
    real = both[both["split"] == "train"]
    assert job.batches.labels[: len(real)].sum(1).tolist() == [  # type: ignore[attr-defined]
        1 + found for found in several[real.index]
    ]
    shown = np.stack([shows(real, name) for name in CLASSES])
    synthetic = job.batches.labels[len(real) :]  # type: ignore[attr-defined]
    assert set(synthetic.sum(1)) == {1}
    count = shown.sum(1) + synthetic.sum(0)
    total = len(real) + len(synthetic)
    assert job.config.class_weights == pytest.approx((total - count) / count, abs=1e-5)
    with pytest.raises(UserError, match="balance: sampling"):
        sampled = replace(config, balance="sampling")
        plan_arm("real", images, both, sampled, "small", AugmentationConfig(), 0)
    published = jobs.publish(job, finish(job, tmp_path))
    data = data_of(images, both, FEW)
    arm = evaluate_arm(data, Trained(published, pd.DataFrame(), b""))
    found, test = arm.evaluation, both[both["split"] == "test"]
    assert (found.n_images, found.task) == (len(test), "findings")
    assert np.sum(found.confusion_matrix) == len(test)
    assert arm.probabilities is not None
    own = arm.probabilities["probabilities"][arm.probabilities["split"] == "test"]
    for place, name in enumerate(CLASSES):
        expected = roc_auc_score(shows(test, name), own[:, place])
        assert found.per_class[name].auroc.value == pytest.approx(expected)
        assert found.per_class[name].n_images == shows(test, name).sum()
    same = compare_arms(data, {"gan": arm, "real": arm}, {}, LeftOut("not drawn"))
    assert same[0].rows["gan"].contrasts["real"].difference.value == 0


def test_validation_selects_weights_and_stops_where_that_is_asked_for(phantoms, tmp_path) -> None:
    stopping = replace(STEPS, inspect_every=2, criterion="val_auroc", patience=2)
    job = plan("real", phantoms, training=replace(stopping, steps={"classification": 200}))
    published = jobs.publish(job, finish(job, tmp_path))
    assert published.card["planned_steps"] == 200
    assert "stopped early" in published.card["choice"]
    assert published.card["labels_used"] == "checkpoint"
    with pytest.raises(UserError, match="criterion: aucp"):
        plan("real", phantoms, training=replace(stopping, criterion="aucp"))


def test_weights_are_never_random_unnoticed(phantoms, tmp_path, monkeypatch) -> None:
    import torch

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    images, splits = phantoms
    searched = replace(CONFIG, weights="torchvision")
    with pytest.raises(MissingWeights, match=r"classifier_training\.weights=PATH"):
        plan_arm("real", images, splits, searched, "resnet18", AugmentationConfig(), 0)
    with pytest.raises(UserError, match="no pretrained weights of 'small'"):
        plan_arm("real", images, splits, searched, "small", AugmentationConfig(), 0)
    with pytest.raises(UserError, match=r"There are no weights at .*missing.pth"):
        given = replace(CONFIG, weights=str(tmp_path / "missing.pth"))
        plan_arm("real", images, splits, given, "resnet18", AugmentationConfig(), 0)


def test_a_study_of_two_arms_and_three_seeds_resumes_and_is_compared(phantoms, tmp_path) -> None:
    images, splits = phantoms
    scores: dict[str, list[np.ndarray]] = {"real": [], "gan": []}
    found = {}
    for seed in range(3):
        for name in scores:
            often = replace(STEPS, checkpoint_every=4)
            job = plan(name, phantoms, seed, training=often)
            folder = tmp_path / name / str(seed)
            # Killed after two of its checkpoints, and started again.
            finish(job, folder, stop_after=2)
            assert not CheckpointFolder(folder).latest(job.key).finished  # type: ignore[union-attr]
            published = jobs.publish(job, finish(job, folder))
            # What is finished draws no batch.
            unused = replace(job, batches=None)  # type: ignore[arg-type]
            assert [step.state for step in jobs.train(unused, CheckpointFolder(folder))] == [
                jobs.UNCHANGED
            ]
            if seed == 0:
                whole = jobs.publish(job, finish(job, tmp_path / f"{name}-whole"))
                assert whole.key == published.key  # as if it had never been killed
            found[name] = evaluate_arm(
                data_of(images, splits, FEW, seed), Trained(published, pd.DataFrame(), b"")
            )
            scores[name].append(found[name].test_scores["score"].to_numpy())
    section, comparison = compare_arms(
        data_of(images, splits, FEW), found, {}, LeftOut("not drawn here")
    )
    assert set(section.rows["gan"].contrasts) == {"real"}
    assert comparison.audit.not_projected == "not drawn here"
    assert comparison.audit.subgroups["gan"].threshold == 0.5
    test = found["gan"].test_scores
    gap = difference_of_trainings(
        test["label"].to_numpy(),
        *map(np.stack, (scores["gan"], scores["real"])),
        test["group_id"],
        200,
    )
    assert -1 <= gap.low <= gap.value <= gap.high <= 1
    assert found["real"].evaluation.auroc.value > 0.6


@pytest.mark.parametrize("masked", [True, False])
def test_an_arm_is_explained_where_the_data_set_has_masks_and_where_it_has_none(
    phantoms, tmp_path, masked
) -> None:
    pytest.importorskip("captum")
    images, splits = phantoms
    job = plan("real", phantoms)
    published = jobs.publish(job, finish(job, tmp_path / "states"))
    masks = None
    if masked:
        shown = (np.zeros((32, 32, 1), np.uint8) + 255 * (row % 2) for row in range(len(images)))
        write_store(tmp_path / "masks", shown, StoreInfo(160, 32, 32, 1, "unit", CLASSES))
        masks = ImageStore.open(tmp_path / "masks")
    trained = Trained(published, pd.DataFrame(), b"")
    region = Region("lungs", top=0.25, left=0.0, bottom=0.25, right=0.0) if masked else None
    config = EvaluationConfig(n_resamples=100, region=region)
    found = explain_arm(data_of(images, splits, config), trained, masks)
    assert found.saliency.n_images == 12
    for checks in found.saliency.methods.values():
        inside = checks.inside_region
        assert (inside is not None) == masked
        if inside is not None:
            assert inside.area == 0.5
            assert 0 <= inside.anomalous.low <= inside.anomalous.value <= inside.anomalous.high <= 1
    assert (found.saliency.n_masks > 0) == masked
