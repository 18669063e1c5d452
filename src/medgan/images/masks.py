"""Masks of anomalies, for data sets that have them: used in evaluation, never in training.

A mask is cropped and resized like its image and thresholded at one half. A missing mask and an
empty one differ: an anomalous image without a mask is left out of pixel-level metrics, a normal
image counts as marked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image

from medgan.errors import UserError
from medgan.files.digest import digest
from medgan.images.resizing import Crop, fit_square
from medgan.sources.raw import Bools, Pixels

OUTSIDE, UNKNOWN, INSIDE = 0, 128, 255
"""Pixels of a stored mask; UNKNOWN fills that of an image without a mask."""
FORMATS = ("PNG", "BMP", "TIFF", "JPEG")
SUFFIXES = frozenset({".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg"})
MAX_PIXELS = 64_000_000
LOSSY_THRESHOLD = 127
"""JPEG blurs the border of a mask; in other formats every value but 0 is inside."""


@runtime_checkable
class HasMasks(Protocol):
    """A source or folder that has masks of a data set's images."""

    def mask(self, path: str) -> Bools | None:
        """Return the mask (H, W) of a source's image, at its size; None where there is none."""

    def fingerprint(self, path: str) -> str:
        """Name the content of a mask: equal fingerprints mean equal masks."""


class MaskFolder:
    """Mask files named like their images: the mask of `a/b.jpeg` is `a/b` with any of SUFFIXES."""

    def __init__(self, root: Path) -> None:
        remedy = "give the folder of the masks with --params masks=PATH"
        if not root.is_dir():
            raise UserError(f"{root} is no folder; {remedy}")
        self.root = root
        self._files: dict[str, Path] = {}
        for file in sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES):
            twin = self._files.setdefault(_name(file.relative_to(root)), file)
            if twin != file:
                names = f"{twin.name} and {file.name}"
                raise UserError(f"{root} holds two masks of one name, {names}; keep one of them")
        if not self._files:
            raise UserError(f"{root} holds no masks ({', '.join(FORMATS)} files); {remedy}")

    def mask(self, path: str) -> Bools | None:
        """Return a mask (H, W), None where there is none. Raises `UserError` for a damaged file."""
        file = self._files.get(_name(Path(path)))
        return None if file is None else _read(file)

    def fingerprint(self, path: str) -> str:
        """Return size and time of the file; empty where there is none."""
        file = self._files.get(_name(Path(path)))
        state = file and file.stat()
        return f"{state.st_size}/{state.st_mtime_ns}" if state else ""


def _name(path: Path) -> str:
    return path.with_suffix("").as_posix()


def _read(file: Path) -> Bools:
    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UserError(
                    f"the mask {file} has more than {MAX_PIXELS} pixels; make it smaller"
                )
            threshold = LOSSY_THRESHOLD if image.format == "JPEG" else 0
            values = np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        problem = f"cannot be read ({type(error).__name__})"
        raise UserError(f"the mask {file} {problem}; correct or remove it") from error
    inside: Bools = np.atleast_3d(values)[..., :3].max(axis=-1) > threshold
    return inside


def stored_mask(mask: Bools | None, size: int, crop: Crop | None = None) -> Pixels:
    """Resize a mask like its image to uint8 (size, size, 1) of OUTSIDE and INSIDE, or UNKNOWN."""
    if mask is None:
        return np.full((size, size, 1), UNKNOWN, dtype=np.uint8)
    fitted = fit_square(mask[:, :, None].astype(np.uint8) * INSIDE, size, 1, crop)
    return np.where(fitted > INSIDE / 2, INSIDE, OUTSIDE).astype(np.uint8)


def marked(pixels: Pixels, normal: Bools) -> tuple[Bools, Bools]:
    """Convert stored masks for pixel-level metrics.

    Args:
        pixels: (n, H, W, 1) of the store of masks.
        normal: (n,), images without anything to mark.

    Returns:
        The masks (n, H, W), empty where there is none; and (n,), whether an image counts as marked:
        it has a mask, or is normal.
    """
    unknown = (pixels[..., 0] == UNKNOWN).all((1, 2))
    return (pixels[..., 0] == INSIDE) & ~normal[:, None, None], normal | ~unknown


def masks_key(images_key: str, fingerprints: list[str]) -> str:
    """Name a store of masks by the store of its images and by its content."""
    return f"{images_key}/{digest(fingerprints)}"


def belongs(source_key: str, images_key: str) -> bool:
    """Return whether a store of masks was made for a store of images."""
    return source_key.partition("/")[0] == images_key
