"""One picture of one file, of any format that is read."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, cast

from medgan.contracts import Refusal
from medgan.images.picture import ImageRefused, Picture
from medgan.images.readers.config import ReadingConfig
from medgan.images.readers.decoded import Decoded, Reader, render
from medgan.images.readers.formats import detect

RASTER_READERS: Mapping[str, str] = dict.fromkeys(("JPEG", "PNG", "BMP", "TIFF"), "raster")
READERS: Mapping[str, str] = {**RASTER_READERS, "DICOM": "dicom", "NIfTI": "nifti", "NPY": "arrays", "NPZ": "arrays"}
"""Format -> module of this package that reads it, a `decoded.Reader`; imported when the first such file comes."""
DEFAULT = ReadingConfig()
T = TypeVar("T")


def read_picture(
    path: Path | str, frame: int | None = None, config: ReadingConfig = DEFAULT, readers: Mapping[str, str] = READERS
) -> Picture:
    """The picture of a file, or of one of its frames or slices: uint8 (H, W, 1) grey or (H, W, 3) RGB, upright. Raises `ImageRefused`."""
    return _safely(lambda: render(decode(Path(path), frame, config, readers)))


def decode(path: Path, frame: int | None, config: ReadingConfig, readers: Mapping[str, str] = READERS) -> Decoded:
    """What `read_picture` shows, before it is brought to 8 bits."""
    return _safely(lambda: _reader(path, readers).read(path, frame, config))


def frames(path: Path | str, config: ReadingConfig = DEFAULT) -> Sequence[int]:
    """Numbers of the images in a file that count one by one, read from its header; empty where it is one image. Raises `ImageRefused`."""
    return _safely(lambda: _reader(Path(path), READERS).frames(Path(path), config))


def _reader(path: Path, readers: Mapping[str, str]) -> Reader:
    if not path.is_file():
        raise ImageRefused("UNREADABLE", "there is no such file")
    module = readers[detect(path, frozenset(readers))]
    return cast(Reader, importlib.import_module(f"medgan.images.readers.{module}"))


def _safely(work: Callable[[], T]) -> T:
    """Decoders raise nearly anything on damaged input; whatever they quote of the file stays in here."""
    try:
        return work()
    except (ImageRefused, Refusal):
        raise
    except Exception as error:
        raise ImageRefused("UNREADABLE", f"it cannot be decoded ({type(error).__name__})") from None
