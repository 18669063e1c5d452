"""Summary of a data set: what became of every file, and of every image that was read.

Its numbers add up to the files of the source; a summary whose numbers do not is never made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from medgan.images.duplicates import duplicate_counts, duplicates_across
from medgan.images.leakage import LeakageAudit
from medgan.images.masks import MaskFolder
from medgan.images.profile import categories_of
from medgan.sources.companions import MASK, THUMBNAIL
from medgan.sources.files import FileImages
from medgan.sources.raw import Bools
from medgan.sources.registry import ImageSource
from medgan.sources.rows import PARTS, exclusions, remarks_of
from medgan.sources.table import MISSING

EXAMPLES = 3
FILES, IMAGES = "files", "images"
FOLDERS = "folders that were not entered"
FURTHER = "further images of files with several"
ROWS = "rows of a table without their file"


@dataclass(frozen=True)
class Named:
    """A number of files or images, and the paths of the first ones."""

    count: int
    examples: Sequence[str]


NONE = Named(0, ())


@dataclass(frozen=True)
class Part:
    """The images of a part of the split, and their patients where all of them are known."""

    images: int
    patients: int | None


@dataclass(frozen=True)
class SplitSummary:
    """The split, and what its leakage audit found."""

    rule: str
    parts: Mapping[str, Part]
    verdict: str
    on_leak: str
    dropped: int
    """Images that `on_leak: drop_from_train` removed."""
    near_duplicates: int | None
    """Pairs in the data set; None where they were not searched."""
    set_aside: int = 0
    """Training images that `real_share` leaves out."""


@dataclass(frozen=True)
class Patients:
    """How many patients are known, and how many images have none."""

    known: int
    images_without: int
    dicom_without: int
    """Those of them that are DICOM."""


@dataclass(frozen=True)
class MaskMatch:
    """The files of a folder of masks, and those that belong to no image."""

    files: int
    unmatched: Named
    empty: Named = NONE
    """Anomalous images whose masks mark nothing."""
    inverted: Named = NONE
    """Anomalous images whose masks mark the whole border and leave a part inside of it out."""

    @classmethod
    def of(cls, folder: MaskFolder, manifest: pd.DataFrame) -> MaskMatch:
        """Match. Raises `UserError` where no file belongs to an image."""
        lost = folder.unmatched(manifest["path"])
        empty, inverted = list[str](), list[str]()
        for path in manifest.loc[manifest["label"] == 1, "path"]:
            mask = folder.mask(path)
            if mask is not None and not mask.any():
                empty.append(path)
            elif mask is not None and not mask.all() and _is_frame(mask):
                inverted.append(path)
        return cls(
            len(folder), *(Named(len(one), one[:EXAMPLES]) for one in (lost, empty, inverted))
        )


def _is_frame(mask: Bools) -> bool:
    """Return whether a mask (H, W) marks all of its border."""
    return bool(mask[[0, -1]].all() and mask[:, [0, -1]].all())


@dataclass(frozen=True)
class DataSummary:
    """What was used of a data set, what was not, and why (data_summary.json)."""

    seen: Mapping[str, int]
    """What the source holds: FILES (IMAGES where it is no folder), and FOLDERS, FURTHER, ROWS."""
    read: int
    """Images of the manifest."""
    quarantined: Mapping[str, Named]
    left_out: Mapping[str, Named]
    duplicate_groups: int
    surplus_copies: int
    mislabelled_groups: int
    """Groups of equal pictures that are of several classes."""
    patients: Patients
    classes: Mapping[str, int]
    split: SplitSummary | None = None
    masks: MaskMatch | None = None
    remarks: Sequence[str] = ()
    """What the source noticed about its rows, such as patients that are written in two ways."""
    warnings: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that do not add up."""
        parts = [self.quarantined, self.left_out]
        fates = self.read + sum(named.count for part in parts for named in part.values())
        if sum(self.seen.values()) != fates:
            raise ValueError(f"{dict(self.seen)} were seen, and {fates} have a fate")
        if sum(self.classes.values()) != self.read:
            raise ValueError(f"{self.read} images were read, and their classes do not add up")
        unused = self.split.dropped + self.split.set_aside if self.split else 0
        if self.split is not None and unused + self.in_parts != self.read:
            raise ValueError(f"{self.read} images were read, and {self.in_parts} are in the split")

    @property
    def in_parts(self) -> int:
        """Images of the split."""
        return sum(part.images for part in self.split.parts.values()) if self.split else 0


def summarize_ingestion(
    source: ImageSource,
    manifest: pd.DataFrame,
    quarantine: pd.DataFrame,
    excluded: pd.DataFrame,
    remarks: Sequence[str] = (),
) -> DataSummary:
    """Summarize what ingestion made of a source; `remarks` are those on the patients of headers."""
    counts = duplicate_counts(manifest)
    unknown = ~manifest["group_known"].astype(bool)
    dicom = manifest["color"].fillna("").str.startswith("MONOCHROME") | manifest["sequence"].notna()
    named = manifest["category"].value_counts()
    return warned(
        DataSummary(
            seen=_seen(source),
            read=len(manifest),
            quarantined=_named(quarantine, "code"),
            left_out=_named(excluded, "reason"),
            duplicate_groups=counts.groups,
            surplus_copies=counts.surplus_copies,
            mislabelled_groups=len(duplicates_across(manifest, "category")),
            patients=Patients(
                int(manifest.loc[~unknown, "group_id"].nunique()),
                int(unknown.sum()),
                int((unknown & dicom).sum()),
            ),
            classes={name: int(named[name]) for name in categories_of(manifest)},
            remarks=[*(one.text for one in remarks_of(source)), *remarks, *_depths(manifest)],
        )
    )


def _depths(manifest: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence where some images are windowed and others are shown as they are."""
    windowed = manifest["window"].notna()
    counts = windowed.groupby(manifest["category"]).sum()
    if windowed.any() and not windowed.all():
        of_each = ", ".join(f"{category} {count}" for category, count in counts.items())
        yield (
            f"{windowed.sum()} of {len(manifest)} images have more than 8 bits and are windowed "
            f"({of_each}), the others are shown as they are: where that goes with the classes, they "
            "can be told apart by their contrast"
        )


def _seen(source: ImageSource) -> dict[str, int]:
    rows = source.rows()
    folders = rows["path"].astype(str).str.endswith("/")
    missing = exclusions(rows) == MISSING
    others = rows[~folders & ~missing].reindex(columns=["path", "volume"])
    files = others["volume"].where(others["volume"].notna(), others["path"]).nunique()
    counts = {
        FILES if isinstance(source, FileImages) else IMAGES: int(files),
        FOLDERS: int(folders.sum()),
        FURTHER: len(others) - int(files),
        ROWS: int(missing.sum()),
    }
    return {name: count for name, count in counts.items() if count}


def _named(table: pd.DataFrame, column: str) -> dict[str, Named]:
    """Count the rows with each value, the most frequent first, with the first paths."""
    groups: Any = table.groupby(column, sort=True)["path"]
    found = {
        str(value): Named(len(paths), sorted(map(str, paths))[:EXAMPLES]) for value, paths in groups
    }
    return dict(sorted(found.items(), key=lambda pair: -pair[1].count))


def with_split(
    found: DataSummary,
    splits: pd.DataFrame,
    audit: LeakageAudit,
    masks: MaskMatch | None = None,
) -> DataSummary:
    """Add the parts of the split and the verdict of its audit."""
    tables = {part: splits[splits["split"] == part] for part in PARTS}
    searched = audit.near_duplicates
    split = SplitSummary(
        rule=audit.split,
        parts={part: Part(len(rows), _patients(rows)) for part, rows in tables.items()},
        verdict=audit.verdict,
        on_leak=audit.on_leak,
        dropped=audit.dropped,
        near_duplicates=searched.pairs if searched else None,
        set_aside=audit.set_aside,
    )
    return warned(replace(found, split=split, masks=masks))


def _patients(rows: pd.DataFrame) -> int | None:
    known = bool(rows["group_known"].astype(bool).all())
    return int(rows["group_id"].nunique()) if known else None


def belongs_to(splits: pd.DataFrame, manifest: pd.DataFrame, audit: LeakageAudit) -> bool:
    """Return whether a split was made of the images of a manifest."""
    key = ["image_id", "category", "pixel_hash"]
    ours, theirs = (set(table[key].itertuples(index=False)) for table in (splits, manifest))
    unused = audit.dropped + audit.set_aside
    return ours <= theirs and len(splits) + unused == len(manifest)


def warned(found: DataSummary) -> DataSummary:
    """Add what a person should look at."""
    return replace(found, warnings=tuple(_warnings(found)))


def _warnings(found: DataSummary) -> Iterator[str]:
    yield from (f"{text}." for text in found.remarks)
    yield from _about_patients(found)
    refused = sum(named.count for named in found.quarantined.values())
    if refused:
        total = f"{refused / (refused + found.read):.1%} of the images"
        yield f"{refused:,} files or images cannot be used ({total}); see quarantine.csv."
    for reason, named in found.left_out.items():
        remedy = next((text for part, text in REMEDIES.items() if part in reason), None)
        if remedy:
            yield f"{named.count:,} left out ({reason}): {remedy}."
    if found.mislabelled_groups:
        yield f"{found.mislabelled_groups:,} groups of equal pictures are of several classes."
    if found.masks is not None:
        yield from _about_masks(found.masks)
    if found.split is not None:
        yield from _about_leaks(found.split)


def _about_masks(found: MaskMatch) -> Iterator[str]:
    if found.unmatched.count:
        yield f"{found.unmatched.count:,} of {found.files:,} masks belong to no image."
    marks = {"no pixel": found.empty, "all but a part inside: inverted": found.inverted}
    for what, named in marks.items():
        if named.count:
            yield (
                f"The masks of {named.count:,} anomalous images mark {what} "
                f"(for example {named.examples[0]}); what is inside has to be white."
            )


def _about_patients(found: DataSummary) -> Iterator[str]:
    without, dicom = found.patients.images_without, found.patients.dicom_without
    if without:
        remedy = "set the field group_id of the source if they are known"
        if dicom:
            remedy = f"{dicom:,} of them are DICOM files without a PatientID; {remedy}"
        yield (
            f"{without:,} of {found.read:,} images have no known patient: images of one patient "
            f"may be in two parts of the split, unnoticed; {remedy}."
        )


def _about_leaks(split: SplitSummary) -> Iterator[str]:
    if split.dropped:
        yield f"{split.dropped:,} images left the split, since they would leak."
    elif split.verdict == "leak":
        yield "Patients or pictures are in two parts of the split; see leakage_audit.json."
    if split.set_aside:
        yield f"{split.set_aside:,} training images are set aside (preprocessing.real_share)."


DECIDE = "set `leave_out_masks: false` in the source to use them"
REMEDIES = {
    MASK: DECIDE,
    THUMBNAIL: DECIDE,
    "archive": "unpack them if they hold images",
    "linked folder": "give the folder itself if its files are missing",
    "device": "copy the files if they are images",
}
"""Part of a reason that a person should look at -> what to do."""
