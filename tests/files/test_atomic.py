"""Nothing half-written is ever seen under its own name (fault F25)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from kedro.io import DatasetError

from medgan.datasets.tables import CSVDataset, JSONDataset, ParquetDataset
from medgan.errors import user_message
from medgan.files.atomic import new_file, new_folder, write_text
from medgan.files.integrity import sidecar
from tests.conftest import ROOT, environment


def test_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), new_file(path) as temporary:
        temporary.write_text("ne")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_failed_folder_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "deep" / "folder") as temporary:
        (temporary / "a").write_text("a")
        raise ZeroDivisionError
    assert list((tmp_path / "deep").iterdir()) == []


def test_folder_appears_whole(tmp_path):
    with new_folder(tmp_path / "folder") as temporary:
        (temporary / "a").write_text("a")
        assert not (tmp_path / "folder").exists()
    assert (tmp_path / "folder" / "a").read_text() == "a"


def test_others_may_read_what_was_written(tmp_path):
    write_text(tmp_path / "a.txt", "a")
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o666 & ~umask


def test_killed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "curves.csv"
    write_text(path, "old")
    code = (
        "import sys, time; from pathlib import Path; from medgan.files.atomic import new_file\n"
        "with new_file(Path(sys.argv[1])) as t:\n t.write_text('ne'); print('writing', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.read_text() == "old"


TABLE = pd.DataFrame({"image_id": [f"image-{number}" for number in range(200_000)], "score": 0.5})


@pytest.mark.parametrize("kind", [CSVDataset, ParquetDataset, JSONDataset])
def test_a_table_that_cannot_be_saved_leaves_the_old_one(tmp_path, kind):
    path = tmp_path / "table"
    dataset = kind(filepath=path.as_posix())
    dataset.save({"a": 1} if kind is JSONDataset else TABLE[:3])
    before = path.read_bytes()
    with pytest.raises(DatasetError):
        dataset.save({"a": object()} if kind is JSONDataset else {"no": "table"})
    assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == [sidecar(path), path]


def test_f25_a_killed_save_of_a_table_leaves_the_old_one(tmp_path):
    """Kedro's own CSVDataset, killed while it writes, leaves a file that loads short without a
    word.
    """
    path, rows = tmp_path / "scores.csv", len(TABLE)
    CSVDataset(filepath=path.as_posix(), save_args={"index": False}).save(TABLE)
    code = (
        "import sys; from medgan.datasets.tables import CSVDataset; from tests.files.test_atomic import TABLE\n"
        "dataset = CSVDataset(filepath=sys.argv[1], save_args={'index': False}); print('ready', flush=True)\n"
        "while True: dataset.save(TABLE)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(PYTHONPATH=ROOT.as_posix()),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    process.kill()
    process.wait()
    assert len(pd.read_csv(path)) == rows


def test_file_in_the_place_of_a_folder_is_named(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    for folder in (file, file / "deep"):
        with pytest.raises(NotADirectoryError) as caught:
            write_text(folder / "model.onnx", "new")
        assert user_message(caught.value) == (
            f"{folder}: a file is where a folder is needed; choose another path, or move the file."
        )
    assert file.read_text() == "mine"
