"""`augmentation.allowed` is the one list of a data set, and every training obeys it: GANs and
detectors, classifier arms, feature network.

The store holds images that are bright on the left and dark on the right, so that a mirrored one is
seen in any batch. Trainings run as they do in a run, from the plan that their node makes, with
every augmentation replaced by one that notes its call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from medgan import models
from medgan.contracts import Batch, BatchSource
from medgan.images import transforms
from medgan.images.config import AugmentationConfig
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.pipelines.arms import ARMS
from medgan.pipelines.classifier_training.config import ClassifierConfig
from medgan.pipelines.classifier_training.nodes import plan_arm
from medgan.pipelines.gan_training.nodes import GanTrainingConfig, plan_model
from medgan.pipelines.synthesis.config import SynthesisConfig
from medgan.pipelines.synthesis.nodes import plan_domain_features
from medgan.training import job as jobs
from medgan.training.checkpoints import CheckpointFolder, TrainingState
from medgan.training.job import TrainingJob
from medgan.training.settings import DiscriminatorConfig, ModelSettings, TrainingConfig
from tests.conftest import ROOT
from tests.models.tiny import TINY, weights_file

CLASSES = ("normal", "bacterial", "viral")
UPRIGHT = ("rotation", "translation", "brightness", "contrast")
"""What a chest film bears."""
FLIPPED = (*UPRIGHT, "horizontal_flip")
EVERY = tuple(transforms.AUGMENTATIONS)
TRAININGS = (*models.names(), *ARMS, "domain_features")
FITTED = ("nearest_neighbour", "padim", "patch_knn", "untrained_neighbours")
LEARNT = tuple(name for name in TRAININGS if name not in FITTED)
"""Trainings that draw batches; the others go through the images once, as they are."""
PLAIN = (*(name for name, arm in ARMS.items() if not arm.augmented), "domain_features")
"""Those that no augmentation reaches."""
FEW = TrainingConfig({"classification": 3}, batch_size=8)


def lopsided(count: int) -> np.ndarray:
    """(count, 28, 28, 1): bright on the left, dark on the right, with noise."""
    ramp = np.linspace(200, 40, 28)[None, None, :, None]
    return np.clip(
        ramp + np.random.default_rng(0).normal(0, 12, (count, 28, 28, 1)), 0, 255
    ).astype(np.uint8)


@pytest.fixture
def images(tmp_path: Path) -> ImageStore:
    write_store(tmp_path / "store", lopsided(48), StoreInfo(48, 28, 28, 1, "standardised", CLASSES))
    return ImageStore.open(tmp_path / "store")


@pytest.fixture
def splits() -> pd.DataFrame:
    number = np.arange(48)
    category = np.array(CLASSES)[number % 3]
    normal = category == "normal"
    role = np.where(number % 2 == 1, "mix", np.where(normal, "normal", None))
    columns = {
        "image_id": number.astype(str),
        "group_id": number.astype(str),
        "group_known": True,
        "category": category,
        "row": number,
    }
    return pd.DataFrame(columns).assign(
        label=(~normal).astype(int), split=np.where(number < 36, "train", "val"), role=role
    )


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The augmentations that have been called since the test began."""
    names: set[str] = set()

    def noting(name: str, change: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def noted(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
            names.add(name)
            return change(images, rng)

        return noted

    for name, change in list(transforms.AUGMENTATIONS.items()):
        monkeypatch.setitem(transforms.AUGMENTATIONS, name, noting(name, change))
    return names


class Watched:
    """The batches of a job; how many images were seen, and how many of them were mirrored."""

    def __init__(self, batches: BatchSource) -> None:
        self.batches, self.seen, self.mirrored = batches, 0, 0

    def __len__(self) -> int:
        return len(self.batches)

    def draw(self, stage: str, index: int, size: int, *_: object) -> Batch:
        return self._note(self.batches.draw(stage, index, size))

    def epoch(self, size: int) -> Iterator[Batch]:
        return map(self._note, self.batches.epoch(size))

    def _note(self, batch: Batch) -> Batch:
        for shown in filter(lambda images: images is not None, (batch.images, batch.unlabelled)):
            left, right = shown[..., :16].mean((1, 2, 3)), shown[..., 16:].mean((1, 2, 3))  # type: ignore[index]
            self.seen += len(left)
            self.mirrored += int((left < right).sum())
        return batch


def plan(
    name: str,
    images: ImageStore,
    splits: pd.DataFrame,
    allowed: tuple[str, ...],
    wanted: tuple[str, ...] = EVERY,
) -> TrainingJob:
    """The job as its node makes it, of a few steps, for a model that wants these augmentations."""
    augmentation = AugmentationConfig(allowed)
    if name in ARMS:
        drawn = {"images": lopsided(6), "labels": np.repeat([0, 1, 2], 2)}
        added = (
            [SimpleNamespace(synthetic=drawn, origin=None, source=None)]
            if ARMS[name].synthetic
            else []
        )
        config = ClassifierConfig(training=FEW)
        return plan_arm(name, images, splits, config, "small", augmentation, 0, *added)
    if name == "domain_features":
        return plan_domain_features(name, images, splits, SynthesisConfig(domain_features=FEW))
    module = models.load(name)
    known = {field.name for field in fields(module.Config)}
    model: Any = module.Config(**{key: value for key, value in TINY.items() if key in known})
    steps = dict.fromkeys(module.build(model, images.spec).stages(), 2)
    settings = ModelSettings(model, TrainingConfig(steps, batch_size=8), wanted)
    return plan_model(
        name, images, splits, settings, GanTrainingConfig(), augmentation, 0, "", weights_file()
    )


def trained(job: TrainingJob, folder: Path) -> Watched:
    """Trains a job to its end; what its model saw."""
    watched = Watched(job.batches)
    checkpoints = CheckpointFolder(folder)
    for state, *_ in jobs.train(replace(job, batches=watched), checkpoints):
        if isinstance(state, TrainingState):
            checkpoints.write(state)
    assert watched.seen > 0
    return watched


@pytest.mark.parametrize("name", TRAININGS)
def test_no_training_sees_a_mirrored_image_where_the_anatomy_forbids_it(
    name: str, images: ImageStore, splits: pd.DataFrame, called: set[str], tmp_path: Path
) -> None:
    watched = trained(plan(name, images, splits, UPRIGHT), tmp_path / "checkpoints")
    assert watched.mirrored == 0
    assert called <= set(UPRIGHT)


@pytest.mark.parametrize("name", [name for name in LEARNT if name not in PLAIN])
def test_allowing_the_mirror_shows_mirrored_images_to_those_that_want_it(
    name: str, images: ImageStore, splits: pd.DataFrame, called: set[str], tmp_path: Path
) -> None:
    watched = trained(plan(name, images, splits, FLIPPED), tmp_path / "checkpoints")
    assert 0 < watched.mirrored < watched.seen
    assert called == set(FLIPPED)


@pytest.mark.parametrize("name", models.names())
def test_a_model_gets_no_more_than_it_wants(
    name: str, images: ImageStore, splits: pd.DataFrame
) -> None:
    def augmentations(allowed: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
        found: tuple[str, ...] = plan(name, images, splits, allowed, wanted).batches.augmentations  # type: ignore[attr-defined]
        return found

    assert augmentations(EVERY, ()) == ()
    assert augmentations(EVERY, ("horizontal_flip",)) == ("horizontal_flip",)
    assert augmentations(UPRIGHT, ("horizontal_flip",)) == ()
    plain = plan(name, images, splits, UPRIGHT, ())
    assert plain.key == plan(name, images, splits, UPRIGHT, ("horizontal_flip",)).key
    assert plain.key != plan(name, images, splits, EVERY, ("horizontal_flip",)).key


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_judged_by_plain_images_learns_on_plain_images(
    name: str, images: ImageStore, splits: pd.DataFrame, called: set[str], tmp_path: Path
) -> None:
    assert trained(plan(name, images, splits, EVERY), tmp_path / "checkpoints").mirrored == 0
    assert not called


def test_a_discriminator_sees_no_augmentation_that_the_anatomy_forbids(
    images: ImageStore, splits: pd.DataFrame
) -> None:
    model: Any = models.load("dcgan").Config()
    wanted = TrainingConfig(
        {"adversarial": 2}, batch_size=8, discriminator=DiscriminatorConfig(EVERY)
    )
    job = plan_model(
        *("dcgan", images, splits, ModelSettings(model, wanted)),
        *(GanTrainingConfig(), AugmentationConfig(UPRIGHT), 0, "", None),
    )
    assert job.training.discriminator is not None
    assert set(job.training.discriminator.augment) == set(UPRIGHT)


@pytest.mark.parametrize("name", ["base", "chest_xray", "pneumoniamnist", "covidx", "chestxray14"])
def test_no_data_set_of_chest_films_allows_a_flip(name: str) -> None:
    files = [
        ROOT / "conf" / name / "parameters.yml",
        ROOT / "conf" / "base" / "parameters" / "preprocessing.yml",
    ]
    said = [yaml.safe_load(file.read_text()) or {} for file in files if file.exists()]
    allowed = next(
        parameters["augmentation"]["allowed"] for parameters in said if "augmentation" in parameters
    )
    assert set(allowed) <= set(UPRIGHT)


MIRRORS = re.compile(
    r"\.flip\(|fliplr|flipud|rot90|[hv]flip\b|Random(Horizontal|Vertical)Flip|FLIP_(LEFT|TOP)|ImageOps\.(mirror|flip)|\[[^]]*::-1[^]]*,"
)
KERNELS = "self.weight.flip(2, 3)"
"""A convolution's kernel, no image."""


@pytest.mark.parametrize(
    "path", sorted((ROOT / "src").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_images_are_mirrored_in_one_module_only(path: Path) -> None:
    lines = [
        line
        for line in path.read_text().splitlines()
        if MIRRORS.search(line) and KERNELS not in line
    ]
    assert (
        not lines or path.name in ("transforms.py", "copies.py") or path.parent.name == "readers"
    ), "readers turn volumes upright, all of them alike; copies are looked for in the mirror too"
