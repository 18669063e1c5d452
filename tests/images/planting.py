"""Data sets with planted copies."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.images.hashing import perceptual_hash
from medgan.images.metadata import pixel_hash
from medgan.sources.phantoms import PhantomSource
from medgan.sources.raw import ImageRefused, Picture

Pixels = NDArray[np.uint8]


class Pictures:
    """An image source in memory; its paths are the ids. Counts what is read."""

    name = "pictures"

    def __init__(
        self, pictures: Mapping[str, Pixels], labels: Mapping[str, str] | None = None
    ) -> None:
        self.pictures = dict(pictures)
        self.labels = labels or {}
        self.read_paths: list[str] = []

    def rows(self) -> pd.DataFrame:
        ids = list(self.pictures)
        return pd.DataFrame(
            {
                "image_id": ids,
                "path": ids,
                "category_raw": [self.labels.get(name, "normal") for name in ids],
            }
        )

    def read(self, path: str) -> Picture:
        self.read_paths.append(path)
        if path not in self.pictures:
            raise ImageRefused("UNREADABLE", "it is gone")
        return Picture(self.pictures[path])

    def fingerprint(self, path: str) -> str:
        return pixel_hash(self.pictures[path])


def described(source: Pictures, groups: Mapping[str, str | None] | None = None) -> pd.DataFrame:
    """The columns of a manifest that the search for duplicates and the splits need. An image
    without a group has a patient of its own.
    """
    table = source.rows().rename(columns={"category_raw": "category"})
    pictures = [source.pictures[path] for path in table["path"]]
    table["pixel_hash"] = [pixel_hash(picture) for picture in pictures]
    table["perceptual_hash"] = [perceptual_hash(picture) for picture in pictures]
    table["height"], table["width"] = (
        [picture.shape[axis] for picture in pictures] for axis in (0, 1)
    )
    given = [(groups or {}).get(name, name) for name in table["image_id"]]
    table["group_known"] = [group is not None for group in given]
    table["group_id"] = [
        group or picture for group, picture in zip(given, table["pixel_hash"], strict=True)
    ]
    table["label"] = (table["category"] != "normal").astype(int)
    return table.assign(split=None, provenance="real")


def phantoms(count: int, size: int = 96) -> dict[str, Pixels]:
    """Films of as many patients."""
    source = PhantomSource(images=count, patients=count, size=size).open()
    rows = source.rows()
    return {f"film-{number}": source.read(path).pixels for number, path in enumerate(rows["path"])}
