"""The probabilities of a classifier beside the score, and where it looks."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from medgan.inference.classifier import trained_classifier
from medgan.project.artifacts import Project
from tests.app.test_page import fresh_caches, opened, texts  # noqa: F401
from tests.inference.conftest import made, project  # noqa: F401  # fixtures
from tests.inference.test_classify import films  # noqa: F401


def test_a_film_gets_the_calibrated_probabilities_and_grad_cam(
    films: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = opened(films, monkeypatch, "Score")
    film = films / "films/sick/p0.png"
    app.file_uploader(key="upload").set_value((film.name, film.read_bytes(), "image/png")).run()
    assert not app.exception
    assert not app.error
    found = Project(films)
    using = trained_classifier(found, found.environment("films"), "real")
    manifest, splits = found.manifest("films"), found.splits("films")
    assert manifest is not None
    assert splits is not None
    rows = splits.merge(manifest[["image_id", "path"]], on="image_id").set_index("path")["row"]
    pixels = found.store("films").read(np.array([rows["sick/p0.png"]]))
    expected = using.probabilities(pixels)[0]
    shown = [bar.proto.text for bar in app.get("progress")]
    assert shown == [f"{name}: {p:.0%}" for name, p in zip(using.classes, expected, strict=True)]
    best = using.classes[int(np.argmax(expected))]
    assert any(f"Grad-CAM of {best}" in image.proto.imgs[0].caption for image in app.image)
    shutil.rmtree(films / "data/08_reporting/films/real/classification")
    app.run()
    assert not app.error
    assert "The evaluation of real on films is missing" in texts(app)
    assert app.metric[0].value
