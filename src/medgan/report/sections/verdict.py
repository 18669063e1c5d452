"""The answer of a report: one sentence, and what has to be known to read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from medgan.evaluation.baselines import BASELINES
from medgan.report.blocks import Material
from medgan.report.text import (
    capital,
    grouped_warnings,
    p_text,
    percent,
    readable,
    signed_interval,
    size_of,
    with_interval,
)

SIMPLE = tuple(name for names in BASELINES.values() for name in names)
"""What a GAN has to beat."""


def answer(material: Material) -> str:
    """What a reader who stops here takes along."""
    best, order = material.best, material.order
    if best is None:
        reason = (
            material.rows[order[0]]["auroc"].get("reason", "") if order else "there is no detector"
        )
        return f"No detector can be ranked: {reason}."
    low = best["auroc"].get("low")
    skill = (
        "better than chance"
        if low is not None and low > 0.5
        else "not shown to be better than chance"
    )
    return (
        f"{capital(readable(order[0]))} separates anomalous from normal test images best: "
        f"AUROC {with_interval(best['auroc'])} on {size_of(best)}, {skill}{_beside_baseline(material)}."
    )


def _beside_baseline(material: Material) -> str:
    """How the best detector does beside the best baseline that sees no more than it."""
    test = _tests(material).get(material.order[0])
    if test is None:
        return ""
    if test.get("p_holm") is not None:
        return f" and {readable(test['verdict'])}"
    if test.get("against") != material.order[0]:
        return f" (no test against a baseline: {test['difference'].get('reason', 'none was made')})"
    gained = [name for name, other in _tests(material).items() if _verdict(other) == "better"]
    return (
        ""
        if gained
        else "; it is a simple baseline, and no other detector is shown to be better than its own"
    )


def details(material: Material) -> Iterator[str]:
    """What stands below the answer."""
    best = material.best
    if best is None:
        return
    yield (
        f"At its threshold, frozen on validation, it finds {percent(best['sensitivity'])} of the anomalous images "
        f"and calls {percent(best['specificity'])} of the normal ones normal."
    )
    yield from _best_gan(material)
    yield from _verdicts(material)
    if len(material.order) > 1:
        yield (
            f"It is the best of {len(material.order)} on these very test images, which flatters it a little; "
            "the baselines of the tests were chosen on validation."
        )
    seen = {row["sees_mix"] for row in material.rows.values()}
    if len(seen) > 1:
        yield "Detectors that see the unlabelled mix learn from anomalous images, without their labels; compare them with each other first."


def _best_gan(material: Material) -> Iterator[str]:
    tests = _tests(material)
    gans = [
        name
        for name in material.order
        if name not in SIMPLE and (tests.get(name) or {}).get("p_holm") is not None
    ]
    if not gans:
        return
    name, test = gans[0], tests[gans[0]]
    baseline = material.rows.get(test["against"], {})
    yield (
        f"The best GAN, {readable(name)} ({with_interval(material.rows[name]['auroc'])}), beside {readable(test['against'])} "
        f"({with_interval(baseline.get('auroc'))}), the baseline that validation chose among those that see no more: difference "
        f"{signed_interval(test['difference'])}, {p_text(test['p_holm'])}, {readable(test['verdict'])}"
        f"{'.' if _verdict(test) == 'better' else ': here it has not earned its cost.'}"
    )


def _verdicts(material: Material) -> Iterator[str]:
    document = material.together.get("detector_tests", {})
    made = [test for test in _tests(material).values() if test.get("p_holm") is not None]
    if not made:
        return
    counted = Counter(_verdict(test) for test in made)
    kinds = " and ".join(sorted({test["test"] for test in made}))
    yield (
        f"Of {len(made)} detectors tested against their baseline, {counted['better']} "
        f"{'is' if counted['better'] == 1 else 'are'} shown to be better, {counted['worse']} worse, "
        f"and {counted['none']} without a difference shown "
        f"({kinds}; {document.get('correction', 'no')} correction over {document.get('n_tests', len(made))} tests)."
    )


def _verdict(test: Mapping[str, Any]) -> str:
    words = str(test.get("verdict", ""))
    return next((word for word in ("better", "worse") if words.startswith(word)), "none")


def _tests(material: Material) -> Mapping[str, Any]:
    tests: Mapping[str, Any] = material.together.get("detector_tests", {}).get("tests", {})
    return tests


def warnings(material: Material) -> list[str]:
    """What a reader has to be warned of before he reads a figure."""
    found = [
        f"{', '.join(map(readable, names))}: {text}" if names else text
        for text, names in grouped_warnings(material.rows)
    ]
    flagged = [
        name
        for name, told in material.together.get("shortcuts", {}).get("detectors", {}).items()
        if told["flags"]
    ]
    if flagged:
        names = (
            "All detectors"
            if len(flagged) == len(material.rows)
            else capital(", ".join(map(readable, flagged)))
        )
        found.append(
            f"{names} may detect the source of an image instead of a disease: see the audit of shortcuts."
        )
    leak = material.together.get("leakage_audit", {}).get("verdict", "no leak")
    found += [f"Leakage audit of the split: {leak}."] if leak != "no leak" else []
    if material.fold:
        found.append(
            f"The test images are fold {material.fold} of a cross-validation: one fold's figures may lie far from the mean over all."
        )
    return found
