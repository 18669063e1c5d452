"""What a command was given, before it reads it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from medgan.cli.main import main


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
