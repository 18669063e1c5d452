"""Real films: a generator that was trained on 50 of them until it knows them is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from medgan import models
from medgan.evaluation.results import SynthesisResult
from medgan.images.leakage import leakage_audit
from medgan.images.loading import BatchStream, StoredImages
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.metrics.quality import QualityMetric
from medgan.models import PublishedModel
from medgan.pipelines.outputs import Release, Synthetic, Trained
from medgan.pipelines.synthesis.config import SynthesisConfig
from medgan.pipelines.synthesis.nodes import draw
from medgan.pipelines.synthesis.quality import RealData
from medgan.pipelines.synthesis.release import judge_release
from medgan.training.loop import train
from medgan.training.runtime import seeded
from medgan.training.settings import TrainingConfig
from tests.conftest import ROOT

FILE = ROOT.parent / "shared" / "data" / "pneumoniamnist" / "pneumoniamnist.npz"
LEARNED, HELD_OUT, STEPS, BATCH = 50, 300, 400, 25
NETWORK: dict[str, Any] = {"width": 16, "latent_dim": 32}
CONFIG = SynthesisConfig(images_per_class=300)
UNMEASURED = SynthesisResult(
    {
        key: QualityMetric(value=None, reason="not measured here")
        for key in ("fid_domain", "recall_domain", "coverage_domain")
    }
)
pytestmark = pytest.mark.skipif(
    not FILE.exists(), reason="PneumoniaMNIST is not on this machine (../shared/data)"
)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageStore, pd.DataFrame]:
    """Normal films of one distribution: 50 to learn from, 300 that are held out."""
    data, count = np.load(FILE), LEARNED + HELD_OUT
    pixels = data["train_images"][data["train_labels"][:, 0] == 0][:count, ..., None]
    folder = tmp_path_factory.mktemp("films") / "images"
    write_store(folder, iter(pixels), StoreInfo(count, 28, 28, 1, "unit", ("normal",)))
    names = [f"i{place}" for place in range(count)]
    splits = pd.DataFrame(
        {
            "image_id": names,
            "group_id": names,
            "group_known": True,
            "label": 0,
            "category": "normal",
            "split": ["train"] * LEARNED + ["val"] * HELD_OUT,
            "official_split": None,
            "provenance": "real",
            "pixel_hash": names,
            "row": np.arange(count),
        }
    )
    return ImageStore.open(folder), splits


def released(
    published: PublishedModel, films: tuple[ImageStore, pd.DataFrame], images: Any = None
) -> Release:
    """The verdict on a generator, or on other images in place of its own."""
    store, splits = films
    drawn = draw(published, CONFIG, 0)
    if images is not None:
        drawn = {**drawn, "images": images}
    trained = Trained(published, pd.DataFrame(), b"")
    synthetic = Synthetic(drawn, UNMEASURED, b"")
    data = RealData(store, splits, CONFIG, 0)
    return judge_release(trained, synthetic, leakage_audit(splits), data)


def failed(found: Release) -> set[str]:
    return {rule.rule for rule in found.verdict.rules if rule.holds is False}


def published(weights: Any, store: ImageStore) -> PublishedModel:
    card = {"scale": "cpu", "image_size": [28, 28]}
    return PublishedModel("dcgan", NETWORK, store.spec, weights, card)


def untrained(store: ImageStore) -> Any:
    module = models.load("dcgan")
    with seeded(0, "dcgan"):
        return module.build(module.Config(**NETWORK), store.spec)


def test_a_generator_that_is_overfitted_to_50_images_is_refused_for_membership(films) -> None:
    store, _ = films
    model = untrained(store)
    before = released(published(model.state_dict(), store), films)
    batches = BatchStream(StoredImages(store), np.arange(LEARNED), 0)
    *_, last = train(model, batches, TrainingConfig({"adversarial": STEPS}, BATCH, ema_decay=0.99))
    assert last.state is not None
    found = released(published(last.state.weights(), store), films)
    assert not found.verdict.released
    assert "discriminator_auc" in failed(found)
    auc, same = (one.privacy.membership["discriminator"].auc for one in (found, before))
    assert auc.low > 0.8
    assert same.low < 0.5 < same.high


def test_a_generator_that_draws_its_training_images_is_refused_for_copies(films) -> None:
    store, _ = films
    model = untrained(store)
    copies = np.resize(store.read(np.arange(LEARNED)), (300, 28, 28, 1))
    found = released(published(model.state_dict(), store), films, copies)
    assert {"copy_rate", "membership_auc"} <= failed(found)
    assert found.verdict.n_flagged == 300
    assert found.privacy.membership["nearest synthetic image"].auc.value == 1
    assert found.copies is not None
    assert found.copies["flagged"].all()
    assert found.copies["nearest"].tolist() == [f"i{place % LEARNED}" for place in range(300)]
