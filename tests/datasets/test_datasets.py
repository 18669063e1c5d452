"""The data sets: what is saved is loaded, and what must not be written is not."""

from __future__ import annotations

import base64
import io
import json
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest
import torch
from kedro.io import DataCatalog, DatasetError
from matplotlib.figure import Figure
from PIL import Image

from medgan.contracts import ImageSpec
from medgan.datasets.documents import (
    ExternalTestsDataset,
    ResultsSectionDataset,
    TextDataset,
    read_document,
)
from medgan.datasets.folders import EarlierDataset, FolderDataset
from medgan.datasets.models import Curves, TrainingDataset
from medgan.datasets.parts import Arrays
from medgan.datasets.tables import CSVDataset, JSONDataset, ParquetDataset
from medgan.errors import UserError
from medgan.evaluation.details import ExternalTests
from medgan.evaluation.results import DetectorResult, LeftOut, Section, SynthesisResult
from medgan.files.documents import from_json
from medgan.metrics.quality import QualityMetric
from medgan.models import PublishedModel
from medgan.training.checkpoints import UNCHANGED, TrainingState
from medgan.training.job import TrainingStep

Picture = bytes | Figure


@dataclass(frozen=True)
class Made:
    """A folder with a part of each kind."""

    numbers: dict[str, float]
    table: pd.DataFrame
    curve_figure: Picture
    arrays: Arrays
    grids: dict[str, Picture] = field(default_factory=dict)
    more: pd.DataFrame | None = field(default=None, metadata={"suffix": ".csv", "logged_as": ""})


MADE = f"{__name__}.Made"
TABLE = pd.DataFrame({"a": [1, 2]})


def figure(height: float) -> Figure:
    drawing = Figure(figsize=(1, 1))
    drawing.subplots().plot([0, height])
    return drawing


def made(value: float = 1.0, **changes: Any) -> Made:
    parts = {"numbers": {"x": value}, "table": TABLE, "curve_figure": figure(value)}
    arrays = {"maps": np.arange(6, dtype=np.float16).reshape(2, 3), "ids": np.array(["a", "bc"])}
    return Made(**(parts | {"arrays": arrays} | changes))


def folder(path: object, **settings: Any) -> FolderDataset:
    return FolderDataset(filepath=str(path), of=MADE, **settings)


def test_a_folder_has_a_file_for_each_part_and_none_for_what_is_absent(tmp_path):
    dataset = folder(tmp_path / "made")
    dataset.save(made(grids={"b": figure(1.0), "a": figure(2.0)}))
    names = {path.relative_to(tmp_path / "made").as_posix() for path in tmp_path.rglob("*.*")}
    assert names == {
        "numbers.json",
        "table.parquet",
        "curve.png",
        "arrays.npz",
        "grids/a.png",
        "grids/b.png",
    }
    found = dataset.load()
    assert found.numbers == {"x": 1.0}
    assert found.table.equals(TABLE)
    assert found.more is None
    assert list(found.grids) == ["a", "b"]
    assert found.arrays["maps"].dtype == np.float16
    assert list(found.arrays["ids"]) == ["a", "bc"]
    dataset.save(replace(found, more=TABLE, grids={}))
    assert dataset.load().more.equals(TABLE)
    assert not (tmp_path / "made" / "grids" / "a.png").exists()
    assert np.array_equal(dataset.load().arrays["maps"], made().arrays["maps"])


def test_a_folder_is_saved_as_a_whole_or_not_at_all(tmp_path):
    dataset = folder(tmp_path / "made")
    dataset.save(made(1.0))
    with pytest.raises(DatasetError, match="plain dtype"):
        dataset.save(made(2.0, arrays={"bad": np.array([{}], dtype=object)}))
    with pytest.raises(DatasetError):
        dataset.save(made(2.0, numbers={"x": float("nan")}))
    assert dataset.load().numbers == {"x": 1.0}
    (tmp_path / "made").rename(tmp_path / ".made.old")
    assert folder(tmp_path / "made").exists()
    assert dataset.load().numbers == {"x": 1.0}


def versioned(path: object, moment: str) -> DataCatalog:
    """The data set as a run at that moment sees it."""
    entry = {
        "type": "medgan.datasets.folders.FolderDataset",
        "filepath": str(path),
        "of": MADE,
        "versioned": True,
    }
    return DataCatalog.from_config({"made": entry}, save_version=moment)


@pytest.mark.parametrize("where", ["local", "memory"])
def test_a_new_version_only_when_something_changed_and_old_ones_can_be_loaded(tmp_path, where):
    path = tmp_path / "made" if where == "local" else f"memory:///{tmp_path.name}/made"
    moments = [f"2026-01-0{day}T00.00.00.000Z" for day in range(1, 5)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for moment, value in zip(moments, (1.0, 1.0, 2.0, 1.0), strict=True):
            versioned(path, moment).save("made", made(value))
    newest = versioned(path, "2026-01-05T00.00.00.000Z")
    assert newest.load("made").numbers == {"x": 1.0}
    known = newest.get("made").list_versions(full_path=False)
    assert moments[0] in known
    assert moments[2] in known
    if where == "local":
        assert moments[1] not in known
    assert newest.load("made", version=moments[2]).numbers == {"x": 2.0}


def test_folders_tables_documents_and_models_on_another_file_system():
    fsspec.filesystem("memory").store.clear()
    remote = folder("memory:///bucket/made")
    assert not remote.exists()
    remote.save(made(3.0, grids={"a": figure(1.0)}))
    assert remote.exists()
    assert remote.load().numbers == {"x": 3.0}
    assert list(remote.load().arrays["ids"]) == ["a", "bc"]
    remote.save(made(4.0))
    assert remote.load().grids == {}
    for kind, content in ((ParquetDataset, TABLE), (CSVDataset, TABLE)):
        dataset = kind(filepath=f"memory:///bucket/{kind.__name__}", save_args={"index": None})
        dataset.save(content)
        assert dataset.load()["a"].tolist() == [1, 2]
    for kind, content in ((JSONDataset, {"a": 1}), (TextDataset, "<html>")):
        dataset = kind(filepath=f"memory:///bucket/{kind.__name__}")
        dataset.save(content)
        assert str(dataset.load()) == str(content)
    section = ResultsSectionDataset(filepath="memory:///bucket/d/results.json", section="quality")
    section.save(quality_section("aa", acgan=1))
    assert section.load() == quality_section("aa", acgan=1)
    trained = FolderDataset(filepath="memory:///bucket/trained", of=f"{__name__}.Published")
    trained.save(Published(model(1.0)))
    assert trained.load().model.key == model(1.0).key


def test_equal_figures_give_equal_files(tmp_path):
    dataset = folder(tmp_path / "made")
    dataset.save(made(grids={"a": figure(1.0), "b": figure(1.0), "c": figure(2.0)}))
    grids = dataset.load().grids
    assert grids["a"] == grids["b"] != grids["c"]
    assert grids["a"][:8] == b"\x89PNG\r\n\x1a\n"
    shown = Image.open(io.BytesIO(base64.b64decode(dataset.preview())))
    assert shown.height >= Image.open(tmp_path / "made" / "curve.png").height


@pytest.mark.parametrize("kind", [TextDataset, JSONDataset, ParquetDataset])
def test_absent_is_none_only_where_it_is_optional(kind, tmp_path):
    assert kind(filepath=str(tmp_path / "none"), metadata={"optional": True}).load() is None
    with pytest.raises(DatasetError):
        kind(filepath=str(tmp_path / "none")).load()
    assert folder(tmp_path / "none", metadata={"optional": True}).load() is None


def test_mlflow_is_told_what_each_part_is(tmp_path):
    dataset = folder(tmp_path / "made")
    dataset.save(data := made(more=TABLE))
    parts = [(kind, path.name) for kind, _, path in dataset.mlflow_parts(data)]
    assert parts == [
        ("metrics", "numbers.json"),
        ("table", "table.parquet"),
        ("figure", "curve.png"),
    ]


def test_earlier_outputs_are_read_by_kind_and_model_and_may_be_absent_or_damaged(tmp_path):
    entry = {
        "type": "medgan.datasets.folders.FolderDataset",
        "of": MADE,
        "filepath": str(tmp_path / "{model}" / "made"),
    }
    dataset = EarlierDataset(datasets={"made": entry})
    assert dataset.optional
    assert dataset.load()("made", "bigan") is None
    folder(tmp_path / "bigan" / "made").save(made(5.0))
    assert dataset.load()("made", "bigan").numbers == {"x": 5.0}
    (tmp_path / "bigan" / "made" / "numbers.json").write_text("{")
    assert dataset.load()("made", "bigan") is None
    with pytest.raises(DatasetError, match="read only"):
        dataset.save(1)


def rows(*steps: int) -> list[dict]:
    return [{"step": step, "loss": step / 10} for step in steps]


def test_curves_grow_resume_and_start_anew(tmp_path):
    dataset = Curves(tmp_path / "curves.csv")
    assert list(dataset.load().columns) == ["step"]
    dataset.add(rows(0, 10, 20))
    dataset.add([])
    dataset.add(rows(30))
    assert dataset.load()["step"].tolist() == [0, 10, 20, 30]
    dataset.add(rows(20, 25))
    assert dataset.load()["step"].tolist() == [0, 10, 20, 25]
    dataset.add(rows(0))
    assert dataset.load()["step"].tolist() == [0]
    assert dataset.load()["loss"].tolist() == [0.0]


def test_curves_of_a_second_stage_bring_new_columns(tmp_path):
    dataset = Curves(tmp_path / "curves.csv")
    dataset.add([{"step": 0, "stage": "adversarial", "d": 1.5}])
    dataset.add([{"step": 1, "stage": "encoder", "e": 0.25}])
    table = dataset.load()
    assert table["stage"].tolist() == ["adversarial", "encoder"]
    assert table["d"].isna().tolist() == [False, True]
    assert table["e"].tolist()[1] == 0.25


@dataclass(frozen=True)
class State:
    """A training as it is loaded."""

    checkpoints: Any
    curves: pd.DataFrame
    samples: bytes | None


def training(path: Path) -> TrainingDataset:
    return TrainingDataset(filepath=str(path), of=f"{__name__}.State")


def test_checkpoints_are_written_unless_unchanged(tmp_path):
    dataset = training(tmp_path)
    dataset.save(TrainingStep(UNCHANGED, [], UNCHANGED))
    assert not dataset.exists()
    assert dataset.load().checkpoints.latest("key") is None
    for step, finished in ((5, False), (6, True)):
        state = TrainingState("key", step, finished, {"model.w": torch.ones(2)})
        dataset.save(TrainingStep(state, rows(step), UNCHANGED))
        assert dataset.exists() is finished
    assert dataset.load().checkpoints.latest("key").step == 6
    assert dataset.load().curves["step"].tolist() == [5, 6]


def model(value: float, latent_dim: int = 4) -> PublishedModel:
    return PublishedModel(
        "toy",
        {"latent_dim": latent_dim},
        ImageSpec(32, 1, ("normal", "viral")),
        {"w": torch.full((2, 2), value)},
        {"note": "n"},
    )


@dataclass(frozen=True)
class Published:
    """A folder with a model."""

    model: PublishedModel


def published(tmp_path, moment: str):
    """The data set as a run at that moment sees it."""
    entry = {
        "type": "medgan.datasets.folders.FolderDataset",
        "of": f"{__name__}.Published",
        "filepath": str(tmp_path / "toy" / "trained"),
        "versioned": True,
    }
    return DataCatalog.from_config({"toy.trained": entry}, save_version=moment)


def versions(tmp_path) -> list[str]:
    folder = tmp_path / "toy" / "trained"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_new_version_only_when_the_model_changed(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        published(tmp_path, "2026-01-01T00.00.00.000Z").save("toy.trained", Published(model(1.0)))
        catalog = published(tmp_path, "2026-01-02T00.00.00.000Z")
        catalog.save("toy.trained", Published(model(1.0)))
        assert versions(tmp_path) == ["2026-01-01T00.00.00.000Z"]
        assert catalog.load("toy.trained").model.key == model(1.0).key
        for moment, changed in (("03", model(1.0, latent_dim=8)), ("04", model(2.0))):
            published(tmp_path, f"2026-01-{moment}T00.00.00.000Z").save(
                "toy.trained", Published(changed)
            )
    assert len(versions(tmp_path)) == 3
    newest = published(tmp_path, "2026-01-05T00.00.00.000Z").load("toy.trained").model
    assert (newest.name, newest.spec, dict(newest.card)) == (
        "toy",
        ImageSpec(32, 1, ("normal", "viral")),
        {"note": "n"},
    )
    assert torch.equal(newest.tensors["w"], torch.full((2, 2), 2.0))


def test_published_model_is_missing_before_it_is_published(tmp_path):
    assert not published(tmp_path, "2026-01-01T00.00.00.000Z").exists("toy.trained")


def test_damaged_weights_are_refused(tmp_path):
    published(tmp_path, "2026-01-01T00.00.00.000Z").save("toy.trained", Published(model(1.0)))
    weights = next((tmp_path / "toy").glob("trained/*/trained/model.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 0x40
    weights.write_bytes(content)
    with pytest.raises(DatasetError) as damaged:
        published(tmp_path, "2026-01-02T00.00.00.000Z").get("toy.trained").load()
    assert isinstance(damaged.value.__cause__, UserError)
    assert "damaged" in str(damaged.value)


METRICS = ("auroc", "average_precision", "sensitivity", "specificity", "precision", "f1")
ROW = {
    **{name: {"value": 0.5} for name in METRICS},
    "n_images": 2,
    "n_patients": None,
    "interval_unit": "image",
    "n_seeds": 1,
    "seeds": [0],
    "threshold": {"rule": "youden", "value": 0.5},
    "sees_mix": False,
    "labels_used": "none",
}
"""The least that a row of the section `detectors` holds."""


def section(tmp_path, name: str) -> ResultsSectionDataset:
    return ResultsSectionDataset(
        filepath=str(tmp_path / "08_reporting" / "phantoms" / "results.json"), section=name
    )


def quality_section(data: str, **values: float) -> Section[SynthesisResult]:
    rows = {name: SynthesisResult({"x": QualityMetric(value=x)}) for name, x in values.items()}
    return Section(data, rows)


def test_sections_of_results_stand_side_by_side(tmp_path):
    detectors, quality = section(tmp_path, "detectors"), section(tmp_path, "quality")
    assert detectors.load() is None
    assert not detectors.exists()
    row = from_json(DetectorResult, ROW)
    detectors.save(Section("aa", {"dcgan": row}))
    quality.save(quality_section("aa", acgan=1))
    document = detectors.document()
    assert document.schema == 1
    assert document.dataset == "phantoms"
    assert set(document.detectors) == {"dcgan"}
    assert set(document.quality) == {"acgan"}
    assert detectors.load() == Section("aa", {"dcgan": row})


def test_results_of_other_data_do_not_stay_beside_new_ones(tmp_path):
    detectors, quality = section(tmp_path, "detectors"), section(tmp_path, "quality")
    quality.save(quality_section("aa", acgan=1))
    detectors.save(Section("bb", {"dcgan": from_json(DetectorResult, ROW)}))
    assert quality.load() is None
    assert detectors.load().data == "bb"


def test_results_that_json_cannot_hold_are_not_written(tmp_path):
    quality = section(tmp_path, "quality")
    quality.save(quality_section("aa", dcgan=1.0))
    with pytest.raises(DatasetError):
        quality.save(quality_section("aa", dcgan=float("nan")))
    assert quality.load() == quality_section("aa", dcgan=1.0)


@pytest.mark.parametrize("text", ["[]", '{"schema": 2}'])
def test_an_unreadable_results_document_is_named(tmp_path, text):
    path = tmp_path / "08_reporting" / "phantoms" / "results.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(DatasetError, match=r"results\.json") as refused:
        section(tmp_path, "quality").save(quality_section("aa", acgan=1))
    assert isinstance(refused.value.__cause__, UserError)
    assert path.read_text() == text


def test_the_first_section_of_a_run_starts_a_new_version_from_the_newest_old_one(tmp_path):
    def sections(moment: str) -> DataCatalog:
        entry = {
            "type": "medgan.datasets.documents.ResultsSectionDataset",
            "filepath": str(tmp_path / "phantoms" / "results.json"),
            "section": "{section}",
            "versioned": True,
        }
        return DataCatalog.from_config({"results.{section}": entry}, save_version=moment)

    first, second = (sections(f"2026-01-0{day}T00.00.00.000Z") for day in (1, 2))
    assert not first.exists("results.quality")
    detectors = Section("aa", {"dcgan": from_json(DetectorResult, ROW)})
    first.save("results.quality", quality_section("aa", acgan=1))
    first.save("results.detectors", detectors)
    second.save("results.quality", quality_section("aa", acgan=2))
    assert second.load("results.detectors") == detectors
    path = tmp_path / "phantoms" / "results.json"
    assert len(list(path.iterdir())) == 2
    assert read_document(path).quality == quality_section("aa", acgan=2).rows
    old = second.load("results.quality", version="2026-01-01T00.00.00.000Z")
    assert old == quality_section("aa", acgan=1)


def test_unknown_section_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no section 'detector'"):
        section(tmp_path, "detector")


def test_unchanged_model_has_the_same_key():
    assert replace(model(1.0), card={}).key == model(1.0).key
    assert model(1.0).key != model(1.5).key


def test_external_tests_are_found_where_the_images_are(tmp_path):
    index = ExternalTestsDataset(filepath=str(tmp_path), trained_on="home")
    assert index.load() == ExternalTests("home")
    for where, trained_on in (
        ("b/dcgan", "home"),
        ("a/bigan", "home"),
        ("a/dcgan", "other"),
        ("home/dcgan", None),
    ):
        (tmp_path / where).mkdir(parents=True)
        (tmp_path / where / "external.json").write_text(
            json.dumps({"claim": "external", "trained_on": trained_on, "auroc": {"value": 1}})
        )
    assert [(test.tested_on, test.model) for test in index.load().tests] == [
        ("a", "bigan"),
        ("b", "dcgan"),
    ]
    with pytest.raises(DatasetError, match="read only"):
        index.save({})
    (tmp_path / "b/dcgan/external.json").write_text("{")
    with pytest.raises(DatasetError, match=r"external\.json is damaged \(it is not JSON\)"):
        index.load()


@pytest.mark.parametrize("versioned", [False, True])
def test_a_folder_may_say_that_its_model_was_left_out(tmp_path: Path, versioned: bool) -> None:
    entry = {"type": FolderDataset, "filepath": str(tmp_path / "made"), "of": MADE}
    catalog = DataCatalog.from_config({"made": entry | {"versioned": versioned}})
    catalog.save("made", LeftOut("all images are normal"))
    assert catalog.load("made") == LeftOut("all images are normal")
    dataset: Any = catalog.get("made")
    assert list(dataset.mlflow_parts(LeftOut("all images are normal"))) == []
    earlier = EarlierDataset(datasets={"made": entry | {"versioned": versioned}}).load()
    assert earlier("made") is None


def test_the_results_name_what_was_left_out(tmp_path: Path) -> None:
    filepath = str(tmp_path / "some" / "results.json")
    quality, arms = (
        ResultsSectionDataset(filepath=filepath, section=name)
        for name in ("quality", "classifiers")
    )
    arms.save(Section("hash", {}, {"real": "one class"}))
    quality.save(Section("hash", {}, {"acgan": "one class"}))
    document = read_document(Path(filepath))
    assert document is not None
    assert document.left_out == {
        "classifiers": {"real": "one class"},
        "quality": {"acgan": "one class"},
    }
    assert arms.load() == Section("hash", {}, {"real": "one class"})
    arms.save(Section("hash", {}))
    assert arms.load() is None
