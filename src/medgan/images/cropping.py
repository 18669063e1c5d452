"""What resizing the images of a data set to the store crops, squeezes and enlarges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from medgan.images.config import PreprocessingConfig
from medgan.images.metadata import read_again
from medgan.images.profile import Spread, categories_of
from medgan.images.resizing import Box, Crop, fit_square, kept_box, thumbnail
from medgan.sources.raw import Pixels
from medgan.sources.registry import ImageSource

VISIBLE = 0.005  # smaller shares are rounded to nothing
SQUARE = 1.01  # ratio of the sides up to which a part counts as square


@dataclass(frozen=True)
class Squeezed:
    """Kept parts that are not square, and how many times longer their long side is."""

    share_of_images: float
    long_by_short_side: Spread


@dataclass(frozen=True)
class Enlarged:
    """Kept parts with a side shorter than the store's, which gain no detail."""

    share_of_images: float
    shortest_kept_side: int


@dataclass(frozen=True)
class CutProfile:
    """What images lose on their way to (stored_size, stored_size), as shares."""

    stored_size: int
    crop: Crop | None
    width_by_height: Spread
    sizes: int  # number of different sizes
    removed: dict[str, Spread]  # of the height, width and area of an image
    squeezed: Squeezed
    bars: Spread | None  # black share of the stored squares, where images are padded
    enlarged: Enlarged

    def __str__(self) -> str:
        removed = [
            f"{_range(spread)} of the {side}"
            for side, spread in self.removed.items()
            if spread.max >= VISIBLE
        ]
        parts = [f"cut off: {', '.join(removed)}" if removed else "nothing is cut off"]
        if self.bars:
            parts.append(f"black bars: {_range(self.bars)} of the stored square")
        else:
            factor = f", by a factor of up to {self.squeezed.long_by_short_side.max:.2f}"
            share = self.squeezed.share_of_images
            parts.append(f"squeezed: {_share(share)} of the images{factor if share else ''}")
        parts.append(
            f"enlarged: {_share(self.enlarged.share_of_images)} of the images "
            f"(shortest kept side {self.enlarged.shortest_kept_side} px)"
        )
        return " · ".join(parts)


@dataclass(frozen=True)
class Cut:
    """One image on its way to the store."""

    title: str
    image_id: str
    height: int
    width: int
    picture: Pixels  # (h, w, 1 or 3): a thumbnail of the whole image
    kept: Box  # in pixels of the whole image
    stored: Pixels  # (s, s, 1 or 3), as in the store
    words: str  # what is cut off or squeezed


def cut_profile(manifest: pd.DataFrame, size: int, crop: Crop | None) -> CutProfile:
    """Compute what images of these heights and widths lose."""
    shapes = manifest[["height", "width"]].to_numpy()
    sizes, places = np.unique(shapes, axis=0, return_inverse=True)
    boxes = [kept_box(int(height), int(width), crop) for height, width in sizes]
    kept = np.array([[box.height, box.width] for box in boxes])[places.ravel()]
    oblong, shorter = kept.max(axis=1) / kept.min(axis=1), kept.min(axis=1)
    padded = crop is not None and crop.pad
    squeezed = np.ones(len(oblong)) if padded else oblong
    removed = 1 - kept / shapes
    return CutProfile(
        stored_size=size,
        crop=crop,
        width_by_height=Spread.of(shapes[:, 1] / shapes[:, 0]),
        sizes=len(sizes),
        removed={
            "height": Spread.of(removed[:, 0]),
            "width": Spread.of(removed[:, 1]),
            "area": Spread.of(1 - kept.prod(axis=1) / shapes.prod(axis=1)),
        },
        squeezed=Squeezed(float((squeezed > SQUARE).mean()), Spread.of(squeezed)),
        bars=Spread.of(1 - 1 / oblong) if padded else None,
        enlarged=Enlarged(float((shorter < size).mean()), int(shorter.min())),
    )


def _share(share: float) -> str:
    return "none" if share == 0 else "under 1 %" if share < VISIBLE else f"{100 * share:.0f} %"


def _range(spread: Spread) -> str:
    low, high = f"{100 * spread.min:.0f}", f"{100 * spread.max:.0f}"
    return f"{low} %" if low == high else f"{low} to {high} %"


def examples(manifest: pd.DataFrame) -> pd.DataFrame:
    """Choose a typical image of each category, and the extremes of shape, in column `shown_as`."""
    ratios = (manifest["width"] / manifest["height"]).to_numpy()
    order = np.argsort(ratios, kind="stable")
    category = manifest["category"].astype(str).to_numpy()[order]
    chosen = {}
    for name in categories_of(manifest):
        places = order[category == name]
        chosen[name] = places[len(places) // 2]
    if ratios.max() > SQUARE * ratios.min():
        chosen |= {"the widest": ratios.argmax(), "the narrowest": ratios.argmin()}
    return manifest.iloc[list(chosen.values())].assign(shown_as=list(chosen))


def cut_examples(
    source: ImageSource, manifest: pd.DataFrame, config: PreprocessingConfig, shown: int
) -> list[Cut]:
    """Read the examples again; their thumbnails have `shown` pixels on the longer side."""
    cuts = []
    for title, image_id, path in examples(manifest)[["shown_as", "image_id", "path"]].to_numpy():
        image = read_again(source, str(path))
        height, width, channels = image.shape
        kept = kept_box(height, width, config.crop)
        picture = thumbnail(image, shown, channels)
        stored = fit_square(image, config.size, config.channels, config.crop)
        words = _lost(kept, height, width, config.crop)
        cuts.append(Cut(str(title), str(image_id), height, width, picture, kept, stored, words))
    return cuts


def _lost(kept: Box, height: int, width: int, crop: Crop | None) -> str:
    removed = {"height": 1 - kept.height / height, "width": 1 - kept.width / width}
    parts = [
        f"{100 * lost:.0f} % of the {name}" for name, lost in removed.items() if lost >= VISIBLE
    ]
    words = [f"cut: {', '.join(parts)}"] if parts else []
    ratio = max(kept.height, kept.width) / min(kept.height, kept.width)
    if ratio > SQUARE and not (crop and crop.pad):
        words.append(f"squeezed {ratio:.2f} : 1")
    return "; ".join(words) or "nothing cut off"
