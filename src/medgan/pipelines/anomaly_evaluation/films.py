"""Stored images beside what a detector holds them against. A counterpart may be as costly as a score, so those that were shown are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan import __version__
from medgan.contracts import Reconstructs
from medgan.evaluation.counterparts import as_seen, counterparts
from medgan.images.loading import StoredImages
from medgan.images.store import ImageStore
from medgan.models import PublishedModel
from medgan.training.runtime import Runtime
from medgan.training.seeding import digest

Arrays = Mapping[str, NDArray[Any]]
FORM = 1
"""Raised with every change in what is stored of counterparts, so that older files are not misread."""


@dataclass(frozen=True)
class Films:
    """The images of a store and the counterparts of those that are to be shown."""

    images: ImageStore
    counterpart: str
    """What a counterpart is, in two or three words; empty for a detector that compares with no image."""
    kept: Arrays
    """image_id (n,), counterparts (n, C, H, W) in [-1, 1], key."""

    def seen(self, table: pd.DataFrame) -> NDArray[np.float32]:
        """The images of these rows (n, C, H, W) in [-1, 1], as the network sees them."""
        return as_seen(StoredImages(self.images), _rows(table), _side(self.images))

    def held_against(self, table: pd.DataFrame) -> NDArray[np.float32] | None:
        """The counterparts of these rows (n, C, H, W) in [-1, 1]; None for a detector without any."""
        if not self.counterpart:
            return None
        places = pd.Series(np.arange(len(self.kept["image_id"])), index=self.kept["image_id"].astype(str))
        chosen: NDArray[np.float32] = self.kept["counterparts"][places.loc[table["image_id"].astype(str)].to_numpy()]
        return chosen


def films(published: PublishedModel, images: ImageStore, shown: pd.DataFrame, batch_size: int, seed: int, cached: Arrays | None) -> Films:
    """The images, with the counterparts of `shown` (image_id, row); stored ones where nothing that decides them has changed."""
    device = Runtime.detect().device
    detector = published.build()
    key = digest([FORM, published.key, images.key, seed, __version__])
    names = shown["image_id"].astype(str).to_numpy(dtype=str)
    if not isinstance(detector, Reconstructs):
        return Films(images, "", {"image_id": names[:0], "key": np.array(key)})
    known = cached if cached is not None and str(cached["key"]) == key else {"image_id": names[:0]}
    fresh = ~np.isin(names, known["image_id"])
    parts, stored = [names[fresh]], []
    if fresh.any():
        made = counterparts(
            detector.to(device),
            StoredImages(images),
            _rows(shown[fresh]),
            _side(images),
            batch_size=batch_size,
            seed=seed,
            device=str(device),
        )
        stored.append(made)
    if not fresh.all():
        parts.append(known["image_id"])
        stored.append(known["counterparts"])
    return Films(
        images, detector.COUNTERPART, {"image_id": np.concatenate(parts), "counterparts": np.concatenate(stored), "key": np.array(key)}
    )


def _rows(table: pd.DataFrame) -> NDArray[np.int64]:
    return table["row"].to_numpy(dtype=np.int64)


def _side(images: ImageStore) -> tuple[int, int]:
    return images.info.height, images.info.width
