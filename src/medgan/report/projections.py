"""Interactive projections: one HTML page without remote parts, in which a point shows its image."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from medgan.models import display_name
from medgan.plots.projections import GRADIENT, SCORE, SCORE_RANGE, UNSCORED, colorings
from medgan.plots.style import category_colors
from medgan.report.page import data_uri, environment
from medgan.words import NOT_A_MEDICAL_DEVICE, readable

TEMPLATE = "projections.html.j2"
THUMBNAIL = 48
"""Longest side of a thumbnail in pixels."""
ACROSS = 40
"""Thumbnails in a row of the sheet."""
SHEET_QUALITY = 80
STEPS = 1000
"""Coordinates are whole numbers from 0 to this."""
Planes = Mapping[str, NDArray[Any]]


def projection_page(
    pixels: NDArray[np.uint8],
    table: pd.DataFrame,
    planes: Mapping[str, Planes],
    scores: Mapping[str, NDArray[Any]],
    notes: Mapping[str, str],
    title: str,
) -> str:
    """Render the page.

    Args:
        pixels: (n, H, W, C) uint8.
        table: (n) image_id, label, category, split.
        planes: name of the features -> name of the method -> (n, 2).
        scores: name of the features -> (n,) anomaly scores of their detector, where it is one; NaN
            for images that it did not score.
        notes: name of the features -> a note on their projections.
        title: its heading.
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    shown = colorings(table.drop(columns="score", errors="ignore"))
    data = {
        "ids": table["image_id"].astype(str).tolist(),
        "colorings": {name: _named(values) for name, values in shown.items()},
        "scores": {name: _gradual(values) for name, values in scores.items()},
        "score": SCORE,
        "unscored": UNSCORED,
        "gradient": [to_hex(color) for color in colormaps[GRADIENT](np.linspace(0, 1, 33))],
        "planes": {
            name: {method: _whole(points) for method, points in each.items()}
            for name, each in planes.items()
        },
        "notes": dict(notes),
        "names": {name: display_name(name) for name in planes},
        "sheet": sheet(pixels),
    }
    # Inside a script, only "<" could end it early.
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    told = {"title": title, "images": len(table), "notice": NOT_A_MEDICAL_DEVICE}
    return environment().get_template(TEMPLATE).render(data=text, **told)


def sheet(pixels: NDArray[np.uint8]) -> dict[str, Any]:
    """Put all images as thumbnails on one sheet.

    Returns:
        `source`, a data address; `width`, `height` of a thumbnail; `across`, thumbnails in a row.
    """
    height, width = pixels.shape[1:3]
    factor = max(1, -(-max(height, width) // THUMBNAIL))
    size = (max(1, width // factor), max(1, height // factor))
    mode = "L" if pixels.shape[3] == 1 else "RGB"
    page = Image.new(mode, (size[0] * ACROSS, size[1] * max(1, -(-len(pixels) // ACROSS))))
    for place, image in enumerate(pixels):
        picture = Image.fromarray(image.squeeze(-1) if mode == "L" else image)
        small = picture.resize(size, Image.Resampling.BOX)
        page.paste(small, (place % ACROSS * size[0], place // ACROSS * size[1]))
    buffer = io.BytesIO()
    page.save(buffer, format="JPEG", quality=SHEET_QUALITY)
    source = data_uri(buffer.getvalue(), "jpeg")
    return {"source": source, "width": size[0], "height": size[1], "across": ACROSS}


def _named(values: pd.Series) -> dict[str, Any]:
    colored = category_colors(values.astype(str).tolist())
    places = {name: index for index, name in enumerate(colored)}
    return {
        "names": [readable(name) for name in colored],
        "colors": list(colored.values()),
        "values": [places[str(value)] for value in values],
    }


def _gradual(values: NDArray[Any]) -> dict[str, Any]:
    low, high = (float(bound) for bound in np.nanquantile(values, SCORE_RANGE))
    rounded = [float(f"{value:.4g}") if np.isfinite(value) else None for value in values]
    return {"low": low, "high": high, "values": rounded}


def _whole(points: NDArray[Any]) -> list[list[int]]:
    """Scale coordinates to whole numbers, y downwards, both axes by one factor."""
    lowest = points.min(0)
    extent = float(max(np.ptp(points, axis=0).max(), 1e-12))
    placed = np.round((points - lowest) / extent * STEPS).astype(int)
    placed[:, 1] = placed[:, 1].max() - placed[:, 1]
    return placed.T.tolist()
