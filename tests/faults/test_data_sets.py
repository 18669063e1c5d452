"""F23 and F24 of the faults: classes that are too small, tables that do not match their images.
Each ends before any training.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from medgan.cli.errors import find_ending
from medgan.sources.table import OWN_TABLE
from tests.data_sets import fakes
from tests.data_sets.environments import ran, rows


def refusal(env: str, root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The one sentence with which ingestion and preprocessing refuse a data set."""
    with pytest.raises(Exception, match=r"\w") as caught:
        ran(env, root, folder, monkeypatch)
    ending = find_ending(caught.value)
    assert ending is not None, caught.value
    assert "\n" not in ending.message
    return ending.message


def changed(root: Path, **columns: object) -> pd.DataFrame:
    """HAM10000's table."""
    return pd.read_csv(root / "HAM10000_metadata.csv", dtype=str).assign(**columns)


def test_f23_class_with_one_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = fakes.ham10000(tmp_path / "data", lesions=5)
    table = changed(root)
    single = [*table.index[table["dx"] != "df"], table.index[table["dx"] == "df"][0]]
    table.loc[single].to_csv(root / "HAM10000_metadata.csv", index=False)
    message = refusal("ham10000", root, tmp_path, monkeypatch)
    assert "`dermatofibroma`" in message
    assert "too few" in message
    assert "merge it with another category" in message


def test_f23_empty_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = fakes.ham10000(tmp_path / "data", lesions=5)
    table = changed(root)
    table[table["dx"] != "df"].to_csv(root / "HAM10000_metadata.csv", index=False)
    message = refusal("ham10000", root, tmp_path, monkeypatch)
    assert "`dermatofibroma`" in message
    assert "no image" in message


def test_f23_class_whose_images_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fakes.ham10000(tmp_path / "data", lesions=16)
    for name in changed(root).query("dx == 'df'")["image_id"].tolist()[1:]:
        for path in root.rglob(f"{name}.jpg"):
            Image.new("L", (8, 8)).save(path)
    message = refusal("ham10000", root, tmp_path, monkeypatch)
    assert "CONSTANT" in message
    assert "max_quarantined" in message


def test_f24_label_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = fakes.ham10000(tmp_path / "data", lesions=5)
    table = changed(root)
    table.loc[[0, 5, 9], "dx"] = ""
    table.to_csv(root / "HAM10000_metadata.csv", index=False)
    message = refusal("ham10000", root, tmp_path, monkeypatch)
    assert message.startswith("3 of 70 images")
    assert "have no label" in message


def test_f24_label_that_nobody_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = fakes.ham10000(tmp_path / "data", lesions=5)
    table = changed(root)
    table.loc[[0, 5], "dx"] = "scc"
    table.to_csv(root / "HAM10000_metadata.csv", index=False)
    message = refusal("ham10000", root, tmp_path, monkeypatch)
    assert message.startswith("2 of 70 images")
    assert "`scc`" in message
    assert "ingestion.labels" in message


def test_f24_rows_added_and_dropped_are_counted_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fakes.ham10000(tmp_path / "data", lesions=5)
    shutil.rmtree(root / "ham10000_images_part_1")
    table = changed(root)
    added = table.head(2).assign(image_id=["ISIC_9999998", "ISIC_9999999"])
    pd.concat([table.iloc[3:], added]).to_csv(root / "HAM10000_metadata.csv", index=False)
    message = refusal("ham10000", root, tmp_path, monkeypatch)
    assert "2 of 69 images that" in message
    assert "ISIC_9999998.jpg" in message
    assert "3 files there are not listed" in message
    assert "on_missing" in message


def test_f24_files_that_no_row_names_are_counted_and_left_out(tmp_path: Path) -> None:
    root = fakes.ham10000(tmp_path / "data", lesions=5)
    shutil.rmtree(root / "ham10000_images_part_1")
    changed(root).iloc[3:].to_csv(root / "HAM10000_metadata.csv", index=False)
    used, left_out = rows("ham10000", root)
    assert len(used) == 67
    assert sorted(left_out["excluded"]) == [OWN_TABLE, *["not listed"] * 3]


def test_f24_official_lists_that_know_no_image_of_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fakes.chestxray14(tmp_path / "data")
    for name in ("train_val_list.txt", "test_list.txt"):
        (root / name).write_text(
            "00009999_000.png\n" if name.startswith("train") else "00009998_000.png\n"
        )
    message = refusal("chestxray14", root, tmp_path, monkeypatch)
    assert message.startswith("all 8 images")
    assert "6 in none of the official lists" in message
    assert "2 view AP" in message
