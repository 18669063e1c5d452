"""Arrays are images or volumes by their shape, or refused where the shape may mean both."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from medgan.sources.readers.config import ReadingConfig, SlicePolicy
from medgan.sources.readers.decoding import frames
from tests.faults.making import code, noise, pixels, refused

ALL = SlicePolicy(start=0.0, stop=1.0)
GRAY = noise(0, 20, 24)


@pytest.mark.parametrize("slices", [None, ALL])
@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((20, 24, 4), "channels or slices"),
        ((20, 24, 2), "channels or slices"),
        ((3, 20, 24), "channels or slices"),
        ((4, 20, 24), "channels or slices"),
        ((2, 20, 24), "channels or slices"),
        ((24, 24, 9), "along the last axis"),
        ((24, 20, 9), "along the last axis"),
        ((20, 24, 9), "along the last axis"),
        ((20, 1, 24), "slices of one row"),
        ((5, 20, 24, 3), r"is not \(H, W"),
        ((9,), r"is not \(H, W"),
        ((0, 9), r"is not \(H, W"),
    ],
)
def test_a_shape_that_is_not_sure_is_refused(
    tmp_path: Path, shape: tuple[int, ...], words: str, slices: SlicePolicy | None
) -> None:
    np.save(tmp_path / "x.npy", noise(0, *shape))
    np.savez(tmp_path / "x.npz", x=noise(0, *shape))
    for name in ("x.npy", "x.npz"):
        with refused("FORMAT", words):
            pixels(tmp_path / name, slices=slices)
        with refused("FORMAT", words):
            frames(tmp_path / name, ReadingConfig(slices=slices))


@pytest.mark.parametrize("slices", [None, ALL])
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize(
    "values", [GRAY, GRAY[:, :, None], GRAY[None], np.dstack([GRAY, GRAY // 2, GRAY // 3])]
)
def test_images(tmp_path: Path, values: np.ndarray, order: str, slices: SlicePolicy | None) -> None:
    np.save(tmp_path / "x.npy", np.asarray(values, order=order))
    expected = values if values.shape[-1] == 3 else GRAY[:, :, None]
    assert not list(frames(tmp_path / "x.npy", ReadingConfig(slices=slices)))
    assert np.array_equal(pixels(tmp_path / "x.npy", slices=slices), expected)


@pytest.mark.parametrize("order", "CF")
def test_volumes(tmp_path: Path, order: str) -> None:
    volume = noise(0, 6, 20, 24)
    np.save(tmp_path / "x.npy", np.asarray(volume, order=order))
    assert list(frames(tmp_path / "x.npy", ReadingConfig(slices=ALL))) == list(range(6))
    assert np.array_equal(pixels(tmp_path / "x.npy", 4, slices=ALL)[..., 0], volume[4])
    assert code(tmp_path / "x.npy") == "VOLUME"


KINDS = [f"{order}{kind}" for order in "<>" for kind in ("u2", "u4", "u8", "i2", "i4", "i8")]
KINDS += [f"{order}{kind}" for order in "<>" for kind in ("f2", "f4", "f8")] + ["i1", "u1"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_of_number_looks_the_same(tmp_path: Path, kind: str) -> None:
    np.save(tmp_path / "x.npy", (GRAY // 2).astype(kind))
    shown = pixels(tmp_path / "x.npy", window=(0.0, 127.0))[..., 0]
    expected = GRAY // 2 if kind == "u1" else np.rint(GRAY // 2 * (255 / 127))
    assert np.abs(shown - expected).max() <= 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([[object()] * 3] * 3), "never unpickled"),
        (np.zeros((3, 3), [("r", "u1"), ("g", "u1")]), "records"),
        (np.zeros((3, 3), complex), "complex"),
        (np.full((3, 3), "a"), "text"),
        (np.zeros((3, 3), "M8[s]"), "times"),
        (np.zeros((3, 3), np.longdouble), "64 bits"),
    ],
)
def test_what_is_no_number_is_refused_by_its_name(
    tmp_path: Path, values: np.ndarray, words: str
) -> None:
    np.save(tmp_path / "x.npy", values, allow_pickle=True)
    with refused("FORMAT", words):
        pixels(tmp_path / "x.npy")


def test_an_archive_without_arrays_is_to_be_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a/x.png", b"nothing")
    with refused("FORMAT", "it is a zip archive.*unpack it"):
        pixels(tmp_path / "x.npz")


def test_a_second_array_behind_the_first_is_not_passed_over(tmp_path: Path) -> None:
    with (tmp_path / "x.npy").open("wb") as file:
        np.save(file, GRAY)
        np.save(file, GRAY)
    with refused("UNREADABLE", "more than its header says"):
        pixels(tmp_path / "x.npy")
