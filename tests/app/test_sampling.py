"""Images on the page, and the archive in which they leave it."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medgan.app.sampling import DrawnSet, enlarged, packed
from medgan.audits.release import CopyCheck
from medgan.images.synthetic import CARD, MANIFEST, PAGE
from medgan.inference.generation import Request, draw, judged_generator
from medgan.inference.sets import generate_set
from medgan.project.artifacts import Project
from tests.inference.artifacts import leave_release


def load(root: Path, name: str):
    return Project(root).published("phantoms", name)


def drawn_set(root: Path, request: Request) -> DrawnSet:
    project = Project(root)
    using = judged_generator(project, project.environment("phantoms"), "acgan")
    return packed(using, request, list(draw(using, request)))


def test_a_generator_offers_the_classes_that_it_learned(trained: Path) -> None:
    assert load(trained, "acgan").drawable == ("normal", "bacterial", "viral")
    assert load(trained, "dcgan").drawable == ("normal",)


def test_images_follow_from_seed_and_class(trained: Path) -> None:
    def images(label: str, seed: int) -> np.ndarray:
        return np.stack(drawn_set(trained, Request(3, {label: 1.0}, seed)).images)

    assert images("viral", 7).shape == (3, 32, 32, 1)
    assert images("viral", 7).dtype == np.uint8
    np.testing.assert_array_equal(images("viral", 7), images("viral", 7))
    assert (images("viral", 7) != images("viral", 8)).any()
    assert (images("viral", 7) != images("normal", 7)).any()


@pytest.mark.parametrize("release", [True, False, None])
def test_the_archive_is_a_set_of_the_command(
    trained: Path, monkeypatch: pytest.MonkeyPatch, release: bool | None
) -> None:
    monkeypatch.setattr(CopyCheck, "flags", lambda _, images: np.zeros(len(images), bool))
    if release is not None:
        leave_release(trained, load(trained, "acgan"), release, "phantoms")
    request = Request(2, {"bacterial": 1.0}, 5)
    found = drawn_set(trained, request)
    with zipfile.ZipFile(io.BytesIO(found.packed)) as files:
        pictures = [f"images/bacterial/bacterial-{index:06d}.png" for index in (0, 1)]
        names = [f"{found.card.name}/{name}" for name in (*pictures, MANIFEST, CARD, PAGE)]
        assert files.namelist() == names
        with Image.open(io.BytesIO(files.read(names[1]))) as picture:
            np.testing.assert_array_equal(np.asarray(picture), found.images[1][:, :, 0])
            assert ("NOT RELEASED" in picture.text["Description"]) == (not release)
            assert load(trained, "acgan").key in picture.text["Description"]
        stored = json.loads(files.read(f"{found.card.name}/{CARD}"))
    expected = {
        "model": "acgan",
        "version": Project(trained).version("phantoms", "acgan"),
        "key": load(trained, "acgan").key,
        "counts": {"bacterial": 2},
        "seed": 5,
        "released": bool(release),
    }
    assert {name: stored[name] for name in expected} == expected
    assert found.card.name.endswith("-unreleased") == (not release)
    project = Project(trained)
    using = judged_generator(project, project.environment("phantoms"), "acgan")
    path, _ = generate_set(using, request, trained / "set.zip", unreleased=True)
    with zipfile.ZipFile(path) as files:
        written = [files.read(name) for name in files.namelist()[:3]]
    with zipfile.ZipFile(io.BytesIO(found.packed)) as files:
        assert [files.read(name) for name in files.namelist()[:3]] == written


def test_enlarging_repeats_pixels() -> None:
    image = np.array([[[0], [255]], [[128], [1]]], np.uint8)
    large = enlarged(image, 5)
    assert large.shape == (6, 6, 3)
    np.testing.assert_array_equal(large[::3, ::3, 0], image[:, :, 0])
    np.testing.assert_array_equal(large[0:3, 3:6], np.full((3, 3, 3), 255))
