"""Sets of synthetic images, read for training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from medgan.errors import UserError
from medgan.files.integrity import DamagedFile
from medgan.images.synthetic import SyntheticImages
from medgan.images.transforms import as_tensor
from medgan.inference.generation import JudgedGenerator, Request, draw
from medgan.inference.sets import generate_set
from tests.pipelines.test_drawing import published

REQUEST = Request(20, {"normal": 5, "viral": 15})
FORMS = ["sets", "set.zip", "set.npz"]


@pytest.fixture(scope="module")
def using() -> JudgedGenerator:
    return JudgedGenerator("phantoms", "v1", published("acgan"), "kedro run", "Apache-2.0")


@pytest.fixture(scope="module")
def written(using: JudgedGenerator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("written")
    return {form: generate_set(using, REQUEST, folder / form, True)[0] for form in FORMS}


def real(number: int) -> TensorDataset:
    return TensorDataset(torch.zeros(number, 1, 32, 32), torch.zeros(number, dtype=torch.int64))


@pytest.mark.parametrize("form", FORMS)
def test_a_set_has_the_images_that_were_drawn(
    using: JudgedGenerator, written: dict[str, Path], form: str
) -> None:
    found = SyntheticImages(written[form])
    pixels = np.stack([image for drawn in draw(using, REQUEST) for _, image in drawn.kept()])
    assert torch.equal(found.images, as_tensor(pixels))
    assert found.labels == [0] * 5 + [2] * 15
    assert found.classes == ("normal", "bacterial", "viral")
    assert not found.released
    image, label = found[7]
    assert (image.shape, image.dtype, label) == ((1, 28, 30), torch.float32, 2)
    images, labels = next(iter(DataLoader(found, batch_size=20)))
    assert (images.shape, labels.tolist()) == ((20, 1, 28, 30), found.labels)


def test_labels_and_size_can_be_those_of_the_real_images(written: dict[str, Path]) -> None:
    found = SyntheticImages(written["set.zip"], ("viral", "normal"), 32)
    assert found.labels == [1] * 5 + [0] * 15
    assert found.images.shape == (20, 1, 32, 32)
    assert (found.images[:, :, :2] == 0).all()
    with pytest.raises(UserError, match="no class among the labels 'viral'"):
        SyntheticImages(written["set.zip"], ("normal", "bacterial"))


def test_a_mix_has_the_stated_ratio_and_follows_from_the_seed(written: dict[str, Path]) -> None:
    found = SyntheticImages(written["set.zip"], size=32)
    mixed = found.mixed_with(real(24), 0.5, seed=3)
    items = [mixed[index] for index in range(36)]
    assert len(mixed) == 36
    images, labels = next(iter(DataLoader(mixed, batch_size=36)))
    assert images.shape == (36, 1, 32, 32)
    assert labels.dtype == torch.int64
    assert all(not image.any() for image, _ in items[:24])
    drawn = torch.stack([image for image, _ in items[24:]])
    assert len(torch.unique(drawn.flatten(1), dim=0)) == 12
    places = [int((found.images == one).flatten(1).all(1).nonzero()[0]) for one in drawn]
    assert [label for _, label in items[24:]] == [found.labels[place] for place in places]
    again = found.mixed_with(real(24), 0.5, seed=3)
    assert all(torch.equal(mixed[index][0], again[index][0]) for index in range(36))
    other = found.mixed_with(real(24), 0.5, seed=4)
    assert any(not torch.equal(mixed[index][0], other[index][0]) for index in range(24, 36))
    assert len(found.mixed_with(real(24), 0)) == 24


@pytest.mark.parametrize("ratio", [1.0, -0.5, float("nan")])
def test_a_ratio_that_the_set_cannot_give_is_refused(
    written: dict[str, Path], ratio: float
) -> None:
    with pytest.raises(UserError, match="choose another ratio, or generate more images"):
        SyntheticImages(written["set.npz"]).mixed_with(real(24), ratio)


def test_what_is_no_set_is_one_sentence(written: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not there: give a set that `medgan generate`"):
        SyntheticImages(tmp_path / "absent.zip")
    for name in ("broken.zip", "broken.npz"):
        (tmp_path / name).write_bytes(written["set.zip"].read_bytes()[:2000])
        with pytest.raises(DamagedFile, match="`medgan generate` makes it again"):
            SyntheticImages(tmp_path / name)
    picture = next(written["sets"].rglob("*.png"))
    content = picture.read_bytes()
    picture.write_bytes(content[:-1])
    with pytest.raises(DamagedFile, match=picture.name):
        SyntheticImages(written["sets"])
    picture.write_bytes(content)
