"""From the manifest to what training reads: the uint8 store and the splits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.files.parallel import in_order
from medgan.images import cropping
from medgan.images.config import FOLDS, REPEATS, IngestionConfig, PreprocessingConfig
from medgan.images.leakage import Fold, LeakageAudit, enforce, leakage_audit
from medgan.images.manifest import require_unchanged
from medgan.images.masks import HasMasks, MaskFolder, masks_key, stored_mask
from medgan.images.metadata import read_again
from medgan.images.resizing import fit_square
from medgan.images.splits import (
    SPLITTERS,
    assign_roles,
    chosen_split,
    require_normals,
    with_share,
)
from medgan.images.store import ImageStore, StoreInfo, StorePlan
from medgan.images.summary import DataSummary, MaskMatch, with_split
from medgan.pipelines.outputs import Cut, NearDuplicates
from medgan.progress import progress_bar
from medgan.sources.registry import ImageSource

VERSION = 2
"""Part of the key of a store; raise it when resizing changes."""


def build_images(
    source: ImageSource,
    manifest: pd.DataFrame,
    config: PreprocessingConfig,
    ingestion: IngestionConfig,
    *others: pd.DataFrame,
) -> StorePlan:
    """The image store, row by row in the order of the manifest; images are read when it is
    written.

    Without the tables of the other paths of the source its listing is not checked.

    Raises:
        UserError: the source lists other files, labels, patients or parts than at ingestion; when
            it is written, an image has changed since then.
    """
    if others:
        require_unchanged(source, ingestion, manifest, *others)
    classes = ingestion.classes(manifest)
    info = StoreInfo(
        count=len(manifest),
        height=config.size,
        width=config.size,
        channels=config.channels,
        intensity=config.intensity,
        classes=classes,
        source_key=store_key(manifest, config, classes),
        window=config.scaling.window,
    )
    return StorePlan(info, lambda: _resized(source, manifest, config))


def store_key(manifest: pd.DataFrame, config: PreprocessingConfig, classes: tuple[str, ...]) -> str:
    """Names what a store is made from: the images of the manifest, and how they are cropped,
    resized and scaled.
    """
    shape = (
        VERSION,
        config.size,
        config.channels,
        str(config.scaling),
        config.crop and asdict(config.crop),
        classes,
    )
    images = manifest[["image_id", "pixel_hash"]].to_csv(index=False)
    return hashlib.sha256(f"{shape!r}\n{images}".encode()).hexdigest()


def _resized(
    source: ImageSource, manifest: pd.DataFrame, config: PreprocessingConfig
) -> Iterator[NDArray[np.uint8]]:
    def stored(image: tuple[str, str]) -> NDArray[np.uint8]:
        pixels = read_again(source, *image)
        return fit_square(pixels, config.size, config.channels, config.crop)

    with progress_bar("storing images", "image", len(manifest)) as bar:
        for image in in_order(stored, zip(manifest["path"], manifest["pixel_hash"], strict=True)):
            yield image
            bar.update()


def _validation(split: pd.DataFrame) -> str:
    """Where the validation images of an official split came from."""
    given, validation = split["official_split"], split["split"] == "val"
    taken = (given[validation] == "train").all() and given.notna().all() and (given != "val").all()
    return "taken from the official train part" if taken else "as split"


def split_images(
    manifest: pd.DataFrame,
    config: PreprocessingConfig,
    seed: int,
    near_duplicates: NearDuplicates | None = None,
) -> tuple[pd.DataFrame, LeakageAudit]:
    """The splits table with the unlabelled mix, and what the audit found. Raises `UserError` for a
    split that leaks, as `on_leak` says. Paths, which may name patients, stay in the manifest.

    Training images that `real_share` leaves out are in no row, so nothing can learn from them.

    A split of ours keeps the near-duplicates that ingestion verified together.
    """
    pairs = near_duplicates.pairs if near_duplicates else None
    search = near_duplicates.summary if near_duplicates else None
    chosen = chosen_split(manifest, config.split)
    run_seed, seed = seed, seed if config.split_seed is None else config.split_seed
    split = SPLITTERS[chosen](manifest, config, seed, pairs)
    found = leakage_audit(split, pairs, search)
    sound = enforce(found, config.on_leak, split, pairs)
    kept = with_share(sound, config.real_share, run_seed, pairs)
    require_normals(kept)
    fold = Fold(config.fold, FOLDS * REPEATS) if chosen == "repeated_k_fold" else None
    audit = replace(
        found,
        split=chosen,
        on_leak=config.on_leak,
        dropped=len(split) - len(sound),
        set_aside=len(sound) - len(kept),
        validation=_validation(split),
        fold=fold,
    )
    return assign_roles(kept.drop(columns="path"), config.contamination, seed, pairs), audit


def measure_cut(source: ImageSource, manifest: pd.DataFrame, config: PreprocessingConfig) -> Cut:
    """Measure what is cut off, squeezed and enlarged on the way to the store, and show it: one
    image of every category and the two most oblong ones.
    """
    from medgan.plots.grids import CUT_CELL as CELL
    from medgan.plots.grids import what_was_cut

    found = cropping.cut_profile(manifest, config.size, config.crop)
    cuts = cropping.cut_examples(source, manifest, config, CELL)
    title = f"What was cut: images on their way to {config.size} × {config.size} px"
    return Cut(found, what_was_cut(cuts, title, str(found)))


def build_masks(
    source: ImageSource,
    folder: MaskFolder | None,
    manifest: pd.DataFrame,
    images: ImageStore,
    config: PreprocessingConfig,
) -> StorePlan:
    """The masks of all images, in the order of the manifest; an empty store where nothing knows
    them.

    A folder of masks goes before what the source itself knows.

    Raises:
        UserError: no mask of the folder belongs to an image; when it is written, a mask that is not
            of its image's size, or none that marks a pixel of an anomalous image.
    """
    if folder is not None:
        folder.unmatched(manifest["path"])
    known = folder if folder is not None else source if isinstance(source, HasMasks) else None
    fingerprints = (
        [known.fingerprint(path) for path in manifest["path"]] if known is not None else []
    )
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


def _masks(
    known: HasMasks, manifest: pd.DataFrame, config: PreprocessingConfig
) -> Iterator[NDArray[np.uint8]]:
    given = marking = 0  # masks of anomalous images, and those of them that mark a pixel
    columns = (manifest[name] for name in ("path", "height", "width", "label"))
    for path, height, width, anomalous in zip(*columns, strict=True):
        mask = known.mask(path)
        if mask is not None and mask.shape != (height, width):
            raise UserError(
                f"the mask of {path} has {mask.shape[1]} x {mask.shape[0]} pixels, its image {width} x {height}; give a mask of equal size"
            )
        if mask is not None and anomalous:
            given, marking = given + 1, marking + bool(mask.any())
        yield stored_mask(mask, config.size, config.crop)
    if given and not marking:
        raise UserError(
            f"none of the {given} masks of anomalous images marks a pixel: all are black, where "
            "transparency does not count; save what is inside as white"
        )


def summarize_data(
    ingested: DataSummary,
    manifest: pd.DataFrame,
    splits: pd.DataFrame,
    audit: LeakageAudit,
    folder: MaskFolder | None,
) -> DataSummary:
    """Summarize what became of every file, class, patient and part of the split."""
    masks = MaskMatch.of(folder, manifest) if folder is not None else None
    return with_split(ingested, splits, audit, masks)
