"""The gallery of cards."""

import re

import pytest

from medgan import models
from medgan.pipelines.arms import BY_DEFAULT
from tests.conftest import ROOT

PAGES = ROOT / "docs" / "cards"
NAMES = (*models.by_default(), *BY_DEFAULT)
SETS = tuple(name for name in models.by_default() if name in models.synthesizers())


def test_there_is_a_card_of_every_model_of_a_plain_run_and_a_set_of_every_generator() -> None:
    expected = {*NAMES, *(f"set-{name}" for name in SETS)}
    assert {path.stem for path in PAGES.glob("*.md")} == {*expected, "README"}
    pictures = {*expected, *(f"{name}-preview" for name in expected)}
    assert {path.stem for path in (PAGES / "images").iterdir()} == pictures
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(([\w-]+)\.md\)", index)) == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_card_has_the_present_settings_of_its_model(name: str) -> None:
    """Fails until `make gallery` has written the cards of changed settings."""
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    configuration = text.partition("\n## Configuration\n")[2]
    config = models.load(name if name in models.names() else "classifier").Config
    ours = {
        field.rpartition(".")[0] or field
        for field in re.findall(r"^\| `([\w.]+)` ", configuration, re.M)
    }
    assert {*config.__dataclass_fields__, "image", "classes"} == ours
    assert "Not a medical device" in text
