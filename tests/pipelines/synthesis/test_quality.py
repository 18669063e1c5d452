"""What the nodes of synthesis compute once, what they show, and what a classifier learns."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from medgan import models
from medgan.audits.privacy import PrivacyResult
from medgan.audits.release import ReleaseVerdict, RuleOutcome
from medgan.contracts import ImageSpec
from medgan.evaluation.results import LeftOut, SynthesisResult
from medgan.images.loading import StoredImages
from medgan.images.transforms import as_uint8, crop_padding
from medgan.metrics.quality import QualityMetric
from medgan.models import PublishedModel
from medgan.pipelines.outputs import Release, Synthetic
from medgan.pipelines.synthesis import quality
from medgan.pipelines.synthesis.config import SynthesisConfig
from medgan.pipelines.synthesis.nodes import compare_generators, plan_learner
from medgan.pipelines.synthesis.pictures import beside_real, class_rows, interpolations
from medgan.pipelines.synthesis.quality import RealData, assess, describe_real_images
from medgan.plots.grids import CELL
from medgan.training.loop import train
from medgan.training.settings import TrainingConfig
from tests.pipelines.conftest import earlier, nothing, trained

CONFIG = SynthesisConfig(
    images_per_class=12,
    paired_images=6,
    domain_features=TrainingConfig({"classification": 60}, batch_size=16),
)

RULES = tuple(
    RuleOutcome(rule, "", None, None, None, None, 0.1, None, "not searched")
    for rule in ("copy_rate", "membership_auc")
)
VERDICT = ReleaseVerdict(
    released=False, rules=RULES, n_images=24, n_flagged=0, generator="acgan", generator_key=""
)
RELEASE = Release(VERDICT, PrivacyResult(None), None, None, b"")


def untrained(name, spec, card=None, **config):
    torch.manual_seed(0)
    module = models.load(name)
    model = module.build(module.Config(**config), spec).eval()
    for parameter in model.parameters() if hasattr(model, "sample") else ():
        torch.nn.init.normal_(parameter.data, std=0.5)  # images that differ
    card = {"image_size": (28, 28), "seed": 0, **(card or {})}
    return PublishedModel(name, config, spec, model.state_dict(), card)


@pytest.fixture
def features(images):
    return untrained("classifier", images.spec)


@pytest.fixture
def data(images, splits, features):
    return RealData(images, splits, CONFIG, 0, trained(features))


@pytest.fixture
def drawn(images, splits):
    """Training images, in place of a generator that has learned them by heart."""
    labels = np.repeat([0, 1], 12)
    train = splits[splits["split"] == "train"]
    rows = [train.loc[train["label"] == label, "row"].to_numpy()[:12] for label in (0, 1)]
    scaled = StoredImages(images)(np.concatenate(rows))
    return {"images": as_uint8(crop_padding(scaled, 28, 28)), "labels": labels}


def test_real_images_are_described_once(data, drawn, monkeypatch):
    first = describe_real_images(data, nothing)
    made = []
    monkeypatch.setattr(
        quality,
        "reused",
        lambda old, by, make: made.append(by[0]) or make() | {"key": np.array("")},
    )
    describe_real_images(data, nothing)
    assert made == ["training", "domain", "pairs"]
    monkeypatch.undo()

    def never(*_):
        raise AssertionError("this was computed before")

    with monkeypatch.context() as patched:
        patched.setattr("medgan.evaluation.real_images.features_in", never)
        patched.setattr("medgan.evaluation.real_images.paired_quality", never)
        patched.setattr(quality, "features_of", never)
        again = describe_real_images(data, earlier(real_images=first))
    assert {name: values.tolist() for name, values in again.statistics.items()} == {
        name: values.tolist() for name, values in first.statistics.items()
    }
    assert assess(drawn, data, first) == assess(drawn, data)


@pytest.mark.parametrize("changed", ["network", "split", "seed"])
def test_what_has_changed_is_computed_again(data, changed):
    first = describe_real_images(data, nothing).statistics
    changes = {
        "network": {"features": trained(untrained("classifier", data.images.spec, lr=0.5))},
        "split": {
            "splits": data.splits.assign(split=data.splits["split"].replace({"val": "test"}))
        },
        "seed": {"seed": 1},
    }
    last = earlier(real_images=type("Old", (), {"statistics": first}))
    found = describe_real_images(replace(data, **changes[changed]), last).statistics
    parts = ("domain", "training", "pairs")
    renewed = {part for part in parts if str(found[f"{part}/key"]) != str(first[f"{part}/key"])}
    assert (
        renewed
        == {
            "network": {"domain", "training"},
            "split": {"domain", "training", "pairs"},
            "seed": {"pairs"},
        }[changed]
    )


def test_a_classifier_learns_from_synthetic_images_and_is_tested_on_real_ones(
    images, splits, drawn
):
    """Anomalies are bright squares, so training images as synthetic ones teach what there is."""
    made = Synthetic(drawn, SynthesisResult({"fid_domain": QualityMetric(value=1.0)}), b"")
    job = plan_learner("acgan_learner", images, splits, CONFIG, made)
    assert (len(job.batches), job.seed, job.initial) == (24, 0, "domain_features")
    torch.manual_seed(0)
    model = models.load("classifier").build(job.config, images.spec)
    for _ in train(model, job.batches, job.training):
        pass
    learner = PublishedModel("classifier", {}, images.spec, model.state_dict(), {"seed": 0})
    section, figures = compare_generators(
        RealData(images, splits, CONFIG, 0, trained(learner)),
        {"acgan": made, "dcgan": made},
        {"acgan": RELEASE, "dcgan": RELEASE},
        {"acgan": trained(learner)},
    )
    found = section.rows["acgan"].overall
    assert found["fid_domain"].value == 1.0
    held_out = int((splits["split"] != "train").sum())
    assert found["tstr_auroc"].value > 0.9
    assert (found["tstr_auroc"].n, found["tstr_auroc"].n_training) == (held_out, 24)
    assert (found["trts_auroc"].n, found["trts_auroc"].n_real_vs_real) == (24, held_out)
    assert found["trts_auroc"].n_training == int((splits["split"] == "train").sum())
    assert "draws one class" in section.rows["dcgan"].overall["tstr_auroc"].reason
    assert dict(figures.figures) == {"acgan": b"", "dcgan": b""}
    assert dict(figures.interpolations) == {}


def test_without_a_classifier_of_real_images_the_reason_stands(images, splits, drawn):
    made = Synthetic(drawn, SynthesisResult({}), b"")
    data = RealData(images, splits, CONFIG, 0, LeftOut("no anomaly"))
    section, _ = compare_generators(data, {"acgan": made}, {"acgan": RELEASE})
    found = section.rows["acgan"].overall
    reasons = {found[name].reason for name in ("tstr_auroc", "trts_auroc")}
    assert reasons == {"no classifier of real images: no anomaly"}


def shown(figure):
    """The pictures of a grid: each begins three pixels below its title, and is centered there."""
    sheet = np.asarray(figure.axes[0].images[0].get_array())[..., 0]
    places = [text.get_position() for text in figure.axes[0].texts]
    corners = [(int(above) + 3, int(center) - CELL // 2) for center, above in places]
    return [sheet[top : top + CELL, left : left + CELL] for top, left in corners]


def titles(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_a_row_begins_and_ends_with_the_images_of_its_latents():
    spec = ImageSpec(32, 1, ("normal", "viral"))
    published = untrained("acgan", spec, width=4, latent_dim=8)
    figure = interpolations(published, 0)
    pictures = shown(figure)
    assert [picture.shape for picture in pictures] == [(CELL, CELL)] * 24
    assert titles(figure)[::8] == ["normal", "viral", "normal"]
    steps = [np.abs(a.astype(float) - b).mean() for a, b in pairwise(pictures[:8])]
    assert max(steps) < np.abs(pictures[0].astype(float) - pictures[7]).mean()
    plain = untrained("dcgan", ImageSpec(32, 1), width=4, latent_dim=8)
    assert interpolations(untrained("classifier", spec), 0) is None
    assert class_rows(plain, 0) is None


def test_a_latent_is_drawn_as_each_class():
    published = untrained("acgan", ImageSpec(32, 1, ("normal", "viral")), width=4, latent_dim=8)
    figure = class_rows(published, 0)
    assert titles(figure) == ["normal"] * 8 + ["viral"] * 8


def test_the_nearest_training_image_of_a_copy_is_the_copied_one(data, drawn):
    real = describe_real_images(data, nothing)
    figure = beside_real(drawn, data, real)
    pictures, names = shown(figure), titles(figure)
    assert names[:8] == ["real, normal"] * 8
    assert names[8:16] == ["synthetic"] * 8
    assert names[16:24] == ["nearest, 0.0"] * 8
    for copy, nearest in zip(pictures[8:16], pictures[16:24], strict=True):
        scaled = np.corrcoef(copy.ravel(), nearest.ravel())[0, 1]
        assert scaled > 0.99
    assert beside_real(drawn, replace(data, features=LeftOut("none")), real) is None
