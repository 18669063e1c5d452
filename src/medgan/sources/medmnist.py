"""MedMNIST v2 and MedMNIST+ (Yang et al. 2023): its two-dimensional sets, read by their official
files.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from medgan.contracts import NORMAL
from medgan.errors import UserError
from medgan.sources.arrays import ArrayImages, checked_images, checksum, load_arrays
from medgan.sources.files import given_path

SIZES = (28, 64, 128, 224)
SEPARATOR = "|"
"""Between the findings of an image that shows several (chestmnist)."""


def label_name(text: str) -> str:
    """A label of MedMNIST in lower case, with underscores, without what it says in brackets."""
    return re.sub(r"[^a-z0-9]+", "_", text.split("(")[0].lower()).strip("_")


@dataclass(frozen=True)
class MedmnistSource:
    """One of MedMNIST's two-dimensional sets at one of its sizes. Its class `normal` is called so,
    whatever it is called there.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    path: str | None = None
    """The official NPZ file; without one it is downloaded by way of the medmnist package's
    addresses, once.
    """
    flag: str | None = None
    size: int = 28
    """Side of the images in pixels: one of SIZES."""
    normal: str | int | None = None
    """The label that means a healthy image: its name or its number. Not asked for where an image
    without any finding is healthy.
    """
    root: str = "~/.medmnist"
    """Folder of downloads; the medmnist package's own."""

    def open(self) -> ArrayImages:
        """Loads the file.

        Raises:
            UserError: no such flag, size or label; the medmnist package is missing; the file cannot
                be downloaded, or is another one.
        """
        sets = _sets()
        if self.flag not in sets:
            raise UserError(
                f"{_asked(self.flag)}; choose with --params flag=NAME from {', '.join(sets)}"
            )
        if self.size not in SIZES:
            raise UserError(
                f"MedMNIST has no images of {self.size} px; choose --params size= from {', '.join(map(str, SIZES))}"
            )
        info, name = (
            sets[self.flag],
            self.flag if self.size == SIZES[0] else f"{self.flag}_{self.size}",
        )
        labelled = self._labeller(info)
        path = self._file(info, name)
        arrays = load_arrays(path)
        images = checked_images(arrays, path)
        labels = {
            part: labelled(_numbers(arrays, part, len(images[part]), path)) for part in images
        }
        return ArrayImages(name, images, labels, checksum(path))

    def _labeller(self, info: Mapping[str, Any]) -> _Labels:
        names = {int(number): label_name(text) for number, text in info["label"].items()}
        if "multi-label" in info["task"]:
            return _Labels(names, several=True)
        wanted = label_name(str(self.normal)) if self.normal is not None else None
        found = next(
            (number for number, text in names.items() if wanted in (text, str(number))), None
        )
        if found is None:
            problem = (
                f"no label `{self.normal}`"
                if self.normal is not None
                else "no label that is normal by itself"
            )
            raise UserError(
                f"{self.flag} has {problem}; say with --params normal=LABEL which one is, from {', '.join(names.values())}"
            )
        return _Labels({**names, found: NORMAL}, several=False)

    def _file(self, info: Mapping[str, Any], name: str) -> Path:
        suffix = name.removeprefix(str(self.flag))
        published = str(info[f"MD5{suffix}"])
        if self.path is None:
            return _downloaded(
                str(info[f"url{suffix}"]), Path(self.root).expanduser() / f"{name}.npz", published
            )
        path = given_path(self.path, f"the file {name}.npz")
        if path.is_file() and _md5(path) != published:
            raise UserError(
                f"{path} is not MedMNIST's {name}.npz: its md5 is {_md5(path)} and not {published}; fetch it again, "
                "mend flag and size, or read a file of your own with a source of the kind npz"
            )
        return path


@dataclass(frozen=True)
class _Labels:
    """Numbers of the file -> texts."""

    names: Mapping[int, str]
    several: bool

    def __call__(self, numbers: NDArray[np.int64]) -> list[str]:
        """(n, 1) numbers, or (n, K) zeros and ones, to n texts; an image that shows nothing is
        normal.
        """
        if not self.several:
            return [self.names[int(number)] for number in numbers[:, 0]]
        return [
            SEPARATOR.join(self.names[int(place)] for place in np.flatnonzero(row)) or NORMAL
            for row in numbers
        ]


def _asked(flag: str | None) -> str:
    return (
        "no set of MedMNIST was chosen"
        if flag is None
        else f"MedMNIST has no two-dimensional set `{flag}`"
    )


def _sets() -> dict[str, Mapping[str, Any]]:
    """Flag -> what the medmnist package says of it; loaded when it is needed, since the import
    takes seconds.
    """
    try:
        from medmnist import INFO
    except ImportError as error:
        raise UserError(
            "MedMNIST's sets need the package medmnist; install it with `pip install 'medgan[medmnist]'`"
        ) from error
    return {flag: info for flag, info in INFO.items() if not flag.endswith("3d")}


def _downloaded(url: str, path: Path, published: str) -> Path:
    """The file, fetched unless it is there already and whole."""
    from torchvision.datasets.utils import download_url

    remedy = f"fetch {url} by hand (md5 {published}) and give it with --params source=PATH"
    try:
        download_url(url, str(path.parent), filename=path.name, md5=published)
    except (OSError, HTTPException) as error:  # URLError and timeouts are OSErrors
        raise UserError(f"{path.name} could not be downloaded ({error}); {remedy}") from error
    except RuntimeError as error:  # what torchvision raises for a wrong md5
        raise UserError(
            f"{path.name} was downloaded and is not the published file: its md5 differs; {remedy}"
        ) from error
    return path


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _numbers(
    arrays: Mapping[str, NDArray[Any]], part: str, count: int, path: Path
) -> NDArray[np.int64]:
    labels = arrays.get(f"{part}_labels", np.empty(0))
    if labels.shape[:1] != (count,) or labels.ndim != 2 or labels.dtype.kind not in "iub":
        raise UserError(
            f"{part}_labels in {path} is {labels.dtype} {labels.shape}; it needs a row of whole numbers for each of {count} images"
        )
    return labels.astype(np.int64)
