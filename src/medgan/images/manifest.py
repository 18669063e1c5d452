"""The manifest: one row per image that can be used, and the tables of those that cannot or are not
wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from medgan.contracts import NORMAL
from medgan.errors import UserError
from medgan.images.config import IngestionConfig
from medgan.images.labels import SEPARATOR, findings_of, named
from medgan.images.metadata import OLDEST, ImageFacts, KnownFacts, age_bands
from medgan.sources.registry import ImageSource

COLUMNS = (
    *(
        "image_id",
        "path",
        "group_id",
        "group_known",
        "label",
        "category",
        "findings",
        "split",
        "sex",
        "age",
        "age_band",
        "site",
        "view",
    ),
    *(
        "date",
        "volume",
        "slice",
        "sequence",
        "scanner",
        "window",
        "color",
        "width",
        "height",
        "pixel_hash",
        "perceptual_hash",
    ),
    "provenance",
)
SAID = (
    "group_id",
    "split",
    "sex",
    "age",
    "site",
    "view",
    "date",
    "volume",
    "slice",
    "sequence",
    "scanner",
    "window",
    "color",
)
"""What a source may say of an image, and where it is silent the file itself."""
QUARANTINE = ("path", "code", "stage", "message")
EXCLUSIONS = ("path", "reason")
EXAMPLES = 5


def listing(source: ImageSource, config: IngestionConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The images that a source has and the configuration wants, sorted by image_id and with their
    findings, and those it leaves out.

    The second table (path, reason) has what the source's own filters exclude and what has a label
    that `ingestion.labels` maps to null.

    Raises:
        UserError: repeated ids, images without a label, labels that nobody declared.
    """
    listed = source.rows().sort_values("image_id", ignore_index=True)
    _check_ids(listed)
    filtered = listed.reindex(columns=["excluded"])["excluded"]
    kept = listed[filtered.isna()].reset_index(drop=True)
    raw = kept["category_raw"].where(kept["category_raw"].notna(), "").astype(str)
    found = {label: _findings(label, config) for label in raw.unique()}
    _check_labels(kept, raw, found, source.name)
    unwanted = raw.map({label: None in names for label, names in found.items()}).to_numpy(
        dtype=bool
    )
    reasons = pd.concat(
        [filtered.dropna().astype(str), ("label " + raw[unwanted])], ignore_index=True
    )
    paths = pd.concat(
        [listed.loc[filtered.notna(), "path"], kept.loc[unwanted, "path"]], ignore_index=True
    )
    wanted = kept.assign(found=raw.map({label: tuple(names) for label, names in found.items()}))[
        ~unwanted
    ]
    return wanted.reset_index(drop=True), pd.DataFrame(
        {"path": paths, "reason": reasons}, columns=list(EXCLUSIONS)
    )


def _findings(label: str, config: IngestionConfig) -> list[str | None]:
    """The categories of a raw label in the order in which it names them; empty for a label that is
    missing or not declared.
    """
    parts = (
        [part.strip() for part in label.split(config.separator)] if config.separator else [label]
    )
    try:
        return list(dict.fromkeys(config.category(part) for part in parts)) if label else []
    except KeyError:
        return []


def _check_ids(listed: pd.DataFrame) -> None:
    repeated = listed.loc[listed["image_id"].duplicated(), "image_id"]
    if len(repeated):
        raise UserError(
            f"{len(repeated)} image ids come twice in the source, for example `{repeated.iloc[0]}`; every image needs an id of its own"
        )


def _check_labels(
    listed: pd.DataFrame, raw: pd.Series[str], found: Mapping[str, Sequence[str | None]], name: str
) -> None:
    for label, names in found.items():
        if names and not (NORMAL in names and len(names) > 1):
            continue
        count, example = (
            int((raw == label).sum()),
            listed["path"].iloc[int((raw == label).to_numpy().argmax())],
        )
        problem, remedy = _LABEL_FAULTS[bool(label), bool(names)]
        raise UserError(
            f"{count} of {len(listed)} images of {name} {problem.format(label=label)} (for example {example}); {remedy}"
        )


_LABEL_FAULTS = {
    (False, False): (
        "have no label",
        "mend the pattern or column for `category` in the source, or leave these images out",
    ),
    (True, False): (
        "have the label `{label}`, which nobody declared",
        "add it to ingestion.labels",
    ),
    (True, True): (
        "have the label `{label}`, normal and a finding at once",
        "mend the label, or map it to null in ingestion.labels",
    ),
}
"""(label given, label known) -> what is wrong, and what to do."""


def build_manifest(
    source: ImageSource, known: KnownFacts, config: IngestionConfig
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """From what was read of every image to the tables of a data set.

    Returns the manifest (COLUMNS, sorted by image_id), the quarantine (path, code, stage, message)
    of images that cannot be used, and the exclusions (path, reason) of images that are not wanted.

    Raises:
        UserError: labels that are not declared, a category without images, repeated ids, images
            that were not read, or more than the share
            `max_quarantined` of unreadable ones.
    """
    wanted, excluded = listing(source, config)
    facts = _facts(known, wanted["path"].tolist())
    usable = np.array([not fact.code for fact in facts], dtype=bool)
    quarantine = pd.DataFrame(
        [(fact.path, fact.code, "reading", fact.message) for fact in facts if fact.code],
        columns=list(QUARANTINE),
        dtype=object,
    )
    _check_quarantine(quarantine, len(wanted), config.max_quarantined, source.name)
    manifest = _manifest(
        wanted[usable].reset_index(drop=True), [fact for fact in facts if not fact.code]
    )
    _check_categories(manifest, config)
    return manifest, quarantine, excluded


def _facts(known: KnownFacts, paths: list[str]) -> list[ImageFacts]:
    found = known.of(paths)
    unread = [path for path in paths if path not in found]
    if unread:
        raise UserError(
            f"{len(unread)} images were not read yet (for example {unread[0]}); run `kedro run --pipeline ingestion`"
        )
    return [found[path] for path in paths]


def _check_quarantine(
    quarantine: pd.DataFrame, total: int, max_quarantined: float, name: str
) -> None:
    if len(quarantine) > max_quarantined * total:
        worst = quarantine.iloc[0]
        raise UserError(
            f"{len(quarantine)} of {total} images of {name} cannot be used "
            f"(for example {worst['path']}: {worst['code']}, {worst['message']}), "
            f"more than ingestion.max_quarantined = {max_quarantined} allows; mend or remove them, or raise that share"
        )


def _check_categories(manifest: pd.DataFrame, config: IngestionConfig) -> None:
    there = {
        NORMAL: bool((manifest["label"] == 0).any()),
        **dict.fromkeys(findings_of(manifest), True),
    }
    missing = [name for name in config.classes(manifest) if not there.get(name)]
    if missing:
        raise UserError(
            f"there is no image of the category `{missing[0]}`; correct ingestion.labels or ingestion.normal "
            f"(the images are {', '.join(sorted(name for name, found in there.items() if found)) or 'none at all'}), or the source"
        )


def _manifest(wanted: pd.DataFrame, facts: list[ImageFacts]) -> pd.DataFrame:
    manifest = wanted.reindex(columns=["image_id", "path", "found", *SAID])
    for column in SAID:
        in_file = pd.Series(
            [fact.metadata.get(column) for fact in facts], index=manifest.index, dtype=object
        )
        manifest[column] = _text_or_none(
            manifest[column].astype(object).where(manifest[column].notna(), in_file)
        )
    found = manifest.pop("found")
    manifest["category"] = [named(names) for names in found]
    manifest["findings"] = [SEPARATOR.join(names) for names in found]
    manifest["label"] = (manifest["category"] != NORMAL).astype("int64")
    for column in ("width", "height", "pixel_hash", "perceptual_hash"):
        manifest[column] = [getattr(fact, column) for fact in facts]
    manifest["group_known"] = manifest["group_id"].notna().astype(bool)
    unknown = manifest["volume"].where(manifest["volume"].notna(), manifest["pixel_hash"])
    manifest["group_id"] = manifest["group_id"].where(manifest["group_known"], unknown)
    ages = pd.to_numeric(manifest["age"], errors="coerce").astype("float64")
    manifest["age"] = ages.where(ages.between(0.0, OLDEST))
    manifest["age_band"] = age_bands(manifest["age"])
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
