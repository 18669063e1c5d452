"""Does a patient, or a picture, stand in two parts of a split?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from medgan.contracts import Refusal
from medgan.images.manifest import EXAMPLES, duplicate_groups, duplicates_across
from medgan.images.splits import leak_groups


def _shared(splits: pd.DataFrame, key: str, part: str) -> dict[str, Any]:
    """Values of `key` that stand in more than one `part`."""
    placed = splits[splits[part].notna()]
    parts = placed.groupby(key)[part].nunique()
    shared = sorted(map(str, parts[parts > 1].index))
    images = placed[placed[key].astype(str).isin(shared)]
    return {"count": len(shared), "images": len(images), "examples": [_example(images, key, part, name) for name in shared[:EXAMPLES]]}


def _example(images: pd.DataFrame, key: str, part: str, name: str) -> dict[str, Any]:
    rows = images[images[key].astype(str) == name].drop_duplicates(part)
    return {key: name, "image_ids": {str(place): str(image) for place, image in zip(rows[part], rows["image_id"], strict=True)}}


def _sharing(splits: pd.DataFrame, part: str) -> dict[str, Any]:
    return {"patients": _shared(splits[splits["group_known"]], "group_id", part), "pixels": _shared(splits, "pixel_hash", part)}


def _verdict(splits: pd.DataFrame, sharing: dict[str, Any]) -> str:
    if any(found["count"] for found in sharing.values()):
        return "leak"
    return "no leak" if splits["group_known"].all() else "no equal images in two parts, leakage of patients unknown"


def leakage_audit(splits: pd.DataFrame) -> dict[str, Any]:
    """What the parts of a split share, with counts and examples, as JSON.

    `verdict` is "leak", "no leak", or says that patients are unknown. `official_folders` asks the same of the split that came with the
    data, whether or not it is used.
    """
    sharing = _sharing(splits, "split")
    duplicates = duplicate_groups(splits)
    return {
        "verdict": _verdict(splits, sharing),
        "shared": sharing,
        "images": {str(part): int(count) for part, count in splits["split"].value_counts().items()},
        "images_without_patient": int((~splits["group_known"]).sum()),
        "duplicates": {
            "groups": len(duplicates),
            "surplus_copies": sum(len(ids) - 1 for ids in duplicates),
            "crossing_patients": duplicates_across(splits[splits["group_known"]], "group_id"),
        },
        "official_folders": _sharing(splits, "official_split") if splits["official_split"].notna().any() else None,
    }


def _fail(splits: pd.DataFrame, audit: dict[str, Any]) -> pd.DataFrame:
    found = next(({"kind": kind, **shared} for kind, shared in audit["shared"].items() if shared["count"]), None)
    if found is None:
        return splits
    places = " and ".join(f"{image} ({part})" for part, image in found["examples"][0]["image_ids"].items())
    what = {"patients": "patients", "pixels": "equal pictures"}[found["kind"]]
    raise Refusal(
        f"{found['count']} {what} stand in more than one part of the split, for example {places}; "
        "set preprocessing.split to by_patient, or preprocessing.on_leak to drop_from_train"
    )


def _drop(splits: pd.DataFrame, audit: dict[str, Any]) -> pd.DataFrame:
    groups = pd.Series(leak_groups(splits), index=splits.index)
    test, val = (set(groups[splits["split"] == part]) for part in ("test", "val"))
    lost = ((splits["split"] != "test") & groups.isin(test)) | ((splits["split"] == "train") & groups.isin(val))
    return splits[~lost].reset_index(drop=True)


def _report(splits: pd.DataFrame, audit: dict[str, Any]) -> pd.DataFrame:
    return splits


ON_LEAK: dict[str, Callable[[pd.DataFrame, dict[str, Any]], pd.DataFrame]] = {"fail": _fail, "drop_from_train": _drop, "report": _report}
"""`preprocessing.on_leak` -> what is done with a split and its audit."""


def enforce(audit: dict[str, Any], on_leak: str, splits: pd.DataFrame) -> pd.DataFrame:
    """The split that may be used: as it is, or without the training (and validation) images that leak. Raises `Refusal` on `fail`."""
    return ON_LEAK[on_leak](splits, audit)
