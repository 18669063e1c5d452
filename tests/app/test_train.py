"""The view that makes a data set of a folder, and starts a run."""

import logging
import signal
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import streamlit as st
import yaml
from kedro.logging import RichHandler
from rich.console import Console
from streamlit.testing.v1 import AppTest

from medgan.app import runs
from medgan.app.runs import StartedRun, losses, newest_curves, read_progress
from medgan.cli.run import run_command
from medgan.errors import UserError
from medgan.project.artifacts import Project
from medgan.project.environment import Environment
from medgan.project.lock import RunLock
from tests.app.test_page import fresh_caches, opened, texts  # noqa: F401
from tests.conftest import ROOT
from tests.project.test_new_environment import conf  # noqa: F401
from tests.sources.test_recognition import picture

LOG = (
    "\n12:00:01   3/89  ingestion.read_images      \n  loss 10%\r  loss 90%\n12:00:02   4/89  b.c\n"
)


def look(app: AppTest, name: str, folder: Path | str) -> AppTest:
    app.text_input(key="own_name").set_value(name)
    app.text_input(key="own_folder").set_value(str(folder))
    next(button for button in app.button if button.label == "Look at the images").click()
    return app.run()


@pytest.fixture
def films(tmp_path: Path) -> Path:
    for number in range(6):
        picture(tmp_path / f"films/nv/patient{number}.png")
        picture(tmp_path / f"films/mel/patient{number + 9}.png")
    return tmp_path / "films"


def test_a_folder_is_recognized_corrected_and_written(
    conf: Path,  # noqa: F811
    films: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = look(opened(conf.parent, monkeypatch, "Train"), "skin", films)
    assert not app.exception
    assert "12 images (12 .png)" in texts(app)
    assert "12 patients." in texts(app)
    app.button(key="write").click().run()
    assert "not clear which label" in app.error[0].value
    assert not (conf / "skin").exists()
    app.selectbox(key="own_normal").set_value("nv").run()
    app.text_input(key="own_category_mel").set_value("melanoma")
    app.button(key="write").click().run()
    assert not app.error
    labels = Environment(conf, "skin").parameters()["ingestion"].labels
    assert labels == {"nv": "normal", "mel": "melanoma"}
    assert any("kedro run --env skin" in block.value for block in app.code)
    started = []
    monkeypatch.setattr(
        StartedRun, "start", lambda *arguments: started.append(arguments) or st.stop()
    )
    app.button(key="start").click().run()
    assert started == [(conf.parent, "skin", "smoke")]


@pytest.mark.parametrize(
    ("name", "folder", "sentence"),
    [
        ("brain_mri", "films", "conf/brain_mri exists already"),
        ("a b/c", "films", "names folders below data/"),
        ("skin", "nowhere", "does not exist"),
        ("skin", "", "nothing to look at"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    conf: Path,  # noqa: F811
    films: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    folder: str,
    sentence: str,
) -> None:
    app = opened(conf.parent, monkeypatch, "Train")
    look(app, name, films.parent / folder if folder else "")
    assert len(app.error) == 1
    assert sentence in app.error[0].value
    assert not app.exception


def test_a_zip_file_is_unpacked_into_the_project(
    conf: Path,  # noqa: F811
    films: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    packed = films.parent / "films.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in films.rglob("*.png"):
            archive.write(path, path.relative_to(films))
    app = opened(conf.parent, monkeypatch, "Train")
    app.file_uploader(key="own_zip").set_value(
        ("films.zip", packed.read_bytes(), "application/zip")
    )
    look(app, "skin", "")
    assert not app.error
    assert "12 images" in texts(app)
    assert (conf.parent / "data/01_raw/skin/mel/patient9.png").is_file()


def test_progress_is_read_from_the_log(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text("")
    assert read_progress(log).done == 0
    log.write_text(LOG)
    found = read_progress(log)
    assert (found.done, found.total, found.node) == (4, 89, "b.c")
    assert "loss 90%" in found.tail


def test_a_started_run_prints_the_lines_that_progress_is_read_from(tmp_path: Path) -> None:
    words = [word.format(environment="skin", scale="smoke") for word in runs.COMMAND]
    assert words[:2] == ["-m", "medgan"]
    with run_command().make_context("run", words[2:]) as context:
        assert context.params["verbose"]
    log = tmp_path / "run.log"
    record = logging.LogRecord(
        "medgan.nodes", logging.DEBUG, "", 0, "%3d/%d  %s", (3, 89, "a.b.c"), None
    )
    settings = yaml.safe_load((ROOT / "conf/logging.yml").read_text())["handlers"]["rich"]
    with log.open("w") as file:
        handler = RichHandler(
            console=Console(file=file), **{key: settings[key] for key in settings if key != "class"}
        )
        handler.emit(record)
    found = read_progress(log)
    assert (found.done, found.total, found.node) == (3, 89, "a.b.c")


def test_a_started_run_is_stopped_as_by_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/sleep")
    monkeypatch.setattr(runs, "COMMAND", ("60",))
    (tmp_path / "data").mkdir()
    run = StartedRun.start(tmp_path, "skin", "smoke")
    assert run.code is None
    run.stop()
    assert run.process.wait(timeout=20) == -signal.SIGINT
    lock = RunLock(tmp_path / "data", "skin")
    lock.acquire()
    try:
        with pytest.raises(UserError, match="Another run is at work on skin"):
            StartedRun.start(tmp_path, "skin", "smoke")
    finally:
        lock.release()


def test_there_are_no_curves_before_a_training(conf: Path) -> None:  # noqa: F811
    assert newest_curves(Project(conf.parent), "brain_mri") is None


def test_the_chart_shows_the_terms_of_the_players() -> None:
    rows = {"step": [3, 6], "stage": ["a", "a"], "images_per_second": [9.0, 9.0]}
    table = pd.DataFrame({**rows, "critic/loss": [2.0, 1.0], "validation/fid": [5.0, 4.0]})
    shown = losses(table)
    assert shown.columns.tolist() == ["critic/loss"]
    assert shown.loc[6, "critic/loss"] == 1.0
