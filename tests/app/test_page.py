"""The page as a user meets it."""

import io
import re
import shutil
from pathlib import Path

import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

import medgan.app.main as page
from medgan.audits.release import CopyCheck
from medgan.evaluation.domain import Domain
from medgan.images.transforms import as_tensor
from medgan.inference.generation import judged_generator
from medgan.project.artifacts import Project
from tests.app.conftest import ROOT, film
from tests.inference.artifacts import leave_release, odd

MAIN = page.__file__


@pytest.fixture(autouse=True)
def fresh_caches() -> None:
    st.cache_data.clear()
    st.cache_resource.clear()


def opened(root: Path, monkeypatch: pytest.MonkeyPatch, view: str = "Generate") -> AppTest:
    monkeypatch.setenv("MEDGAN_PROJECT", str(root))
    app = AppTest.from_file(MAIN, default_timeout=60).run()
    return app if view == "Generate" else app.radio(key="view").set_value(view).run()


def texts(app: AppTest) -> str:
    return "\n".join(
        str(element.value)
        for kind in (app.markdown, app.caption, app.info, app.error)
        for element in kind
    )


def png_file(side: int = 48) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(film(21, side)[:, :, 0]).save(buffer, "PNG")
    return buffer.getvalue()


def test_an_untrained_project_says_which_command_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    app = opened(tmp_path, monkeypatch)
    assert [info.value for info in app.info] == [page.UNTRAINED]
    assert not app.exception
    assert not app.error
    assert "Not a medical device" in texts(app)


def test_images_of_the_chosen_class_are_drawn_and_handed_out(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(trained, monkeypatch)
    assert app.selectbox(key="dataset").options == ["phantoms"]
    assert app.selectbox(key="generator").options == ["acgan", "dcgan"]
    assert len(app.image) == 0
    app.selectbox(key="class").set_value("viral")
    app.number_input(key="count").set_value(3)
    app.number_input(key="seed").set_value(11)
    next(button for button in app.button if button.label == "Draw").click()
    app.run()
    assert "3 synthetic images of class viral, seed 11" in texts(app)
    assert len(app.image) == 3
    assert app.download_button(key="download").label == "Download (ZIP, not released)"
    assert any("**Not released**" in found.value for found in app.warning)
    app.selectbox(key="generator").set_value("dcgan").run()
    assert app.selectbox(key="class").options == ["normal"]
    assert "synthetic images of class" not in texts(app)
    assert not app.error
    app.number_input(key="second_seed").set_value(5)
    next(button for button in app.button if button.label == "Show").click()
    app.run()
    assert len(app.image) == 8
    assert not app.error


def test_a_released_generator_hands_out_no_suspected_copies(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CopyCheck, "flags", lambda _, images: odd(images.numpy()))
    project = Project(trained)
    leave_release(trained, project.published("phantoms", "acgan"), True, "phantoms")
    app = opened(trained, monkeypatch)
    assert any("**Released**" in found.value for found in app.success)
    app.number_input(key="count").set_value(12)
    app.number_input(key="truncation").set_value(1.5)
    next(button for button in app.button if button.label == "Draw").click()
    app.run()
    assert not app.warning
    assert not app.error
    images = app.session_state["drawn"][1].images
    assert len(app.image) == len(images) + 2
    app.number_input(key="nearest_to").set_value(2).run()
    check = judged_generator(project, project.environment("phantoms"), "acgan").check
    assert check is not None
    match = check.matches(as_tensor(images[1][None]))
    assert f"Similarity {match.similarity[0]:.2f}" in texts(app)
    assert ("mirrored" in texts(app)) == match.mirrored[0]
    assert re.search("12 synthetic images of .*, [1-9][0-9]? suspected copies left out", texts(app))
    assert app.download_button(key="download").label == "Download (ZIP)"


def test_an_upload_gets_a_score_and_its_place(
    evaluated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(evaluated, monkeypatch, "Score")
    app.selectbox(key="detector").set_value("nearest_neighbour").run()
    app.file_uploader(key="upload").set_value(("film.txt", png_file(), "text/plain")).run()
    assert not app.error
    assert float(app.metric[0].value) > 0
    shown = texts(app)
    assert "of the 3 normal validation images" in shown
    assert "of the 3 normal test images" in shown
    assert "frozen on validation" in shown
    assert "75th percentile of the pixels of normal validation images" in shown


def test_a_foreign_upload_gets_no_verdict_and_a_weak_detector_says_so(
    evaluated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "outside the domain of this detector: its coarse layout differs"
    monkeypatch.setattr(Domain, "outside", lambda self, native, prepared: said)
    app = opened(evaluated, monkeypatch, "Score")
    app.selectbox(key="detector").set_value("nearest_neighbour").run()
    assert any("3 normal validation images only" in found.value for found in app.warning)
    app.file_uploader(key="upload").set_value(("noise.png", png_file(), "image/png")).run()
    assert [found.value for found in app.error] == [f"No verdict: {said}."]
    assert "frozen on validation" not in texts(app)
    assert "of the 3 normal" not in texts(app)


def test_an_upload_without_an_evaluation_still_gets_a_score(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(trained, monkeypatch, "Score")
    app.file_uploader(key="upload").set_value(("film.png", png_file(), "image/png")).run()
    assert float(app.metric[0].value) > 0
    assert "anomaly_evaluation" in texts(app)


def test_a_file_that_is_no_image_is_one_sentence(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(trained, monkeypatch, "Score")
    app.file_uploader(key="upload").set_value(
        ("film.png", b"GIF89a" + bytes(60), "image/png")
    ).run()
    assert len(app.error) == 1
    assert "(FORMAT)" in app.error[0].value
    assert not app.exception


def test_a_damaged_model_is_one_sentence(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = next((trained / "data/06_models/phantoms/acgan").rglob("model.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 0xFF
    weights.write_bytes(content)
    app = opened(trained, monkeypatch)
    assert len(app.error) == 1
    assert "is damaged" in app.error[0].value
    assert not app.exception


def test_a_bug_shows_no_traceback(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("medgan.project.artifacts.Project.data_sets", broken)
    app = opened(trained, monkeypatch)
    assert len(app.error) == 1
    assert "secret" not in app.error[0].value
    assert not app.exception
