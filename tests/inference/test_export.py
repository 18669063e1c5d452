"""Detectors as ONNX files: the same scores, or no file."""

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from medgan import models
from medgan.cli.main import main
from medgan.contracts import AnomalyScores
from medgan.errors import UserError
from medgan.files.documents import to_json
from medgan.images.loading import StoredImages
from medgan.images.resizing import Crop
from medgan.inference.export import check_exportable, export_detector, metadata, write_onnx
from medgan.inference.trained import trained as load
from medgan.inference.trained import with_threshold
from medgan.models import PublishedModel
from medgan.project.artifacts import Project
from tests.app.conftest import evaluate
from tests.inference.artifacts import folder, leave_trained
from tests.models.tiny import SPEC, tiny

needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime", "onnxscript")),
    reason="onnx, onnxruntime or onnxscript is not installed: pip install 'medgan[onnx]'",
)


@pytest.fixture
def project(trained):
    """A project with a published autoencoder and its frozen threshold."""
    store = Project(trained).store("phantoms")
    card = {
        "images": store.key,
        "seed": 0,
        "published_step": 7,
        "intended_use": "Not a medical device.",
    }
    model = PublishedModel(
        "autoencoder", {"latent_dim": 8, "width": 4}, SPEC, tiny("autoencoder").state_dict(), card
    )
    leave_trained(trained, "phantoms", model)
    evaluate(trained, "autoencoder")
    return trained


@pytest.mark.parametrize("name", sorted(set(models.names()) - set(models.encoders())))
def test_models_that_do_not_encode_an_image_are_refused_with_those_that_do(name):
    with pytest.raises(
        UserError,
        match=rf"^{name} is not exported .* use one of autoencoder, bigan, fanogan, healthygan\.$",
    ):
        check_exportable(name)


def test_the_metadata_say_how_to_feed_it_and_that_it_is_no_medical_device(project):
    found = Project(project)
    environment = found.environment("phantoms")
    bare = load(found, environment, "autoencoder")
    using = with_threshold(found, environment, bare)
    cropped = replace(using.preprocessing, crop=Crop(0.08, True))
    about = metadata(replace(using, version="v1", preprocessing=cropped))
    assert float(about["threshold"]) == using.frozen.value
    assert about["threshold_rule"] == "youden"
    assert json.loads(about["domain"]) == to_json(using.frozen.domain.limits)
    assert (about["intensity"], about["published_step"]) == ("standardised", "7")
    assert json.loads(about["classes"]) == list(SPEC.classes)
    assert json.loads(about["crop"]) == {"top": 0.08, "centre": True}
    assert "float32 (N, 1, 32, 32)" in about["input"]
    assert "Not a medical device" in about["intended_use"]
    without = metadata(bare, "run `kedro run --pipeline anomaly_evaluation`")
    assert without["threshold"] == ""
    assert without["crop"] == "none"
    assert "kedro run --pipeline anomaly_evaluation" in without["threshold_rule"]


def test_the_metadata_say_the_window_in_pixels(project):
    found = Project(project)
    using = load(found, found.environment("phantoms"), "autoencoder")
    info = replace(using.store.info, intensity="local", window=0.5)
    using.store.info = info
    about = metadata(using)
    assert about["intensity"] == "local, window 0.5"
    assert "the mean of the 17 x 17 pixels around" in about["input"]


def test_without_the_packages_the_command_says_what_to_install(project, monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(UserError, match=r"pip install 'medgan\[onnx\]'"):
        export_detector(project, "phantoms", "autoencoder", tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()


def test_a_folder_is_no_output(tmp_path):
    with pytest.raises(UserError, match="is a folder"):
        write_onnx(tiny("autoencoder").eval(), torch.zeros(2, 1, 32, 32), {}, tmp_path)


def test_the_command_is_there():
    shown = CliRunner().invoke(main, ["export", "--help"])
    assert shown.exit_code == 0
    assert "--output" in shown.output


@needs_onnx
@pytest.mark.parametrize("name", models.encoders())
def test_the_file_scores_as_pytorch_does_at_any_batch_size(name, tmp_path):
    import onnxruntime

    model = tiny(name).eval()
    images = torch.rand(5, *SPEC.shape, generator=torch.Generator().manual_seed(2)) * 2 - 1
    done = write_onnx(model, images, {"threshold": "1.5"}, tmp_path / "deep" / "model.onnx")
    assert done.difference <= 1e-4
    session = onnxruntime.InferenceSession(done.path)
    assert session.get_modelmeta().custom_metadata_map["threshold"] == "1.5"
    for count in (1, 4):
        scores, maps = session.run(
            ["image_scores", "anomaly_maps"], {"images": images[:count].numpy()}
        )
        wanted = model.score(images[:count], torch.Generator())
        np.testing.assert_allclose(scores, wanted.image_scores, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(maps, wanted.anomaly_maps, rtol=1e-4, atol=1e-5)


@needs_onnx
def test_a_published_model_is_exported_with_its_threshold(project, tmp_path):
    import onnxruntime

    done = export_detector(project, "phantoms", "autoencoder", tmp_path / "a.onnx")
    store = Project(project).store("phantoms")
    session = onnxruntime.InferenceSession(done.path)
    about = session.get_modelmeta().custom_metadata_map
    path = folder(project, "phantoms", "autoencoder.evaluation") / "evaluation.json"
    row = json.loads(path.read_text())
    assert float(about["threshold"]) == row["threshold"]["value"]
    images = StoredImages(store)(np.arange(8, 12)).numpy()
    assert np.isfinite(session.run(["image_scores"], {"images": images})[0]).all()
    assert done.images == 12


class OtherInTheFile(torch.nn.Module):
    """Scores otherwise while it is exported: an export gone wrong."""

    def score(self, images, rng):
        return AnomalyScores(
            images.mean((1, 2, 3)) + (1e-3 if torch.compiler.is_exporting() else 0.0), images
        )


@needs_onnx
def test_a_file_that_would_score_otherwise_is_not_written(tmp_path):
    with pytest.raises(UserError, match="nothing was written"):
        write_onnx(OtherInTheFile(), torch.rand(3, 1, 32, 32), {}, tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()
