"""Facts of images in SQLite, and an ingestion that goes on where it was killed."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from medgan.datasets.tables import FactsDataset
from medgan.images.metadata import ImageFacts
from tests.conftest import environment, kedro_command
from tests.end_to_end.project import make_project


def facts(path: str, width: int = 8) -> ImageFacts:
    return ImageFacts(path, f"1/{path}", width, 9, "a" * 64, "b" * 64, {"sex": "F"})


def test_facts_are_kept_replaced_and_found_by_path(tmp_path: Path) -> None:
    dataset = FactsDataset(filepath=(tmp_path / "deep" / "facts.sqlite").as_posix())
    assert dataset.load().of(["0"]) == {}
    names = [f"{number} ünïcode 'quoted'.png" for number in range(1200)]
    dataset.save([facts(name) for name in names])
    dataset.save(
        [
            facts(names[3], width=99),
            ImageFacts("bad", "1/bad", code="UNREADABLE", message="it is damaged"),
        ]
    )
    found = dataset.load().of([*names, "bad", "never"])
    assert len(found) == 1201
    assert found[names[3]].width == 99
    assert found[names[4]] == facts(names[4])
    assert found["bad"].code == "UNREADABLE"


def flipped(content: bytes) -> bytes:
    at = content.index(b"aaaa")
    return content[:at] + b"b" + content[at + 1 :]


@pytest.mark.parametrize(
    "damage", [lambda _: b"no database" * 1000, lambda b: b[: len(b) // 2], flipped]
)
def test_a_damaged_file_is_reported_and_made_again(
    tmp_path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "facts.sqlite"
    dataset = FactsDataset(filepath=path.as_posix())
    dataset.save([facts(str(number)) for number in range(100)])
    path.write_bytes(damage(path.read_bytes()))
    assert dataset.load().of(["0", "5"]) == {}
    assert "facts.sqlite is damaged" in caplog.text
    dataset.save([facts("5")])
    assert list(dataset.load().of(["0", "5"])) == ["5"]


def written(store: Path) -> int:
    """Rows that a running ingestion has committed."""
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM facts_of_images").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def test_a_killed_ingestion_goes_on_where_it_stopped(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    catalog = project / "conf" / "tiny" / "catalog.yml"
    catalog.write_text(catalog.read_text().replace("images: 120", "images: 700"))
    store = project / "data" / "02_intermediate" / "tiny" / "image_facts.sqlite"
    command = kedro_command("run", "--env", "tiny", "--pipeline", "ingestion")
    process = subprocess.Popen(
        command,
        cwd=project,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 240
    while not written(store) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not (store.parent / "manifest.parquet").exists()
    with closing(sqlite3.connect(store)) as connection, connection:
        rows = connection.execute("SELECT path, facts FROM facts_of_images").fetchall()
        for path, text in rows:
            kept = json.dumps(json.loads(text) | {"metadata": {"scanner": "read before the kill"}})
            connection.execute(
                "UPDATE facts_of_images SET facts = ?, sha256 = ? WHERE path = ?",
                (kept, hashlib.sha256(f"{path}\0{kept}".encode()).hexdigest(), path),
            )
    assert 0 < len(rows) < 700
    subprocess.run(
        command, cwd=project, env=environment(), check=True, capture_output=True, timeout=120
    )
    manifest = pd.read_parquet(store.parent / "manifest.parquet")
    assert len(manifest) == 700
    assert (manifest["scanner"] == "read before the kill").sum() == len(rows)
