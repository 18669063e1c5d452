"""Parameters that YAML reads otherwise than people mean them."""

from __future__ import annotations

from pathlib import Path

import pytest

from medgan.errors import UserError
from medgan.project.context import MedganContext
from medgan.project.loader import MedganConfigLoader


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"parameters.yml": "ingestion:\n  labels: {null: normal}\n"}, "of `ingestion.labels` is"),
        ({"parameters.yml": "ingestion:\n  labels: {~: normal}\n"}, "put it in quotes"),
    ],
)
def test_a_key_that_is_no_text_is_named(tmp_path: Path, files: dict[str, str], words: str) -> None:
    (tmp_path / "base").mkdir()
    for name, text in files.items():
        (tmp_path / "base" / name).write_text(text)
    loader = MedganConfigLoader(tmp_path, "base")
    context = MedganContext(str(tmp_path), loader, "base", "medgan", None)
    with pytest.raises(UserError, match=words):
        _ = context.params
