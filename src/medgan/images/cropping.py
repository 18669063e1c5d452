"""What bringing the images of a data set to the size of the store cuts off, squeezes and
enlarges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.images.config import PreprocessingConfig
from medgan.images.profile import categories_of, read_again
from medgan.images.resizing import Box, Crop, fit_square, kept_box, thumbnail
from medgan.sources.registry import ImageSource

VISIBLE = 0.005
"""Shares under it are rounded to nothing."""
SQUARE = 1.01
"""Proportions up to this count as square."""


def _spread(values: NDArray[Any]) -> dict[str, float]:
    return {
        "min": float(values.min()),
        "median": float(np.median(values)),
        "max": float(values.max()),
    }


def _oblong(heights: NDArray[Any], widths: NDArray[Any]) -> NDArray[np.float64]:
    """How many times longer the long side is."""
    ratios: NDArray[np.float64] = np.maximum(heights, widths) / np.minimum(heights, widths)
    return ratios


def _kept(manifest: pd.DataFrame, crop: Crop | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Height and width of every image's part that is kept: (n,) each."""
    sizes, places = np.unique(manifest[["height", "width"]].to_numpy(), axis=0, return_inverse=True)
    boxes = [kept_box(int(height), int(width), crop) for height, width in sizes]
    kept = np.array([[box.height, box.width] for box in boxes])[places.ravel()]
    return kept[:, 0], kept[:, 1]


def cut_profile(manifest: pd.DataFrame, size: int, crop: Crop | None) -> dict[str, Any]:
    """What images of these heights and widths lose on their way to (size, size), as JSON.

    Shares are of the height, width and area of an image, or of all images. `squeezed` counts kept
    parts that are no square, and says how many times longer their long side is; `bars` is the black
    share of the stored squares; `enlarged` counts kept parts with a side shorter than `size`, which
    get no detail from being stored larger.
    """
    heights, widths = manifest["height"].to_numpy(), manifest["width"].to_numpy()
    kept_heights, kept_widths = _kept(manifest, crop)
    oblong = _oblong(kept_heights, kept_widths)
    padded = crop is not None and crop.pad
    squeezed = np.ones(len(oblong)) if padded else oblong
    shorter = np.minimum(kept_heights, kept_widths)
    return {
        "stored_size": size,
        "crop": asdict(crop) if crop else None,
        "width_by_height": _spread(widths / heights),
        "sizes": len(np.unique(np.stack([heights, widths]), axis=1).T),
        "removed": {
            "height": _spread(1 - kept_heights / heights),
            "width": _spread(1 - kept_widths / widths),
            "area": _spread(1 - kept_heights * kept_widths / (heights * widths)),
        },
        "squeezed": {
            "share_of_images": float((squeezed > SQUARE).mean()),
            "long_by_short_side": _spread(squeezed),
        },
        "bars": _spread(1 - 1 / oblong) if padded else None,
        "enlarged": {
            "share_of_images": float((shorter < size).mean()),
            "shortest_kept_side": int(shorter.min()),
        },
    }


def sentences(cut: Mapping[str, Any]) -> str:
    """The figures of `cut_profile` for a reader."""
    lost = [
        f"{_range(spread)} of the {side}"
        for side, spread in cut["removed"].items()
        if spread["max"] >= VISIBLE
    ]
    squeezed, enlarged = cut["squeezed"], cut["enlarged"]
    said = [f"cut off: {', '.join(lost)}" if lost else "nothing is cut off"]
    if cut["bars"]:
        said.append(f"black bars: {_range(cut['bars'])} of the stored square")
    else:
        most = (
            f", by a factor of up to {squeezed['long_by_short_side']['max']:.2f}"
            if squeezed["share_of_images"]
            else ""
        )
        said.append(f"squeezed: {_share(squeezed['share_of_images'])} of the images{most}")
    said.append(
        f"enlarged: {_share(enlarged['share_of_images'])} of the images (shortest kept side {enlarged['shortest_kept_side']} px)"
    )
    return " · ".join(said)


def _share(share: float) -> str:
    return "none" if share == 0 else "under 1 %" if share < VISIBLE else f"{100 * share:.0f} %"


def _range(spread: dict[str, float]) -> str:
    low, high = f"{100 * spread['min']:.0f}", f"{100 * spread['max']:.0f}"
    return f"{low} %" if low == high else f"{low} to {high} %"


def typical(rows: pd.DataFrame) -> int:
    """Place of the image whose proportions are in the middle."""
    ratios = (rows["width"] / rows["height"]).to_numpy()
    return int(np.argsort(ratios, kind="stable")[len(ratios) // 2])


def widest(rows: pd.DataFrame) -> int:
    """Place of the image that is widest for its height."""
    return int(np.argmax((rows["width"] / rows["height"]).to_numpy()))


def narrowest(rows: pd.DataFrame) -> int:
    """Place of the image that is narrowest for its height."""
    return int(np.argmin((rows["width"] / rows["height"]).to_numpy()))


EXTREMES: dict[str, Callable[[pd.DataFrame], int]] = {"widest": widest, "narrowest": narrowest}


def examples(manifest: pd.DataFrame) -> pd.DataFrame:
    """One image of each category, of typical proportions, then the widest and the narrowest of all
    where proportions differ.

    Rows of the manifest with a column `shown_as`: the category, or what is extreme about the image.
    """
    chosen = []
    for name in categories_of(manifest):
        rows = manifest[manifest["category"] == name]
        chosen.append(rows.iloc[[typical(rows)]].assign(shown_as=name))
    ratios = manifest["width"] / manifest["height"]
    if ratios.max() > SQUARE * ratios.min():
        chosen += [
            manifest.iloc[[pick(manifest)]].assign(shown_as=f"the {name}")
            for name, pick in EXTREMES.items()
        ]
    return pd.concat(chosen)


@dataclass(frozen=True)
class Cut:
    """One image on its way to the store."""

    title: str
    image_id: str
    height: int
    width: int
    picture: NDArray[np.uint8]
    """(h, w, 1 or 3): the whole image made small."""
    kept: Box
    """Of the whole image at its own size."""
    stored: NDArray[np.uint8]
    """(s, s, 1 or 3), as the store has it."""
    words: str
    """What is cut off or squeezed."""


def cut_examples(
    source: ImageSource, manifest: pd.DataFrame, config: PreprocessingConfig, shown: int
) -> list[Cut]:
    """The examples of a data set, read again; their pictures have `shown` pixels on the longer
    side.
    """
    return [
        _cut(row, read_again(source, str(row["path"])), config, shown)
        for _, row in examples(manifest).iterrows()
    ]


def _cut(
    row: pd.Series[Any], image: NDArray[np.uint8], config: PreprocessingConfig, shown: int
) -> Cut:
    height, width, channels = image.shape
    return Cut(
        title=str(row["shown_as"]),
        image_id=str(row["image_id"]),
        height=height,
        width=width,
        picture=thumbnail(image, shown, channels),
        kept=kept_box(height, width, config.crop),
        stored=fit_square(image, config.size, config.channels, config.crop),
        words=_words(kept_box(height, width, config.crop), height, width, config.crop),
    )


def _words(box: Box, height: int, width: int, crop: Crop | None) -> str:
    """What happens to an image of this height and width, in a few words."""
    lost = {"height": 1 - box.height / height, "width": 1 - box.width / width}
    cut = [f"{100 * share:.0f} % of the {side}" for side, share in lost.items() if share >= VISIBLE]
    ratio = float(_oblong(np.array(box.height), np.array(box.width)))
    squeezed = f"squeezed {ratio:.2f} : 1" if ratio > SQUARE and not (crop and crop.pad) else ""
    return (
        "; ".join(filter(None, ["cut: " + ", ".join(cut) if cut else "", squeezed]))
        or "nothing cut off"
    )
