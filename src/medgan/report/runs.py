"""The tables and sentences of two runs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from medgan.evaluation.compare_runs import ComparedDetector, RunComparison
from medgan.evaluation.metrics import DETECTOR
from medgan.report.tables import VALUE, Column, Rows, Table
from medgan.report.text import with_interval
from medgan.stats.differences import Difference

SETTINGS_SHOWN = 12


def compared(comparison: RunComparison) -> Iterator[Table | str]:
    """Yield the metrics of the shared detectors, and what has to be known of them."""
    yield _metric_table(comparison.detectors)
    yield from _notes(comparison)


def _metric_table(detectors: Mapping[str, ComparedDetector]) -> Table:
    rows: Rows = []
    for name, found in detectors.items():
        for place, metric in enumerate(DETECTOR):
            compared = found.figures[metric.key]
            change = _change(compared.difference, metric.digits)
            rows.append(["" if place else name, metric.name, compared.a, compared.b, change])
    values = [Column("A", VALUE), Column("B", VALUE), Column("B - A [95 % interval]")]
    return Table([Column("detector"), Column("metric", text=True), *values], rows)


def _change(difference: Difference, digits: int) -> str:
    low, high = difference.low, difference.high
    marked = low is not None and high is not None and (low > 0 or high < 0)
    return f"{with_interval(difference, digits)} {'*' if marked else ' '}"


def _notes(comparison: RunComparison) -> Iterator[str]:
    found = comparison.detectors
    for how in dict.fromkeys(detector.how for detector in found.values()):
        names = [name for name, detector in found.items() if detector.how == how]
        yield f"{'All' if len(names) == len(found) else ', '.join(names)}: {how}."
    intervals = sum(len(detector.figures) for detector in found.values())
    yield (
        f"* the interval leaves out 0. The {intervals} intervals are not corrected for their "
        "number: some leave out 0 by chance."
    )
    for alone, run in ((comparison.only_a, "A"), (comparison.only_b, "B")):
        if alone:
            yield f"Only in {run}: {', '.join(alone)}."
    changed = list(comparison.settings.items())
    if changed:
        yield "What differs between the runs (A, B):"
    for name, (first, second) in changed[:SETTINGS_SHOWN]:
        yield f"  {name}: {first or '-'}, {second or '-'}"
    if len(changed) > SETTINGS_SHOWN:
        yield f"  and {len(changed) - SETTINGS_SHOWN} more settings; --json has them."
