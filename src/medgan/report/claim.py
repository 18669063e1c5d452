"""The CLAIM 2024 checklist, answered from the documents of a run.

`claim.yml` has the items and the texts of their answers; the functions here find what the texts
name. What no document tells is not reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from medgan.audits.cohort import NOT_REPORTED
from medgan.audits.data_results import PartDemographics
from medgan.evaluation.metrics import DETECTOR
from medgan.evaluation.results import DetectorResult
from medgan.models import display_name
from medgan.report.data import Checklist, ChecklistItem, ReportData
from medgan.report.text import or_reason, size_of, with_interval
from medgan.words import capital, readable

REPORTED, PARTLY, NOT_APPLICABLE = "reported", "partly reported", "not applicable"
STATUSES = (REPORTED, PARTLY, NOT_REPORTED, NOT_APPLICABLE)
Facts = Mapping[str, Any]
"""What the text of an item names. `status` and `text` replace those of claim.yml."""
UNKNOWN = "unknown"


@cache
def template() -> Mapping[str, Any]:
    """The content of claim.yml."""
    text = (files("medgan.report") / "claim.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def checklist(data: ReportData) -> Checklist:
    """Answer the 44 items."""
    content = template()
    items = [_answered(place, item, data) for place, item in enumerate(content["items"], start=1)]
    counted = Counter(item.status for item in items)
    counts = {status: counted[status] for status in STATUSES}
    return Checklist(content["checklist"], content["source"], counts, items)


def _answered(number: int, item: Mapping[str, str], data: ReportData) -> ChecklistItem:
    found = ANSWERS[item["answer"]](data) if "answer" in item else {}
    if found is None or "text" not in item:
        status, text = NOT_REPORTED, f"{capital(NOT_REPORTED)}: {item['missing']}."
    else:
        status = found.get("status", item.get("status", REPORTED))
        text = found.get("text", item["text"]).format(**_of_all(data), **found)
    return ChecklistItem(number, item["section"], item["topic"], status, text)


def _of_all(data: ReportData) -> Facts:
    """What the text of any item may name."""
    facts = data.facts
    return {
        "dataset": data.results.dataset,
        "image_size": facts.image_size,
        "intensity": facts.intensity,
        "seed": facts.seed,
        "versions": ", ".join(f"{name} {told}" for name, told in facts.versions.items()),
        "n_resamples": f"{facts.n_resamples:,}",
        "metrics": ", ".join(metric.name for metric in DETECTOR),
        "cards": len(data.cards),
        "all": len(data.results.detectors),
    }


def _any_row(data: ReportData) -> DetectorResult | None:
    """The row of any detector, for what is the same in all."""
    return next(iter(data.results.detectors.values()), None)


def _everyone(data: ReportData) -> PartDemographics | None:
    return None if data.cohort is None else data.cohort.demographics.parts.get("all")


def _recorded(data: ReportData, names: Collection[str]) -> Facts | None:
    everyone = _everyone(data)
    if everyone is None:
        return None
    known = [name for name in names if set(everyone.levels(name)) - {UNKNOWN}]
    return {"known": ", ".join(map(readable, known))} if known else None


def _eligibility(data: ReportData) -> Facts | None:
    if data.cohort is None:
        return None
    listed = "; ".join(f"{why}: {count:,}" for why, count in data.cohort.flow.reasons.items())
    return {"reasons": listed or "none"}


def _subsets(data: ReportData) -> Facts | None:
    if data.cut is None:
        return None
    rule = "by the rule reading.slices of the configuration of the dataset"
    slices = f" Of volumes: {data.facts.slices}, {rule}." if data.facts.slices else ""
    return {"cut": capital(str(data.cut).replace(" · ", "; ")), "slices": slices}


def _missing_values(data: ReportData) -> Facts | None:
    everyone = _everyone(data)
    if everyone is None:
        return None
    missing = {name: told.share or 0.0 for name, told in everyone.missing.items() if told.n}
    shares = ", ".join(f"{readable(name)} {share:.0%}" for name, share in missing.items())
    return {"shares": shares or "none"}


def _reference_standard(data: ReportData) -> Facts | None:
    standard = NOT_REPORTED if data.reference is None else data.reference.reference_standard
    return None if standard == NOT_REPORTED else {"standard": standard}


def _variability(data: ReportData) -> Facts | None:
    noise = None if data.reference is None else data.reference.label_noise.reported
    if noise is None or isinstance(noise, str):
        return None
    return {"anomalous": f"{noise.anomalous:.1%}", "normal": f"{noise.normal:.1%}"}


def _partitions(data: ReportData) -> Facts | None:
    if data.cohort is None:
        return None
    parts = data.cohort.flow.parts.items()
    return {
        "split": UNKNOWN if data.leakage is None else data.leakage.split,
        "sizes": ", ".join(f"{name} {told.images:,}" for name, told in parts),
        "fold": f" The test split is fold {data.fold}." if data.fold else "",
    }


def _disjoint(data: ReportData) -> Facts | None:
    audit = data.leakage
    if audit is None:
        return None
    without, twins = audit.images_without_patient, audit.near_duplicates
    unknown = f"Patients where known ({without:,} images have no patient id)"
    searched = twins.statement if twins is not None else ""
    return {
        "status": PARTLY if without else REPORTED,
        "level": unknown if without else "Patients",
        "verdict": audit.verdict,
        "near_duplicates": searched or "Near-duplicates were not searched.",
    }


def _sample_size(data: ReportData) -> Facts | None:
    row = _any_row(data)
    expected = None if row is None else row.expected_half_width
    if expected is None or expected.value is None:
        return None
    sizes = {"normal": expected.n_normal, "anomalous": expected.n_anomalous, "unit": expected.unit}
    return {**sizes, "half_width": f"{expected.value:.3f}"}


def _training(data: ReportData) -> Facts | None:
    cards = data.cards.items()
    steps = [f"{display_name(name)} {card.planned_steps:,} steps" for name, card in cards]
    return {"steps": ", ".join(steps)} if steps else None


def _selection(data: ReportData) -> Facts | None:
    labels = ", ".join(sorted({row.labels_used for row in data.results.detectors.values()}))
    return {"labels": labels} if data.cards else None


def _statistics(data: ReportData) -> Facts:
    tests, row, made = data.tests, _any_row(data), "No test was made."
    if tests is not None:
        how = f"{tests.correction} correction over {tests.n_tests} tests."
        made = f"Paired tests against the best baseline, {how}"
    return {"unit": "image" if row is None else row.interval_unit, "tests": made}


def _robustness(data: ReportData) -> Facts | None:
    run = [each for each in data.each(lambda made: made.robustness).values() if each.perturbations]
    return {"tested": len(run)} if run else None


def _explainability(data: ReportData) -> Facts:
    found = data.each(lambda made: made.localisation).values()
    claims = sorted({told.claim for told in found})
    checked = any("mask" in claim and "no masks" not in claim for claim in claims)
    shown = "; ".join(claims) or "no pixel-level metrics"
    return {"claims": shown, "status": REPORTED if checked else PARTLY}


def _internal(data: ReportData) -> Facts | None:
    row = _any_row(data)
    return None if row is None else {"size": size_of(row)}


def _external(data: ReportData) -> Facts:
    """Only tests of the weights that this run evaluated count."""
    rows = data.results.detectors
    keys = {name: row.published_key for name, row in rows.items()}
    tests = data.elsewhere.tests if data.elsewhere is not None else ()
    own = [one for one in tests if one.published_key and keys.get(one.model) == one.published_key]
    if not own:
        older = " Tests of older weights do not count." if tests else ""
        missing = "no detector of this run was tested on images of another source"
        return {"status": NOT_REPORTED, "text": f"Not reported: {missing}.{older}{_guests(data)}"}
    tested = {test.model for test in own}
    listed = [
        f"{display_name(one.model)} on '{one.tested_on}' {or_reason(one.auroc)}" for one in own
    ]
    status = REPORTED if tested == set(keys) else PARTLY
    return {"status": status, "tested": len(tested), "listed": "; ".join(listed)}


def _guests(data: ReportData) -> str:
    """The detectors of other datasets on these test images."""
    listed = "; ".join(
        f"{display_name(name)} of '{row.trained_on}' {or_reason(row.auroc)}"
        for name, row in data.each(lambda made: made.external).items()
        if row.trained_on
    )
    if not listed:
        return ""
    return f" Detectors of other datasets were tested on these test images, AUROC: {listed}."


def _included(data: ReportData) -> Facts | None:
    if data.cohort is None:
        return None
    flow = data.cohort.flow
    return {"listed": f"{flow.listed:,}", "kept": f"{flow.kept.images:,}"}


def _performance(data: ReportData) -> Facts | None:
    audited = data.each(lambda made: made.subgroups).values()
    groups = sorted({readable(column) for told in audited for column in told.groups})
    rows = data.results.detectors.items()
    shown = ", ".join(f"{display_name(name)} {with_interval(row.auroc)}" for name, row in rows)
    return {"shown": shown, "groups": ", ".join(groups) or "none recorded"} if rows else None


def _failures(data: ReportData) -> Facts | None:
    drawn = data.each(lambda made: made.random_errors)
    return {"drawn": len(drawn)} if drawn else None


ANSWERS: Mapping[str, Callable[[ReportData], Facts | None]] = {
    "eligibility": _eligibility,
    "subsets": _subsets,
    "missing_values": _missing_values,
    "acquisition": lambda data: _recorded(data, ("view", "scanner", "sequence")),
    "reference_standard": _reference_standard,
    "variability": _variability,
    "partitions": _partitions,
    "disjoint": _disjoint,
    "sample_size": _sample_size,
    "models": lambda data: {} if data.cards else None,
    "training": _training,
    "selection": _selection,
    "statistics": _statistics,
    "robustness": _robustness,
    "explainability": _explainability,
    "internal": _internal,
    "external": _external,
    "included": _included,
    "characteristics": lambda data: _recorded(data, ("age_band", "sex", "site")),
    "performance": _performance,
    "failures": _failures,
}
"""By the name in claim.yml."""
