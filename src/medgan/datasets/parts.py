"""The parts of a folder: the type of a field of its dataclass decides the file."""

from __future__ import annotations

import base64
import io
import json
import math
import shutil
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd
from kedro_datasets._typing import ImagePreview
from numpy.typing import NDArray
from PIL import Image

from medgan.datasets.model_page import page_of
from medgan.errors import UserError
from medgan.files.documents import from_json, to_json
from medgan.files.names import csv_text, from_cells, slug
from medgan.images.resizing import as_image
from medgan.models import WEIGHTS, PublishedModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Arrays = Mapping[str, NDArray[Any]]
PAGE = "README.md"
DPI = 120
LEAST_SIDE = 64
"""Pixels of an image in a grid, at least: smaller ones are enlarged by a whole factor."""
WIDTH = 900
"""Pixels of a contact sheet."""


@dataclass(frozen=True)
class Format:
    """How values of one type become files."""

    suffix: str
    write: Callable[[Part, Any, Path], None]
    read: Callable[[Part, Path], Any]
    logged_as: str = ""
    """What MLflow is told that it is; empty where it is not logged."""


@dataclass(frozen=True)
class Part:
    """One field of the dataclass that describes a folder."""

    name: str
    type: Any
    settings: Mapping[str, Any]
    """Metadata of the field: `suffix`, `dpi`, `logged_as`."""

    @property
    def file(self) -> str:
        """Name of its file: a picture `x_figure` lies in x.png."""
        suffix = self.settings.get("suffix", self.format.suffix)
        return f"{self.name.removesuffix('_figure') if suffix == '.png' else self.name}{suffix}"

    @property
    def format(self) -> Format:
        """How it is stored."""
        return next(made for fits, made in FORMATS if fits(self.type))

    @property
    def logged_as(self) -> str:
        """What MLflow is told that it is; empty where it is not logged."""
        kind: str = self.settings.get("logged_as", self.format.logged_as)
        return kind


@cache
def parts_of(kind: type) -> tuple[Part, ...]:
    """The parts of a folder that a dataclass describes."""
    hints = get_type_hints(kind, localns={"Figure": bytes})  # as which it is stored
    return tuple(_part(field, hints[field.name]) for field in fields(kind))


def _part(field: Field[Any], hint: Any) -> Part:
    union = get_origin(hint) in (Union, types.UnionType)
    options = [one for one in get_args(hint) if one is not type(None)] if union else [hint]
    return Part(field.name, options[0], dict(field.metadata))


class StoredArrays(Mapping[str, NDArray[Any]]):
    """The arrays of an NPZ file, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with np.load(path, allow_pickle=False) as stored:
            self._names = tuple(stored.files)

    def __getitem__(self, name: str) -> NDArray[Any]:
        with np.load(self.path, allow_pickle=False) as stored:
            array: NDArray[Any] = stored[name]
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def npz(arrays: Arrays) -> bytes:
    """Arrays of numbers or fixed-length text as an NPZ file.

    Raises:
        UserError: an array of Python objects, which only a pickle could hold.
    """
    objects = [name for name, values in arrays.items() if np.asarray(values).dtype.hasobject]
    if objects:
        raise UserError(f"Arrays of Python objects: give {', '.join(objects)} a plain dtype.")
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _write_arrays(_: Part, arrays: Arrays, path: Path) -> None:
    if isinstance(arrays, StoredArrays):
        shutil.copyfile(arrays.path, path)
    else:
        path.write_bytes(npz(arrays))


def document(value: Any) -> str:
    """JSON text; a number that JSON does not know (NaN, infinity) is an error."""
    return json.dumps(to_json(value), indent=1, allow_nan=False) + "\n"


def _write_document(_: Part, value: Any, path: Path) -> None:
    path.write_text(document(value), encoding="utf-8")


def _read_document(part: Part, path: Path) -> Any:
    return from_json(part.type, json.loads(path.read_text(encoding="utf-8")), str(path))


def _write_table(_: Part, table: pd.DataFrame, path: Path) -> None:
    if path.suffix == ".csv":
        path.write_text(csv_text(table), encoding="utf-8", newline="")
    else:
        table.to_parquet(path)


def _read_table(_: Part, path: Path) -> pd.DataFrame:
    return from_cells(pd.read_csv(path)) if path.suffix == ".csv" else pd.read_parquet(path)


def _write_picture(part: Part, figure: Figure | bytes, path: Path) -> None:
    dpi = part.settings.get("dpi", DPI)
    path.write_bytes(figure if isinstance(figure, bytes) else render(figure, dpi))


def render(figure: Figure, dpi: int = DPI) -> bytes:
    """The PNG file of a figure, without the date and version that would make equal figures
    differ.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": None})
    return buffer.getvalue()


def _write_page(_: Part, page: str, path: Path) -> None:
    path.write_text(page, encoding="utf-8")


def _write_pictures(part: Part, figures: Mapping[str, Any], path: Path) -> None:
    path.mkdir()
    for name, figure in figures.items():
        _write_picture(part, figure, path / f"{slug(name)}.png")


def _read_pictures(_: Part, path: Path) -> dict[str, bytes]:
    return {file.stem: file.read_bytes() for file in sorted(path.glob("*.png"))}


def _write_model(_: Part, model: PublishedModel, path: Path) -> None:
    model.write(path.parent)
    (path.parent / PAGE).write_text(page_of(model), encoding="utf-8")


def contact(pictures: list[bytes]) -> bytes:
    """Pictures below each other as one PNG file; blank where there are none."""
    shown = [Image.open(io.BytesIO(picture)).convert("RGB") for picture in pictures]
    for one in shown:
        one.thumbnail((WIDTH, one.height))
    sheet = Image.new("RGB", (WIDTH, max(1, sum(one.height for one in shown))), "white")
    top = 0
    for one in shown:
        sheet.paste(one, (0, top))
        top += one.height
    return png(sheet)


def tiled_png(images: NDArray[np.uint8]) -> bytes:
    """(n, H, W, C) uint8 as one picture, eight in a row or fewer, a pixel between them."""
    count, height, width, channels = images.shape
    columns = min(8, math.ceil(math.sqrt(count)))
    rows = -(-count // columns)
    sheet = np.zeros((rows * (height + 1) - 1, columns * (width + 1) - 1, channels), dtype=np.uint8)
    for number, image in enumerate(images):
        top, left = number // columns * (height + 1), number % columns * (width + 1)
        sheet[top : top + height, left : left + width] = image
    factor = max(1, LEAST_SIDE // height)
    enlarged = sheet.repeat(factor, 0).repeat(factor, 1)
    return png(as_image(enlarged))


def png(image: Image.Image) -> bytes:
    """An image as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def preview_of(picture: bytes) -> ImagePreview:
    """A PNG file as kedro-viz shows it."""
    return ImagePreview(base64.b64encode(picture).decode())


def _value_type(kind: Any) -> Any:
    return (get_args(kind) or (None, None))[1] if get_origin(kind) else None


def _is_arrays(kind: Any) -> bool:
    return get_origin(_value_type(kind)) is np.ndarray


def _are_pictures(kind: Any) -> bool:
    inner = _value_type(kind)
    return bytes in (inner, *get_args(inner))


FORMATS: tuple[tuple[Callable[[Any], bool], Format], ...] = (
    (
        lambda kind: kind is PublishedModel,
        Format(
            Path(WEIGHTS).suffix, _write_model, lambda _, path: PublishedModel.read(path.parent)
        ),
    ),
    (lambda kind: kind is pd.DataFrame, Format(".parquet", _write_table, _read_table, "table")),
    (
        lambda kind: kind is bytes,
        Format(".png", _write_picture, lambda _, path: path.read_bytes(), "figure"),
    ),
    (_is_arrays, Format(".npz", _write_arrays, lambda _, path: StoredArrays(path))),
    (_are_pictures, Format("", _write_pictures, _read_pictures)),
    (
        lambda kind: kind is str,
        Format(".html", _write_page, lambda _, path: path.read_text(encoding="utf-8")),
    ),
    (lambda _: True, Format(".json", _write_document, _read_document, "metrics")),
)
"""The first that fits a type is taken."""
