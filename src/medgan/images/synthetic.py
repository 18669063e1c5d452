"""Sets of synthetic images, as `medgan generate` writes them, for torch."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import ConcatDataset, Dataset, Subset

from medgan.errors import UserError, unknown
from medgan.files.integrity import reading
from medgan.images.transforms import as_tensor, pad_square

MANIFEST, CARD, PAGE = "manifest.csv", "data_card.json", "README.md"
REMEDY = "`medgan generate` makes it again"
Item = tuple[Tensor, int]


@dataclass(frozen=True)
class _Stored:
    """The content of a set."""

    pixels: NDArray[np.uint8]
    """(n, H, W, C)."""
    categories: Sequence[str]
    """(n,)."""
    card: Mapping[str, Any]


class SyntheticImages(Dataset[Item]):
    """A set of synthetic images, in memory: (image (C, H, W) in [-1, 1], label).

    The images are as the generator drew them, so their intensity is scaled as that of its training
    images: mix them with real images that were prepared in the same way.

    Args:
        path: the folder, ZIP or NPZ file of a set.
        classes: the category of each label; by default those of the generator.
        size: side to which the images are padded with zeros, as networks see stored images; by
            default they are not.

    Raises:
        UserError: there is no set, it is damaged, or it has an image of another category.
    """

    def __init__(
        self, path: Path | str, classes: Sequence[str] | None = None, size: int | None = None
    ) -> None:
        path = Path(path).expanduser()
        if not path.exists():
            raise UserError(f"{path} is not there: give a set that `medgan generate` has written.")
        with reading(path, REMEDY, local=path.is_dir()):  # a ZIP file has checksums of its own
            stored = _READERS.get(path.suffix.lower(), _folder)(path)
        self.card = stored.card
        self.classes = tuple(stored.card["classes"] if classes is None else classes)
        if strange := set(stored.categories) - set(self.classes):
            raise unknown("class among the labels", min(strange), self.classes)
        self.images = as_tensor(stored.pixels)
        if size is not None:
            self.images = pad_square(self.images, size)
        self.labels = [self.classes.index(name) for name in stored.categories]

    @property
    def released(self) -> bool:
        """Whether the release gate lets the set be handed out."""
        return bool(self.card["released"])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Item:
        return self.images[index], self.labels[index]

    def mixed_with(self, real: Dataset[Item], ratio: float, seed: int = 0) -> Mixed:
        """Append some of these images, drawn without replacement, to real ones.

        Args:
            real: items of the same form.
            ratio: synthetic images for each real one.
            seed: of the draw.

        Raises:
            UserError: the set has fewer images than that, or the ratio is negative.
        """
        n_real = len(real)  # type: ignore[arg-type]
        count = round(ratio * n_real) if ratio >= 0 else -1
        if not 0 <= count <= len(self):
            raise UserError(
                f"{count:,} synthetic images for {n_real:,} real ones (ratio {ratio:g}) cannot be "
                f"drawn from {len(self):,}: choose another ratio, or generate more images."
            )
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        return Mixed(real, Subset(self, order[:count].tolist()))


class Mixed(Dataset[Item]):
    """Real images, then synthetic ones; labels are int, so that a batch may hold both."""

    def __init__(self, real: Dataset[Item], synthetic: Dataset[Item]) -> None:
        self._parts: ConcatDataset[Item] = ConcatDataset([real, synthetic])

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, index: int) -> Item:
        image, label = self._parts[index]
        return image, int(label)


def _folder(path: Path) -> _Stored:
    return _pictures(lambda name: (path / name).read_bytes())


def _zip(path: Path) -> _Stored:
    with zipfile.ZipFile(path) as packed:
        root = packed.namelist()[0].partition("/")[0]
        return _pictures(lambda name: packed.read(f"{root}/{name}"))


def _pictures(read: Callable[[str], bytes]) -> _Stored:
    rows = list(csv.DictReader(io.StringIO(read(MANIFEST).decode(), newline="")))
    kept = [row for row in rows if row["file"]]
    images = []
    for row in kept:
        with Image.open(io.BytesIO(read(row["file"])), formats=["PNG"]) as picture:
            images.append(np.atleast_3d(np.asarray(picture)))
    return _Stored(np.stack(images), [row["class"] for row in kept], json.loads(read(CARD)))


def _npz(path: Path) -> _Stored:
    with np.load(path, allow_pickle=False) as stored:
        card = json.loads(str(stored["card"]))
        pixels, labels = stored["train_images"], stored["train_labels"][:, 0]
    pixels = pixels[..., None] if pixels.ndim == 3 else pixels
    return _Stored(pixels, [card["classes"][label] for label in labels], card)


_READERS: Mapping[str, Callable[[Path], _Stored]] = {".zip": _zip, ".npz": _npz}
