"""Small files of every format, sound and damaged, for the tests of the readers."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, generate_uid

from medgan.sources.raw import ImageRefused
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import read_picture

BUNDLED = Path(pydicom.__file__).parent / "data" / "test_files"
NIBABEL = Path(nibabel.__file__).parent / "tests" / "data"
KEY = "a secret of the tests"


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def raster(path: Path, pixels: np.ndarray | Image.Image, **options: Any) -> Path:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)
    return path


def dicom(
    path: Path, pixels: np.ndarray | None, syntax: str = ExplicitVRLittleEndian, **attributes: Any
) -> Path:
    """A DICOM file of (H, W), (H, W, 3) or, with NumberOfFrames, (frames, H, W) pixels."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        "1.2.840.10008.5.1.4.1.1.7",
        generate_uid(entropy_srcs=[path.name]),
    )
    file = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    if pixels is not None:
        describe_pixels(file, pixels, frames="NumberOfFrames" in attributes)
    for keyword, value in attributes.items():
        setattr(file, keyword, value)
    if pixels is not None:
        if UID(syntax).is_compressed and UID(syntax) != DeflatedExplicitVRLittleEndian:
            file.PixelData = encapsulate([file.PixelData])
        file["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    file.save_as(path, enforce_file_format=True)
    return path


def describe_pixels(file: Dataset, pixels: np.ndarray, frames: bool = False) -> None:
    color = pixels.ndim == 3 and not frames
    file.Rows, file.Columns = pixels.shape[1:] if frames else pixels.shape[:2]
    file.SamplesPerPixel, file.PhotometricInterpretation = (
        (3, "RGB") if color else (1, "MONOCHROME2")
    )
    if color:
        file.PlanarConfiguration = 0
    file.BitsAllocated = file.BitsStored = 8 * pixels.dtype.itemsize
    file.HighBit = file.BitsStored - 1
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    data = pixels.tobytes()
    file.PixelData = data + bytes(len(data) % 2)


def nifti(
    path: Path,
    voxels: np.ndarray,
    affine: np.ndarray | None = None,
    spacing: tuple[float, ...] | None = None,
) -> Path:
    image = nibabel.Nifti1Image(
        voxels, np.diag([*(spacing or (1.0, 1.0, 1.0)), 1.0]) if affine is None else affine
    )
    nibabel.save(image, path)
    return path


def code(path: Path, frame: int | None = None, **settings: Any) -> str:
    """The reason why a file is refused; empty where it is read."""
    try:
        read_picture(path, frame, ReadingConfig(**settings))
    except ImageRefused as refused:
        return refused.code
    return ""


def pixels(path: Path, frame: int | None = None, **settings: Any) -> np.ndarray:
    return read_picture(path, frame, ReadingConfig(**settings)).pixels


def metadata(path: Path, frame: int | None = None, **settings: Any) -> dict[str, str]:
    return dict(read_picture(path, frame, ReadingConfig(**settings)).metadata)


@contextlib.contextmanager
def refused(expected: str, message: str | None = None):
    with pytest.raises(ImageRefused, match=message) as caught:
        yield
    assert caught.value.code == expected
