"""What a command was given, before it reads it."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from click.testing import CliRunner

from medgan.cli.main import main
from medgan.cli.starting import stopped_by


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["score", "", "-m", "bigan", "-o", "out"], "PATH has no value: give it one."),
        (["classify", " ", "-o", "out"], "PATH has no value"),
        (["generate", "", "-o", "out"], "MODEL has no value"),
        (["init", "mine", ""], "PATH has no value"),
        (["compare", "latest", ""], "RUNS has no value: give it one, or leave it out."),
        (["medigan", "show", ""], "ID has no value"),
        (["reproduce", ""], "DATASET has no value"),
        (["score", "images", "-m", "bigan", "-o", ""], "--output has no value: give it one."),
        (["score", "a", "-m", "bigan", "-m", "dcgan", "-o", "out"], "--model is given 2 times"),
    ],
)
def test_empty_text_is_not_the_working_directory(arguments, sentence, tmp_path, monkeypatch):
    """As of an unset shell variable."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2, done.output
    assert sentence in done.output
    assert list(tmp_path.iterdir()) == []


def test_a_deleted_working_directory_is_one_sentence(tmp_path, monkeypatch):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    done = CliRunner().invoke(main, ["results"])
    os.chdir(tmp_path)
    assert done.exit_code == 1
    assert "This folder is not inside a medgan project" in done.output


@pytest.mark.parametrize(
    ("command", "then"),
    [
        (["kedro", "run"], "the same command resumes"),
        (["medgan", "reproduce", "isic"], "the same command resumes"),
        (["medgan", "generate", "acgan"], "run the same command again"),
    ],
)
def test_only_what_resumes_is_said_to_resume(command, then, monkeypatch):
    monkeypatch.setattr(sys, "argv", command)
    assert stopped_by(signal.SIGINT) == f"stopped by SIGINT; {then}."
