"""Ingestion and preprocessing as their nodes do it, on phantoms and on real data where it is at
hand.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from medgan.contracts import TrainingSet
from medgan.datasets.images import ImageSourceDataset, ImageStoreDataset
from medgan.errors import UserError
from medgan.images.config import IngestionConfig, PreprocessingConfig
from medgan.images.loading import StoredImages
from medgan.images.metadata import pixel_hash
from medgan.images.profile import profile
from medgan.images.resizing import fit_square
from medgan.images.splits import training_rows
from medgan.images.store import PIXELS
from medgan.pipelines.preprocessing.nodes import build_images, split_images
from medgan.sources.registry import ImageSource
from tests.images.known import tables
from tests.sources.test_phantoms import auroc

CONF = Path(__file__).resolve().parents[2] / "conf"


def configured(
    name: str, location: Path, without: str = ""
) -> tuple[ImageSource, IngestionConfig, PreprocessingConfig]:
    """The source and the settings that conf/ has for a data set, `without` one of its fields."""
    entry: dict[str, Any] = yaml.safe_load((CONF / name / "catalog.yml").read_text())["source"]
    parameters = yaml.safe_load((CONF / name / "parameters.yml").read_text())
    entry.pop("type")
    entry.get("fields", {}).pop(without, None)
    source = ImageSourceDataset(**{**entry, "location": str(location)})
    return (
        source.load(),
        IngestionConfig(**parameters["ingestion"]),
        PreprocessingConfig(**parameters["preprocessing"]),
    )


@pytest.fixture
def phantoms() -> tuple[ImageSource, pd.DataFrame]:
    source = ImageSourceDataset(kind="phantoms", images=80, patients=40).load()
    return source, tables(source, IngestionConfig())[0]


def test_the_store_is_written_once_for_the_same_images(
    tmp_path: Path, phantoms: tuple[ImageSource, pd.DataFrame]
) -> None:
    source, manifest = phantoms
    dataset = ImageStoreDataset((tmp_path / "images").as_posix())
    dataset.save(build_images(source, manifest, PreprocessingConfig(), IngestionConfig()))
    first = (tmp_path / "images" / PIXELS).stat().st_ino
    dataset.save(build_images(source, manifest, PreprocessingConfig(), IngestionConfig()))
    assert (tmp_path / "images" / PIXELS).stat().st_ino == first
    store = dataset.load()
    assert store.info.count == 80
    assert store.spec.classes == ("normal", "bacterial", "viral")
    dataset.save(build_images(source, manifest, PreprocessingConfig(size=28), IngestionConfig()))
    assert dataset.load().info.height == 28
    (tmp_path / "images" / PIXELS).write_bytes(b"cut")
    dataset.save(build_images(source, manifest, PreprocessingConfig(size=28), IngestionConfig()))
    assert len(dataset.load()) == 80
    assert dataset.preview().startswith("iVBOR")


def test_store_rows_are_those_of_the_splits(
    tmp_path: Path, phantoms: tuple[ImageSource, pd.DataFrame]
) -> None:
    source, manifest = phantoms
    config = PreprocessingConfig(size=64)
    dataset = ImageStoreDataset((tmp_path / "images").as_posix())
    dataset.save(build_images(source, manifest, config, IngestionConfig()))
    splits, audit = split_images(manifest, config, 0)
    assert audit.verdict == "no leak"
    for place in (0, 17, 79):
        row, image_id = splits.loc[place, ["row", "image_id"]]
        path = manifest.set_index("image_id").loc[image_id, "path"]
        assert np.array_equal(
            dataset.load().read(np.array([row]))[0], source.read(str(path)).pixels
        )


def test_a_split_survives_its_file(
    tmp_path: Path, phantoms: tuple[ImageSource, pd.DataFrame]
) -> None:
    _, manifest = phantoms
    manifest.to_parquet(tmp_path / "manifest.parquet")
    before, _ = split_images(manifest, PreprocessingConfig(), 0)
    after, _ = split_images(
        pd.read_parquet(tmp_path / "manifest.parquet"), PreprocessingConfig(), 0
    )
    for column in ("image_id", "split", "row", "category"):
        assert before[column].tolist() == after[column].tolist()
    assert (before["role"] == "mix").tolist() == (after["role"] == "mix").tolist()


def test_trainings_with_other_seeds_share_a_split_that_has_its_own(
    phantoms: tuple[ImageSource, pd.DataFrame],
) -> None:
    _, manifest = phantoms
    parts = {
        (own, seed): split_images(
            manifest, PreprocessingConfig(split="by_patient", split_seed=own), seed
        )[0][["split", "role"]]
        for own in (None, 0)
        for seed in (0, 10)
    }
    assert parts[0, 10].equals(parts[None, 0])
    assert not parts[None, 10].equals(parts[None, 0])


def test_an_image_lost_between_two_pipelines_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "normal"
    folder.mkdir()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(folder / "1.png")
    source = ImageSourceDataset(kind="folder", location=str(tmp_path)).load()
    manifest = pd.DataFrame(
        {
            "image_id": ["1", "2"],
            "path": ["normal/1.png", "normal/2.png"],
            "category": "normal",
            "pixel_hash": [pixel_hash(source.read("normal/1.png").pixels), "b"],
        }
    )
    plan = build_images(source, manifest, PreprocessingConfig(), IngestionConfig())
    with pytest.raises(UserError, match=r"2\.png was readable at ingestion"):
        list(plan.images())


def test_chest_xray_is_read_split_and_audited(real_data: Callable[[str], Path]) -> None:
    start = time.perf_counter()
    source, ingestion, preprocessing = configured("chest_xray", real_data("chest_xray"))
    manifest, quarantine, excluded = tables(source, ingestion)
    splits, audit = split_images(manifest, preprocessing, 0)
    assert time.perf_counter() - start < 150
    assert (len(manifest), len(quarantine)) == (5840, 0)
    assert profile(manifest, quarantine, excluded).duplicates.groups == 30
    assert audit.duplicates.surplus_copies == 32
    paths = manifest.set_index("image_id")["path"]
    assert [sorted(paths[group]) for group in audit.duplicates.crossing_patients] == [
        [f"test/NORMAL/NORMAL2-IM-{number}-0001.jpeg" for number in ("0095", "0096")]
    ]
    assert audit.official_folders["patients"].count == 0
    assert audit.verdict == "no leak"
    shares = splits["split"].value_counts(normalize=True)
    assert abs(shares["test"] - 0.2) < 0.01


def test_pneumoniamnist_keeps_what_the_nearest_neighbour_can_tell(
    real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    path = real_data("pneumoniamnist") / "pneumoniamnist.npz"
    source, ingestion, preprocessing = configured("pneumoniamnist", path)
    manifest, _, _ = tables(source, ingestion)
    preprocessing = replace(preprocessing, intensity="standardised")  # as in the published figure
    splits, audit = split_images(manifest, preprocessing, 0)
    dataset = ImageStoreDataset((tmp_path / "images").as_posix())
    dataset.save(build_images(source, manifest, preprocessing, ingestion))
    images = StoredImages(dataset.load())
    reference = images(training_rows(splits, TrainingSet.NORMAL).rows).flatten(1)
    test = splits[splits["split"] == "test"]
    scores = (
        torch.cdist(images(test["row"].to_numpy()).flatten(1), reference).min(dim=1).values.numpy()
    )
    assert images(np.array([0])).shape == (1, 1, 32, 32)
    assert auroc((test["label"] == 1).to_numpy(), scores) == pytest.approx(0.850, abs=0.002)
    assert audit.shared["pixels"].count == 8
    assert audit.dropped == 10
    assert audit.shared["patients"].count == 0
    assert audit.verdict == "leak"


def test_the_original_films_are_those_of_the_small_set(real_data: Callable[[str], Path]) -> None:
    originals, config, _ = configured(
        "chest_xray", real_data("chest_xray_original"), without="split"
    )
    small, _, _ = configured("chest_xray", real_data("chest_xray"))
    places = {_stem(path): path for path in small.rows()["path"]}
    manifest, quarantine, _ = tables(originals, config)
    assert (len(manifest), len(quarantine)) == (60, 0)
    differences = []
    for path in manifest["path"]:
        pictures = originals.read(path).pixels, small.read(places[_stem(path)]).pixels
        large, tiny = (fit_square(pixels, 224, 1).astype(float) for pixels in pictures)
        differences.append(np.abs(large - tiny).mean())
    assert max(differences) < 5.0


def _stem(path: str) -> str:
    return Path(path).name.split(".")[0]
