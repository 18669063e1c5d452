"""Masks of anomalies, for data sets that have them: used in evaluation, never in training.

A mask is cropped and resized like its image and thresholded at one half. A missing mask and an
empty one differ: an anomalous image without a mask is left out of pixel-level metrics, a normal
image counts as marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol, runtime_checkable

import numpy as np

from medgan.errors import UserError
from medgan.files.digest import digest
from medgan.images.resizing import Crop, fit_square
from medgan.sources.companions import MASKS, PICTURES, stem_of
from medgan.sources.listing import find_images
from medgan.sources.raw import Bools, ImageRefused, Pixels
from medgan.sources.readers.decoding import RASTER_READERS, decode
from medgan.sources.readers.formats import detect

OUTSIDE, UNKNOWN, INSIDE = 0, 128, 255
"""Pixels of a stored mask; UNKNOWN fills that of an image without a mask."""
FORMATS = ("PNG", "BMP", "TIFF", "JPEG")
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
    """Mask files named like their images: the mask of `a/b.jpeg` is `a/b` with any suffix.

    A word for masks may follow or lead (`a/b_mask.png`, `a/b_segmentation_2.png`), or name the
    folder (`a/masks/b.png` beside `a/images/b.png`). Several masks of one image are united. Where a
    folder holds images and masks, only names with such a word count.
    """

    def __init__(self, root: Path) -> None:
        remedy = "give the folder of the masks with --params masks=PATH"
        if not root.is_dir():
            raise UserError(f"{root} is no folder; {remedy}")
        self.root = root
        self._files = find_images(root).images  # also of formats that no mask may have
        if not self._files:
            raise UserError(f"{root} holds no masks ({', '.join(FORMATS)} files); {remedy}")
        self._folders = {PurePosixPath(file).parent for file in self._files}
        self._by_name = self._named()

    def __len__(self) -> int:
        return len(self._files)

    def mask(self, path: str) -> Bools | None:
        """Return a mask (H, W), None where there is none. Raises `UserError` for a damaged file."""
        masks = [_read(self.root / file) for file in self._of(path)]
        if len({mask.shape for mask in masks}) > 1:
            raise UserError(f"the masks of {path} in {self.root} differ in size; correct them")
        return np.logical_or.reduce(masks) if masks else None

    def fingerprint(self, path: str) -> str:
        """Return size and time of the files; empty where there is none."""
        states = [(self.root / file).stat() for file in self._of(path)]
        return " ".join(f"{state.st_size}/{state.st_mtime_ns}" for state in states)

    def unmatched(self, images: Iterable[str]) -> list[str]:
        """Return the files that belong to none of the images, which have to be masks of some.

        Raises:
            UserError: no file belongs to an image.
        """
        paths = list(images)
        used = {file for path in paths for file in self._of(path)}
        if not used and paths:
            raise UserError(
                f"none of the {len(self)} masks in {self.root} belongs to an image: a mask is "
                f"{self._files[0]}, an image {paths[0]}; give masks the names of their images, in "
                "the same folders (docs/data-sets/your-own.md)"
            )
        return [file for file in self._files if file not in used.union(paths)]

    def _of(self, path: str) -> list[str]:
        return self._by_name.get(_name(path), [])

    def _named(self) -> dict[str, list[str]]:
        """Return the name of an image -> its masks."""
        plain = {_name(file): file for file in reversed(self._files)}
        worded: dict[str, list[str]] = {}
        for file in self._files:
            for name in self._names_by_words(PurePosixPath(file)):
                worded.setdefault(name, []).append(file)
        if worded.keys() & plain.keys():  # these are images, and the others their masks
            return worded
        if len(plain) < len(self._files):
            twin = next(file for file in self._files if plain[_name(file)] != file)
            raise UserError(
                f"{self.root} holds two masks of one name, {plain[_name(twin)]} and {twin}; "
                "keep one of them"
            )
        return worded | {name: [file] for name, file in plain.items()}

    def _names_by_words(self, path: PurePosixPath) -> Iterator[str]:
        """Iterate over the images that a word for masks in the name of a file, or of its folder
        beside a folder of images, may mean.
        """
        base = MASKS.base(stem_of(path))
        if base:
            yield path.with_name(base).as_posix()
        if MASKS.holds(path.parent.name):
            for beside in self._folders:
                if beside.parent == path.parent.parent and PICTURES.fullmatch(beside.name):
                    yield (beside / (base or stem_of(path))).as_posix()


def _name(path: str) -> str:
    return PurePosixPath(path).with_name(stem_of(PurePosixPath(path))).as_posix()


def _read(file: Path) -> Bools:
    """Read a mask as an image is read: inside is what is shown brighter than black.

    Indices of a palette are looked up, transparent pixels are outside, and the orientation and the
    polarity (WhiteIsZero) of the file hold.
    """
    try:
        shown = decode(file, readers=RASTER_READERS)
    except ImageRefused as refused:
        problem = f"cannot be read ({refused.code}: {refused})"
        raise UserError(f"the mask {file} {problem}; correct or remove it") from refused
    values, lossy = shown.values.max(axis=-1), detect(file, FORMATS) == "JPEG"
    if shown.low is not None and shown.high is not None and shown.low > shown.high:
        dark: Bools = values >= (np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1)
        return ~dark
    if lossy and 0 < values.max() <= LOSSY_THRESHOLD:
        raise UserError(
            f"the mask {file} is a JPEG of values up to {values.max()} of 255, whose borders are "
            "lost; save it as PNG"
        )
    inside: Bools = values > (LOSSY_THRESHOLD if lossy else 0)
    if inside.all() and (shown.values != shown.values[0, 0]).any():
        raise UserError(
            f"the mask {file} has several values and none that is 0, which is outside; save its "
            "background as 0"
        )
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
