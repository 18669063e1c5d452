"""Every code block of the documentation is run, or parsed as far as that goes without a training."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import pandas as pd
import pytest
import yaml
from click.shell_completion import get_completion_class
from kedro.framework.startup import bootstrap_project

from medgan import models
from medgan.cli.main import main
from medgan.cli.run import _checked, run_command
from medgan.datasets.images import ImageSourceDataset
from medgan.evaluation.metrics import Metric
from medgan.project.loader import MedganConfigLoader
from medgan.project.parameters import check_given, sections, typed
from tests.conftest import ROOT, environment

BLOCK = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RENDERED = ROOT / "docs" / "notebooks"
"""Cells of the notebooks, which tests/end_to_end/test_run.py runs, and their outputs."""
ELSEWHERE = {
    "docs/python.md": "tests/test_docs.py",
    "docs/adding-a-model.md": "tests/end_to_end/test_two_files.py",
    "docs/scoring.md": "tests/inference/test_batch.py",
}
"""Pages whose Python blocks another test runs, since they need a model or a project."""
READERS = {"my_films", "my_study", "mine", "NAME"}
"""Environments that the reader makes."""
CHOICES = {"flag", "set", "size", "normal"}
"""Values of `--params` that environments of several data sets take."""
OF_THE_READER = {"bottleneck"}
"""Models that the reader makes."""
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
OTHER_COMMANDS = (
    r'export MEDGAN_PSEUDONYM_KEY="\$\(cat \S+\)"',
    r"docker compose (up --build|run --rm app \.venv/bin/kedro run)",
    r"\.venv/bin/python -m (ipykernel install --sys-prefix --name medgan|pip install jupyterlab)",
    r"\.venv/bin/jupyter lab notebooks",
    r"ray start (--head --port 6379|--address HOST:6379)",
)
"""Commands of other programs, which are not run: they need an installation, or change one."""


@dataclass(frozen=True)
class Block:
    """A code block of a page."""

    page: str
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}-{self.number}"


def blocks(language: str) -> list[Any]:
    found = [
        Block(path.relative_to(ROOT).as_posix(), number, match[1], match[2])
        for path in FILES
        if path.parent != RENDERED
        for number, match in enumerate(BLOCK.finditer(path.read_text(encoding="utf-8")))
    ]
    return [pytest.param(block, id=str(block)) for block in found if block.language == language]


def lines(block: Block) -> Iterator[list[str]]:
    """The words of each command, without comments."""
    for line in block.text.splitlines():
        if line.strip():
            yield shlex.split(line, comments=True)


@pytest.fixture(autouse=True)
def _project(monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap_project(ROOT)
    monkeypatch.chdir(ROOT)


def test_a_block_is_of_a_kind_that_is_tested() -> None:
    kinds = {match[1] for path in FILES for match in BLOCK.finditer(path.read_text())}
    assert kinds == {"", "python", "yaml", "toml", "text"}


@pytest.mark.parametrize("block", blocks(""))
def test_a_command_is_parsed_as_it_stands(block: Block) -> None:
    for words in lines(block):
        parse(words, block)


def test_a_command_in_a_sentence_or_table_is_parsed_as_it_stands() -> None:
    """Those that can be given as they stand: without `...`, and with a value for each option."""
    count = 0
    for path in FILES:
        page = path.relative_to(ROOT).as_posix()
        for span in re.findall(r"`([^`\n]+)`", BLOCK.sub("", path.read_text(encoding="utf-8"))):
            whole = not set("…<{") & set(span)
            if whole and re.match(r"(\.venv/bin/)?(kedro run|medgan \w+) ", span):
                with suppress(click.MissingParameter):  # a sentence may name a command alone
                    parse(shlex.split(span), Block(page, -1, "", span))
                    count += 1
    assert count > 30


def parse(words: list[str], block: Block) -> None:
    words = [words[0].removeprefix(".venv/bin/"), *words[1:]]
    PARSERS.get(words[0], other)(words, block)


def kedro(words: list[str], block: Block) -> None:
    """A `kedro run` that would start: environment, pipelines, names and parameters exist."""
    _, name, *arguments = words
    assert name == "run"
    with run_command().make_context("run", arguments) as context:
        options = context.params
    if options["env"] in READERS:
        options["env"] = None
    if not OF_THE_READER & {*options["tags"], *options["namespaces"]}:
        _checked(lambda **_: None)(**options)
    check_parameters(options["env"], json.dumps(options["params"]))


@cache
def check_parameters(env: str | None, params: str) -> None:
    """Parameters, as JSON, that exist and have good values in an environment."""
    given = json.loads(params)
    check_given({key: given[key] for key in given.keys() - CHOICES}, sections())
    loaded = MedganConfigLoader(ROOT / "conf", env, given)
    typed(loaded["parameters"], sections())


def medgan(words: list[str], block: Block) -> None:
    """A command of medgan, with arguments and options that it takes."""
    with click.Context(main, info_name="medgan") as parent:
        name, command, arguments = main.resolve_command(parent, words[1:])
        assert command is not None
        while isinstance(command, click.Group):
            with command.make_context(name, arguments, parent=parent) as parent:
                name, command, arguments = command.resolve_command(parent, arguments)
        command.make_context(name, arguments, parent=parent)


def make(words: list[str], block: Block) -> None:
    """A target of the Makefile; the tests that it names exist."""
    target, *variables = words[1:]
    assert target in TARGETS
    for path in re.findall(r"tests/[\w/.]*", " ".join(variables)):
        assert (ROOT / path).exists(), path


def pip(words: list[str], block: Block) -> None:
    """An extra of the project."""
    assert words[1] == "install"
    extra = re.fullmatch(r"medgan\[(\w+)\]", words[2])
    assert extra is not None
    assert extra[1] in PYPROJECT["project"]["optional-dependencies"]


def codecarbon(words: list[str], block: Block) -> None:
    """The command whose energy is measured; the package is an extra."""
    assert words[1:6] == ["monitor", "--offline", "--country-iso-code", "ESP", "--"]
    kedro(words[6:], block)


def torchrun(words: list[str], block: Block) -> None:
    """Processes of `python -m medgan`, which is `kedro run`."""
    with patch.dict(os.environ, RANK="0", WORLD_SIZE="2"):
        kedro(["kedro", "run", *words[words.index("medgan") + 1 :]], block)


def completion(words: list[str], block: Block) -> None:
    """The script of a shell."""
    shell = re.search(r"_MEDGAN_COMPLETE=(\w+)_source", " ".join(words))
    assert shell is not None
    assert get_completion_class(shell[1]) is not None


def other(words: list[str], block: Block) -> None:
    """A command of another program."""
    if "_MEDGAN_COMPLETE" in " ".join(words):
        completion(words, block)
        return
    raw = [line.strip() for line in block.text.splitlines()]
    fitting = [one for one in raw if any(re.fullmatch(each, one) for each in OTHER_COMMANDS)]
    assert any(words[0] in one for one in fitting), words


PARSERS = {
    "kedro": kedro,
    "medgan": medgan,
    "make": make,
    "pip": pip,
    "codecarbon": codecarbon,
    "torchrun": torchrun,
}


def test_completion_knows_the_commands_of_medgan() -> None:
    program = str(Path(sys.executable).with_name("medgan"))
    asked = {"_MEDGAN_COMPLETE": "bash_complete", "COMP_WORDS": "medgan doc", "COMP_CWORD": "1"}
    done = subprocess.run(
        [program], env=environment(**asked), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "plain,doctor"


@pytest.mark.parametrize("block", blocks("python"))
def test_a_python_block_runs(block: Block) -> None:
    ast.parse(block.text)
    if block.page in ELSEWHERE:
        assert Path(block.page).name in (ROOT / ELSEWHERE[block.page]).read_text()
        return
    names: dict[str, Any] = {"catalog": Manifest()}
    exec(compile(block.text, str(block), "exec"), names)
    added = [one for one in names.values() if isinstance(one, Metric)]
    if "found" in names:
        (metric,) = added
        found = names["found"][metric.key]
        assert found.value == pytest.approx(0.2)
        assert found.low < 0.2 < found.high


class Manifest:
    """A catalog with one image."""

    def load(self, name: str) -> pd.DataFrame:
        assert name == "manifest"
        return pd.DataFrame({"image_id": ["5f3a9c1e04b7d2aa"], "path": ["healthy/p1.png"]})


@pytest.mark.parametrize("block", blocks("yaml"))
def test_a_yaml_block_is_a_configuration(block: Block) -> None:
    for document in yaml.safe_load_all(dedented(block.text)):
        if "dataset" in document:
            assert set(document) == {"dataset"}
        elif set(document) <= {*sections(), *OF_THE_READER} - {"source"}:
            parameters(document)
        else:
            source(document.get("source", document))


def dedented(text: str) -> str:
    """A fragment as a document of its own."""
    first = next(line for line in text.splitlines() if line.strip())
    indent = len(first) - len(first.lstrip())
    return "\n".join(line[indent:] for line in text.splitlines())


def parameters(document: dict[str, Any]) -> None:
    base = MedganConfigLoader(ROOT / "conf", None, {})["parameters"]
    kinds = sections()
    for name, value in document.items():
        given = {**base[name], **value} if name in base else None
        if given is not None:
            typed({name: given, "scale": "cpu"}, {name: kinds[name], "scale": kinds["scale"]})


def source(entry: dict[str, Any]) -> None:
    """Keys of a source, or of a part of it."""
    kind = "csv" if {"columns", "one_hot", "table"} & entry.keys() else "folder"
    needed = {"columns": {"category": "dx"}} if kind == "csv" and "one_hot" not in entry else {}
    given = {"kind": kind, "location": "/films", **needed, **entry}
    if kind == "folder":
        given.setdefault("fields", {"category": ["^([^/]+)/"]})
    given.pop("type", None)
    given["location"] = "/films"
    ImageSourceDataset(**given).check()


@pytest.mark.parametrize("block", blocks("toml"))
def test_a_toml_block_is_toml(block: Block) -> None:
    assert tomllib.loads(block.text)


def test_the_models_of_the_reader_are_not_ours() -> None:
    assert not OF_THE_READER & set(models.names())


def test_every_page_is_in_the_navigation_of_the_site_once() -> None:
    def pages(entries: list[Any]) -> Iterator[str]:
        for entry in entries:
            for value in entry.values():
                yield from [value] if isinstance(value, str) else pages(value)

    nav = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]
    found = sorted(pages(nav))
    written = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    listed = {
        page
        for page in written
        if page.startswith(("decisions/", "cards/")) and not page.endswith("README.md")
    }
    assert found == sorted(written - listed)
    for page in listed:
        index = (ROOT / "docs" / page).with_name("README.md").read_text()
        assert f"({Path(page).name})" in index, page
