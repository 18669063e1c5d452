"""The table of faults in docs/reliability.md is complete, and each test that it names exists."""

from __future__ import annotations

import re

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| F(\d+) \| (.+) \| (.+) \| (.*)\|$", PAGE, re.MULTILINE)


def test_all_58_faults_have_a_row_in_their_order():
    assert [int(number) for number, *_ in ROWS] == list(range(1, 59))


def test_every_named_test_exists_and_every_row_names_one():
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    known = set(re.findall(r"^def (test_\w+)\(", source, re.MULTILINE))
    named = {number: re.findall(r"`(test_\w+)`", tests) for number, *_, tests in ROWS}
    assert all(named.values())
    assert not {test for tests in named.values() for test in tests} - known
