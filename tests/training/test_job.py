"""Planning, training and publishing on a tiny store: models, the feature network and the arms
alike.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score

from medgan import models
from medgan.contracts import TrainingSet
from medgan.errors import UserError
from medgan.evaluation.protocol import EvaluationConfig
from medgan.evaluation.results import SynthesisResult
from medgan.files.digest import file_digest
from medgan.images.config import AugmentationConfig
from medgan.images.labels import SEVERAL
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.metrics import memorisation
from medgan.models import PublishedModel, acgan
from medgan.pipelines.arms import ARMS, BY_DEFAULT
from medgan.pipelines.classifier_training.batches import with_prior
from medgan.pipelines.classifier_training.config import ClassifierConfig
from medgan.pipelines.classifier_training.nodes import evaluate_arm, plan_arm
from medgan.pipelines.gan_training.nodes import GanTrainingConfig, plan_model
from medgan.pipelines.outputs import Synthetic, Trained
from medgan.pipelines.shared import EvaluationData
from medgan.pipelines.synthesis.config import SynthesisConfig
from medgan.pipelines.synthesis.nodes import draw, plan_domain_features
from medgan.pipelines.synthesis.quality import RealData, assess
from medgan.training import job as jobs
from medgan.training.checkpoints import UNCHANGED, CheckpointFolder, TrainingState
from medgan.training.job import TrainingJob
from medgan.training.settings import ModelSettings, PrivacyConfig, TrainingConfig
from tests.models.tiny import random_weights, tiny, weights_file

CLASSES = ("normal", "bacterial", "viral")
FEW = TrainingConfig({"classification": 3}, batch_size=8, report_every=1)
ARM_SETTINGS = ClassifierConfig(training=FEW)
SYNTHESIS = SynthesisConfig(
    images_per_class=4, grid_per_class=2, paired_images=4, domain_features=FEW
)
ALLOWED = AugmentationConfig(("rotation",))


@pytest.fixture
def images(tmp_path: Path) -> ImageStore:
    pixels = np.random.default_rng(0).integers(0, 256, (72, 28, 28, 1), dtype=np.uint8)
    info = StoreInfo(
        count=72,
        height=28,
        width=28,
        channels=1,
        intensity="standardised",
        classes=CLASSES,
        sha256="",
        source_key="",
    )
    write_store(tmp_path / "store", pixels, info)
    return ImageStore.open(tmp_path / "store")


@pytest.fixture
def splits() -> pd.DataFrame:
    number = np.arange(72)
    category = np.array(CLASSES)[number % 3]
    split = np.array(["train", "train", "val", "test"])[(number // 3) % 4]
    role = np.where(split == "train", np.where(number % 2, "mix", "normal"), None)
    return pd.DataFrame(
        {
            "image_id": [f"i{n}" for n in number],
            "group_id": [f"p{n // 2}" for n in number],
            "group_known": True,
            "label": (category != "normal").astype(int),
            "category": category,
            "split": split,
            "role": np.where((category != "normal") & (role == "normal"), None, role),
            "row": number,
        }
    )


def synthetic() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "images": rng.integers(0, 256, (6, 28, 28, 1), dtype=np.uint8),
        "labels": np.repeat([0, 1, 2], 2),
    }


def finish(job: TrainingJob, folder: Path) -> CheckpointFolder:
    checkpoints = CheckpointFolder(folder)
    for state, *_ in jobs.train(job, checkpoints):
        if isinstance(state, TrainingState):
            checkpoints.write(state)
    return checkpoints


def arm(name: str, images: ImageStore, splits: pd.DataFrame) -> TrainingJob:
    added = [Synthetic(synthetic(), SynthesisResult({}), b"")] if ARMS[name].synthetic else []
    return plan_arm(name, images, splits, ARM_SETTINGS, "small", ALLOWED, 0, *added)


@pytest.mark.parametrize("name", models.names())
def test_every_model_is_planned_on_its_part_of_the_training_split(
    name: str, images: ImageStore, splits: pd.DataFrame
) -> None:
    module = models.load(name)
    settings = ModelSettings(module.Config())
    job = plan_model(
        *(name, images, splits, settings, GanTrainingConfig(), ALLOWED, 0, "", weights_file())
    )
    training = splits[splits["split"] == "train"]
    allowed = {
        TrainingSet.NORMAL: training["label"] == 0,
        TrainingSet.LABELLED: training["label"] >= 0,
        TrainingSet.MIX: training["role"] == "normal",
    }[module.TRAINING_SET]
    assert set(job.batches.rows) == set(training.loc[allowed, "row"])  # type: ignore[attr-defined]
    assert (job.batches.labels is None) == (module.TRAINING_SET is not TrainingSet.LABELLED)  # type: ignore[attr-defined]


def test_other_weights_of_the_backbone_are_another_training(
    images: ImageStore, splits: pd.DataFrame, tmp_path: Path
) -> None:
    def job(path: str) -> TrainingJob:
        settings = ModelSettings(models.load("padim").Config(side=32, dimensions=4))
        inputs = (settings, GanTrainingConfig(), ALLOWED, 0, "", path)
        return plan_model("padim", images, splits, *inputs)

    other = tmp_path / "other.pth"
    changed = {name: value + 1 for name, value in random_weights("squeezenet1_1").items()}
    torch.save(changed, other)
    first, second = job(weights_file()), job(str(other))
    assert first.key != second.key
    published = jobs.publish(first, finish(first, tmp_path / "checkpoints"))
    assert published.card["pretrained"] == ["squeezenet1_1", first.pretrained.sha256]  # type: ignore[union-attr]
    name = "patches.backbone.network.features.0.weight"
    kept = torch.load(weights_file(), weights_only=True)["features.0.weight"]
    assert torch.equal(published.tensors[name], kept)


def test_a_finished_training_costs_nothing_and_a_new_setting_starts_another(
    tmp_path: Path, images: ImageStore, splits: pd.DataFrame
) -> None:
    job = arm("real", images, splits)
    checkpoints = finish(job, tmp_path / "checkpoints")
    assert list(jobs.train(job, checkpoints)) == [(UNCHANGED, [], UNCHANGED)]
    longer = replace(job, training=replace(FEW, steps={"classification": 4}))
    assert longer.key != job.key
    assert replace(job, training=replace(FEW, report_every=2)).key == job.key
    with pytest.raises(UserError, match="not trained"):
        jobs.publish(longer, checkpoints)


def given(images: ImageStore, splits: pd.DataFrame, path: Path, **changes: int) -> TrainingJob:
    """The autoencoder, with weights from a file."""
    config = models.load("autoencoder").Config(**{"latent_dim": 8, "width": 4, **changes})
    settings = ModelSettings(config, checkpoint=str(path))
    return plan_model("autoencoder", images, splits, settings, GanTrainingConfig(), ALLOWED, 0, "")


def test_given_weights_are_published_in_place_of_a_training(
    tmp_path: Path, images: ImageStore, splits: pd.DataFrame
) -> None:
    weights = tiny("autoencoder", images.spec).state_dict()
    save_file(weights, path := tmp_path / "weights.safetensors")
    job = given(images, splits, path)
    published = jobs.publish(job, finish(job, tmp_path / "checkpoints"))
    assert all(torch.equal(published.tensors[name], value) for name, value in weights.items())
    assert published.card["given"] == file_digest(path)
    assert published.card["choice"].startswith("weights given")
    assert published.card["planned_steps"] == published.card["published_step"] == 0
    assert not {"training_images", "budget", "scale"} & published.card.keys()
    published.build()
    save_file({name: value + 1 for name, value in weights.items()}, path)
    assert given(images, splits, path).key != job.key


def test_weights_that_do_not_fit_are_refused_by_the_first_tensor_that_differs(
    tmp_path: Path, images: ImageStore, splits: pd.DataFrame
) -> None:
    weights = tiny("autoencoder", images.spec).state_dict()
    save_file(weights, path := tmp_path / "weights.safetensors")
    with pytest.raises(UserError, match=r"\.weight is \(256, 8\) there and \(256, 16\) here"):
        finish(given(images, splits, path, latent_dim=16), tmp_path / "checkpoints")
    torch.save(weights, pickled := tmp_path / "weights.pth")
    with pytest.raises(UserError, match="is no safetensors file"):
        finish(given(images, splits, pickled), tmp_path / "checkpoints")
    with pytest.raises(UserError, match="There are no weights at"):
        given(images, splits, tmp_path / "absent.safetensors")
    assert not list(tmp_path.glob("checkpoints/*"))


def test_epochs_are_steps_of_the_images_that_a_model_trains_on(
    images: ImageStore, splits: pd.DataFrame
) -> None:
    def job(name: str, training: TrainingConfig) -> TrainingJob:
        settings = ModelSettings(models.load(name).Config(), training)
        return plan_model(name, images, splits, settings, GanTrainingConfig(), ALLOWED, 0, "")

    epochs = TrainingConfig({"adversarial": 9}, 8, epochs={"adversarial": 2.5})
    # 36 training images, 12 of them normal
    assert job("dcgan", epochs).training.steps == {"adversarial": 4}  # 30 / 8, rounded up
    assert job("acgan", epochs).training.steps == {"adversarial": 12}  # 90 / 8
    twice = replace(epochs, accumulate=2)
    assert job("acgan", twice).training.steps == {"adversarial": 6}
    steps = TrainingConfig({"adversarial": 4}, 8)
    assert job("dcgan", epochs).key == job("dcgan", steps).key, "the same training"
    with pytest.raises(UserError, match="did you mean 'adversarial'"):
        job("dcgan", replace(epochs, epochs={"adversarail": 1}))
    arms = replace(FEW, epochs={"classification": 3})
    for name in ARMS:  # equal steps, whatever is added
        added = [Synthetic(synthetic(), SynthesisResult({}), b"")] if ARMS[name].synthetic else []
        settings = ClassifierConfig(training=arms)
        planned = plan_arm(name, images, splits, settings, "small", ALLOWED, 0, *added)
        steps = (
            planned.training.steps
        )  # 108 / 8, in two stages where images come one after the other
        assert sum(steps.values()) == 14
        assert ("pretraining" in steps) == ARMS[name].pretraining


def half_done(job: TrainingJob, folder: Path) -> CheckpointFolder:
    """A training that was killed after its first checkpoint."""
    checkpoints = CheckpointFolder(folder)
    states = (step.state for step in jobs.train(job, checkpoints))
    checkpoints.write(next(state for state in states if isinstance(state, TrainingState)))
    return checkpoints


def test_f32_other_settings_beside_a_half_done_training_are_refused_by_name(
    tmp_path: Path, images: ImageStore, splits: pd.DataFrame
) -> None:
    saved_often = replace(FEW, checkpoint_every=1, steps={"classification": 4})
    job = replace(arm("real", images, splits), training=saved_often)
    folder = tmp_path / "trainings"
    checkpoints = half_done(job, folder)
    assert checkpoints.latest(job.key).settings["seed"] == 0  # type: ignore[union-attr]
    other = replace(job, seed=1, training=replace(saved_often, batch_size=3))
    with pytest.raises(UserError) as refused:
        next(jobs.train(other, checkpoints))
    for words in (
        "training of real is half done (step 1)",
        f"training.batch_size was {FEW.batch_size} and is 3",
        "seed was 0 and is 1",
        "--params fresh=true",
    ):
        assert words in str(refused.value)
    assert "classification" not in str(refused.value)
    fresh = CheckpointFolder(folder, fresh=True)
    for step in jobs.train(other, fresh):
        if isinstance(step.state, TrainingState):
            fresh.write(step.state)
    assert [path.name for path in folder.iterdir()] == [other.key], "the half-done one is gone"
    assert next(jobs.train(other, checkpoints)).state is UNCHANGED
    assert isinstance(next(jobs.train(job, checkpoints)).state, TrainingState), "that one is over"


def test_finished_trainings_with_other_settings_are_kept_but_not_for_ever(tmp_path: Path) -> None:
    checkpoints = CheckpointFolder(tmp_path)
    for number in range(6):
        path = checkpoints.write(TrainingState(f"key-{number}", 9, True, {"w": torch.ones(2)}))
        os.utime(path, (number, number))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key-3", "key-4", "key-5"]


def test_arms_share_everything_but_what_is_added(images: ImageStore, splits: pd.DataFrame) -> None:
    planned = {name: arm(name, images, splits) for name in BY_DEFAULT}
    assert len({job.key for job in planned.values()}) == len(BY_DEFAULT)
    assert (
        len(
            {
                (job.initial, job.seed, str(job.training), str(job.config))
                for job in planned.values()
            }
        )
        == 1
    )
    rows = {name: set(job.batches.rows) for name, job in planned.items()}  # type: ignore[attr-defined]
    assert rows["real"] == rows["classical"] < rows["gan"] == rows["gan_classical"]
    assert len(rows["gan"] - rows["real"]) == 6
    assert planned["real"].batches.augmentations == planned["gan"].batches.augmentations == ()  # type: ignore[attr-defined]
    assert planned["classical"].batches.augmentations == ("rotation",)  # type: ignore[attr-defined]


def test_synthetic_images_keep_the_class_shares_of_the_real_ones() -> None:
    drawn = {"labels": np.repeat([0, 1, 2], 100), "images": np.arange(300)}
    real = np.repeat([0, 1, 2], [30, 60, 10])
    chosen = with_prior(drawn, real)
    assert np.bincount(chosen["labels"]).tolist() == [50, 100, 16]
    assert set(chosen["images"]) == {*range(50), *range(100, 200), *range(200, 216)}
    two_of_three = with_prior(drawn, np.repeat([0, 2], [10, 30]))
    assert np.bincount(two_of_three["labels"]).tolist() == [33, 0, 100]


def test_f46_no_arm_sees_a_held_out_image(images: ImageStore, splits: pd.DataFrame) -> None:
    held_out = set(splits.loc[splits["split"] != "train", "row"])
    for name in ARMS:
        batches = arm(name, images, splits).batches
        for part in (*getattr(batches, "stages", {}).values(), getattr(batches, "others", batches)):
            assert not held_out & set(part.rows)


def test_an_arm_from_plan_to_metrics(
    tmp_path: Path, images: ImageStore, splits: pd.DataFrame
) -> None:
    job = arm("gan_classical", images, splits)
    published = jobs.publish(job, finish(job, tmp_path / "checkpoints"))
    assert published.card["published_step"] == 3
    trained = Trained(published, pd.DataFrame(), b"")
    found = evaluate_arm(
        EvaluationData(images, splits, EvaluationConfig(n_resamples=100), 0), trained
    )
    row, scored = found.evaluation, found.test_scores
    assert roc_auc_score(scored["label"], scored["score"]) == pytest.approx(row.auroc.value)
    assert scored["called"].sum() == np.array(row.confusion_matrix)[:, 1:].sum()
    assert row.synthetic_images == 6
    assert np.sum(row.confusion_matrix) == (splits["split"] == "test").sum()
    assert found.confusion.axes  # type: ignore[union-attr]


def test_synthesis_draws_known_classes_and_is_evaluated_on_held_out_images(
    tmp_path: Path, images: ImageStore, splits: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memorisation, "LEAST_HELD_OUT", 5)
    features_job = plan_domain_features("domain_features", images, splits, SYNTHESIS)
    features = jobs.publish(features_job, finish(features_job, tmp_path / "features"))
    for name, classes in (("acgan", CLASSES), ("dcgan", CLASSES[:1])):
        module = models.load(name)
        few = TrainingConfig({"adversarial": 2}, batch_size=8)
        job = plan_model(
            name,
            images,
            splits,
            ModelSettings(module.Config(width=4, latent_dim=8), few),
            GanTrainingConfig(),
            ALLOWED,
            0,
        )
        published = jobs.publish(job, finish(job, tmp_path / name))
        drawn = draw(published, SYNTHESIS, 0)
        assert drawn["images"].shape == (4 * len(classes), 28, 28, 1)
        assert np.bincount(drawn["labels"]).tolist() == [4] * len(classes)
        assert np.array_equal(drawn["images"], draw(published, SYNTHESIS, 0)["images"])
        held_out = splits["split"] != "train"
        known = Trained(features, pd.DataFrame(), b"")
        quality = assess(drawn, RealData(images, splits, SYNTHESIS, 0, known))
        assert set(quality.by_class) == set(classes)
        normal, n_normals = quality.of("normal"), int((held_out & (splits["label"] == 0)).sum())
        assert normal["psnr_random"].n_real == min(4, n_normals)
        assert quality.overall["fid_domain"].value > 0
        assert normal["kid_domain"].n_real == n_normals
        learned = splits["category"].isin(classes) & ~held_out
        assert quality.overall["copied_share_domain"].n_training == int(learned.sum())


def test_the_score_that_validation_chooses_is_published_and_the_training_stays(
    tmp_path: Path, images: ImageStore, splits: pd.DataFrame
) -> None:
    bigan, few = models.load("bigan"), TrainingConfig({"adversarial": 2}, batch_size=8)
    settings = ModelSettings(bigan.Config(width=4, latent_dim=4), few)
    own, by_validation = (
        plan_model(*("bigan", images, splits, one, GanTrainingConfig(), ALLOWED, 0))
        for one in (settings, replace(settings, score="validation"))
    )
    assert own.key == by_validation.key
    finished = finish(own, tmp_path / "checkpoints")
    first, second = jobs.publish(own, finished), jobs.publish(by_validation, finished)
    choice = second.card["score"]
    assert max(choice["validation_auroc"].values()) == choice["validation_auroc"][choice["name"]]
    assert (first.card["labels_used"], second.card["labels_used"]) == ("none", "score")
    assert first.key != second.key or choice["name"] == "own"
    other = replace(second, score_weights={"latent": 2.0})
    (tmp_path / "published").mkdir()
    other.write(tmp_path / "published")
    read = PublishedModel.read(tmp_path / "published")
    assert (read.key, read.score_weights) == (other.key, {"latent": 2.0})
    batch, rng = torch.zeros(2, 1, 32, 32), torch.Generator().manual_seed(0)
    found = read.build().score(batch, rng)  # type: ignore[operator]
    assert torch.equal(found.image_scores, 2 * found.components["latent"])


def test_publishing_depends_on_the_weights_alone(
    tmp_path: Path, images: ImageStore, splits: pd.DataFrame
) -> None:
    job = arm("real", images, splits)
    first = jobs.publish(job, finish(job, tmp_path / "one"))
    again = jobs.publish(job, finish(job, tmp_path / "two"))
    assert first.key == again.key
    assert first.card == again.card
    assert all(torch.equal(first.tensors[name], again.tensors[name]) for name in first.tensors)


def test_acgan_learns_several_findings_and_the_others_leave_them_out(
    tmp_path: Path, images: ImageStore, splits: pd.DataFrame
) -> None:
    several = splits["row"] % 6 == 5
    splits = splits.assign(
        findings=splits["category"].mask(several, "bacterial|viral"),
        category=splits["category"].mask(several, SEVERAL),
    )
    budget = TrainingConfig({"adversarial": 2}, batch_size=8, report_every=1)
    planned = {
        loss: plan_model(
            "acgan",
            images,
            splits,
            ModelSettings(acgan.Config(8, 8, class_loss=loss), budget),
            GanTrainingConfig(),
            ALLOWED,
            0,
        )
        for loss in ("bce", "ce")
    }
    labels = planned["bce"].batches.labels  # type: ignore[attr-defined]
    assert labels.shape == (36, 3)
    assert set(labels.sum(axis=1)) == {1.0, 2.0}
    published = jobs.publish(planned["bce"], finish(planned["bce"], tmp_path / "acgan"))
    drawn = draw(published, SYNTHESIS, 0)
    assert drawn["images"].shape == (12, 28, 28, 1)
    with pytest.raises(UserError, match="class_loss: bce or d2d_ce"):
        finish(planned["ce"], tmp_path / "refused")
    alone = set(splits.loc[(splits["split"] == "train") & ~several, "row"])
    assert set(arm("real", images, splits).batches.rows) == alone  # type: ignore[attr-defined]
    assert set(plan_domain_features("features", images, splits, SYNTHESIS).batches.rows) == alone  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore:Full backward hook", "ignore:Optimal order")
def test_the_guarantee_of_a_private_generator_is_on_its_card(
    tmp_path: Path, images: ImageStore, splits: pd.DataFrame
) -> None:
    pytest.importorskip("opacus")
    model = acgan.Config(width=4, latent_dim=4, discriminator_norm="group")
    private = PrivacyConfig(epsilon=8.0, delta=1e-3)
    plain = TrainingConfig({"adversarial": 2}, batch_size=16)
    cards, keys = [], []
    for training in (plain, replace(plain, privacy=private)):
        settings = ModelSettings(model, training)
        job = plan_model(*("acgan", images, splits, settings, GanTrainingConfig(), ALLOWED, 0))
        cards.append(jobs.publish(job, finish(job, tmp_path / str(len(keys)))).card)
        keys.append(job.key)
    assert "privacy" not in cards[0]
    assert 7.9 < cards[1]["privacy"]["epsilon"] <= 8.0
    assert cards[1]["privacy"]["delta"] == 1e-3
    assert cards[1]["privacy"]["sample_rate"] == 16 / cards[1]["training_images"]
    assert keys[0] != keys[1]
