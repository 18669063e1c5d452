"""The store of masks beside the store of images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import Refusal
from medgan.images.config import PreprocessingConfig
from medgan.images.masks import HasMasks, MaskFolder, masks_key, stored_mask
from medgan.images.sources import ImageSource
from medgan.images.store import ImageStore, StoreInfo, StorePlan


def build_masks(
    source: ImageSource, folder: MaskFolder | None, manifest: pd.DataFrame, images: ImageStore, config: PreprocessingConfig
) -> StorePlan:
    """The masks of all images, in the order of the manifest; an empty store where nothing knows them.

    A folder of masks goes before what the source itself knows.

    Raises:
        Refusal: when it is written, a mask that is not of its image's size.
    """
    known = folder if folder is not None else source if isinstance(source, HasMasks) else None
    fingerprints = [known.fingerprint(path) for path in manifest["path"]] if known is not None else []
    info = StoreInfo(
        count=len(fingerprints),
        height=images.info.height,
        width=images.info.width,
        channels=1,
        intensity="unit",
        classes=images.info.classes,
        source_key=masks_key(images.key, fingerprints),
    )
    return StorePlan(info, lambda: _masks(known, manifest, config) if known is not None else ())


def _masks(known: HasMasks, manifest: pd.DataFrame, config: PreprocessingConfig) -> Iterator[NDArray[np.uint8]]:
    for path, height, width in zip(manifest["path"], manifest["height"], manifest["width"], strict=True):
        mask = known.mask(path)
        if mask is not None and mask.shape != (height, width):
            raise Refusal(
                f"the mask of {path} has {mask.shape[1]} x {mask.shape[0]} pixels, its image {width} x {height}; give a mask of equal size"
            )
        yield stored_mask(mask, config.size, config.crop)
