"""Leakage audit: no patient or image in two parts of a split, no synthetic image in val or test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from medgan.errors import UserError
from medgan.files.documents import ALWAYS, from_json
from medgan.images.duplicates import DuplicateCounts, duplicate_counts
from medgan.images.splits import Pairs, leak_groups, require_patients

EXAMPLES = 5
SHARED_NAMES = {
    "patients": "patients",
    "pixels": "equal pictures",
    "near_duplicates": "pairs of near-duplicates",
}
"""What two parts can share -> its name in messages."""


@dataclass(frozen=True)
class Leak:
    """What stands where it must not: number, images concerned, and up to EXAMPLES examples."""

    count: int
    images: int
    examples: Sequence[Mapping[str, Any]]
    """With the key `image_ids`, part -> image."""


@dataclass(frozen=True)
class NearDuplicateSearch:
    """Number of near-duplicates in the data set, and how they were searched."""

    pairs: int
    pictures: int | None = None
    exact: int | None = None
    candidates: int | None = None
    verified: int | None = None
    statement: str = ""
    calibration: Mapping[str, Any] | None = field(default=None, metadata=ALWAYS)


@dataclass(frozen=True)
class Fold:
    """The fold of a small cohort that a run tests."""

    number: int
    of: int


@dataclass(frozen=True)
class LeakageAudit:
    """What the parts of a split share (leakage_audit.json)."""

    verdict: str  # `leak`, `no leak`, or a text saying that patients are unknown
    shared: Mapping[str, Leak]  # keys of SHARED_NAMES
    synthetic: Leak
    near_duplicates: NearDuplicateSearch | None
    images: Mapping[str, int]
    images_without_patient: int
    duplicates: DuplicateCounts
    official_folders: Mapping[str, Leak] | None
    """As `shared`, of the split that came with the data, whether or not it is used."""
    split: str = field(default="", metadata=ALWAYS)
    on_leak: str = field(default="", metadata=ALWAYS)
    dropped: int = field(default=0, metadata=ALWAYS)
    set_aside: int = 0
    """Training images that `preprocessing.real_share` leaves out."""
    validation: str = field(default="", metadata=ALWAYS)
    """Where the validation images came from."""
    fold: Fold | None = None


def leakage_audit(
    splits: pd.DataFrame, pairs: Pairs = None, calibration: Mapping[str, Any] | None = None
) -> LeakageAudit:
    """Audit a split, with near-duplicates where `pairs` and how they were searched are given."""
    shared, synthetic = _shared(splits, "split", pairs), _synthetic(splits)
    verdict = "leak"
    if not any(leak.count for leak in (synthetic, *shared.values())):
        all_known = splits["group_known"].all()
        unknown = "no equal images in two parts, leakage of patients unknown"
        verdict = "no leak" if all_known else unknown
    official = splits["official_split"].notna().any()
    search = None if pairs is None else {"pairs": len(pairs), **(calibration or {})}
    return LeakageAudit(
        verdict=verdict,
        shared=shared,
        synthetic=synthetic,
        near_duplicates=None if search is None else from_json(NearDuplicateSearch, search),
        images={str(part): int(count) for part, count in splits["split"].value_counts().items()},
        images_without_patient=int((~splits["group_known"]).sum()),
        duplicates=duplicate_counts(splits),
        official_folders=_shared(splits, "official_split", pairs) if official else None,
    )


def _shared(splits: pd.DataFrame, part: str, pairs: Pairs) -> dict[str, Leak]:
    shared = {
        "patients": _equal(splits[splits["group_known"]], "group_id", part),
        "pixels": _equal(splits, "pixel_hash", part),
    }
    return shared if pairs is None else shared | {"near_duplicates": _near(splits, part, pairs)}


def _equal(splits: pd.DataFrame, key: str, part: str) -> Leak:
    """Find values of `key` in more than one part."""
    placed = splits[splits[part].notna()]
    parts = placed.groupby(key)[part].nunique()
    shared = sorted(map(str, parts[parts > 1].index))
    images = placed[placed[key].astype(str).isin(shared)]
    examples = []
    for name in shared[:EXAMPLES]:
        rows = images[images[key].astype(str) == name].drop_duplicates(part)
        ids = zip(rows[part].astype(str), rows["image_id"].astype(str), strict=True)
        examples.append({key: name, "image_ids": dict(ids)})
    return Leak(len(shared), len(images), examples)


def _near(splits: pd.DataFrame, part: str, pairs: pd.DataFrame) -> Leak:
    """Find pairs of images that are not equal in every pixel, in two parts."""
    places = splits.set_index("image_id")[part]
    placed = pairs[~pairs["exact"].astype(bool)]
    placed = placed.assign(
        part_a=placed["image_id_a"].map(places), part_b=placed["image_id_b"].map(places)
    ).dropna(subset=["part_a", "part_b"])
    crossing = placed[placed["part_a"] != placed["part_b"]]
    examples = [
        {
            "image_ids": {str(row[f"part_{end}"]): str(row[f"image_id_{end}"]) for end in "ab"},
            "distance": int(row["distance"]),
            "correlation": round(float(row["correlation"]), 4),
            "patients": str(row["patients"]),
        }
        for row in crossing.head(EXAMPLES).to_dict("records")
    ]
    images = {*crossing["image_id_a"], *crossing["image_id_b"]}
    return Leak(len(crossing), len(images), examples)


def _synthetic(splits: pd.DataFrame) -> Leak:
    """Find generated images in val and test."""
    made = splits[splits["split"].isin(["val", "test"]) & (splits["provenance"] != "real")]
    columns = made.head(EXAMPLES)[["split", "image_id", "provenance"]].astype(str)
    examples = [
        {"image_ids": {part: image}, "provenance": provenance}
        for part, image, provenance in columns.itertuples(index=False)
    ]
    return Leak(len(made), len(made), examples)


def enforce(
    audit: LeakageAudit, on_leak: str, splits: pd.DataFrame, pairs: Pairs = None
) -> pd.DataFrame:
    """Return the split without images that leak, as `on_leak` says, or raise `UserError`."""
    if audit.synthetic.count:
        example = audit.synthetic.examples[0]
        part, image = next(iter(example["image_ids"].items()))
        raise UserError(
            f"{audit.synthetic.count} synthetic images stand in val or test, for example {image} "
            f"({part}, {example['provenance']}); validation and test need real images: "
            "remove them from the source, or put them into train"
        )
    return ON_LEAK[on_leak](splits, audit, pairs)


def _fail(splits: pd.DataFrame, audit: LeakageAudit, pairs: Pairs) -> pd.DataFrame:
    for name, leak in audit.shared.items():
        if leak.count:
            require_patients(splits)
            ids = leak.examples[0]["image_ids"].items()
            places = " and ".join(f"{image} ({part})" for part, image in ids)
            raise UserError(
                f"{leak.count} {SHARED_NAMES[name]} stand in more than one part of the split, "
                f"for example {places}; set preprocessing.split to by_patient, "
                "or preprocessing.on_leak to drop_from_train"
            )
    return splits


def _drop(splits: pd.DataFrame, audit: LeakageAudit, pairs: Pairs) -> pd.DataFrame:
    groups = pd.Series(leak_groups(splits, pairs), index=splits.index)
    test, val = (groups.isin(groups[splits["split"] == part]) for part in ("test", "val"))
    lost = ((splits["split"] != "test") & test) | ((splits["split"] == "train") & val)
    return splits[~lost].reset_index(drop=True)


ON_LEAK: dict[str, Callable[[pd.DataFrame, LeakageAudit, Pairs], pd.DataFrame]] = {
    "fail": _fail,
    "drop_from_train": _drop,
    "report": lambda splits, audit, pairs: splits,
}
"""`preprocessing.on_leak` -> what happens to a split."""
