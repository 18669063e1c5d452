"""`medgan init` as a user meets it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from medgan.cli.main import main
from tests.conftest import ROOT
from tests.sources.test_recognition import picture


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    shutil.copytree(ROOT / "conf/base", root / "conf/base")
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / "src").mkdir()
    monkeypatch.chdir(root)
    for number in range(4):
        picture(tmp_path / f"films/nv/patient{number}.png")
        picture(tmp_path / f"films/mel/patient{number}.png")
    return root


def test_a_folder_becomes_an_environment(project: Path) -> None:
    done = CliRunner().invoke(
        main, ["init", "skin", "../films", "--normal", "nv", "--label", "mel=melanoma"]
    )
    assert done.exit_code == 0, done.output
    assert "8 images (8 .png), 40 px a side, gray; stored at 32 px." in done.output
    assert "4 patients." in done.output
    assert "kedro run --env skin --params scale=smoke" in done.output
    assert sorted(path.name for path in (project / "conf/skin").iterdir()) == [
        *("catalog.yml", "globals.yml", "parameters.yml"),
    ]
    again = CliRunner().invoke(main, ["init", "skin", "../films", "--normal", "nv"])
    assert again.exit_code == 1
    assert "conf/skin exists already" in again.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Give it with --normal LABEL; nothing was written."),
        (["--normal", "nw"], "There is no label 'nw'"),
        (["--normal", "nv", "--label", "mel"], "--label mel has no `=`"),
        (["--normal", "nv", "--patients", "(x"], "no regular expression"),
        (["--normal", "nv", "--size", "9999"], "preprocessing.size"),
        (["--normal", "nv", "--size", "0"], "preprocessing.size is 0; give a number from 16"),
        (["--normal", "nv", "--size", "-3", "--dry-run"], "preprocessing.size is -3"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_writes_nothing(
    project: Path, arguments: list[str], sentence: str
) -> None:
    done = CliRunner().invoke(main, ["init", "skin", "../films", *arguments])
    assert done.exit_code == 1
    assert sentence in " ".join(done.output.split())
    assert not (project / "conf/skin").exists()


def test_a_dry_run_writes_nothing(project: Path) -> None:
    done = CliRunner().invoke(main, ["init", "skin", "../films", "--normal", "nv", "--dry-run"])
    assert done.exit_code == 0
    assert "Nothing was written" in done.output
    assert not (project / "conf/skin").exists()


def test_patients_may_be_unknown(project: Path) -> None:
    """As the help says of an empty text; without the option they are guessed from the names."""
    done = CliRunner().invoke(
        main, ["init", "skin", "../films", "--normal", "nv", "--patients", "", "--dry-run"]
    )
    assert done.exit_code == 0, done.output
    assert "4 patients." not in done.output


def test_a_folder_that_is_not_there_is_told_in_words_of_this_command(project: Path) -> None:
    Path("../empty").mkdir()
    for path, problem in (("../film", "does not exist"), ("../empty", "holds no images")):
        done = CliRunner().invoke(main, ["init", "skin", path])
        assert done.exit_code == 1
        said = " ".join(done.output.split())
        assert f"{path.removeprefix('..')} {problem}" in said
        assert " instead" in said
        assert "--params" not in said
