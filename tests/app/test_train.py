"""The view that makes a data set of a folder, and starts a run."""

import io
import logging
import shutil
import signal
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
from medgan.project.new_environment import write_environment
from medgan.sources.recognition import recognize
from tests.app.test_page import MAIN, fresh_caches, opened, texts  # noqa: F401
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


def labeled(elements: Sequence[Any], label: str) -> Any:
    return next(one for one in elements if one.label.startswith(label))


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
    labeled(app.selectbox, "Label of healthy").set_value("nv").run()
    labeled(app.text_input, "Category of the label mel").set_value("melanoma")
    app.button(key="write").click().run()
    assert not app.error
    labels = Environment(conf, "skin").parameters()["ingestion"].labels
    assert labels == {"nv": "normal", "mel": "melanoma"}
    assert any("kedro run --env skin --params scale=smoke" in block.value for block in app.code)
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
    (folder,) = (conf.parent / "data/01_raw").iterdir()
    assert folder.name.startswith("skin-")
    assert (folder / "mel/patient9.png").is_file()
    look(app, "skin", "")  # as after a reload
    assert not app.error
    assert "12 images" in texts(app)
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("films.zip", packed.read_bytes())
    app.file_uploader(key="own_zip").set_value(("b.zip", empty.getvalue(), "application/zip"))
    look(app, "skin", "")
    assert "holds no images but 1 other files (1 × a zip archive" in app.error[0].value
    assert list((conf.parent / "data/01_raw").iterdir()) == [folder]


def test_a_second_look_sees_what_has_changed_and_forgets_corrections(
    conf: Path,  # noqa: F811
    films: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = look(opened(conf.parent, monkeypatch, "Train"), "skin", films)
    labeled(app.text_input, "Patients").set_value("(nv|mel)").run()
    assert "2 patients." in texts(app)
    picture(films / "nv/patient99.png")
    look(app, "skin", films)
    assert "13 images" in texts(app)
    assert "13 patients." in texts(app)


def test_a_written_environment_is_opened_again(
    conf: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for number in range(3):
        picture(tmp_path / f"films/normal/{number}.png")
        picture(tmp_path / f"films/ill/{number}.png")
    write_environment(conf, "skin", recognize(tmp_path / "films"))
    app = opened(conf.parent, monkeypatch, "Train")
    assert app.selectbox(key="own").options == ["(new)", "skin"]
    app.selectbox(key="own").set_value("skin").run()
    assert [one.label for one in app.expander if one.label.endswith(".yml")] == [
        "catalog.yml",
        "globals.yml",
        "parameters.yml",
    ]
    assert app.button(key="start")
    assert app.query_params["own"] == "skin"
    reloaded = AppTest.from_file(MAIN, default_timeout=60)
    reloaded.query_params["view"], reloaded.query_params["own"] = "Train", "skin"
    assert reloaded.run().selectbox(key="own").value == "skin"
    shutil.rmtree(conf / "skin")
    app.run()
    assert not app.error
    assert not app.exception
    assert labeled(app.text_input, "Name of the data set")


class Process:
    """A run that ends when it is told to."""

    pid = 1

    def __init__(self) -> None:
        self.code: int | None = None

    def poll(self) -> int | None:
        return self.code


def test_a_run_is_started_once_and_its_end_is_told(
    conf: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    picture(tmp_path / "films/normal/1.png")
    write_environment(conf, "skin", recognize(tmp_path / "films"))
    process, log, started = Process(), tmp_path / "run.log", []
    log.write_text("12:00:01   3/89  ingestion.read      \nError: the disk *is* full.\n")

    def start(root: Path, *words: str) -> StartedRun:
        started.append(words)
        return StartedRun(process, log)

    monkeypatch.setattr(StartedRun, "start", start)
    ours, other = (opened(conf.parent, monkeypatch, "Train") for _ in range(2))
    for app in (ours, other):
        app.selectbox(key="own").set_value("skin").run()
    other.button(key="start").click()
    ours.button(key="start").click().run()
    other.run()
    assert started == [("skin", "smoke")]
    assert ours.button(key="start").disabled
    assert "3/89 ingestion.read" in ours.get("progress")[0].proto.text
    process.code = 1
    ours.run()
    assert not ours.button(key="start").disabled
    assert ours.error[0].value == r"The run ended with exit code 1: the disk \*is\* full."
    log.unlink()
    process.code = -signal.SIGINT
    ours.run()
    assert not ours.error
    assert "The run was stopped" in texts(ours)


def test_progress_is_read_from_the_log(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text("")
    assert read_progress(log).done == 0
    log.write_text(LOG)
    found = read_progress(log)
    assert (found.done, found.total, found.node) == (4, 89, "b.c")
    assert "loss 90%" in found.tail
    assert not found.error


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
