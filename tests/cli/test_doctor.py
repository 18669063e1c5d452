"""`medgan doctor`: what is wrong comes first, and what was not run is no finding."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from medgan.cli import checkup
from medgan.cli.checkup import CHECKS, GOOD, NOT_RUN, WRONG, Examined
from medgan.cli.main import main
from medgan.errors import UserError
from medgan.evaluation.results import Section
from medgan.images.leakage import Leak, LeakageAudit
from medgan.images.summary import DataSummary, Named, Patients, warned
from tests.conftest import ROOT

NO_LEAK = Leak(0, 0, ())


@dataclass(frozen=True)
class Stored:
    """Stands for `Project`: entries of the catalog by name."""

    entries: Mapping[str, Any]
    root: Path = ROOT

    def read(self, dataset: str, entry: str) -> Any:
        found = self.entries.get(entry)
        if isinstance(found, UserError):
            raise found
        return found

    def catalog(self, dataset: str) -> Mapping[str, Any]:
        results = SimpleNamespace(provenance={"versions": {}, "lock_hash": None})
        return {"results.detectors": SimpleNamespace(document=lambda: results)}


def trained(**card: Any) -> Any:
    return SimpleNamespace(model=SimpleNamespace(card={"scale": "cpu", **card}))


def entries() -> dict[str, Any]:
    """Those of a sound data set."""
    classes = {"normal": 300, "tumour": 200}
    summary = DataSummary({"files": 500}, 500, {}, {}, 0, 0, 0, Patients(100, 0, 0), classes)
    audit = LeakageAudit("no leak", {"patients": NO_LEAK}, NO_LEAK, None, {}, 0, None, None)
    splits = pd.DataFrame({"split": ["val"] * 60, "category": ["normal"] * 40 + ["tumour"] * 20})
    shortcut = SimpleNamespace(flags=(), sentence="Better than the border.")
    return {
        "data_summary": summary,
        "leakage_audit": audit,
        "splits": splits,
        "dcgan.trained": trained(),
        "data_profile": SimpleNamespace(
            data_profile=SimpleNamespace(association_with_category={"site": 0.1, "view": None})
        ),
        "comparison": SimpleNamespace(shortcuts=SimpleNamespace(detectors={"dcgan": shortcut})),
        "results.detectors": Section("", {"dcgan": SimpleNamespace(warnings=())}),
    }


def states(found: Mapping[str, Any]) -> dict[str, str]:
    findings = checkup.checkup(Examined(Stored(found), "films"))
    return {finding.check: finding.state for finding in findings}


def test_a_sound_data_set_has_no_finding():
    assert set(states(entries()).values()) == {GOOD}


def damaged() -> Iterator[tuple[str, dict[str, Any], str]]:
    """Check, entries that it finds wrong, words of its sentence."""
    good = entries()
    summary, audit = good["data_summary"], good["leakage_audit"]
    small = {"normal": 460, "tumour": 40}
    lost = {"UNREADABLE": Named(50, ())}
    yield "data", {"data_summary": replace(summary, classes=small)}, "of the class tumour"
    unread = warned(replace(summary, seen={"files": 550}, quarantined=lost))
    yield "data", {"data_summary": unread}, "50 files or images cannot be used (9.1%"
    unknown = warned(replace(summary, patients=Patients(9, 7, 0)))
    yield "data", {"data_summary": unknown}, "7 of 500 images have no known patient"
    yield "data", {"data_summary": UserError("data_summary.json is damaged.")}, "is damaged"
    shared = {"patients": Leak(3, 9, ())}
    yield "leaks", {"leakage_audit": replace(audit, shared=shared)}, "share 3 patients"
    few = good["splits"].iloc[30:]
    yield "validation", {"splits": few}, "10 normal validation images"
    yield "curves", {"dcgan.trained": trained(scale="smoke")}, "dcgan: scale=smoke"
    yield "curves", {"dcgan.trained": trained(figures={"diversity": 0.1})}, "mode collapse"
    profile = SimpleNamespace(association_with_category={"site": 0.8})
    yield "shortcuts", {"data_profile": SimpleNamespace(data_profile=profile)}, "V 0.80"
    beaten = SimpleNamespace(flags=("may detect the source",), sentence="No better.")
    comparison = SimpleNamespace(shortcuts=SimpleNamespace(detectors={"dcgan": beaten}))
    yield "shortcuts", {"comparison": comparison}, "dcgan: No better."
    failed = SimpleNamespace(warnings=("Failed: chance.",))
    yield "detectors", {"results.detectors": Section("", {"dcgan": failed})}, "Failed: chance."


@pytest.mark.parametrize(("check", "changed", "words"), list(damaged()))
def test_what_is_wrong_is_found_by_its_check_alone(check, changed, words):
    findings = checkup.checkup(Examined(Stored({**entries(), **changed}), "films"))
    wrong = [finding for finding in findings if finding.state == WRONG]
    assert [finding.check for finding in wrong] == [check]
    assert words in " ".join(wrong[0].sentences)


def test_what_comes_first_is_mended_first():
    changed = {"splits": entries()["splits"].head(5), "dcgan.trained": trained(scale="smoke")}
    findings = checkup.checkup(Examined(Stored({**entries(), **changed}), "films"))
    assert checkup.as_document("films", findings)["first"] == "validation"


def test_other_packages_and_a_full_disk_are_of_the_environment(monkeypatch):
    made = SimpleNamespace(provenance={"versions": {"torch": "1.0"}, "lock_hash": "0"})
    monkeypatch.setattr(checkup, "_results", lambda examined: made)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=5e8))
    found = list(checkup.environment(Examined(Stored({}), "films")))
    assert found[0] == "Only 0.5 GB of the disk are free."
    assert "requirements.lock, torch" in found[1]


def test_every_check_has_a_section_on_the_page_that_it_names():
    for finding in checkup.checkup(Examined(Stored({}), "films")):
        page, _, anchor = finding.page.partition("#")
        assert f"\n## {anchor.capitalize()}\n" in (ROOT / page).read_text(encoding="utf-8")


def test_a_data_set_without_a_run_has_no_finding_and_the_command(monkeypatch, tmp_path):
    for name in ("conf", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KEDRO_ENV", raising=False)
    shown = CliRunner().invoke(main, ["doctor", "--env", "migraine_mri"])
    assert shown.exit_code == 0, shown.output
    assert "kedro run --env" in shown.output
    document = json.loads(
        CliRunner().invoke(main, ["doctor", "--env", "migraine_mri", "--json"]).output
    )
    assert document["first"] is None
    assert [one["check"] for one in document["checks"]] == list(CHECKS)
    assert {one["state"] for one in document["checks"]} == {NOT_RUN}
