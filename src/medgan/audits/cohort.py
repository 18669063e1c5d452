"""Who was looked at: the flow from what was listed to what was tested, and who is in each part
(CLAIM 2024, items 7 to 20; STARD 2015).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from medgan.evaluation.protocol import LabelNoise
from medgan.images.labels import findings_of, shows
from medgan.images.metadata import AGE_BANDS, UNKNOWN

PARTS = ("train", "val", "test")
DESCRIBED = ("sex", "age_band", "site", "view", "scanner", "sequence")
SHOWN_LEVELS = 12
"""Levels of a characteristic that are listed; the rarer ones are one row."""
OTHER = "other ("
NOT_REPORTED = "not reported"


def as_text(column: pd.Series[Any]) -> pd.Series[Any]:
    """Values as text, `unknown` where they are missing or empty."""
    text = column.astype(object).where(column.notna(), UNKNOWN).astype(str).str.strip()
    return text.where(text != "", UNKNOWN)


def few_levels(values: pd.Series[Any], shown: int = SHOWN_LEVELS) -> pd.Series[Any]:
    """The values with all but the `shown` most frequent ones as `other (k values)`."""
    counts = values.value_counts()
    rare = sorted(map(str, counts.index[shown:]))
    return (
        values.where(~values.isin(rare), f"{OTHER}{len(rare)} values)") if len(rare) > 1 else values
    )


def flow(
    splits: pd.DataFrame, quarantine: pd.DataFrame, exclusions: pd.DataFrame, dropped: int = 0
) -> dict[str, Any]:
    """How many images were listed, left out and why, and in which part the others are.

    Args:
        splits: the images that are used.
        quarantine: code of each image that cannot be used.
        exclusions: reason for each image that is not wanted.
        dropped: images left out of the split because they would leak.
    """
    usable = len(splits) + dropped
    return {
        "listed": usable + len(quarantine) + len(exclusions),
        "excluded": {"images": len(exclusions), "reasons": _counted(exclusions["reason"])},
        "quarantined": {"images": len(quarantine), "reasons": _counted(quarantine["code"])},
        "usable": usable,
        "dropped": {
            "images": dropped,
            "reasons": {"patient or picture in two parts": dropped} if dropped else {},
        },
        "kept": size(splits),
        "parts": {part: _part(splits[splits["split"] == part]) for part in PARTS},
    }


def size(table: pd.DataFrame) -> dict[str, Any]:
    """images, and patients (None where unknown)."""
    known = bool(len(table)) and bool(table["group_known"].all())
    return {"images": len(table), "patients": int(table["group_id"].nunique()) if known else None}


def _part(table: pd.DataFrame) -> dict[str, Any]:
    roles = table.reindex(columns=["role"])["role"]
    mix = {"unlabelled_mix": size(table[roles == "mix"])} if (roles == "mix").any() else {}
    return {
        **size(table),
        "normal": size(table[table["label"] == 0]),
        "anomalous": size(table[table["label"] == 1]),
        **mix,
    }


def _counted(column: pd.Series[Any]) -> dict[str, int]:
    counts = as_text(column).value_counts()
    return {
        str(name): int(count)
        for name, count in sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    }


def demographics(splits: pd.DataFrame) -> dict[str, Any]:
    """Table 1 of a paper: who is in each part.

    Sex and age are of patients (the first image of each) where patients are known, else of images;
    `unit` says which. All else is of images. A share is of all, the unknown ones included.

    Returns:
        {"unit", "parts": {"train" | "val" | "test" | "all": {"images", "patients",
        "images_per_patient", "age", "categories": counts, "sex" | "age_band" | ...: counts,
        "missing": shares}}}; a count is {"n", "share"}.
    """
    known = bool(splits["group_known"].all())
    parts = {part: splits[splits["split"] == part] for part in PARTS} | {"all": splits}
    levels = {name: few_levels(as_text(splits.reindex(columns=[name])[name])) for name in DESCRIBED}
    prepared = splits.assign(**levels)
    described = {
        part: _described(prepared.loc[table.index], known) for part, table in parts.items()
    }
    return {"unit": "patient" if known else "image", "parts": described}


def _described(table: pd.DataFrame, known: bool) -> dict[str, Any]:
    people = table.drop_duplicates("group_id") if known else table
    of_people = {"sex", "age_band"}
    missing = {name: _share(int((table[name] == UNKNOWN).sum()), len(table)) for name in DESCRIBED}
    per_patient = table.groupby("group_id").size()
    return {
        **size(table),
        "images_per_patient": {"median": float(per_patient.median()), "max": int(per_patient.max())}
        if known and len(table)
        else None,
        "categories": _findings(table),
        "age": _ages(people),
        **{
            name: _levels(people[name] if name in of_people else table[name], name)
            for name in DESCRIBED
        },
        "missing": {
            **missing,
            "age": _share(int(table.reindex(columns=["age"])["age"].isna().sum()), len(table)),
        },
    }


def _findings(table: pd.DataFrame) -> dict[str, Any]:
    """`normal`, then each finding; an image of several findings counts for each of them."""
    normal = {"normal": _share(int((table["label"] == 0).sum()), len(table))}
    return normal | {
        name: _share(int(shows(table, name).sum()), len(table)) for name in findings_of(table)
    }


def _ages(people: pd.DataFrame) -> dict[str, Any] | None:
    ages = pd.to_numeric(people.reindex(columns=["age"])["age"], errors="coerce").dropna()
    if ages.empty:
        return None
    low, median, high = (float(bound) for bound in ages.quantile([0.25, 0.5, 0.75]))
    return {
        "n": len(ages),
        "median": median,
        "q1": low,
        "q3": high,
        "min": float(ages.min()),
        "max": float(ages.max()),
    }


def _levels(values: pd.Series[Any], name: str) -> dict[str, Any]:
    """Counts, the unknown ones last; age bands in their order, all else by name."""
    order = {band: place for place, band in enumerate(AGE_BANDS)} if name == "age_band" else {}
    counts = values.value_counts()
    names = sorted(
        map(str, counts.index), key=lambda level: (level == UNKNOWN, order.get(level, 0), level)
    )
    return {level: _share(int(counts[level]), len(values)) for level in names}


def _share(count: int, total: int) -> dict[str, Any]:
    return {"n": count, "share": count / total if total else None}


def table_one(document: Mapping[str, Any]) -> pd.DataFrame:
    """`demographics` as a paper prints it: characteristic, level, and a column of text for each
    part.
    """
    parts = document["parts"]
    unit = f"{document['unit']}s"
    rows: list[dict[str, str]] = [
        _row("images", "", {part: f"{told['images']:,}" for part, told in parts.items()}),
        _row(
            "patients",
            "",
            {
                part: NOT_REPORTED if told["patients"] is None else f"{told['patients']:,}"
                for part, told in parts.items()
            },
        ),
        _row(
            "age in years, median (IQR)",
            "",
            {part: _age_text(told["age"]) for part, told in parts.items()},
        ),
    ]
    titles = {"categories": "finding, images"} | {
        name: f"{name.replace('_', ' ')}, {_unit(name, unit)}" for name in DESCRIBED
    }
    for name, title in titles.items():
        levels = list(
            dict.fromkeys(level for told in (parts["all"], *parts.values()) for level in told[name])
        )
        if levels == [UNKNOWN]:
            rows.append(_row(title, "", dict.fromkeys(parts, NOT_REPORTED)))
            continue
        rows += [
            _row(
                title,
                level,
                {part: _share_text(told[name].get(level)) for part, told in parts.items()},
            )
            for level in levels
        ]
    return pd.DataFrame(rows)


def _unit(key: str, people: str) -> str:
    return people if key in ("sex", "age_band") else "images"


def _row(characteristic: str, level: str, cells: Mapping[str, str]) -> dict[str, str]:
    return {"characteristic": characteristic, "level": level, **cells}


def _age_text(age: Mapping[str, Any] | None) -> str:
    return NOT_REPORTED if age is None else f"{age['median']:g} ({age['q1']:g} to {age['q3']:g})"


def _share_text(counted: Mapping[str, Any] | None) -> str:
    if counted is None or not counted["n"]:
        return "0"
    return f"{counted['n']:,} ({counted['share']:.0%})"


ASSUMPTION = (
    "A bound for labels that are wrong at random. Labels are mostly wrong where images are hard, for readers and detectors alike: "
    "then the AUROC suffers less than this, or is even too high."
)


def reference_standard(
    text: str | None, noise: LabelNoise | None, rows: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The reference standard as it is reported, and what its noise may have cost each detector.

    Args:
        text: who labelled what, how; None where nobody said.
        noise: shares of wrong labels among the images labelled anomalous and normal; None where
            they are not known.
        rows: the row of each detector, with its `auroc`.
    """
    about = {"reference_standard": text or NOT_REPORTED}
    if noise is None:
        return {**about, "label_noise": {"reported": NOT_REPORTED}}
    attenuation = 1.0 - noise.anomalous - noise.normal
    return {
        **about,
        "label_noise": {
            "reported": {"anomalous": noise.anomalous, "normal": noise.normal},
            "ceiling": 1.0 - (noise.anomalous + noise.normal) / 2,
            "auroc_if_labels_were_right": {
                name: _corrected(row["auroc"], attenuation) for name, row in rows.items()
            },
            "assumption": ASSUMPTION,
        },
    }


def _corrected(observed: Mapping[str, Any], attenuation: float) -> dict[str, Any]:
    """The estimate and its bounds as they would be without noise, at most 1."""
    return {
        name: _without_noise(bound, attenuation) if isinstance(bound, float) else bound
        for name, bound in observed.items()
    }


def _without_noise(observed: float, attenuation: float) -> float:
    return min(max(0.5 + (observed - 0.5) / attenuation, 0.0), 1.0)
