"""The manifest: one row per image that can be read, and the quarantine: one row per image that cannot."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import NORMAL, Refusal
from medgan.images.picture import ImageRefused
from medgan.images.sources import ImageSource

COLUMNS = (
    *("image_id", "path", "group_id", "group_known", "label", "category", "split", "sex", "age", "site", "view", "date"),
    *("width", "height", "pixel_hash", "provenance"),
)
OPTIONAL = ("group_id", "split", "sex", "age", "site", "view", "date")
QUARANTINE = ("path", "code", "stage", "message")
EXAMPLES = 5
Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True)
class _Facts:
    """What reading one image tells."""

    width: int = 0
    height: int = 0
    pixel_hash: str = ""
    refused: ImageRefused | None = None


def silent(done: int, total: int) -> None:
    """A `Progress` that shows nothing."""


def pixel_hash(image: NDArray[np.uint8]) -> str:
    """SHA-256 of shape and pixels (H, W, C); a grey picture stored as RGB has the hash of its grey twin."""
    grey = image.shape[2] == 1 or (np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 0], image[..., 2]))
    pixels = image[..., :1] if grey else image
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def build_manifest(
    source: ImageSource, labels: Mapping[str, str], max_quarantined: float = 0.05, on_progress: Progress = silent
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reads every image of a source once.

    `labels` maps the source's labels to categories. Returns the manifest (COLUMNS, sorted by image_id) and the quarantine (path, code,
    stage, message). Raises `Refusal` for labels that are not declared, a category without images, repeated ids, or more than the share
    `max_quarantined` of unreadable images.
    """
    listed = source.rows().sort_values("image_id", ignore_index=True)
    _check_ids(listed)
    _check_labels(listed, labels, source.name)
    facts = _read_all(source, listed["path"].tolist(), on_progress)
    refused = np.array([fact.refused is not None for fact in facts], dtype=bool)
    quarantine = _quarantine(listed, facts)
    _check_quarantine(quarantine, len(listed), max_quarantined, source.name)
    manifest = _manifest(listed, facts, labels)[~refused].reset_index(drop=True)
    _check_categories(manifest, labels)
    return manifest, quarantine


def _check_ids(listed: pd.DataFrame) -> None:
    repeated = listed.loc[listed["image_id"].duplicated(), "image_id"]
    if len(repeated):
        raise Refusal(
            f"{len(repeated)} image ids come twice in the source, for example `{repeated.iloc[0]}`; every image needs an id of its own"
        )


def _check_labels(listed: pd.DataFrame, labels: Mapping[str, str], name: str) -> None:
    raw = listed["category_raw"].where(listed["category_raw"].notna(), "")
    unknown = listed[~raw.isin(list(labels))]
    if not len(unknown):
        return
    label = raw[unknown.index[0]]
    count = int((raw == label).sum())
    what = f"have the label `{label}`, which nobody declared" if label else "have no label"
    remedy = "add it to ingestion.labels" if label else "mend the pattern or column for `category` in the source, or leave these images out"
    raise Refusal(f"{count} of {len(listed)} images of {name} {what} (for example {unknown['path'].iloc[0]}); {remedy}")


def _check_quarantine(quarantine: pd.DataFrame, total: int, max_quarantined: float, name: str) -> None:
    if len(quarantine) > max_quarantined * total:
        worst = quarantine.iloc[0]
        raise Refusal(
            f"{len(quarantine)} of {total} images of {name} cannot be used "
            f"(for example {worst['path']}: {worst['code']}, {worst['message']}), "
            f"more than ingestion.max_quarantined = {max_quarantined} allows; mend or remove them, or raise that share"
        )


def _check_categories(manifest: pd.DataFrame, labels: Mapping[str, str]) -> None:
    missing = sorted(set(labels.values()) - set(manifest["category"]))
    if missing:
        raise Refusal(
            f"ingestion.labels declares the category `{missing[0]}`, of which there is no image; correct the labels or the source"
        )


def _read_all(source: ImageSource, paths: list[str], on_progress: Progress) -> list[_Facts]:
    """Facts of every path, in order; decoding releases the interpreter, so threads help. What decoders warn of is not for the user."""
    facts = []
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8)) as pool:
        for done, fact in enumerate(pool.map(lambda path: _facts(source, path), paths), start=1):
            facts.append(fact)
            on_progress(done, len(paths))
    return facts


def _facts(source: ImageSource, path: str) -> _Facts:
    try:
        image = source.read(path).pixels
        if image.min() == image.max():
            raise ImageRefused("CONSTANT", "all its pixels are equal")
    except ImageRefused as refused:
        return _Facts(refused=refused)
    return _Facts(width=image.shape[1], height=image.shape[0], pixel_hash=pixel_hash(image))


def _quarantine(listed: pd.DataFrame, facts: list[_Facts]) -> pd.DataFrame:
    rows = [
        (path, fact.refused.code, "reading", str(fact.refused))
        for path, fact in zip(listed["path"], facts, strict=True)
        if fact.refused is not None
    ]
    return pd.DataFrame(rows, columns=list(QUARANTINE))


def _manifest(listed: pd.DataFrame, facts: list[_Facts], labels: Mapping[str, str]) -> pd.DataFrame:
    manifest = listed.reindex(columns=["image_id", "path", "category_raw", *OPTIONAL])
    for column in OPTIONAL:
        manifest[column] = _text_or_none(manifest[column])
    hashes = pd.Series([fact.pixel_hash for fact in facts], index=manifest.index)
    manifest["group_known"] = manifest["group_id"].notna().astype(bool)
    manifest["group_id"] = manifest["group_id"].where(manifest["group_known"], hashes)
    manifest["category"] = manifest.pop("category_raw").map(dict(labels))
    manifest["label"] = (manifest["category"] != NORMAL).astype("int64")
    manifest["age"] = pd.to_numeric(manifest["age"], errors="coerce").astype("float64")
    manifest["width"] = [fact.width for fact in facts]
    manifest["height"] = [fact.height for fact in facts]
    manifest["pixel_hash"] = hashes
    manifest["provenance"] = "real"
    return manifest[list(COLUMNS)]


def _text_or_none(column: pd.Series[Any]) -> pd.Series[Any]:
    known = column.notna()
    return column.astype(str).where(known, None).astype(object)


def duplicate_groups(manifest: pd.DataFrame) -> list[list[str]]:
    """Image ids of equal pixels, one list for each picture that comes more than once."""
    repeated = manifest[manifest["pixel_hash"].duplicated(keep=False)]
    return sorted(sorted(map(str, ids)) for _, ids in repeated.groupby("pixel_hash")["image_id"])


def duplicates_across(manifest: pd.DataFrame, column: str) -> list[list[str]]:
    """Those duplicate groups whose images differ in `column` (group_id, split, category)."""
    values = manifest.groupby("pixel_hash")[column].nunique()
    crossing = manifest[manifest["pixel_hash"].isin(values[values > 1].index)]
    return sorted(sorted(map(str, ids)) for _, ids in crossing.groupby("pixel_hash")["image_id"])
