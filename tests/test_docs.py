"""What the documentation shows exists, and its examples run."""

import ast
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click
import pytest
import torch

from medgan.cli.main import main
from medgan.cli.run import run_command
from medgan.inference.generation import JudgedGenerator, Request
from medgan.inference.sets import generate_set
from medgan.models import PublishedModel
from tests.conftest import ROOT
from tests.models.tiny import SPEC, tiny

EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL)
FILES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in FILES}
CURRENT = {page: text for page, text in PAGES.items() if page != "CHANGELOG.md"}
"""The changelog also names what is gone."""
BLOCK = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
FOLDERS = ("src", "conf", "tests", "docs", "benchmarks", "notebooks", "gallery")
READERS = (
    "conf/my_films",
    "conf/my_study",
    "conf/local/",
    "src/medgan/models/bottleneck",
    "conf/base/parameters/models/bottleneck",
    *("src/train.py", "src/evaluate.py"),
)
"""Files that the reader is to write, or of other projects."""


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with one published model and one set of synthetic images."""
    folder = tmp_path / "data/06_models/phantoms/autoencoder/trained/version/trained"
    folder.mkdir(parents=True)
    model = tiny("autoencoder")
    card = {"choice": "averaged weights after the last step", "figures": {}}
    PublishedModel(
        "autoencoder", {"latent_dim": 8, "width": 4}, SPEC, model.state_dict(), card
    ).write(folder)
    generator = tiny("acgan")
    published = PublishedModel("acgan", asdict(generator.config), SPEC, generator.state_dict())
    using = JudgedGenerator("phantoms", "version", published, "kedro run", "Apache-2.0")
    path, _ = generate_set(using, Request(40, {"normal": 1, "viral": 1}), tmp_path, True)
    shutil.make_archive(str(tmp_path / "synthetic"), "zip", tmp_path, path.name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_python_examples_run_as_they_stand(number: int, elsewhere: Path) -> None:
    names: dict[str, object] = {}
    exec(compile(EXAMPLES[number], f"docs/python.md, example {number + 1}", "exec"), names)
    statements = ast.parse(EXAMPLES[number]).body
    lines = [one for one in statements if not isinstance(one, ast.Import | ast.ImportFrom)]
    assert len(lines) <= 5
    for name in ("drawn", "pneumonia", "scores"):
        value = names.get(name)
        assert value is None or (isinstance(value, torch.Tensor) and torch.isfinite(value).all())
    assert {"model", "published"} & names.keys()


def spans(text: str) -> list[str]:
    """The `code` outside of blocks."""
    return re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def links(text: str) -> Iterator[tuple[str, str]]:
    """Paths and anchors of the links within the project."""
    for link in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", text)):
        if not link.startswith(("http://", "https://")):
            path, _, anchor = link.partition("#")
            yield path, anchor


def test_links_lead_somewhere() -> None:
    dead = []
    for page, text in PAGES.items():
        for path, anchor in links(text):
            target = (ROOT / page).parent / path if path else ROOT / page
            if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
                dead.append((page, path, anchor))
    assert dead == []


def test_files_that_a_page_names_exist() -> None:
    """Paths from the project folder, and modules as paths below src/medgan/."""
    missing = []
    for page, text in CURRENT.items():
        code = re.sub(r"<[^>]*>|\{[^}]*\}|…|NAME\b", "*", " ".join(spans(text)))
        for word in code.split():
            pattern = word.rstrip("/.,:;")
            from_root = "/" in word and word.split("/")[0] in FOLDERS
            if word.startswith(READERS) or not (
                from_root or re.fullmatch(r"[\w*]+(/[\w*]+)+\.py", pattern)
            ):
                continue
            if not any([*ROOT.glob(pattern), *(ROOT / "src" / "medgan").glob(pattern)]):
                missing.append((page, word))
    assert missing == []


def test_paths_of_data_are_those_of_the_catalog() -> None:
    def agree(shown: str, stored: str) -> bool:
        return shown in (stored, "*") or (stored == "*" and "." not in shown)

    catalog = "\n".join(one.read_text() for one in (ROOT / "conf/base/catalog").glob("*.yml"))
    paths = re.findall(r"filepath: \"?(data/[^\"\n]+)", catalog)
    known = [re.sub(r"\$?\{[^}]*\}", "*", path).split("/") for path in paths if "{" in path]
    wrong = []
    for page, text in CURRENT.items():
        for path in re.findall(r"data/\d\d_[^\s`\",)]*", re.sub(r"<[^>]*>|…", "*", text)):
            parts = path.rstrip("/").split("/")
            if not any(all(map(agree, parts, one)) for one in known):
                wrong.append((page, path))
    assert wrong == []


def commands(text: str) -> Iterator[list[str]]:
    """The commands of the project in blocks and spans, as words."""
    blocks = re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    for line in [*"\n".join(blocks).splitlines(), *spans(text)]:
        words = line.split(" #")[0].removeprefix(".venv/bin/").split()
        if len(words) > 1 and words[0] in ("medgan", "kedro", "make"):
            yield words


MAKE = set(re.findall(r"^([a-z-]+):.*##|^([A-Z]+) \?=", (ROOT / "Makefile").read_text(), re.M))
TARGETS = {word for words in MAKE for word in words}
COMMANDS: dict[str, click.Command] = {
    **{f"medgan {name}": command for name, command in main.commands.items()},
    **dict.fromkeys(("medgan --version", "medgan --help"), main),
    "kedro run": run_command(),
}


def test_commands_exist_with_the_options_that_a_page_shows() -> None:
    wrong = []
    for page, text in CURRENT.items():
        for tool, name, *words in commands(text):
            if tool == "make":
                good = {word.split("=")[0] for word in (name, *words)} <= TARGETS
            elif f"{tool} {name}" in COMMANDS:
                command = COMMANDS[f"{tool} {name}"]
                below = getattr(command, "commands", {}).values()
                options = [option for one in (command, *below) for option in one.params]
                known = {"--help"} | {option for one in options for option in one.opts}
                good = {word for word in words if word.startswith("-")} <= known
            else:
                good = (tool, name) in {("kedro", "package"), ("kedro", "viz")}
            if not good:
                wrong.append((page, tool, name, *words))
    assert wrong == []
