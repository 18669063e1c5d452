"""Records and tables of the benchmarks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from benchmarks.machine import Machine
from benchmarks.paired import Comparison, Parity, Spread
from benchmarks.results import BEGIN, END, Duration, Line, Trained

from benchmarks import results, rows
from tests.conftest import ROOT

MACHINE = Machine("a processor", 2, 2, "2.15.0", 0.1, 0.2, 1.5)
FOUND = Comparison(
    Spread(3.5, 3.2, 3.9),
    Spread(1.0, 0.9, 1.1),
    Spread(0.5, 0.4, 0.6),
    Spread(1.75, 1.7, 1.8),
    12.0,
    None,
    "relative difference: 1e-9, at most 1e-06",
    7,
)
LINE = Line("FID", "a package", 3.0, MACHINE, FOUND, operations=50 * 10**9)


SAME = Spread(1.2, 1.0, 1.4)
TRAINED = Trained(
    "SNGAN in bf16",
    "FID",
    MACHINE,
    Parity(Spread(0.9, 0.7, 1.1), Spread(1.0, 0.8, 1.2), SAME, SAME),
)


def with_ratio(median: float) -> Line:
    return replace(LINE, comparison=replace(FOUND, ratio=Spread(median, median, median)))


def test_a_record_is_read_as_it_was_written(tmp_path):
    lines = [LINE, Duration("`medgan --help`", 1.0, MACHINE, Spread(0.2, 0.1, 0.3)), TRAINED]
    results.write("fid", lines, tmp_path)
    assert results.read("fid", tmp_path) == lines
    assert results.read("kid", tmp_path) == []


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        (LINE, "reached"),
        (with_ratio(2.9), "below the goal"),
        (with_ratio(1.05), "no claim: within the control"),
        (with_ratio(0.6), "slower"),
        (replace(LINE, comparison=None, failure="No module named 'x'"), "not measured: No module"),
    ],
)
def test_a_verdict_follows_from_ratio_goal_and_control(line, verdict):
    assert line.verdict.startswith(verdict)


def test_the_share_of_the_roof_is_that_of_its_precision():
    assert LINE.share_of_roof == pytest.approx(0.5)  # 50 GFLOP in half a second, of 0.2 TFLOP/s
    assert replace(LINE, precision="bf16").share_of_roof == pytest.approx(0.1 / 1.5)
    assert replace(LINE, operations=0).share_of_roof is None


def test_the_page_gets_its_tables_between_the_markers(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    results.update_page(results.tables([LINE]), page)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert "| FID | a package | 3.50 (3.20 to 3.90) | 3 | reached |" in text
    results.update_page(results.tables([LINE]), page)
    assert page.read_text() == text


def test_the_page_shows_the_records():
    """No number of the tables is typed by hand."""
    made = results.all_tables(rows.NAMES, ROOT / results.FOLDER)
    assert made in (ROOT / results.PAGE).read_text(encoding="utf-8")


def test_the_quality_of_trained_models_is_a_table_of_its_own():
    row = "| SNGAN in bf16 | FID | 1.20 | 1.20 | 0.90 (0.70 to 1.10) | 0.80 to 1.20 | as equal as two seeds |"
    assert row in results.tables([LINE, TRAINED])
    parity = replace(TRAINED.parity, ratio=Spread(0.5, 0.4, 0.6))
    assert replace(TRAINED, parity=parity).verdict == "worse"


def test_a_row_without_a_record_is_named(tmp_path):
    results.write("fid", [LINE], tmp_path)
    made = results.all_tables(["fid", "kid"], tmp_path)
    assert "| FID | a package |" in made
    assert "Not measured yet: `kid`." in made


def test_packages_to_compare_with_are_none_of_the_project():
    """They would replace its own, or be measured in another version."""
    lock = (ROOT / "requirements.lock").read_text().splitlines()
    ours = {line.partition("==")[0] for line in lock if "==" in line}
    peers = (ROOT / "benchmarks/peers.txt").read_text().splitlines()
    theirs = {line.partition("==")[0] for line in peers if not line.startswith("#")}
    assert len(theirs) > 10
    assert not theirs & ours
