"""Read DICOM films: header, pixels, window of the file, and the check for burned-in names."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from benchmarks.paired import Case, Within
from benchmarks.plain import dicom as plain
from benchmarks.rows.films import FOLDER, films
from benchmarks.scale import Scale
from medgan.sources.readers.decoding import read_picture

SIDE, BITS = 1_024, 12
CENTER, WIDTH = 1_800.0, 3_000.0
LOW, HIGH = CENTER - 0.5 - (WIDTH - 1) / 2, CENTER - 0.5 + (WIDTH - 1) / 2
"""What is shown black and white (PS3.3 C.11.2.1.2)."""
Read = Callable[[Path], NDArray[np.uint8]]


def against_pydicom(scale: Scale) -> Case:
    """pydicom with `apply_voi_lut`."""
    return _case(scale, "pydicom + apply_voi_lut", plain.read)


def against_monai(scale: Scale) -> Case:
    """MONAI's reader, told the window."""
    from monai.transforms import Compose, LoadImage, ScaleIntensityRange

    transform = Compose(
        [
            LoadImage(reader="PydicomReader", image_only=True),
            ScaleIntensityRange(LOW, HIGH, 0, 255, clip=True),
        ]
    )

    def read(path: Path) -> NDArray[np.uint8]:
        return np.rint(transform(path).numpy().T).astype(np.uint8)

    return _case(scale, "MONAI's PydicomReader, told the window", read)


def against_simpleitk(scale: Scale) -> Case:
    """SimpleITK, which reads with GDCM."""
    import SimpleITK

    def read(path: Path) -> NDArray[np.uint8]:
        image = SimpleITK.ReadImage(path, SimpleITK.sitkFloat32)
        center, width = (float(image.GetMetaData(tag)) for tag in ("0028|1050", "0028|1051"))
        low, high = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
        shown = SimpleITK.IntensityWindowing(image, low, high, 0, 255)
        return np.rint(SimpleITK.GetArrayViewFromImage(shown)).astype(np.uint8).squeeze()

    return _case(scale, "SimpleITK", read)


@cache
def _files(count: int) -> tuple[Path, ...]:
    """Write phantoms as gray DICOM files."""
    folder = FOLDER / "dicom"
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / f"{number}.dcm" for number in range(count))
    for path, film in zip(paths, films(count, SIDE), strict=True):
        fine = np.random.default_rng(0).integers(0, 2 ** (BITS - 8), (SIDE, SIDE))
        _write(path, np.asarray(Image.open(film), dtype=np.uint16) * 2 ** (BITS - 8) + fine)
    return paths


def _write(path: Path, pixels: NDArray[Any]) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    film.SOPClassUID, film.SOPInstanceUID = ComputedRadiographyImageStorage, generate_uid()
    film.PatientID, film.PatientName, film.Modality = "7", "Doe^Jane", "CR"
    film.Rows, film.Columns = pixels.shape
    film.SamplesPerPixel, film.PhotometricInterpretation = 1, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, BITS, 11, 0
    film.WindowCenter, film.WindowWidth, film.BurnedInAnnotation = CENTER, WIDTH, "NO"
    film.PixelData = pixels.astype(np.uint16).tobytes()
    pydicom.dcmwrite(path, film)


def _case(scale: Scale, against: str, read: Read) -> Case:
    paths = _files(scale.of(20, 3))

    def gray_levels() -> tuple[Any, Any]:
        """Of the first film on both sides."""
        return _ours(paths[0]).astype(np.int16), read(paths[0]).astype(np.int16)

    return Case(
        f"Read {len(paths)} DICOM films of {SIDE:,} px and {BITS} bits",
        against,
        1.2,
        lambda: [_ours(path) for path in paths],
        lambda: [read(path) for path in paths],
        Within(0, _largest_difference, "gray levels", gray_levels),
    )


def _ours(path: Path) -> NDArray[np.uint8]:
    return read_picture(path).pixels[..., 0]


def _largest_difference(mine: NDArray[np.int16], theirs: NDArray[np.int16]) -> float:
    return float(np.abs(mine - theirs).max())


CASES = (against_pydicom, against_monai, against_simpleitk)
