"""The folder that a scoring leaves behind: whole or not at all, and never over something else."""

from __future__ import annotations

import hashlib
import io
import shutil
import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from medgan.errors import UserError
from medgan.evaluation.volumes import by_volume
from medgan.files.atomic import new_folder
from medgan.inference.inputs import Seen
from medgan.inference.trained import Frozen

TABLE, CARD, PICTURES = "scores.csv", "scoring.json", "heat_maps"
NAME_BYTES = 255
"""Longest file name of the usual file systems."""
ASIDE_BYTES = 200
DPI = 120


def check_output(output: Path, images: Path, overwrite: bool) -> None:
    """Nothing where results may be written to a folder.

    Raises:
        UserError: it is a file, it has contents that would be lost or mixed up, or the images and
            the results would lie in each other.
    """
    output, images = output.resolve(), images.resolve()
    if output.exists() and not output.is_dir():
        raise UserError(f"{output} is a file: give a folder for the results with --output.")
    if (
        output == images
        or (images.is_dir() and output.is_relative_to(images))
        or images.is_relative_to(output / PICTURES)
    ):
        raise UserError(
            f"The results would lie in {images}, among the images that are scored: choose another --output."
        )
    if is_free(output):
        return
    if not overwrite:
        raise UserError(
            f"{output} is not empty: choose another --output, or replace the results in it with --overwrite."
        )
    if (output / PICTURES).exists() and not (output / CARD).is_file():
        raise UserError(
            f"{output / PICTURES} was not written by `medgan score`, and would be lost: choose another --output."
        )


def is_free(output: Path) -> bool:
    """Whether a folder is absent or empty."""
    return not output.exists() or not any(output.iterdir())


@contextmanager
def result_folder(output: Path) -> Iterator[Path]:
    """A folder to fill; its files come to `output` when the block ends without an exception, and
    vanish otherwise.

    Other files that are there already stay. The table comes last: it never stands beside pictures
    of another scoring.

    Raises:
        UserError: the disk does not take them.
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
        raise UserError(
            f"The results cannot be written to {output} ({error.strerror}): make room, or choose another --output."
        ) from error


def _replace(aside: Path, output: Path) -> None:
    (output / TABLE).unlink(missing_ok=True)
    shutil.rmtree(output / PICTURES, ignore_errors=True)
    for name in (PICTURES, CARD, TABLE):
        if (aside / name).exists():
            (aside / name).replace(output / name)
    aside.rmdir()


def picture_name(path: str, number: str) -> str:
    """A file name for the picture of an image: readable, at most 255 bytes, and another one for
    every other image.

    Names that differ by the case of a letter, or by how an accent is written, differ in the 12
    digits at the end.
    """
    digest = hashlib.sha256(f"{path}\0{number}".encode()).hexdigest()[:12]
    readable = unicodedata.normalize("NFC", path + (f"_{number}" if number else ""))
    safe = "".join(
        letter if letter.isalnum() or letter in "-_." else "_" for letter in readable
    ).lstrip("._-")
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


COLUMNS = (
    "unit",
    "path",
    "volume",
    "slice",
    "score",
    "threshold",
    "decision",
    "percentile",
    "heat_map",
    "code",
    "message",
)
KEPT = "kept"
"""Column for the number of an image in the spool of pictures; -1 where it is not there."""
NOT_KEPT = -1


def image_rows(seen: Sequence[Seen], scores: Sequence[float], kept: Sequence[int]) -> pd.DataFrame:
    """A row for each entry: unit, path, volume, slice, score (NaN where it was refused), code,
    message, kept.

    `volume` names the file of a volume, or the first file of a DICOM series. A series of one file
    is an image.
    """
    groups = pd.Series([one.group for one in seen], dtype=object)
    files = pd.Series([one.entry.file for one in seen], dtype=object)
    numbers = pd.Series([one.entry.number for one in seen], dtype=object)
    sliced = (numbers != "") | ((groups != "") & groups.duplicated(keep=False))
    return pd.DataFrame(
        {
            "unit": np.where(sliced, "slice", "image"),
            "path": files,
            "volume": files.groupby(groups).transform("first").where(sliced, "")
            if len(files)
            else files,
            "slice": numbers,
            "score": np.asarray(scores, dtype=np.float64),
            "code": [one.code for one in seen],
            "message": [one.message for one in seen],
            KEPT: np.asarray(kept, dtype=np.int64),
        }
    )


def with_volumes(images: pd.DataFrame, aggregate: str) -> pd.DataFrame:
    """The rows of `image_rows` with one for each volume before its slices: `aggregate` of their
    scores, the picture of the highest one.
    """
    slices = images[images["unit"] == "slice"]
    if slices.empty:
        return images.reset_index(drop=True)
    scored = slices[slices["score"].notna()]
    worst = by_volume(scored.assign(image_id=scored["path"]), aggregate) if len(scored) else scored
    found = {str(row["volume"]): row for row in worst.to_dict("records")}
    rows = [
        _volume_row(str(name), part, found.get(str(name)), aggregate)
        for name, part in slices.groupby("volume", sort=False)
    ]
    places = images["volume"].where(images["volume"] != "", images["path"])
    first = pd.Series(np.arange(len(images)), index=images.index).groupby(places).transform("min")
    volumes = pd.DataFrame(rows)
    volumes["place"] = [
        first[slices.index[slices["volume"] == name][0]] for name in volumes["volume"]
    ]
    together = pd.concat([volumes, images.assign(place=first)], ignore_index=True)
    return together.sort_values("place", kind="stable", ignore_index=True).drop(columns="place")


def _volume_row(
    name: str, slices: pd.DataFrame, worst: Mapping[Any, Any] | None, aggregate: str
) -> dict[str, Any]:
    refused = int(slices["score"].isna().sum())
    row = {
        "unit": "volume",
        "path": name,
        "volume": name,
        "slice": "",
        "code": "",
        KEPT: NOT_KEPT,
        "score": np.nan,
    }
    if worst is None:
        return {
            **row,
            "code": slices["code"].iloc[0],
            "message": f"none of its {len(slices)} slices could be scored",
        }
    message = f"{aggregate} of {len(slices) - refused} slices" + (
        f", {refused} refused" if refused else ""
    )
    return {**row, "score": float(worst["score"]), KEPT: int(worst[KEPT]), "message": message}


def judged(table: pd.DataFrame, frozen: Frozen | None) -> pd.DataFrame:
    """With threshold, decision and percentile, where there is a score that the threshold may be
    applied to; empty elsewhere.
    """
    found = table.assign(threshold=np.nan, decision="", percentile=np.nan)
    if frozen is None:
        return found
    places = found["score"].notna() & found["unit"].map(frozen.judges).astype(bool)
    scores = found.loc[places, "score"]
    found.loc[places, "threshold"] = frozen.value
    found.loc[places, "decision"] = scores.map(frozen.decision)
    found.loc[places, "percentile"] = scores.map(frozen.percentile)
    return found
