"""The folder that a scoring leaves behind: whole or not at all, and never over something else."""

from __future__ import annotations

import hashlib
import io
import shutil
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from matplotlib.figure import Figure

from medgan.catalog.atomic import new_folder
from medgan.contracts import Refusal

TABLE, CARD, PICTURES = "scores.csv", "scoring.json", "heat_maps"
NAME_BYTES = 255
"""Longest file name of the usual file systems."""
ASIDE_BYTES = 200
DPI = 120


def check_output(output: Path, images: Path, overwrite: bool) -> None:
    """Nothing where results may be written to a folder.

    Raises:
        Refusal: it is a file, it has contents that would be lost or mixed up, or the images and the results would lie in each other.
    """
    output, images = output.resolve(), images.resolve()
    if output.exists() and not output.is_dir():
        raise Refusal(f"{output} is a file: give a folder for the results with --output.")
    if output == images or (images.is_dir() and output.is_relative_to(images)) or images.is_relative_to(output / PICTURES):
        raise Refusal(f"The results would lie in {images}, among the images that are scored: choose another --output.")
    if is_free(output):
        return
    if not overwrite:
        raise Refusal(f"{output} is not empty: choose another --output, or replace the results in it with --overwrite.")
    if (output / PICTURES).exists() and not (output / CARD).is_file():
        raise Refusal(f"{output / PICTURES} was not written by `medgan score`, and would be lost: choose another --output.")


def is_free(output: Path) -> bool:
    """Whether a folder is absent or empty."""
    return not output.exists() or not any(output.iterdir())


@contextmanager
def result_folder(output: Path) -> Iterator[Path]:
    """A folder to fill; its files come to `output` when the block ends without an exception, and vanish otherwise.

    Other files that are there already stay. The table comes last: it never stands beside pictures of another scoring.

    Raises:
        Refusal: the disk does not take them.
    """
    output = output.resolve()
    try:
        free = is_free(output)
        aside = output if free else output.with_name(f".{_cut(output.name, ASIDE_BYTES)}.scored")
        with new_folder(aside) as folder:
            yield folder
        if not free:
            _replace(aside, output)
    except OSError as error:
        raise Refusal(f"The results cannot be written to {output} ({error.strerror}): make room, or choose another --output.") from error


def _replace(aside: Path, output: Path) -> None:
    (output / TABLE).unlink(missing_ok=True)
    shutil.rmtree(output / PICTURES, ignore_errors=True)
    for name in (PICTURES, CARD, TABLE):
        if (aside / name).exists():
            (aside / name).replace(output / name)
    aside.rmdir()


def picture_name(path: str, number: str) -> str:
    """A file name for the picture of an image: readable, at most 255 bytes, and another one for every other image.

    Names that differ by the case of a letter, or by how an accent is written, differ in the 12 digits at the end.
    """
    digest = hashlib.sha256(f"{path}\0{number}".encode()).hexdigest()[:12]
    readable = unicodedata.normalize("NFC", path + (f"_{number}" if number else ""))
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in readable).lstrip("._-")
    ending = f"_{digest}.png"
    return _cut(safe, NAME_BYTES - len(ending)) + ending


def _cut(text: str, size: int) -> str:
    """The first letters of a text, at most `size` bytes of UTF-8."""
    return text.encode()[:size].decode(errors="ignore")


def png(figure: Figure, notice: str) -> bytes:
    """A figure as a PNG file that says what it is not."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):  # letters that the font does not have
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Description": notice})
    return buffer.getvalue()
