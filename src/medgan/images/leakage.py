"""Does a patient, or a picture, stand in two parts of a split? Is anything tested that no scanner
took?
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from medgan.errors import UserError
from medgan.images.manifest import EXAMPLES, duplicate_groups, duplicates_across
from medgan.images.splits import leak_groups


def _shared(splits: pd.DataFrame, key: str, part: str) -> dict[str, Any]:
    """Values of `key` that stand in more than one `part`."""
    placed = splits[splits[part].notna()]
    parts = placed.groupby(key)[part].nunique()
    shared = sorted(map(str, parts[parts > 1].index))
    images = placed[placed[key].astype(str).isin(shared)]
    return {
        "count": len(shared),
        "images": len(images),
        "examples": [_example(images, key, part, name) for name in shared[:EXAMPLES]],
    }


def _example(images: pd.DataFrame, key: str, part: str, name: str) -> dict[str, Any]:
    rows = images[images[key].astype(str) == name].drop_duplicates(part)
    return {
        key: name,
        "image_ids": {
            str(place): str(image)
            for place, image in zip(rows[part], rows["image_id"], strict=True)
        },
    }


def _near_duplicates(splits: pd.DataFrame, part: str, pairs: pd.DataFrame) -> dict[str, Any]:
    """Pairs, not equal in every pixel, whose images stand in two parts."""
    places = splits.set_index("image_id")[part]
    placed = pairs[~pairs["exact"].astype(bool)].assign(
        part_a=lambda found: found["image_id_a"].map(places),
        part_b=lambda found: found["image_id_b"].map(places),
    )
    crossing = placed[
        placed["part_a"].notna() & placed["part_b"].notna() & (placed["part_a"] != placed["part_b"])
    ]
    return {
        "count": len(crossing),
        "images": len(set(crossing["image_id_a"]) | set(crossing["image_id_b"])),
        "examples": [_near_example(row) for row in crossing.head(EXAMPLES).to_dict("records")],
    }


def _near_example(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "image_ids": {
            str(row["part_a"]): str(row["image_id_a"]),
            str(row["part_b"]): str(row["image_id_b"]),
        },
        "distance": int(row["distance"]),
        "correlation": round(float(row["correlation"]), 4),
        "patients": str(row["patients"]),
    }


def _synthetic(splits: pd.DataFrame) -> dict[str, Any]:
    """Images that a model drew and that stand where only real ones may."""
    made = splits[splits["split"].isin(["val", "test"]) & (splits["provenance"] != "real")]
    examples = [
        {
            "image_ids": {str(row["split"]): str(row["image_id"])},
            "provenance": str(row["provenance"]),
        }
        for row in made.head(EXAMPLES).to_dict("records")
    ]
    return {"count": len(made), "images": len(made), "examples": examples}


def _sharing(splits: pd.DataFrame, part: str, pairs: pd.DataFrame | None) -> dict[str, Any]:
    near = {} if pairs is None else {"near_duplicates": _near_duplicates(splits, part, pairs)}
    return {
        "patients": _shared(splits[splits["group_known"]], "group_id", part),
        "pixels": _shared(splits, "pixel_hash", part),
        **near,
    }


def _verdict(splits: pd.DataFrame, sharing: dict[str, Any], synthetic: dict[str, Any]) -> str:
    if synthetic["count"] or any(found["count"] for found in sharing.values()):
        return "leak"
    return (
        "no leak"
        if splits["group_known"].all()
        else "no equal images in two parts, leakage of patients unknown"
    )


def leakage_audit(
    splits: pd.DataFrame,
    pairs: pd.DataFrame | None = None,
    calibration: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What the parts of a split share, with counts and examples, as JSON.

    `pairs` are the near-duplicates and `calibration` is how they were searched
    (`near_duplicates.NearDuplicates`); without them only equal pictures are counted. `verdict` is
    "leak", "no leak", or says that patients are unknown. `official_folders` asks the same of the
    split that came with the data, whether or not it is used.
    """
    sharing, synthetic = _sharing(splits, "split", pairs), _synthetic(splits)
    duplicates = duplicate_groups(splits)
    return {
        "verdict": _verdict(splits, sharing, synthetic),
        "shared": sharing,
        "synthetic": synthetic,
        "near_duplicates": None
        if pairs is None
        else {"pairs": len(pairs), **dict(calibration or {})},
        "images": {str(part): int(count) for part, count in splits["split"].value_counts().items()},
        "images_without_patient": int((~splits["group_known"]).sum()),
        "duplicates": {
            "groups": len(duplicates),
            "surplus_copies": sum(len(ids) - 1 for ids in duplicates),
            "crossing_patients": duplicates_across(splits[splits["group_known"]], "group_id"),
        },
        "official_folders": _sharing(splits, "official_split", pairs)
        if splits["official_split"].notna().any()
        else None,
    }


WHAT = {
    "patients": "patients",
    "pixels": "equal pictures",
    "near_duplicates": "pairs of near-duplicates",
}
"""What a message calls that which two parts share."""


def _check_synthetic(found: dict[str, Any]) -> None:
    if found["count"]:
        part, image = next(iter(found["examples"][0]["image_ids"].items()))
        raise UserError(
            f"{found['count']} synthetic images stand in val or test, for example {image} ({part}, {found['examples'][0]['provenance']}); "
            "nothing may be validated or tested on images that a model drew: take them out of the source, or put them into train"
        )


def _fail(splits: pd.DataFrame, audit: dict[str, Any], pairs: pd.DataFrame | None) -> pd.DataFrame:
    found = next(
        ({"kind": kind, **shared} for kind, shared in audit["shared"].items() if shared["count"]),
        None,
    )
    if found is None:
        return splits
    places = " and ".join(
        f"{image} ({part})" for part, image in found["examples"][0]["image_ids"].items()
    )
    raise UserError(
        f"{found['count']} {WHAT[found['kind']]} stand in more than one part of the split, for example {places}; "
        "set preprocessing.split to by_patient, or preprocessing.on_leak to drop_from_train"
    )


def _drop(splits: pd.DataFrame, audit: dict[str, Any], pairs: pd.DataFrame | None) -> pd.DataFrame:
    groups = pd.Series(leak_groups(splits, pairs), index=splits.index)
    test, val = (set(groups[splits["split"] == part]) for part in ("test", "val"))
    lost = ((splits["split"] != "test") & groups.isin(test)) | (
        (splits["split"] == "train") & groups.isin(val)
    )
    return splits[~lost].reset_index(drop=True)


def _report(
    splits: pd.DataFrame, audit: dict[str, Any], pairs: pd.DataFrame | None
) -> pd.DataFrame:
    return splits


ON_LEAK: dict[str, Callable[[pd.DataFrame, dict[str, Any], pd.DataFrame | None], pd.DataFrame]] = {
    "fail": _fail,
    "drop_from_train": _drop,
    "report": _report,
}
"""`preprocessing.on_leak` -> what is done with a split and its audit."""


def enforce(
    audit: dict[str, Any], on_leak: str, splits: pd.DataFrame, pairs: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The split that may be used: as it is, or without the training (and validation) images that
    leak.

    Raises `UserError` on `fail`, and whatever `on_leak` says for synthetic images in val or test.
    """
    _check_synthetic(audit["synthetic"])
    return ON_LEAK[on_leak](splits, audit, pairs)
