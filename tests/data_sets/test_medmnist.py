"""MedMNIST's environment: flags, sizes, labels, and what happens without a network."""

from __future__ import annotations

import hashlib
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medmnist import INFO

from medgan.cli.errors import find_ending
from medgan.errors import UserError
from medgan.project.loader import environment_of
from medgan.sources.medmnist import MedmnistSource
from tests.conftest import ROOT
from tests.data_sets import fakes
from tests.data_sets.environments import loaded, opened, parameters, ran

FLAT = sorted(flag for flag in INFO if not flag.endswith("3d"))
WITHOUT_HEALTHY = {"bloodmnist", "tissuemnist", "organamnist", "organcmnist", "organsmnist"}


@pytest.fixture
def official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a tiny file that counts as the official one of a flag and size."""

    def write(flag: str, labels: Any, size: int = 28) -> Path:
        suffix = "" if size == 28 else f"_{size}"
        path = fakes.medmnist(
            tmp_path / f"{flag}{suffix}.npz", labels, INFO[flag]["n_channels"], size
        )
        digest = hashlib.md5(path.read_bytes()).hexdigest()
        monkeypatch.setitem(INFO, flag, {**INFO[flag], f"MD5{suffix}": digest})
        return path

    return write


@pytest.mark.parametrize("flag", FLAT)
def test_every_flag_has_its_folders_its_channels_and_its_healthy_label(
    flag: str, official: Callable[..., Path]
) -> None:
    several = "multi-label" in INFO[flag]["task"]
    labels = (
        np.eye(len(INFO[flag]["label"]), dtype=np.uint8)
        if several
        else np.arange(len(INFO[flag]["label"]))
    )
    given: dict[str, Any] = {"flag": flag, "size": 64} | (
        {"normal": 0} if flag in WITHOUT_HEALTHY else {}
    )
    path = official(
        flag, np.vstack([labels, np.zeros_like(labels[:1])]) if several else labels, size=64
    )
    assert loaded("medmnist", **given)["globals"]["dataset"] == f"medmnist_{flag}_64"
    source = opened("medmnist", path, **given)
    settings = parameters("medmnist", **given)
    assert settings["preprocessing"].size == 64
    assert source.read("train/000000").pixels.shape == (64, 64, settings["preprocessing"].channels)
    assert settings["acgan"].model.class_loss == ("bce" if several else "ce")
    task = "findings" if several else "categories"
    assert settings["classifier_training"].task == task
    raw = source.rows()["category_raw"]
    assert (raw == settings["ingestion"].normal).sum() == 3, "one in each part"
    assert raw.nunique() == len(labels) + several


def test_labels_are_written_so_that_they_can_be_file_names(official: Callable[..., Path]) -> None:
    blood = opened(
        "medmnist", official("bloodmnist", [3, 4]), flag="bloodmnist", normal="lymphocyte"
    ).rows()
    assert blood["category_raw"].tolist()[:2] == ["immature_granulocytes", "normal"]
    assert blood["split"].tolist() == ["train", "train", "val", "val", "test", "test"]
    chest = np.zeros((3, 14), np.uint8)
    chest[0, [0, 2]], chest[1, 13] = 1, 1
    several = opened("medmnist", official("chestmnist", chest), flag="chestmnist").rows()
    assert several["category_raw"].tolist()[:3] == ["atelectasis|effusion", "hernia", "normal"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, ["no set of MedMNIST was chosen", "--params flag=NAME", "bloodmnist", "retinamnist"]),
        ({"flag": "bloodmnits"}, ["no two-dimensional set `bloodmnits`"]),
        ({"flag": "organmnist3d"}, ["no two-dimensional set `organmnist3d`"]),
        ({"flag": "pneumoniamnist", "size": 32}, ["no images of 32 px", "28, 64, 128, 224"]),
        ({"flag": "bloodmnist"}, ["--params normal=LABEL", "basophil", "platelet"]),
        ({"flag": "bloodmnist", "normal": "helthy"}, ["no label `helthy`", "platelet"]),
    ],
)
def test_a_wrong_choice_is_refused_with_the_right_ones(
    given: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(Exception, match=r"MedMNIST|bloodmnist") as caught:
        opened("medmnist", None, **given)
    ending = find_ending(caught.value)
    assert ending is not None
    assert all(word in ending.message for word in words)
    assert "\n" not in ending.message


def test_a_file_of_another_flag_or_a_damaged_one_is_refused(
    official: Callable[..., Path], tmp_path: Path
) -> None:
    blood, path = official("bloodmnist", [0, 1]), official("breastmnist", [0, 1])
    with pytest.raises(UserError, match=r"is not MedMNIST's breastmnist\.npz: its md5 is"):
        MedmnistSource(str(blood), "breastmnist", normal="normal_benign").open()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="fetch it again"):
        MedmnistSource(str(path), "breastmnist", normal="normal_benign").open()


def test_a_download_that_fails_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    with pytest.raises(
        UserError,
        match=r"breastmnist_64\.npz could not be downloaded .*fetch https://\S+ by hand \(md5 \w{32}\)",
    ) as caught:
        MedmnistSource(None, "breastmnist", 64, "normal_benign", root=str(tmp_path)).open()
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*.npz"))


def test_a_download_with_another_md5_is_refused_and_one_that_is_there_is_used(
    official: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = official("breastmnist", [0, 1, 1])
    monkeypatch.setattr(
        "urllib.request.urlopen", lambda *_, **__: pytest.fail("it is there already")
    )
    assert (
        len(
            MedmnistSource(None, "breastmnist", 28, "normal_benign", root=str(tmp_path))
            .open()
            .rows()
        )
        == 9
    )

    def wrong(url: str, filename: Any, *_: Any, **__: Any) -> None:
        Path(filename).write_bytes(b"<html>not found</html>")

    monkeypatch.setattr("torchvision.datasets.utils._get_redirect_url", lambda url, **_: url)
    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", wrong)
    path.unlink()
    with pytest.raises(UserError, match="its md5 differs"):
        MedmnistSource(None, "breastmnist", 28, "normal_benign", root=str(tmp_path)).open()


def test_parameters_that_globals_take_are_unknown_elsewhere() -> None:
    with pytest.raises(UserError, match="`size` is not a known key"):
        parameters("chest_xray", size=28)


def test_the_name_of_a_data_set_leads_back_to_its_command() -> None:
    conf = ROOT / "conf"
    assert environment_of(conf, "medmnist_bloodmnist_64") == (
        "medmnist",
        {"flag": "bloodmnist", "size": "64"},
    )
    assert environment_of(conf, "chest_xray") == ("chest_xray", {})
    assert environment_of(conf, "phantoms") == ("base", {})
    assert environment_of(conf, "nobody") is None


def test_a_flag_goes_through_to_its_own_image_store(
    official: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(
        "medmnist",
        official("pneumoniamnist", [0, 1] * 8),
        tmp_path,
        monkeypatch,
        flag="pneumoniamnist",
    )
    assert (tmp_path / "data/05_model_input/medmnist_pneumoniamnist_28/images").exists()


def test_the_real_file_gives_what_its_own_environment_gives(
    real_data: Callable[[str], Path],
) -> None:
    path = real_data("pneumoniamnist") / "pneumoniamnist.npz"
    ours, own = (
        opened("medmnist", path, flag="pneumoniamnist").rows(),
        opened("pneumoniamnist", path).rows(),
    )
    assert ours["path"].tolist() == own["path"].tolist()
    assert ours["category_raw"].tolist() == own["category_raw"].str.lower().tolist()
