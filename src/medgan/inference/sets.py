"""Write sets of synthetic images: a folder, a ZIP file of it, or an NPZ file in MedMNIST's layout.

A set appears whole or not at all, and is written batch by batch.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from medgan.datasets.parts import document
from medgan.errors import UserError
from medgan.files.atomic import new_file, new_folder
from medgan.files.names import as_cells, quoting, slug
from medgan.images.synthetic import CARD, MANIFEST, PAGE
from medgan.inference.data_card import UNRELEASED, DataCard, data_card, page
from medgan.inference.generation import Drawn, JudgedGenerator, Request, draw
from medgan.pipelines.drawing import Pixels
from medgan.progress import progress_bar

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time stamp of the files in an archive, so that equal images make equal archives."""
Write = Callable[[str, bytes], object]
"""Store a file of this name in the set."""


class SetWriter:
    """A form of a set, while it is written; the rows of manifest.csv, one for each image that was
    drawn, wait in a temporary file.
    """

    def __init__(self, card: DataCard) -> None:
        self._card = card
        self._manifest = tempfile.TemporaryFile("w+", encoding="utf-8", newline="")  # noqa: SIM115

    def put(self, label: str, index: int, image: Pixels) -> str:
        """Write an image of a class; return what the manifest calls it."""
        raise NotImplementedError

    def close(self, card: DataCard) -> None:
        """Write what describes the images."""
        raise NotImplementedError

    def add(self, drawn: Drawn) -> None:
        """Write the images of a batch that are not flagged, and the rows of all."""
        files = {index: self.put(drawn.label, index, image) for index, image in drawn.kept()}
        indices = range(drawn.first, drawn.first + len(drawn.pixels))
        card, flagged = self._card, drawn.flagged
        table = pd.DataFrame(
            {
                "file": [files.get(index, "") for index in indices],
                "class": drawn.label,
                "model": card.model,
                "version": card.version,
                "key": card.key,
                "seed": card.seed,
                "truncation": "" if card.truncation is None else card.truncation,
                "index": indices,
                "flagged": "" if flagged is None else [str(one).lower() for one in flagged],
            }
        )
        first = self._manifest.tell() == 0
        as_cells(table).to_csv(self._manifest, index=False, header=first, quoting=quoting(table))

    def manifest(self) -> str:
        """Return all rows; the temporary file is gone."""
        with self._manifest as file:
            file.seek(0)
            return file.read()


Opened = Callable[[Path, DataCard], AbstractContextManager[SetWriter]]


class PictureSet(SetWriter):
    """PNG files, a folder for each class, with manifest, card and page."""

    def __init__(self, card: DataCard, write: Write) -> None:
        super().__init__(card)
        self._write = write

    def put(self, label: str, index: int, image: Pixels) -> str:
        """Write a PNG file."""
        name = slug(label)
        file = f"images/{name}/{name}-{index:06d}.png"
        self._write(file, png(image, f"{self._card.marked}, class {label}, index {index}."))
        return file

    def close(self, card: DataCard) -> None:
        """Write manifest, card and page."""
        self._write(MANIFEST, self.manifest().encode())
        self._write(CARD, document(card).encode())
        self._write(PAGE, page(card).encode())


@contextmanager
def _folder(path: Path, card: DataCard) -> Iterator[SetWriter]:
    with new_folder(path, sealed=True) as folder:

        def write(name: str, content: bytes) -> None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

        yield PictureSet(card, write)


@contextmanager
def zipped(file: Path | IO[bytes], card: DataCard) -> Iterator[SetWriter]:
    """A set in a ZIP file, below a folder of its name."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:

        def write(name: str, content: bytes) -> None:
            packed.writestr(_entry(f"{card.name}/{name}"), content)

        yield PictureSet(card, write)


@contextmanager
def _zip(path: Path, card: DataCard) -> Iterator[SetWriter]:
    with new_file(path) as file, zipped(file, card) as made:
        yield made


class ArraySet(SetWriter):
    """train_images (n, H, W[, 3]) and train_labels (n, 1), no validation and test images, card and
    manifest as text.
    """

    def __init__(self, card: DataCard, packed: zipfile.ZipFile) -> None:
        super().__init__(card)
        self._packed, self._labels = packed, list[int]()
        colors = () if card.channels == 1 else (card.channels,)
        self._shape = (card.height, card.width, *colors)
        self.images = packed.open(_entry("train_images.npy"), "w", force_zip64=True)
        shape = (sum(card.counts.values()), *self._shape)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(cast(Any, self.images), header)

    def put(self, label: str, index: int, image: Pixels) -> str:
        """Add a row to the array of images."""
        self.images.write(np.ascontiguousarray(image).tobytes())
        self._labels.append(self._card.classes.index(label))
        return f"train_images[{len(self._labels) - 1}]"

    def close(self, card: DataCard) -> None:
        """Write the other arrays."""
        self.images.close()
        none = np.zeros((0, *self._shape), np.uint8), np.zeros((0, 1), np.uint8)
        arrays: dict[str, NDArray[Any]] = {
            "train_labels": np.array(self._labels, np.uint8)[:, None],
            **{f"{part}_images": none[0] for part in ("val", "test")},
            **{f"{part}_labels": none[1] for part in ("val", "test")},
            "card": np.array(document(card)),
            "manifest": np.array(self.manifest()),
        }
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            self._packed.writestr(_entry(f"{name}.npy"), buffer.getvalue())


@contextmanager
def _npz(path: Path, card: DataCard) -> Iterator[SetWriter]:
    with new_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        made = ArraySet(card, packed)
        try:
            yield made
        except BaseException:
            made.images.close()  # or the archive cannot be closed, and hides the error
            raise


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _file(output: Path, card: DataCard) -> Path:
    """Name the file after what it is, where it is not released."""
    marked = card.released or output.stem.endswith(UNRELEASED)
    return output if marked else output.with_name(f"{output.stem}-{UNRELEASED}{output.suffix}")


FORMS: Mapping[str, Opened] = {".zip": _zip, ".npz": _npz}
"""Suffix of `--output` -> form; other suffixes belong to the name of a folder."""


def generate_set(
    using: JudgedGenerator, request: Request, output: Path, unreleased: bool = False
) -> tuple[Path, DataCard]:
    """Draw a set and write it; return its path and its card.

    The output is a new file that ends with .zip or .npz, or a folder that gets the set as a folder
    of its own, so sets never replace each other. Suspected copies of training images are left out
    and replaced by the next images. The name, the card and the images of an `unreleased` set say
    that it is not released.

    Raises:
        UserError: the generator is not released, the file exists already, a class cannot be drawn
            or too many images are flagged. Nothing is written then.
    """
    if using.refusal and not unreleased:
        raise UserError(
            f"{using.published.name} is not released on {using.dataset}: {using.refusal}. "
            "--unreleased writes a set that says so."
        )
    card = data_card(using, request)
    opened = FORMS.get(output.suffix.lower())
    path = _file(output, card) if opened else output / card.name
    if path.exists():
        raise UserError(f"{path} exists already: choose another --output.")
    try:
        return path, _written((opened or _folder)(path, card), card, using, request)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror}): choose another --output."
        ) from error


def _written(
    opened: AbstractContextManager[SetWriter],
    card: DataCard,
    using: JudgedGenerator,
    request: Request,
) -> DataCard:
    """Draw and write; return the card with the number of flagged images."""
    n_flagged = None if using.check is None else 0
    with opened as made, progress_bar("drawing", "image", request.count) as bar:
        for drawn in draw(using, request):
            made.add(drawn)
            n_flagged = None if n_flagged is None else n_flagged + drawn.n_flagged
            bar.update(len(drawn.pixels) - drawn.n_flagged)
        done = replace(card, n_flagged=n_flagged)
        made.close(done)
    return done


def png(image: Pixels, description: str) -> bytes:
    """Encode an image (H, W, 1 or 3) as a PNG file with a description."""
    info, buffer = PngInfo(), io.BytesIO()
    info.add_text("Description", description)
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(
        buffer, "PNG", pnginfo=info
    )
    return buffer.getvalue()
