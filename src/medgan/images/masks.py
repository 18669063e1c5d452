"""Masks: where in an image the anomaly lies, for data sets that know. They are read for evaluation
alone, never for training.

A mask goes through the same crop and resizing as its image and is cut at one half: a pixel of the
store belongs to the anomaly where more than half of its area does. "No mask" and "an empty mask"
are two things: an anomalous image without a mask is left out of pixel-level figures, while a normal
image has nothing to mark and counts as marked.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medgan.errors import UserError
from medgan.images.resizing import Crop, fit_square

OUTSIDE, UNKNOWN, INSIDE = 0, 128, 255
"""Pixels of a stored mask; UNKNOWN fills the place of an image that has none."""
FORMATS = ("PNG", "BMP", "TIFF", "JPEG")
SUFFIXES = frozenset({".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg"})
PIXEL_CAP = 64_000_000
LOSSY_CUT = 127
"""JPEG blurs the border of a mask; anywhere else every value but 0 is inside."""


@runtime_checkable
class HasMasks(Protocol):
    """What knows where the anomalies of a data set's images lie: a source that draws them, or a
    folder of mask files.
    """

    def mask(self, path: str) -> NDArray[np.bool_] | None:
        """(H, W), at the size of the image that a source has at `path`; None where there is no
        mask.
        """
        ...

    def fingerprint(self, path: str) -> str:
        """Names the content of the mask of `path`: equal fingerprints are equal masks."""
        ...


class MaskFolder:
    """Mask files under one root, named like their images: the mask of `a/b.jpeg` is `a/b.png`, or
    of any other suffix of SUFFIXES.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise UserError(
                f"{root} is no folder; give the one that holds the masks with --params masks=PATH"
            )
        files = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not files:
            raise UserError(
                f"{root} holds no masks ({', '.join(FORMATS)} files); give the folder that does with --params masks=PATH"
            )
        self.root = root
        self._files: dict[str, Path] = {}
        for file in files:
            twin = self._files.setdefault(_name(file.relative_to(root)), file)
            if twin != file:
                raise UserError(
                    f"{root} holds two masks of one name, {twin.name} and {file.name}; keep one of them"
                )

    def mask(self, path: str) -> NDArray[np.bool_] | None:
        """(H, W); None where no file has the name. Raises `UserError` for a file that is no
        image.
        """
        file = self._files.get(_name(Path(path)))
        return None if file is None else _read(file)

    def fingerprint(self, path: str) -> str:
        """Size and time of the file, which is enough to see that it was replaced; empty where there
        is none.
        """
        file = self._files.get(_name(Path(path)))
        if file is None:
            return ""
        about = file.stat()
        return f"{about.st_size}/{about.st_mtime_ns}"


def _name(path: Path) -> str:
    return path.with_suffix("").as_posix()


def _read(file: Path) -> NDArray[np.bool_]:
    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > PIXEL_CAP:
                raise UserError(
                    f"the mask {file} has {image.width} x {image.height} pixels, more than {PIXEL_CAP}; make it smaller"
                )
            cut = LOSSY_CUT if image.format == "JPEG" else 0
            values = np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(
            f"the mask {file} cannot be read ({type(error).__name__}); mend or remove it"
        ) from error
    inside: NDArray[np.bool_] = (values[..., :3].max(axis=-1) if values.ndim == 3 else values) > cut
    return inside


def stored_mask(
    mask: NDArray[np.bool_] | None, size: int, crop: Crop | None = None
) -> NDArray[np.uint8]:
    """uint8 (size, size, 1) of OUTSIDE and INSIDE, or all UNKNOWN where there is no mask; as
    `fit_square` brings its image to this size.
    """
    if mask is None:
        return np.full((size, size, 1), UNKNOWN, dtype=np.uint8)
    fitted = fit_square(mask[:, :, None].astype(np.uint8) * INSIDE, size, 1, crop)
    return np.where(fitted > INSIDE / 2, INSIDE, OUTSIDE).astype(np.uint8)


def marked(
    pixels: NDArray[np.uint8], normal: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Stored masks as what pixel-level figures take.

    Args:
        pixels: (n, H, W, 1) of the store of masks.
        normal: (n,), images that have nothing to mark.

    Returns:
        The masks (n, H, W), empty where there is none; and (n,), whether an image counts as marked:
        it has a mask, or it is normal.
    """
    unknown = (pixels[..., 0] == UNKNOWN).all((1, 2))
    return (pixels[..., 0] == INSIDE) & ~normal[:, None, None], normal | ~unknown


def masks_key(images_key: str, fingerprints: list[str]) -> str:
    """Names a store of masks by the store of images that it lies beside, and by its content."""
    return f"{images_key}/{hashlib.sha256(repr(fingerprints).encode()).hexdigest()[:16]}"


def belongs(source_key: str, images_key: str) -> bool:
    """Whether a store of masks was made for this store of images."""
    return source_key.partition("/")[0] == images_key
