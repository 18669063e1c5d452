"""NIfTI geometry comes from one affine: what is unknown or contradicts itself is refused."""

from __future__ import annotations

import gzip
import itertools
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

from medgan.sources.readers.config import SlicePolicy
from tests.faults.making import code, metadata, noise, pixels, refused

ALL = SlicePolicy(start=0.0, stop=1.0)
HEAD = noise(5, 8, 10, 12).astype(np.int16)
"""A volume in canonical orientation (right, anterior, superior)."""
PIXDIM, FORM_CODES, SCALE, UNITS, DATATYPE, QUATERNION = 80, 252, 112, 123, 70, 256
DIM, INTENT = 40, 68
"""Places in a NIfTI-1 header."""


def volume(
    path: Path,
    axes: str = "RAS",
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0),
    codes: tuple[int, int] = (1, 1),
    order: str = "<",
    patches: dict[int, bytes] | None = None,
) -> Path:
    """A file of HEAD turned to other axes, with the given codes of sform and qform."""
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(tuple(axes)))
    affine = np.diag([*spacing, 1.0]) @ inv_ornt_aff(turn, HEAD.shape)
    image = nibabel.Nifti1Image(
        apply_orientation(HEAD, turn), affine, nibabel.Nifti1Header(endianness=order)
    )
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    content = bytearray(image.to_bytes())
    struct.pack_into(order + "2h", content, FORM_CODES, codes[1], codes[0])
    for place, raw in (patches or {}).items():
        content[place : place + len(raw)] = raw
    path.write_bytes(gzip.compress(bytes(content)) if path.suffix == ".gz" else bytes(content))
    return path


SPACINGS = {
    "stated": {},
    "other": {PIXDIM: struct.pack("<3f", 1.0, 1.0, 5.0)},
    "zero": {PIXDIM: struct.pack("<3f", 1.0, 0.0, 1.0)},
    "negative": {PIXDIM: struct.pack("<3f", -1.0, 1.0, 1.0)},
    "not a number": {PIXDIM: struct.pack("<3f", 1.0, float("nan"), 1.0)},
}
CODES = [(0, 0), (1, 0), (0, 1), (1, 1), (4, 2), (-1, 0)]
CASES = itertools.product(["RAS", "LPS", "PIR", "SAL"], CODES, SPACINGS)


@pytest.mark.parametrize(("axes", "codes", "spacing"), CASES)
def test_codes_spacing_and_orientation(
    tmp_path: Path, axes: str, codes: tuple[int, int], spacing: str
) -> None:
    path = volume(tmp_path / "x.nii.gz", axes, codes=codes, patches=SPACINGS[spacing])
    found = code(path, 5, slices=ALL)
    if spacing in ("zero", "negative", "not a number"):
        assert found == "SPACING"
    elif max(codes) <= 0:
        assert found == "ORIENTATION"
    elif spacing == "other" and codes[0] > 0:
        assert found == "SPACING", "the affine says 1 mm"
    elif spacing == "other":
        assert not found, "a qform has its spacing from pixdim"
    else:
        straight = volume(tmp_path / "y.nii")
        assert np.array_equal(pixels(path, 5, slices=ALL), pixels(straight, 5, slices=ALL))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_byte_order_and_packing_change_nothing(tmp_path: Path, order: str, name: str) -> None:
    path = volume(tmp_path / name, "LPI", order=order)
    straight = volume(tmp_path / "y.nii")
    assert np.array_equal(pixels(path, 3, slices=ALL), pixels(straight, 3, slices=ALL))


@pytest.mark.parametrize(
    "kind", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "float32", "float64"]
)
def test_every_type_of_voxel_looks_the_same(tmp_path: Path, kind: str) -> None:
    voxels = np.abs(HEAD) // 2 + 1
    path = tmp_path / "x.nii"
    nibabel.save(nibabel.Nifti1Image(voxels.astype(kind), np.eye(4), dtype=kind), path)
    shown = pixels(path, 5, slices=ALL, window=(0.0, 128.0))[..., 0]
    expected = voxels[:, ::-1, 5].T[:, ::-1] * 255 / 128
    assert np.abs(shown - expected).max() <= 0.51


def test_spacing_comes_from_the_affine_in_the_unit_of_the_file(tmp_path: Path) -> None:
    path = volume(tmp_path / "x.nii", "PIR", spacing=(1.0, 1.0, 2.5))
    coronal = SlicePolicy("coronal", 0.0, 1.0)
    assert pixels(path, 5, slices=coronal).shape == (30, 8, 1)
    assert metadata(path, 5, slices=coronal)["color"] == "grey, resampled to 1 mm"
    microns = volume(tmp_path / "y.nii", spacing=(1.0, 1.0, 2.5), patches={UNITS: b"\x03"})
    assert metadata(microns, 5, slices=coronal)["color"] == "grey, resampled to 0.001 mm"


@pytest.mark.parametrize(
    ("patches", "expected", "words"),
    [
        ({UNITS: b"\x07"}, "SPACING", "no unit"),
        ({280: struct.pack("<4f", 0, 1, 0, 0)}, "ORIENTATION", "not finite, or singular"),
        ({280: struct.pack("<f", -1)}, "ORIENTATION", "sform and qform contradict"),
        ({QUATERNION: struct.pack("<3f", 9, 9, 9)}, "ORIENTATION", "no rotation"),
        ({280: struct.pack("<f", float("nan"))}, "ORIENTATION", "not finite"),
        ({SCALE: struct.pack("<2f", 2, float("nan"))}, "NONFINITE", "scales voxels"),
        ({DATATYPE: struct.pack("<h", 1)}, "FORMAT", "single bits"),
        ({DATATYPE: struct.pack("<h", 7)}, "FORMAT", "unknown type 7"),
        ({DATATYPE: struct.pack("<h", 128)}, "FORMAT", "RGB"),
        ({DATATYPE: struct.pack("<h", 32)}, "FORMAT", "complex"),
        ({DATATYPE: struct.pack("<h", 1536)}, "FORMAT", "128 bits"),
    ],
)
def test_headers_that_are_not_understood_are_refused(
    tmp_path: Path, patches: dict[int, bytes], expected: str, words: str
) -> None:
    with refused(expected, words):
        pixels(volume(tmp_path / "x.nii", patches=patches), 5, slices=ALL)


@pytest.mark.parametrize("slope", [0.0, float("nan"), 1.0])
def test_a_slope_of_zero_or_nan_scales_nothing(tmp_path: Path, slope: float) -> None:
    path = volume(tmp_path / "x.nii", patches={SCALE: struct.pack("<2f", slope, 0.0)})
    straight = volume(tmp_path / "y.nii")
    options = {"slices": ALL, "window": (0.0, 255.0)}
    assert np.array_equal(pixels(path, 5, **options), pixels(straight, 5, **options))


def test_slope_and_intercept_give_the_unit_of_the_window(tmp_path: Path) -> None:
    path = volume(tmp_path / "x.nii", patches={SCALE: struct.pack("<2f", 2.0, -100.0)})
    shown = pixels(path, 5, slices=ALL, window=(-100.0, 410.0))
    straight = pixels(volume(tmp_path / "y.nii"), 5, slices=ALL, window=(0.0, 255.0))
    assert np.array_equal(shown, straight)


@pytest.mark.parametrize(
    ("intent", "what"),
    [
        (1002, "a label map"),
        (1003, "a map of brain regions"),
        (3, "a statistical map"),
        (24, "a statistical map"),
        (1005, "a map of matrices"),
        (1006, "a field of vectors"),
        (1009, "the points of a surface"),
    ],
)
def test_what_the_header_calls_no_image_is_left_out(tmp_path: Path, intent: int, what: str) -> None:
    path = volume(tmp_path / "x.nii", patches={INTENT: struct.pack("<h", intent)})
    with refused("NOT_AN_IMAGE", f"no image of a scan but {what}"):
        pixels(path, 5, slices=ALL)


@pytest.mark.parametrize("intent", [0, 1001, 1011, 2001])
def test_other_intents_are_images(tmp_path: Path, intent: int) -> None:
    path = volume(tmp_path / "x.nii", patches={INTENT: struct.pack("<h", intent)})
    assert code(path, 5, slices=ALL) == ""


def of_several(path: Path, *lengths: int) -> Path:
    """Several volumes or components, as many as the lengths of the fourth axis and those after."""
    values = np.broadcast_to(
        HEAD.reshape(*HEAD.shape, *[1] * len(lengths)), (*HEAD.shape, *lengths)
    )
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
    return path


@pytest.mark.parametrize("policy", ["refuse", "first"])
def test_vectors_are_no_volumes(tmp_path: Path, policy: str) -> None:
    path = of_several(tmp_path / "x.nii", 1, 3)
    with refused("FORMAT", "its voxels are vectors"):
        pixels(path, 5, slices=ALL, volumes_4d=policy)
    expected = {"refuse": "VOLUMES_4D", "first": ""}[policy]
    assert code(of_several(tmp_path / "y.nii", 3), 5, slices=ALL, volumes_4d=policy) == expected


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_voxels_behind_those_of_the_header_are_not_passed_over(tmp_path: Path, name: str) -> None:
    content = bytearray(of_several(tmp_path / "y.nii", 3).read_bytes())
    struct.pack_into("<5h", content, DIM, 3, *HEAD.shape, 1)
    path = tmp_path / name
    path.write_bytes(gzip.compress(bytes(content)) if path.suffix == ".gz" else bytes(content))
    with refused("UNREADABLE", "more than its header says"):
        pixels(path, 5, slices=ALL)


def test_pairs_of_files_are_named(tmp_path: Path) -> None:
    image = nibabel.Nifti1Pair(HEAD, np.eye(4))
    nibabel.save(image, tmp_path / "pair.img")
    nibabel.save(nibabel.AnalyzeImage(HEAD, np.eye(4)), tmp_path / "old.img")
    for name in ("pair.hdr", "pair.img", "old.hdr", "old.img"):
        with refused("FORMAT", "convert it to one NIfTI file"):
            pixels(tmp_path / name)
    (tmp_path / "old.hdr").rename(tmp_path / "renamed.nii")
    with refused("FORMAT", "Analyze"):
        pixels(tmp_path / "renamed.nii")
