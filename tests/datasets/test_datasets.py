"""The data sets: what is saved is loaded, and what must not be written is not."""

from __future__ import annotations

import base64
import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from kedro.io import DataCatalog, DatasetError
from matplotlib.figure import Figure

from medgan.contracts import ImageSpec
from medgan.datasets.documents import (
    ExternalTestsDataset,
    FigureDataset,
    HtmlDataset,
    ResultsSectionDataset,
    read_document,
)
from medgan.datasets.images import ArraysDataset
from medgan.datasets.models import CheckpointDataset, PublishedDataset
from medgan.datasets.tables import CurvesDataset
from medgan.errors import UserError
from medgan.models import PublishedModel
from medgan.plots.style import Drawing
from medgan.training.checkpoints import UNCHANGED, TrainingState


def figure(height: float) -> Figure:
    drawing = Figure(figsize=(1, 1))
    drawing.subplots().plot([0, height])
    return drawing


def test_equal_figures_give_equal_files(tmp_path):
    first, second = (FigureDataset(filepath=str(tmp_path / name)) for name in ("a.png", "b.png"))
    first.save(figure(1.0))
    second.save(figure(1.0))
    assert first.load() == second.load()
    assert first.load()[:8] == b"\x89PNG\r\n\x1a\n"
    assert base64.b64decode(first.preview()) == first.load()
    second.save(figure(2.0))
    assert first.load() != second.load()


@pytest.mark.parametrize("kind", [FigureDataset, HtmlDataset, ArraysDataset])
def test_absent_is_none_only_where_it_is_optional(kind, tmp_path):
    assert kind(filepath=str(tmp_path / "none"), metadata={"optional": True}).load() is None
    with pytest.raises(DatasetError):
        kind(filepath=str(tmp_path / "none")).load()


def test_a_drawing_is_made_once_and_again_where_its_file_shows_another_or_is_damaged(tmp_path):
    made = []

    def drawn(key):
        return Drawing(key, lambda: made.append(key) or figure(1.0))

    path = tmp_path / "a.png"
    dataset = FigureDataset(filepath=str(path))
    for key in ("one", "one", "two", "one"):
        dataset.save(drawn(key))
    assert made == ["one", "two", "one"]
    FigureDataset(filepath=str(path), dpi=60).save(drawn("one"))
    assert len(made) == 4
    path.write_bytes(path.read_bytes()[:-20])
    FigureDataset(filepath=str(path), dpi=60).save(drawn("one"))
    dataset.save(figure(1.0))
    FigureDataset(filepath=str(path), dpi=60).save(drawn("one"))
    assert len(made) == 6


def test_arrays_return_with_their_types_and_never_as_pickles(tmp_path):
    dataset = ArraysDataset(filepath=str(tmp_path / "maps.npz"))
    arrays = {"maps": np.arange(6, dtype=np.float16).reshape(2, 3), "ids": np.array(["a", "bc"])}
    dataset.save(arrays)
    loaded = dataset.load()
    assert {name: values.dtype for name, values in loaded.items()} == {
        name: values.dtype for name, values in arrays.items()
    }
    assert all(np.array_equal(loaded[name], arrays[name]) for name in arrays)
    with pytest.raises(DatasetError, match="plain dtype"):
        dataset.save({"bad": np.array([{}], dtype=object)})
    assert set(dataset.load()) == {"maps", "ids"}


def rows(*steps: int) -> list[dict]:
    return [{"step": step, "loss": step / 10} for step in steps]


def test_curves_grow_resume_and_start_anew(tmp_path):
    dataset = CurvesDataset(filepath=str(tmp_path / "curves.csv"))
    assert list(dataset.load().columns) == ["step"]
    dataset.save(rows(0, 10, 20))
    dataset.save([])
    dataset.save(rows(30))
    assert dataset.load()["step"].tolist() == [0, 10, 20, 30]
    dataset.save(rows(20, 25))
    assert dataset.load()["step"].tolist() == [0, 10, 20, 25]
    dataset.save(rows(0))
    assert dataset.load()["step"].tolist() == [0]
    assert dataset.load()["loss"].tolist() == [0.0]


def test_curves_of_a_second_stage_bring_new_columns(tmp_path):
    dataset = CurvesDataset(filepath=str(tmp_path / "curves.csv"))
    dataset.save([{"step": 0, "stage": "adversarial", "d": 1.5}])
    dataset.save([{"step": 1, "stage": "encoder", "e": 0.25}])
    table = dataset.load()
    assert table["stage"].tolist() == ["adversarial", "encoder"]
    assert table["d"].isna().tolist() == [False, True]
    assert table["e"].tolist()[1] == 0.25
    assert dataset.preview(1)["data"][0][0] == 1


def test_checkpoints_are_written_unless_unchanged(tmp_path):
    dataset = CheckpointDataset(filepath=str(tmp_path / "checkpoints"))
    dataset.save(UNCHANGED)
    assert not dataset.exists()
    assert dataset.load().latest("key") is None
    dataset.save(
        TrainingState(key="key", step=5, finished=True, tensors={"model.w": torch.ones(2)})
    )
    assert dataset.exists()
    assert dataset.load().latest("key").step == 5


def model(value: float, latent_dim: int = 4) -> PublishedModel:
    return PublishedModel(
        "toy",
        {"latent_dim": latent_dim},
        ImageSpec(32, 1, ("normal", "viral")),
        {"w": torch.full((2, 2), value)},
        {"note": "n"},
    )


def published(tmp_path, moment: str):
    """The data set as a run at that moment sees it."""
    entry = {
        "type": "medgan.datasets.models.PublishedDataset",
        "filepath": str(tmp_path / "toy" / "published"),
    }
    return DataCatalog.from_config({"toy.published": entry}, save_version=moment)


def versions(tmp_path) -> list[str]:
    folder = tmp_path / "toy" / "published"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_new_version_only_when_the_model_changed(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        published(tmp_path, "2026-01-01T00.00.00.000Z").save("toy.published", model(1.0))
        catalog = published(tmp_path, "2026-01-02T00.00.00.000Z")
        catalog.save("toy.published", model(1.0))
        assert versions(tmp_path) == ["2026-01-01T00.00.00.000Z"]
        assert catalog.load("toy.published").key == model(1.0).key
        published(tmp_path, "2026-01-03T00.00.00.000Z").save(
            "toy.published", model(1.0, latent_dim=8)
        )
        published(tmp_path, "2026-01-04T00.00.00.000Z").save("toy.published", model(2.0))
    assert len(versions(tmp_path)) == 3
    newest = published(tmp_path, "2026-01-05T00.00.00.000Z").load("toy.published")
    assert (newest.name, newest.spec, dict(newest.card)) == (
        "toy",
        ImageSpec(32, 1, ("normal", "viral")),
        {"note": "n"},
    )
    assert torch.equal(newest.tensors["w"], torch.full((2, 2), 2.0))


def test_published_model_is_missing_before_it_is_published(tmp_path):
    assert not published(tmp_path, "2026-01-01T00.00.00.000Z").exists("toy.published")


def test_damaged_weights_are_refused(tmp_path):
    dataset = PublishedDataset(filepath=str(tmp_path / "published"))
    dataset.save(model(1.0))
    weights = next((tmp_path / "published").glob("*/published/model.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 0x40
    weights.write_bytes(content)
    with pytest.raises(DatasetError) as damaged:
        PublishedDataset(filepath=str(tmp_path / "published")).load()
    assert isinstance(damaged.value.__cause__, UserError)
    assert "damaged" in str(damaged.value)


def section(tmp_path, name: str) -> ResultsSectionDataset:
    return ResultsSectionDataset(
        filepath=str(tmp_path / "08_reporting" / "phantoms" / "results.json"), section=name
    )


def test_sections_of_results_stand_side_by_side(tmp_path):
    detectors, quality = section(tmp_path, "detectors"), section(tmp_path, "quality")
    assert detectors.load() is None
    assert not detectors.exists()
    detectors.save({"data": "aa", "rows": {"dcgan": {"auroc": {"value": 0.5}}}})
    quality.save({"data": "aa", "rows": {"acgan": {}}})
    document = read_document(detectors.path)
    assert document["schema"] == 1
    assert document["dataset"] == "phantoms"
    assert set(document["detectors"]) == {"dcgan"}
    assert set(document["quality"]) == {"acgan"}
    assert detectors.load() == {"data": "aa", "rows": {"dcgan": {"auroc": {"value": 0.5}}}}


def test_results_of_other_data_do_not_stay_beside_new_ones(tmp_path):
    detectors, quality = section(tmp_path, "detectors"), section(tmp_path, "quality")
    quality.save({"data": "aa", "rows": {"acgan": {"x": 1}}})
    detectors.save({"data": "bb", "rows": {"dcgan": {}}})
    assert quality.load() is None
    assert detectors.load()["data"] == "bb"


def test_results_that_json_cannot_hold_are_not_written(tmp_path):
    detectors = section(tmp_path, "detectors")
    detectors.save({"data": "aa", "rows": {"dcgan": {"x": 1.0}}})
    with pytest.raises(DatasetError):
        detectors.save({"data": "aa", "rows": {"dcgan": {"x": float("nan")}}})
    assert json.loads(detectors.path.read_text())["detectors"] == {"dcgan": {"x": 1.0}}


def test_unknown_section_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no section 'detector'"):
        section(tmp_path, "detector")


def test_unchanged_model_has_the_same_key():
    assert replace(model(1.0), card={}).key == model(1.0).key
    assert model(1.0).key != model(1.5).key


def test_external_tests_are_found_where_the_images_are(tmp_path):
    index = ExternalTestsDataset(filepath=str(tmp_path), trained_on="home")
    assert index.load() == {"trained_on": "home", "tests": []}
    for where, trained_on in (
        ("b/dcgan", "home"),
        ("a/bigan", "home"),
        ("a/dcgan", "other"),
        ("home/dcgan", None),
    ):
        (tmp_path / where).mkdir(parents=True)
        (tmp_path / where / "external.json").write_text(
            json.dumps({"trained_on": trained_on, "auroc": 1})
        )
    assert [(test["tested_on"], test["model"]) for test in index.load()["tests"]] == [
        ("a", "bigan"),
        ("b", "dcgan"),
    ]
    with pytest.raises(DatasetError, match="read only"):
        index.save({})
    (tmp_path / "b/dcgan/external.json").write_text("{")
    with pytest.raises(DatasetError, match=r"external\.json is not JSON"):
        index.load()
