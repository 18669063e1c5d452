"""The environment that is written for a folder, read back as a run reads it."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from medgan.datasets.images import ImageSourceDataset
from medgan.errors import UserError
from medgan.project.environment import Environment
from medgan.project.new_environment import environment_files, write_environment
from medgan.sources.recognition import Corrections, recognize
from tests.conftest import ROOT
from tests.sources.test_recognition import picture, table


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    folder = tmp_path / "project/conf"
    folder.mkdir(parents=True)
    shutil.copytree(ROOT / "conf/base", folder / "base")
    shutil.copytree(ROOT / "conf/brain_mri", folder / "brain_mri")
    return folder


def source_of(conf: Path, name: str) -> ImageSourceDataset:
    entry = Environment(conf, name)._loader()["catalog"]["source"]
    return ImageSourceDataset(**{key: one for key, one in entry.items() if key != "type"})


def test_a_run_reads_what_was_recognized(tmp_path: Path, conf: Path) -> None:
    films = tmp_path / "it's my films, 2019"
    for number in range(6):
        picture(films / f"train/no/patient{number}_{number}.png", side=100)
        picture(films / f"test/yes/patient{number + 9}_1.png", side=100)
    found = recognize(films)
    assert write_environment(conf, "films", found) == conf / "films"
    environment = Environment(conf, "films")
    assert environment.dataset() == "films"
    parameters = environment.parameters()
    assert parameters["ingestion"].labels == {"no": "normal", "yes": "anomalous"}
    assert (parameters["preprocessing"].size, parameters["preprocessing"].channels) == (64, 1)
    assert parameters["augmentation"].allowed == (
        *("rotation", "translation", "brightness", "contrast"),
    )
    written = yaml.safe_load((conf / "films/parameters.yml").read_text())
    assert written["bigan"]["training"]["steps"] == {"adversarial": {"cpu": 90}}  # 12 images
    source = source_of(conf, "films")
    assert source.location == str(films)
    rows = source.load().named_rows()
    assert rows["category_raw"].value_counts().to_dict() == {"no": 6, "yes": 6}
    assert rows["group_id"].nunique() == 12
    assert set(rows["split"]) == {"train", "test"}
    given = Environment(conf, "films", {"source": "/elsewhere"})._loader()
    assert given["catalog"]["source"]["location"] == "/elsewhere"


def test_a_table_keeps_its_columns_and_labels_that_yaml_would_misread(
    tmp_path: Path, conf: Path
) -> None:
    rows = []
    for number in range(8):
        picture(tmp_path / f"films/{number}.png")
        rows.append({"File Name": f"{number}.png", "Tumor": ("0", "1")[number % 2]})
    table(tmp_path / "films/table.csv", rows)
    write_environment(conf, "films", recognize(tmp_path / "films", Corrections(size=28)))
    assert Environment(conf, "films").parameters()["preprocessing"].size == 28
    assert Environment(conf, "films").parameters()["ingestion"].labels == {
        "0": "normal",
        "1": "anomalous",
    }
    assert source_of(conf, "films").load().named_rows()["category_raw"].notna().sum() == 8


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("brain_mri", "conf/brain_mri exists already"),
        ("base", "conf/base exists already"),
        ("phantoms", "conf/base exists already"),
        ("local", "conf/local exists already"),
        ("../films", "which names folders below data/"),
    ],
)
def test_a_name_that_is_taken_or_no_name_is_refused(
    tmp_path: Path, conf: Path, name: str, sentence: str
) -> None:
    picture(tmp_path / "films/normal/1.png")
    with pytest.raises(UserError, match=sentence):
        write_environment(conf, name, recognize(tmp_path / "films"))


def test_names_that_look_like_numbers_stay_names(tmp_path: Path, conf: Path) -> None:
    for label in ("normal", "1e3", "12", "yes"):
        picture(tmp_path / f"films/{label}/1.png")
    write_environment(conf, "2e1", recognize(tmp_path / "films"))
    environment = Environment(conf, "2e1")
    assert environment.dataset() == "2e1"
    labels = environment.parameters()["ingestion"].labels
    assert labels == {"normal": "normal", "1e3": "1e3", "12": "12", "yes": "anomalous"}


def test_a_reference_of_the_configuration_is_no_name(tmp_path: Path, conf: Path) -> None:
    picture(tmp_path / "films/normal/1.png")
    picture(tmp_path / "films/${oc.env:HOME}/1.png")
    with pytest.raises(UserError, match="a reference in conf/: rename it"):
        write_environment(conf, "films", recognize(tmp_path / "films"))
    assert not (conf / "films").exists()


def test_nothing_is_written_without_a_normal_label(tmp_path: Path, conf: Path) -> None:
    picture(tmp_path / "films/nv/1.png")
    picture(tmp_path / "films/mel/2.png")
    found = recognize(tmp_path / "films")
    with pytest.raises(UserError, match="not clear which label"):
        write_environment(conf, "films", found)
    with pytest.raises(UserError, match=r"preprocessing.size"):
        write_environment(
            conf, "films", recognize(tmp_path / "films", Corrections("nv", size=100000))
        )
    assert not (conf / "films").exists()


def test_budgets_do_not_grow_with_more_than_a_thousand_images(tmp_path: Path) -> None:
    for number in range(2):
        picture(tmp_path / f"films/no/patient{number}_1.png", side=100)
        picture(tmp_path / f"films/yes/patient{number + 9}_1.png", side=100)
    found = recognize(tmp_path / "films")
    steps = {}
    for images in (4, 1000, 10**6):
        text = environment_files("films", replace(found, n_images=images))["parameters.yml"]
        steps[images] = yaml.safe_load(text)["autoencoder"]["training"]["steps"]["reconstruction"]
    assert steps == {4: {"cpu": 90}, 1000: {"cpu": 1500}, 10**6: {"cpu": 1500}}
