from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform

from medgan.sources.readers import nifti as reader
from medgan.sources.readers.config import ReadingConfig, SlicePolicy
from medgan.sources.readers.decoding import frames
from tests.faults.making import NIBABEL, code, metadata, nifti, noise, pixels

ALL = SlicePolicy(start=0.0, stop=1.0)


@pytest.fixture
def head() -> np.ndarray:
    """A volume in canonical orientation with one bright voxel: right of the middle, in front,
    high.
    """
    voxels = np.full((8, 10, 12), 20, np.int16)
    voxels[6, 8, 9] = 100
    return voxels


@pytest.mark.parametrize(
    ("axis", "number", "row", "column"),
    [("axial", 9, 1, 1), ("coronal", 8, 2, 1), ("sagittal", 6, 2, 1)],
)
def test_right_is_left_front_and_head_are_on_top(
    tmp_path: Path, head: np.ndarray, axis: str, number: int, row: int, column: int
) -> None:
    shown = pixels(
        nifti(tmp_path / "head.nii", head),
        number,
        slices=SlicePolicy(axis, 0.0, 1.0),
        window=(20.0, 100.0),
    )[..., 0]
    assert shown.shape == {"axial": (10, 8), "coronal": (12, 8), "sagittal": (12, 10)}[axis]
    assert np.argwhere(shown == 255).tolist() == [[row, column]]


@pytest.mark.parametrize("codes", ["LPS", "SAR", "PIL", "IRA"])
def test_every_orientation_gives_the_same_slices(tmp_path: Path, codes: str) -> None:
    voxels = noise(0, 8, 10, 12)
    straight = nifti(tmp_path / "ras.nii", voxels)
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(tuple(codes)))
    turned = nibabel.orientations.apply_orientation(voxels, turn)
    nibabel.save(
        nibabel.Nifti1Image(turned, np.eye(4) @ inv_ornt_aff(turn, voxels.shape)),
        tmp_path / "turned.nii.gz",
    )
    for axis, number in (("axial", 7), ("coronal", 3), ("sagittal", 2)):
        policy = SlicePolicy(axis, 0.0, 1.0)
        assert np.array_equal(
            pixels(straight, number, slices=policy),
            pixels(tmp_path / "turned.nii.gz", number, slices=policy),
        )


def test_a_real_volume_is_read_as_nibabel_reads_it() -> None:
    path = NIBABEL / "anatomical.nii"
    values = nibabel.as_closest_canonical(nibabel.load(path)).get_fdata()
    inside = values[values != 0]
    low, high = np.percentile(inside, (0.5, 99.5))
    for number in frames(path, ReadingConfig(slices=SlicePolicy())):
        expected = np.clip((values[:, :, number].T[::-1, ::-1] - low) / (high - low), 0, 1) * 255
        assert np.abs(pixels(path, number, slices=SlicePolicy())[..., 0] - expected).max() <= 0.51


def test_intensity_is_scaled_by_volume_and_not_by_slice(tmp_path: Path) -> None:
    voxels = np.stack(
        [noise(0, 9, 9).astype(np.int16) // 8 + 1, noise(1, 9, 9).astype(np.int16)], axis=2
    )
    path = nifti(tmp_path / "two.nii", voxels)
    dark, bright = (pixels(path, number, slices=ALL) for number in (0, 1))
    assert dark.max() < 40
    assert bright.max() == 255
    assert metadata(path, 0, slices=ALL)["window"] == "volume, percentiles 0.5 to 99.5"
    assert metadata(path, 0, slices=ALL, window=(0.0, 99.0))["window"] == "set 0 to 99"


def test_voxels_that_are_not_square_are_resampled_and_that_is_recorded(tmp_path: Path) -> None:
    path = nifti(tmp_path / "flat.nii.gz", noise(0, 10, 10, 10), spacing=(1.0, 1.02, 2.5))
    assert pixels(path, 5, slices=ALL).shape == (10, 10, 1), "two per cent are none"
    coronal = SlicePolicy("coronal", 0.0, 1.0)
    assert pixels(path, 5, slices=coronal).shape == (25, 10, 1)
    assert metadata(path, 5, slices=coronal)["color"] == "grey, resampled to 1 mm"
    assert (
        code(
            nifti(tmp_path / "odd.nii", noise(0, 9, 9, 9), spacing=(1.0, 1.0, 40.0)),
            5,
            slices=coronal,
        )
        == "SPACING"
    )


def test_slices_read_in_order_decode_their_volume_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, loads = nifti(tmp_path / "v.nii.gz", noise(0, 12, 12, 40)), []
    load = reader._load
    monkeypatch.setattr(reader, "_load", lambda *given: (loads.append(1), load(*given))[1])
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(lambda number: pixels(path, number, slices=ALL), range(40)))) == 40
    assert len(loads) == 1
    nifti(path, noise(1, 12, 12, 41))
    pixels(path, 3, slices=ALL)
    assert len(loads) == 2, "a file that was replaced is read again"


def test_arrays_are_images_or_volumes_by_their_shape(tmp_path: Path) -> None:
    grey, color, stack = noise(0, 9, 8), noise(1, 9, 8, 3), noise(2, 5, 9, 8)
    for name, values in {"grey": grey, "color": color, "stack": stack}.items():
        np.save(tmp_path / f"{name}.npy", np.asfortranarray(values))
        np.savez_compressed(tmp_path / f"{name}.npz", values=values)
    for suffix in ("npy", "npz"):
        assert np.array_equal(pixels(tmp_path / f"grey.{suffix}")[..., 0], grey)
        assert np.array_equal(pixels(tmp_path / f"color.{suffix}"), color)
        assert code(tmp_path / f"stack.{suffix}") == "VOLUME"
        assert np.array_equal(pixels(tmp_path / f"stack.{suffix}", 3, slices=ALL)[..., 0], stack[3])
    np.save(tmp_path / "float.npy", grey / 255)
    assert np.abs(pixels(tmp_path / "float.npy", window=(0.0, 1.0))[..., 0] - grey).max() == 0
    np.save(tmp_path / "mask.npy", grey > 99)
    assert np.unique(pixels(tmp_path / "mask.npy")).tolist() == [0, 255]


def test_arrays_of_no_use_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([[object()]]), allow_pickle=True)
    np.save(tmp_path / "words.npy", np.array([["a"]]))
    np.save(tmp_path / "line.npy", np.zeros(9))
    np.save(tmp_path / "four.npy", np.zeros((2, 3, 4, 5)))
    np.savez(tmp_path / "two.npz", a=np.zeros((3, 3)), b=np.zeros((3, 3)))
    for path in sorted(tmp_path.iterdir()):
        assert code(path, slices=ALL) == "FORMAT", path.name
