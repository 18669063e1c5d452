"""Write sets of synthetic images: a folder, a ZIP file of it, or an NPZ file in MedMNIST's layout.

A set appears whole or not at all, and is written batch by batch.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol, cast

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
from medgan.progress import progress_bar

COLUMNS = ("file", "class", "model", "version", "key", "seed", "truncation", "index", "flagged")
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time stamp of the files in an archive, so that equal images make equal archives."""
Write = Callable[[str, bytes], object]
"""Store a file of this name in the set."""


class SetWriter(Protocol):
    """A form of a set, while it is written."""

    def add(self, drawn: Drawn) -> None:
        """Write the images of a batch that are not flagged."""

    def close(self, card: DataCard) -> None:
        """Write what describes them."""


Opened = Callable[[Path, DataCard], AbstractContextManager[SetWriter]]


class _Manifest:
    """The rows of manifest.csv, in a temporary file: one for each image that was drawn."""

    def __init__(self, card: DataCard) -> None:
        self._card = card
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8", newline="")  # noqa: SIM115

    def add(self, drawn: Drawn, files: Mapping[int, str]) -> None:
        """Add the images of a batch; those without a file are not in the set."""
        indices = range(drawn.first, drawn.first + len(drawn.pixels))
        card, checked = self._card, drawn.flagged is not None
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
                "flagged": [str(one).lower() for one in drawn.flagged] if checked else "",  # type: ignore[union-attr]
            },
            columns=list(COLUMNS),
        )
        as_cells(table).to_csv(
            self._file, index=False, header=self._file.tell() == 0, quoting=quoting(table)
        )

    def close(self) -> bytes:
        """Return all of it; the temporary file is gone."""
        with self._file as file:
            file.seek(0)
            return file.read().encode()


class PictureSet:
    """PNG files, a folder for each class, with manifest, card and page."""

    def __init__(self, card: DataCard, write: Write) -> None:
        self._marked, self._write, self._manifest = card.marked, write, _Manifest(card)

    def add(self, drawn: Drawn) -> None:
        """Write the images of a batch that are not flagged."""
        name, files = slug(drawn.label), dict[int, str]()
        for index, image in drawn.kept():
            files[index] = f"images/{name}/{name}-{index:06d}.png"
            described = f"{self._marked}, class {drawn.label}, index {index}."
            self._write(files[index], png(image, described))
        self._manifest.add(drawn, files)

    def close(self, card: DataCard) -> None:
        """Write what describes them."""
        self._write(MANIFEST, self._manifest.close())
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


class ArraySet:
    """train_images (n, H, W[, 3]) and train_labels (n, 1), no validation and test images, card and
    manifest as text.
    """

    def __init__(self, card: DataCard, packed: zipfile.ZipFile) -> None:
        self._packed, self._manifest, self._labels = packed, _Manifest(card), list[int]()
        self._card = card
        colors = () if card.channels == 1 else (card.channels,)
        self._shape = (card.height, card.width, *colors)
        self._images = packed.open(_entry("train_images.npy"), "w", force_zip64=True)
        shape = (sum(card.counts.values()), *self._shape)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(cast(Any, self._images), header)

    def add(self, drawn: Drawn) -> None:
        """Write the images of a batch that are not flagged."""
        files = dict[int, str]()
        for index, image in drawn.kept():
            files[index] = f"train_images[{len(self._labels)}]"
            self._images.write(np.ascontiguousarray(image).tobytes())
            self._labels.append(self._card.classes.index(drawn.label))
        self._manifest.add(drawn, files)

    def close(self, card: DataCard) -> None:
        """Write what describes them."""
        self._images.close()
        none = np.zeros((0, *self._shape), np.uint8), np.zeros((0, 1), np.uint8)
        arrays: dict[str, NDArray[Any]] = {
            "train_labels": np.array(self._labels, np.uint8)[:, None],
            **{f"{part}_images": none[0] for part in ("val", "test")},
            **{f"{part}_labels": none[1] for part in ("val", "test")},
            "card": np.array(document(card)),
            "manifest": np.array(self._manifest.close().decode()),
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
            made._images.close()  # or the archive cannot be closed, and hides the error
            raise


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


@dataclass(frozen=True)
class Form:
    """A form of a set."""

    open: Opened
    place: Callable[[Path, DataCard], Path]
    """Path of the set, given `--output`."""


def _in_folder(output: Path, card: DataCard) -> Path:
    return output / card.name


def _file(output: Path, card: DataCard) -> Path:
    marked = card.released or output.stem.endswith(UNRELEASED)
    return output if marked else output.with_name(f"{output.stem}-{UNRELEASED}{output.suffix}")


FORMS: Mapping[str, Form] = {
    "": Form(_folder, _in_folder),
    ".zip": Form(_zip, _file),
    ".npz": Form(_npz, _file),
}
"""Suffix of `--output` -> form; other suffixes belong to the name of a folder."""


def generate_set(
    using: JudgedGenerator, request: Request, output: Path, unreleased: bool = False
) -> tuple[Path, DataCard]:
    """Draw a set and write it; return its path and its card.

    A folder gets the set as a folder of its own, so sets never replace each other. Suspected copies
    of training images are left out and replaced by the next images.

    Args:
        using: the generator.
        request: what is drawn.
        output: a folder, or a file that ends with .zip or .npz and does not exist.
        unreleased: write the set of a generator that is not released too; its name, its card and
            its images say so.

    Raises:
        UserError: the generator is not released, the file exists already, a class cannot be drawn
            or too many images are flagged. Nothing is written then.
    """
    if using.refusal and not unreleased:
        raise UserError(
            f"{using.published.name} is not released on {using.dataset}: {using.refusal}. "
            "--unreleased writes a set that says so."
        )
    card, form = data_card(using, request), FORMS.get(output.suffix.lower(), FORMS[""])
    path = form.place(output, card)
    if path.exists():
        raise UserError(f"{path} exists already: choose another --output.")
    try:
        return path, _written(form, path, card, using, request)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror}): choose another --output."
        ) from error


def _written(
    form: Form, path: Path, card: DataCard, using: JudgedGenerator, request: Request
) -> DataCard:
    """Draw and write; return the card with the number of flagged images."""
    n_flagged = None if using.check is None else 0
    with form.open(path, card) as made, progress_bar("drawing", "image", request.count) as bar:
        for drawn in draw(using, request):
            made.add(drawn)
            n_flagged = None if n_flagged is None else n_flagged + drawn.n_flagged
            bar.update(len(drawn.pixels) - drawn.n_flagged)
        done = replace(card, n_flagged=n_flagged)
        made.close(done)
    return done


def png(image: NDArray[np.uint8], description: str) -> bytes:
    """Encode an image (H, W, 1 or 3) as a PNG file with a description."""
    info, buffer = PngInfo(), io.BytesIO()
    info.add_text("Description", description)
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(
        buffer, "PNG", pnginfo=info
    )
    return buffer.getvalue()
