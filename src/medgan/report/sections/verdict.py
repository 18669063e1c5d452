"""The headline of a report, and what has to be known to read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from medgan.evaluation.baselines import BASELINES
from medgan.evaluation.details import DetectorTest
from medgan.models import display_name
from medgan.report.data import ReportData
from medgan.report.text import (
    grouped_warnings,
    left_out_sentences,
    number,
    p_text,
    percent,
    signed_interval,
    size_of,
    with_interval,
)
from medgan.words import SMOKE, capital

SIMPLE = tuple(name for names in BASELINES.values() for name in names)
"""The baselines."""
NO_LEAK = "no leak"


def headline(data: ReportData) -> str:
    """State which detector ranks first, and whether it is better than its baseline."""
    best, order = data.best, data.order
    if data.smoke:
        return f"No detector is ranked: {SMOKE}."
    if best is None:
        rows = data.results.detectors
        reason = rows[order[0]].auroc.reason if order else "no detector was evaluated"
        return f"No detector can be ranked: {reason}."
    skill = "" if (best.auroc.low or 0.0) > 0.5 else ", not significantly above chance"
    return (
        f"{capital(display_name(order[0]))} ranks first: AUROC {with_interval(best.auroc)} "
        f"on {size_of(best)}{skill}{_beside_baseline(data)}."
    )


def _beside_baseline(data: ReportData) -> str:
    """The best detector against the best baseline that sees as much as it does."""
    tests = _tests(data)
    test = tests.get(data.order[0])
    if test is None:
        return ""
    if test.p_holm is not None:
        return f", {_against(test)} ({number(test.difference, sign='+')}, {p_text(test.p_holm)})"
    if test.against != data.order[0]:
        return f" (no test against a baseline: {test.difference.reason or 'none was made'})"
    if any(verdict_of(other) == "better" for other in tests.values()):
        return ""
    return "; it is a simple baseline, and no detector is significantly better than its baseline"


def _against(test: DetectorTest) -> str:
    where = {"better": "significantly above", "worse": "significantly below"}
    relation = where.get(verdict_of(test), "not significantly above")
    return f"{relation} the {display_name(str(test.against))} baseline"


def details(data: ReportData) -> Iterator[str]:
    """The sentences below the headline."""
    best, rows = data.best, data.results.detectors
    yield from left_out_sentences(data.results)
    if best is None or data.smoke:
        return
    yield (
        f"At its threshold, frozen on validation, it detects {percent(best.sensitivity)} of the "
        f"anomalous images and classifies {percent(best.specificity)} of the normal images as "
        "normal; the rest are false negatives (missed) and false positives (false alarms)."
    )
    yield from _best_gan(data)
    yield from _verdicts(data)
    if len(rows) > 1:
        yield (
            f"The first of {len(rows)} detectors was picked on the test set, so its AUROC is "
            "slightly optimistic; the baselines of the tests were chosen on validation."
        )
    if len({row.sees_mix for row in rows.values()}) > 1:
        yield (
            "Detectors that see the unlabelled mix also train on anomalous images, without labels; "
            "compare them with each other first."
        )


def _best_gan(data: ReportData) -> Iterator[str]:
    tests, rows = _tests(data), data.results.detectors
    tested = (name for name in data.order if name in tests and tests[name].p_holm is not None)
    name = next((name for name in tested if name not in SIMPLE), None)
    if name is None:
        return
    test = tests[name]
    baseline = rows.get(str(test.against))
    reference = with_interval(None if baseline is None else baseline.auroc)
    cost = "" if verdict_of(test) == "better" else " The added cost is not justified here."
    yield (
        f"The best GAN, {display_name(name)} ({with_interval(rows[name].auroc)}), is "
        f"{_against(test)} ({reference}; chosen on "
        f"validation among those that see as much): difference {signed_interval(test.difference)}, "
        f"{p_text(test.p_holm)}.{cost}"
    )


def _verdicts(data: ReportData) -> Iterator[str]:
    made = [test for test in _tests(data).values() if test.p_holm is not None]
    if data.tests is None or not made:
        return
    counts = Counter(map(verdict_of, made))
    methods = " and ".join(sorted({test.test for test in made}))
    yield (
        f"Of {len(made)} detectors tested against their baseline, {counts['better']} "
        f"{'is' if counts['better'] == 1 else 'are'} significantly better, {counts['worse']} "
        f"significantly worse, and {counts['none']} not significantly different "
        f"({methods}; {data.tests.correction} correction over {data.tests.n_tests} tests)."
    )


def verdict_of(test: DetectorTest) -> str:
    """`better`, `worse` or `none`."""
    return next((word for word in ("better", "worse") if test.verdict.startswith(word)), "none")


def _tests(data: ReportData) -> Mapping[str, DetectorTest]:
    return {} if data.tests is None else data.tests.tests


def warnings(data: ReportData) -> list[str]:
    """What a reader has to know before reading a metric."""
    rows = data.results.detectors
    found = [
        f"{', '.join(map(display_name, names))}: {text}" if names else text
        for text, names in grouped_warnings(rows)
    ]
    audited = {} if data.shortcuts is None else data.shortcuts.detectors
    flagged = [name for name, judged in audited.items() if judged.flags]
    if flagged:
        names = ", ".join(map(display_name, flagged))
        who = "All detectors" if len(flagged) == len(rows) else capital(names)
        where = "see the section 'Compared against shortcut baselines'"
        found.append(f"{who} may detect the source of an image instead of the disease: {where}.")
    if data.leakage is not None and data.leakage.verdict != NO_LEAK:
        found.append(f"Leakage audit of the split: {data.leakage.verdict}.")
    if data.fold:
        said = f"This run tests fold {data.fold} of a cross-validation"
        found.append(f"{said}; report the mean over all of them.")
    return found
