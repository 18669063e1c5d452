"""DICOM files as the documentation of pydicom reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels import apply_modality_lut, apply_voi_lut


def read(path: Path) -> NDArray[np.uint8]:
    """Read a gray image, and show the window of the file."""
    dataset = pydicom.dcmread(path)
    if dataset.get("BurnedInAnnotation") == "YES":
        raise ValueError("there may be a name in the picture")
    shown = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
    levels = 2**dataset.BitsStored - 1
    return np.rint(shown / levels * 255).astype(np.uint8)
