"""The verdict on a generator: what cannot be measured is a reason, and everything is stored."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from medgan import models
from medgan.contracts import Discriminates, ImageSpec
from medgan.datasets.folders import FolderDataset
from medgan.evaluation.results import LeftOut
from medgan.images.leakage import leakage_audit
from medgan.images.store import ImageStore
from medgan.metrics.copies import gray
from medgan.models import PublishedModel
from medgan.pipelines.outputs import Release, Synthetic, Trained
from medgan.pipelines.synthesis import release
from medgan.pipelines.synthesis.config import SynthesisConfig
from medgan.pipelines.synthesis.nodes import compare_generators, synthesize
from medgan.pipelines.synthesis.quality import RealData, describe_real_images
from medgan.pipelines.synthesis.release import Origins, judge_release
from tests.models.tiny import SPEC, tiny
from tests.pipelines.conftest import nothing
from tests.report.material import page_of, results

CONFIGURATION = SynthesisConfig(images_per_class=6, grid_per_class=2, paired_images=4)
CONFIG = {"width": 4, "latent_dim": 8}
NAMES = ("dcgan", "acgan")
"""One that learns from normal images alone, and one that learns from all."""


@pytest.fixture
def made(images, splits, monkeypatch) -> tuple[Synthetic, Release]:
    """Images of an untrained generator and their verdict, made without a network."""

    def blocked(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", blocked)
    monkeypatch.setattr(socket, "getaddrinfo", blocked)
    splits = splits.assign(official_split=None)
    model = models.create("dcgan", images.spec.size, **CONFIG)
    card = {"scale": "cpu", "image_size": [28, 28]}
    spec = ImageSpec(32, 1, images.spec.classes)
    published = PublishedModel("dcgan", CONFIG, spec, model.state_dict(), card)
    trained = Trained(published, pd.DataFrame({"step": []}), b"")
    data = RealData(images, splits, CONFIGURATION, 0, LeftOut("no training"))
    synthetic = synthesize(trained, data, describe_real_images(data, nothing))
    return synthetic, judge_release(trained, synthetic, leakage_audit(splits), data)


def test_without_a_network_and_with_few_images_every_missing_figure_has_its_reason(made) -> None:
    _, found = made
    rules = {rule.rule: rule for rule in found.verdict.rules}
    assert not found.verdict.released
    assert "takes 100 held-out images" in str(rules["copy_rate"].reason)
    assert "no network of domain features" in str(rules["recall"].reason)
    assert "not available" in rules["coverage"].sentence
    assert all(rule.value is not None or rule.reason for rule in rules.values())
    assert "sex is not recorded" in found.privacy.attributes["sex"].above.reason
    assert found.copies is None
    assert found.check is None


def test_a_verdict_is_stored_and_shown(made, images, splits, tmp_path: Path) -> None:
    synthetic, found = made
    stored = FolderDataset(
        filepath=str(tmp_path / "release"), of="medgan.pipelines.outputs.Release"
    )
    stored.save(found)
    again = stored.load()
    assert again.verdict == found.verdict
    assert again.privacy == found.privacy
    data = RealData(images, splits, CONFIGURATION, 0, LeftOut("no training"))
    quality, grids = compare_generators(data, {"dcgan": synthetic}, {"dcgan": again})
    assert quality.rows["dcgan"].overall["released"].value == 0
    shelf = FolderDataset(filepath=str(tmp_path / "g"), of="medgan.pipelines.outputs.SampleGrids")
    shelf.save(grids)
    judged = shelf.load().releases["dcgan"]
    page = page_of(
        results(), {}, verdicts={"dcgan": judged.verdict}, privacy={"dcgan": judged.privacy}
    )
    assert "Images of no generator may be released." in page
    assert str(judged.verdict.first_failed.sentence) in page


def test_official_test_images_are_no_reference_where_validation_images_suffice(
    images, splits, monkeypatch
) -> None:
    official = splits.assign(official_split=splits["split"].replace("val", "train"))
    few = Origins.of("dcgan", images, official).held_out
    assert set(few["split"]) == {"val", "test"}
    monkeypatch.setattr(release, "LEAST_HELD_OUT", 5)
    assert set(Origins.of("dcgan", images, official).held_out["split"]) == {"val"}
    ours = Origins.of("dcgan", images, splits.assign(official_split=None))
    assert set(ours.held_out["split"]) == {"val", "test"}
    assert set(ours.held_out["category"]) == set(ours.training["category"]) == {"normal"}
    assert ours.n_patients == ours.held_out["group_id"].nunique()
    unknown = Origins.of("dcgan", images, official.assign(group_known=False))
    assert unknown.n_patients is None


def test_real_images_are_read_once_for_all_generators(images, splits, monkeypatch) -> None:
    all_origins = [Origins.of(name, images, splits.assign(official_split=None)) for name in NAMES]
    parts = [
        (origins, table)
        for origins in all_origins
        for table in (origins.training, origins.held_out)
    ]
    expected = [gray(origins.cropped(table)) for origins, table in parts]
    reads, read = [], ImageStore.read
    monkeypatch.setattr(
        ImageStore, "read", lambda store, rows: reads.append(len(rows)) or read(store, rows)
    )
    release.gray_images.cache_clear()
    for (origins, table), wanted in zip(parts, expected, strict=True):
        np.testing.assert_array_equal(origins.known(table).images, wanted)
    assert reads == [len(images)]


@pytest.mark.parametrize("name", models.synthesizers())
def test_every_generator_keeps_its_discriminator(name: str) -> None:
    model = tiny(name).eval()
    assert isinstance(model, Discriminates)
    images = torch.rand(3, *SPEC.shape) * 2 - 1
    logits = model.realness(images)
    assert logits.shape == (3,)
    assert torch.allclose(logits[:1], model.realness(images[:1]), atol=1e-5)
