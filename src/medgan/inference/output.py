"""Write the result folder of a scoring: whole or not at all, and never over something else."""

from __future__ import annotations

import io
import math
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan import __version__
from medgan.datasets.documents import write_document
from medgan.errors import UserError
from medgan.files.atomic import new_folder
from medgan.files.names import csv_text, slug
from medgan.plots.anomaly_maps import CAPTIONS, MapScale, own_scale, scored_image
from medgan.words import RESEARCH_ONLY

TABLE, CARD, PICTURES = "scores.csv", "scoring.json", "heat_maps"
DPI = 120


@dataclass(frozen=True)
class Files:
    """Names of what a command writes into its folder."""

    table: str = TABLE
    card: str = CARD
    pictures: str = PICTURES
    command: str = "medgan score"
    done: str = "scored"

    def write(self, folder: Path, table: pd.DataFrame, card: Mapping[str, Any], path: str) -> None:
        """Write the table and the card of the images at a path."""
        made = datetime.now(UTC).isoformat(timespec="seconds")
        about = {"notice": NOTICE, "medgan": __version__, "made": made, "input": path}
        write_document(folder / self.card, {**about, **card})
        (folder / self.table).write_text(csv_text(table), encoding="utf-8", newline="")

    def require_any(self, output: Path, table: pd.DataFrame, column: str) -> None:
        """Check that at least one row has a value, neither missing nor empty, in a column.

        Raises:
            UserError: none has.
        """
        if (table[column].isna() | (table[column] == "")).all():
            first = table.loc[table["message"] != "", ["path", "message"]].iloc[0]
            raise UserError(
                f"None of the {len(table)} files could be {self.done} ({first['path']}: "
                f"{first['message']}): {output / self.table} says why."
            )


SCORES = Files()
CLASSES = Files("classes.csv", "classification.json", "saliency", "medgan classify", "classified")
NOTICE = (
    f"{RESEARCH_ONLY} A score is not a diagnosis: do not use it for a decision about a patient."
)


def check_output(output: Path, images: Path, overwrite: bool, files: Files = SCORES) -> None:
    """Check that results may be written to a folder.

    Raises:
        UserError: it is a file, it has contents that would be lost or mixed up, or the images and
            the results would lie in each other.
    """
    output, images = output.resolve(), images.resolve()
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is a file: give a folder for the results with --output.")
    inside = images.is_dir() and output.is_relative_to(images)
    if output == images or inside or images.is_relative_to(output / files.pictures):
        raise UserError(
            f"The results would lie in {images}, among the images that are scored: "
            "choose another --output."
        )
    if is_free(output):
        return
    if not overwrite:
        raise UserError(
            f"{output} is not empty: choose another --output, or replace the results in it with "
            "--overwrite."
        )
    if (output / files.pictures).exists() and not (output / files.card).is_file():
        raise UserError(
            f"{output / files.pictures} was not written by `{files.command}`, and would be lost: "
            "choose another --output."
        )


def is_free(output: Path) -> bool:
    """Whether a folder is absent or empty."""
    return not output.exists() or not any(output.iterdir())


@contextmanager
def result_folder(output: Path, files: Files = SCORES) -> Iterator[Path]:
    """Yield a folder to fill; its files move to `output` if the block ends without an exception,
    and are deleted otherwise.

    Other files that are there already stay. The table is moved last, so that it never stands beside
    pictures of another scoring.

    Raises:
        UserError: the files cannot be written.
    """
    output = output.resolve()
    try:
        free = is_free(output)
        aside = output if free else output.with_name(f".{slug(output.name)}.scored")
        with new_folder(aside) as folder:
            yield folder
        if not free:
            _replace(aside, output, files)
    except OSError as error:
        raise UserError(
            f"The results cannot be written to {output} ({error.strerror}): make room, or choose "
            "another --output."
        ) from error


def _replace(aside: Path, output: Path, files: Files) -> None:
    (output / files.table).unlink(missing_ok=True)
    shutil.rmtree(output / files.pictures, ignore_errors=True)
    for name in (files.pictures, files.card, files.table):
        if (aside / name).exists():
            (aside / name).replace(output / name)
    aside.rmdir()


def picture_name(path: str, number: str) -> str:
    """Name the picture of an image, or of a slice of it."""
    return slug(f"{path}\0{number}") + ".png"


def picture(
    pixels: NDArray[Any],
    anomaly_map: NDArray[Any],
    scale: MapScale,
    name: str,
    words: str,
    captions: tuple[str, str] = CAPTIONS,
) -> bytes:
    """Draw an image (H, W, C) beside its anomaly map (H, W), below its score and decision in words:
    a PNG file with the notice.
    """
    figure = scored_image(pixels, anomaly_map, scale, name, words, RESEARCH_ONLY, captions)
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):  # letters that the font does not have
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Description": NOTICE})
    return buffer.getvalue()


Map = NDArray[np.float16]


class Spool:
    """Images with their maps in a temporary file without a name, so that memory stays at one."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by `close`
        self.close = self._file.close
        self._images = list[tuple[int, tuple[int, ...]]]()
        self.scale: MapScale | None = None
        """Of the maps in it; None while there are none."""

    def add(self, pixels: NDArray[np.uint8], anomaly_map: Map) -> int:
        """Keep an image (h, w, C) with its map (h, w); return its number."""
        self._images.append((self._file.seek(0, 2), pixels.shape))
        self._file.write(pixels.tobytes() + anomaly_map.astype(np.float16).tobytes())
        self.scale = own_scale(anomaly_map, self.scale)
        return len(self._images) - 1

    def read(self, number: int) -> tuple[NDArray[np.uint8], Map]:
        """Return an image with its map."""
        place, shape = self._images[number]
        self._file.seek(place)
        pixels = np.frombuffer(self._file.read(math.prod(shape)), dtype=np.uint8)
        map_bytes = np.dtype(np.float16).itemsize * shape[0] * shape[1]
        values = np.frombuffer(self._file.read(map_bytes), dtype=np.float16)
        return pixels.reshape(shape), values.reshape(shape[:2])
