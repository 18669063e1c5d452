"""Describe the cohort: the flow of images from listed to tested, and the demographics of each part.

Source: CLAIM 2024, items 7 to 20, and STARD 2015.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from medgan.audits.data_results import (
    Ages,
    CohortResult,
    Count,
    Counts,
    Demographics,
    Flow,
    ImagesPerPatient,
    LabelNoiseBound,
    LeakageVerdict,
    LeftOut,
    PartDemographics,
    PartFlow,
    ReferenceStandard,
    Size,
)
from medgan.evaluation.protocol import LabelNoise
from medgan.evaluation.score_table import patients_in
from medgan.images.labels import findings_of, shows
from medgan.images.leakage import LeakageAudit
from medgan.images.metadata import AGE_BANDS, UNKNOWN
from medgan.stats.bootstrap import Estimate

PARTS = ("train", "val", "test")
OF_PATIENTS = ("sex", "age_band")
DESCRIBED = (*OF_PATIENTS, "site", "view", "scanner", "sequence")
SHOWN_LEVELS = 12
"""Levels of a characteristic that are listed; the rarer ones are one level together."""
OTHER = "other ("
NOT_REPORTED = "not reported"
ASSUMPTION = (
    "A bound for labels that are wrong at random. Labels are mostly wrong where images are hard, "
    "for readers and detectors alike: then the AUROC suffers less than this, or is even too high."
)


def as_text(column: pd.Series[Any]) -> pd.Series[Any]:
    """Convert values to text, `unknown` where they are missing or empty."""
    text = column.astype(object).where(column.notna(), UNKNOWN).astype(str).str.strip()
    return text.where(text != "", UNKNOWN)


def column_of(table: pd.DataFrame, name: str) -> pd.Series[Any]:
    """A column of a table; missing values where the table does not have it."""
    return table.reindex(columns=[name])[name]


def few_levels(values: pd.Series[Any], shown: int = SHOWN_LEVELS) -> pd.Series[Any]:
    """Merge all but the `shown` most frequent values into `other (k values)`."""
    rare = values.value_counts().index[shown:]
    if len(rare) < 2:
        return values
    return values.where(~values.isin(rare), f"{OTHER}{len(rare)} values)")


def describe_cohort(
    splits: pd.DataFrame,
    quarantine: pd.DataFrame,
    exclusions: pd.DataFrame,
    leakage: LeakageAudit | None = None,
) -> CohortResult:
    """Describe the flow of images and the demographics of each part, from the `code` of each image
    that cannot be used, and the `reason` of each that is not wanted. `leakage` is None where the
    audit was not run.
    """
    dropped, aside = (0, 0) if leakage is None else (leakage.dropped, leakage.set_aside)
    return CohortResult(
        flow(splits, quarantine, exclusions, dropped, aside),
        demographics(splits),
        leakage_verdict(leakage),
    )


def leakage_verdict(leakage: LeakageAudit | None) -> LeakageVerdict:
    """Summarize the leakage audit of the split in a sentence."""
    if leakage is None:
        missing = "The leakage audit of this split was not run: leakage is unknown."
        return LeakageVerdict(None, missing)
    shared = {name: found.count for name, found in leakage.shared.items()}
    patients, pixels = shared.get("patients", 0), shared.get("pixels", 0)
    kept = f"{patients} patients and {pixels} pictures are in two parts"
    dropped = f"; {leakage.dropped} images were left out for it" if leakage.dropped else ""
    sentence = f"Leakage audit of the split: {leakage.verdict} ({kept}{dropped})."
    return LeakageVerdict(leakage.verdict, sentence)


def flow(
    splits: pd.DataFrame,
    quarantine: pd.DataFrame,
    exclusions: pd.DataFrame,
    dropped: int = 0,
    set_aside: int = 0,
) -> Flow:
    """Count the images that were listed, left out for each reason, and kept in each part.

    `dropped` are the images that were left out of the split because they would leak, `set_aside`
    the training images that `preprocessing.real_share` leaves out.
    """
    left = dropped + set_aside
    reasons = {"patient or picture in two parts": dropped, "real_share": set_aside}
    return Flow(
        listed=len(splits) + left + len(quarantine) + len(exclusions),
        excluded=LeftOut(len(exclusions), _counted(exclusions["reason"])),
        quarantined=LeftOut(len(quarantine), _counted(quarantine["code"])),
        usable=len(splits) + left,
        dropped=LeftOut(left, {name: count for name, count in reasons.items() if count}),
        kept=size(splits),
        parts={part: _part(splits[splits["split"] == part]) for part in PARTS},
    )


def size(table: pd.DataFrame) -> Size:
    """Count images, and patients where they are known."""
    return Size(len(table), patients_in(table) if len(table) else None)


def _part(table: pd.DataFrame) -> PartFlow:
    mix = table[column_of(table, "role") == "mix"]
    normal, anomalous = (size(table[table["label"] == label]) for label in (0, 1))
    return PartFlow(
        **vars(size(table)),
        normal=normal,
        anomalous=anomalous,
        unlabelled_mix=size(mix) if len(mix) else None,
    )


def _counted(column: pd.Series[Any]) -> dict[str, int]:
    """Counts of values, the most frequent first."""
    counts = as_text(column).value_counts().sort_index().sort_values(ascending=False, kind="stable")
    return {str(name): int(count) for name, count in counts.items()}


def demographics(splits: pd.DataFrame) -> Demographics:
    """Describe who is in each part: Table 1 of a paper.

    Sex and age are those of patients (of the first image of each) where patients are known, else of
    images. Everything else counts images. Shares are of all, the unknown ones included.
    """
    known = bool(splits["group_known"].all())
    levels = {name: few_levels(as_text(column_of(splits, name))) for name in DESCRIBED}
    prepared = splits.assign(**levels)
    parts = {part: prepared[prepared["split"] == part] for part in PARTS} | {"all": prepared}
    described = {part: _described(table, known) for part, table in parts.items()}
    return Demographics("patient" if known else "image", described)


def _described(table: pd.DataFrame, known: bool) -> PartDemographics:
    people = table.drop_duplicates("group_id") if known else table
    per_patient = table.groupby("group_id").size()
    missing = {name: int((table[name] == UNKNOWN).sum()) for name in DESCRIBED}
    missing["age"] = int(column_of(table, "age").isna().sum())
    total, each = size(table), None
    if known and len(table):
        each = ImagesPerPatient(float(per_patient.median()), int(per_patient.max()))
    return PartDemographics(
        total.images,
        total.patients,
        each,
        categories=_findings(table),
        age=_ages(people),
        missing={name: _share(count, len(table)) for name, count in missing.items()},
        **{name: _levels((people if name in OF_PATIENTS else table)[name]) for name in DESCRIBED},
    )


def _findings(table: pd.DataFrame) -> Counts:
    """Count normal images, then those of each finding; an image counts for each of its findings."""
    counts = {"normal": int((table["label"] == 0).sum())}
    counts |= {name: int(shows(table, name).sum()) for name in findings_of(table)}
    return {name: _share(count, len(table)) for name, count in counts.items()}


def _ages(people: pd.DataFrame) -> Ages | None:
    ages = pd.to_numeric(column_of(people, "age"), errors="coerce").dropna()
    if ages.empty:
        return None
    low, median, high = map(float, ages.quantile([0.25, 0.5, 0.75]))
    return Ages(len(ages), median, low, high, float(ages.min()), float(ages.max()))


def in_order(levels: pd.Series[Any]) -> list[str]:
    """The different values: age bands by age, the others by name; rare and unknown ones last."""
    order = {band: place for place, band in enumerate(AGE_BANDS)}
    return sorted(
        map(str, levels.unique()),
        key=lambda level: (level == UNKNOWN, level.startswith(OTHER), order.get(level, 0), level),
    )


def _levels(values: pd.Series[Any]) -> Counts:
    counts = values.value_counts()
    return {level: _share(int(counts[level]), len(values)) for level in in_order(values)}


def _share(count: int, total: int) -> Count:
    return Count(count, count / total if total else None)


def table_one(described: Demographics) -> pd.DataFrame:
    """Lay demographics out as a paper prints them.

    The columns are `characteristic`, `level`, and the text for each part.
    """
    parts = described.parts
    rows: list[dict[str, str]] = []

    def add(characteristic: str, level: str, cells: Mapping[str, str]) -> None:
        rows.append({"characteristic": characteristic, "level": level, **cells})

    def add_all(characteristic: str, text: Callable[[PartDemographics], str]) -> None:
        add(characteristic, "", {part: text(told) for part, told in parts.items()})

    add_all("images", lambda told: f"{told.images:,}")
    add_all(
        "patients", lambda told: NOT_REPORTED if told.patients is None else f"{told.patients:,}"
    )
    add_all("age in years, median (IQR)", lambda told: _age_text(told.age))
    for name in ("categories", *DESCRIBED):
        counted = {part: told.levels(name) for part, told in parts.items()}
        title = _title(name, described.unit)
        levels = list(dict.fromkeys(level for one in ("all", *parts) for level in counted[one]))
        if levels == [UNKNOWN]:
            add(title, "", dict.fromkeys(parts, NOT_REPORTED))
            continue
        for level in levels:
            add(title, level, {part: _count_text(found, level) for part, found in counted.items()})
    return pd.DataFrame(rows)


def _title(name: str, unit: str) -> str:
    if name == "categories":
        return "finding, images"
    return f"{name.replace('_', ' ')}, {f'{unit}s' if name in OF_PATIENTS else 'images'}"


def _age_text(age: Ages | None) -> str:
    return NOT_REPORTED if age is None else f"{age.median:g} ({age.q1:g} to {age.q3:g})"


def _count_text(counts: Counts, level: str) -> str:
    count = counts.get(level, Count(0, None))
    return f"{count.n:,} ({count.share:.0%})" if count.n else "0"


def reference_standard(
    text: str | None, noise: LabelNoise | None, aurocs: Mapping[str, Estimate]
) -> ReferenceStandard:
    """Describe who labelled the images, and how (None where it is not reported), and bound what the
    noise of labels costs the AUROC of each detector.
    """
    bound = LabelNoiseBound(NOT_REPORTED)
    if noise is not None:
        wrong = noise.anomalous + noise.normal
        without = {name: _without_noise(found, 1.0 - wrong) for name, found in aurocs.items()}
        bound = LabelNoiseBound(noise, 1.0 - wrong / 2, without, ASSUMPTION)
    return ReferenceStandard(text or NOT_REPORTED, bound)


def _without_noise(observed: Estimate, attenuation: float) -> Estimate:
    """The estimate and its bounds as they would be without noise, between 0 and 1."""
    value, low, high = (
        None if bound is None else min(max(0.5 + (bound - 0.5) / attenuation, 0.0), 1.0)
        for bound in (observed.value, observed.low, observed.high)
    )
    return Estimate(value, low, high, observed.reason)
