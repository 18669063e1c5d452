"""State between runs: files that change after ingestion, and two data sets of one name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset

from medgan.datasets.images import ImageSourceDataset, ImageStoreDataset
from medgan.datasets.tables import JSONDataset
from medgan.errors import UserError
from medgan.images.config import IngestionConfig, PreprocessingConfig
from medgan.pipelines.preprocessing.nodes import build_images
from medgan.project.origin import origin_of, require_same_origin
from medgan.sources.files import FileImages
from medgan.sources.folder import FolderSource
from medgan.sources.table import CsvSource
from tests.faults.making import noise, raster
from tests.images.known import tables

CONFIG = IngestionConfig({"a": "normal", "b": "ill"})


def films(root: Path, seed: int = 0) -> Path:
    for place, name in enumerate("ab"):
        (root / name).mkdir(parents=True)
        for number in range(10):
            raster(root / name / f"{number}.png", noise(seed + 20 * place + number, 40, 40))
    return root


def ingested(root: Path) -> tuple[pd.DataFrame, ...]:
    return tables(FolderSource(str(root)).open(), CONFIG)


def stored(root: Path, made: tuple[pd.DataFrame, ...], store: Path, size: int = 32) -> None:
    manifest, *others = made
    source, config = FolderSource(str(root)).open(), PreprocessingConfig(size=size)
    ImageStoreDataset(str(store)).save(build_images(source, manifest, config, CONFIG, *others))


def changed(root: Path) -> None:
    raster(root / "a" / "3.png", noise(99, 40, 40))


def gone(root: Path) -> None:
    (root / "a" / "3.png").unlink()


def added(root: Path) -> None:
    raster(root / "a" / "33.png", noise(99, 40, 40))


def broken(root: Path) -> None:
    (root / "a" / "3.png").write_bytes(b"broken")


def moved(root: Path) -> None:
    (root / "a" / "3.png").rename(root / "b" / "33.png")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed, r"a/3\.png has changed since ingestion"),
        (gone, r"a/3\.png is gone since ingestion"),
        (added, r"a/33\.png was added after ingestion"),
        (broken, r"a/3\.png was readable at ingestion and is not any more"),
        (moved, r"a/3\.png is gone since ingestion"),
    ],
)
def test_a_source_that_changed_after_ingestion_is_refused_and_nothing_is_stored(
    change: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    root, store = films(tmp_path / "data"), tmp_path / "store"
    made = ingested(root)
    stored(root, made, store)
    before = (store / "images.u8").read_bytes()
    change(root)
    with pytest.raises(Exception, match=words + ".*kedro run --pipelines ingestion,preprocessing"):
        stored(root, made, store, size=40)
    assert (store / "images.u8").read_bytes() == before


def test_the_store_never_keeps_other_pixels_under_the_key_of_the_manifest(tmp_path: Path) -> None:
    root, store = films(tmp_path / "data"), tmp_path / "store"
    film = (root / "a" / "3.png").read_bytes()
    made = ingested(root)
    stored(root, made, tmp_path / "right")
    changed(root)
    with pytest.raises(Exception, match="has changed"):
        stored(root, made, store)
    assert not store.exists()
    (root / "a" / "3.png").write_bytes(film)
    stored(root, made, store)
    right = tmp_path / "right" / "images.u8"
    assert (store / "images.u8").read_bytes() == right.read_bytes()


TOLD = {"label": "sick", "patient": "p1", "part": "test"}


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (None, ""),
        ("label", r"the label of images/0\.png is another one"),
        ("patient", r"the patient of images/0\.png is another one"),
        ("part", r"the part of the split of images/0\.png is another one"),
    ],
)
def test_a_table_that_tells_something_else_after_ingestion_is_refused(
    tmp_path: Path, column: str | None, words: str
) -> None:
    rows = [
        {"label": ("well", "sick")[number % 2], "patient": f"p{number // 3}", "part": "train"}
        for number in range(12)
    ]
    table = pd.DataFrame(rows).assign(image=[f"{number}.png" for number in range(12)])
    (tmp_path / "images").mkdir()
    for number in range(12):
        raster(tmp_path / "images" / f"{number}.png", noise(number, 40, 40))
    columns = {"category": "label", "group_id": "patient", "split": "part"}
    config = IngestionConfig({"well": "normal", "sick": "sick"})

    def source() -> FileImages:
        table.to_csv(tmp_path / "metadata.csv", index=False)
        return CsvSource(columns, str(tmp_path), file="{image}").open()

    manifest, *others = tables(source(), config)
    settings = PreprocessingConfig(size=32)
    if column is None:
        assert build_images(source(), manifest, settings, config, *others).info.count == 12
        return
    table.loc[0, column] = TOLD[column]
    with pytest.raises(UserError, match=words + ".*kedro run --pipelines ingestion,preprocessing"):
        build_images(source(), manifest, settings, config, *others)


def catalog(source: Path, folder: Path) -> DataCatalog:
    origin = JSONDataset(
        of="medgan.project.origin.Origin",
        filepath=str(folder / "films" / "origin.json"),
        metadata={"optional": True},
    )
    source_entry = ImageSourceDataset(kind="folder", location=str(source))
    return DataCatalog({"source": source_entry, "origin": origin})


@pytest.fixture
def made(tmp_path: Path) -> Callable[[Path, str | None], None]:
    """What a run in an environment on a source checks before it starts; the first one makes it."""
    root = films(tmp_path / "first")
    manifest = ingested(root)[0]

    def run(source: Path, env: str | None) -> None:
        found = catalog(source, tmp_path / "made")
        found["manifest"] = MemoryDataset(manifest)
        now = origin_of(found, {"env": env})
        assert now is not None
        require_same_origin(found, now, reads_source=True)
        found.save("origin", now)

    run(root, "films")
    return run


def test_the_same_environment_and_source_go_on(made: Any, tmp_path: Path) -> None:
    made(tmp_path / "first", "films")
    made(tmp_path / "first" / ".." / "first", "films")


def test_a_moved_copy_a_parent_and_a_corrected_one_go_on(made: Any, tmp_path: Path) -> None:
    (tmp_path / "drive" / "x").mkdir(parents=True)
    (tmp_path / "first").rename(tmp_path / "drive" / "x" / "films")
    changed(tmp_path / "drive" / "x" / "films")
    made(tmp_path / "drive" / "x" / "films", "films")
    made(tmp_path / "drive" / "x", "films")


@pytest.mark.parametrize("env", ["copied", None])
def test_another_environment_of_the_same_name_is_refused(
    env: str | None, made: Any, tmp_path: Path
) -> None:
    words = rf"`films` was made in the environment films, and this run is in {env or 'base'}"
    with pytest.raises(UserError, match=words + r".*globals\.yml, or delete .*films to make"):
        made(tmp_path / "first", env)


def test_another_source_of_the_same_name_is_refused_though_its_files_are_called_alike(
    made: Any, tmp_path: Path
) -> None:
    other = films(tmp_path / "second", seed=500)
    with pytest.raises(UserError, match="`films` was made from other images"):
        made(other, "films")
    made(tmp_path / "first", "films")


def test_a_path_of_the_source_is_in_no_file(made: Any, tmp_path: Path) -> None:
    text = (tmp_path / "made" / "films" / "origin.json").read_text()
    assert "films" in text
    assert str(tmp_path) not in text
