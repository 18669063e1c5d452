"""MedMNIST v2 and MedMNIST+ (Yang et al. 2023): two-dimensional sets, from the official files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np

from medgan.contracts import NORMAL
from medgan.errors import UserError
from medgan.files.digest import file_digest
from medgan.sources.arrays import ArrayImages, checked_images, checked_labels, load_arrays
from medgan.sources.files import given_path
from medgan.sources.raw import Ints

SIZES = (28, 64, 128, 224)
SEPARATOR = "|"  # between the findings of an image that shows several (chestmnist)


@dataclass(frozen=True)
class MedmnistSource:
    """One of MedMNIST's two-dimensional sets at one size; its healthy class is renamed `normal`."""

    path: str | None = None
    """The official NPZ file; without it the file is downloaded once, from the addresses in the
    package medmnist."""
    flag: str | None = None
    size: int = 28  # side of the images in pixels: one of SIZES
    normal: str | int | None = None
    """Name or number of the label of healthy images. Not used by multi-label sets, where an image
    without findings is healthy."""
    root: str = "~/.medmnist"  # folder of downloads, shared with the package medmnist

    def open(self) -> ArrayImages:
        """Load the file. Raises `UserError` for unknown settings and other files."""
        info = self._info()
        name = str(self.flag) if self.size == SIZES[0] else f"{self.flag}_{self.size}"
        names = {int(number): label_name(text) for number, text in info["label"].items()}
        several = "multi-label" in info["task"]
        if not several:
            names[self._normal(names)] = NORMAL
        path = self._file(info, name)
        arrays = load_arrays(path)
        images = checked_images(arrays, path)
        labels = {
            part: label_texts(checked_labels(arrays, part, path), names, several) for part in images
        }
        return ArrayImages(name, images, labels, file_digest(path))

    def _info(self) -> Mapping[str, Any]:
        """Return what the package medmnist says of the set; its import takes seconds."""
        try:
            from medmnist import INFO
        except ImportError as error:
            remedy = "install it with `pip install 'medgan[medmnist]'`"
            raise UserError(f"MedMNIST's sets need the package medmnist; {remedy}") from error
        flags = [flag for flag in INFO if not flag.endswith("3d")]
        if self.flag not in flags:
            problem = f"MedMNIST has no two-dimensional set `{self.flag}`"
            raise UserError(
                f"{problem if self.flag else 'no set of MedMNIST was chosen'}; "
                f"choose with --params flag=NAME from {', '.join(flags)}"
            )
        if self.size not in SIZES:
            sizes = ", ".join(map(str, SIZES))
            raise UserError(f"MedMNIST has no images of {self.size} px; choose size from {sizes}")
        info: Mapping[str, Any] = INFO[self.flag]
        return info

    def _normal(self, names: Mapping[int, str]) -> int:
        """Return the number of the label of healthy images."""
        given = self.normal is not None
        wanted = label_name(str(self.normal))
        for number, name in names.items():
            if given and wanted in (name, str(number)):
                return number
        problem = f"no label `{self.normal}`" if given else "no label that is normal by itself"
        raise UserError(
            f"{self.flag} has {problem}; name the healthy one with --params normal=LABEL, "
            f"from {', '.join(names.values())}"
        )

    def _file(self, info: Mapping[str, Any], name: str) -> Path:
        suffix = name.removeprefix(str(self.flag))
        published = str(info[f"MD5{suffix}"])
        if self.path is None:
            target = Path(self.root).expanduser() / f"{name}.npz"
            return download(str(info[f"url{suffix}"]), target, published)
        path = given_path(self.path, f"the file {name}.npz")
        if path.is_file() and (found := file_digest(path, "md5")) != published:
            raise UserError(
                f"{path} is not MedMNIST's {name}.npz: its md5 is {found} and not {published}; "
                "fetch it again, correct flag and size, or read your own file with kind: npz"
            )
        return path


def label_name(text: str) -> str:
    """Convert a label of MedMNIST to lower case with underscores, without the part in brackets."""
    return re.sub(r"[^a-z0-9]+", "_", text.split("(")[0].lower()).strip("_")


def label_texts(labels: Ints, names: Mapping[int, str], several: bool) -> list[str]:
    """Convert numbers (n, 1), or multi-hot rows (n, K) where `several`, to n label texts."""
    if not several:
        return [names[number] for number in labels[:, 0].tolist()]
    return [
        SEPARATOR.join(names[int(place)] for place in np.flatnonzero(row)) or NORMAL
        for row in labels
    ]


def download(url: str, path: Path, md5: str) -> Path:
    """Download a file unless it is complete already. Raises `UserError`."""
    from torchvision.datasets.utils import download_url

    remedy = f"fetch {url} by hand (md5 {md5}) and give it with --params source=PATH"
    try:
        download_url(url, str(path.parent), filename=path.name, md5=md5)
    except (OSError, HTTPException) as error:  # URLError and timeouts are OSErrors
        raise UserError(f"{path.name} could not be downloaded ({error}); {remedy}") from error
    except RuntimeError as error:  # torchvision's error for a wrong checksum
        raise UserError(
            f"{path.name} was downloaded and is not the published file: its md5 differs; {remedy}"
        ) from error
    return path
