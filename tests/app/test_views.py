"""The views Compare and Data, with what a run leaves and without it."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from medgan.images.duplicates import DuplicateCounts
from medgan.images.leakage import Leak, LeakageAudit
from medgan.images.summary import DataSummary, Named, Part, Patients, SplitSummary
from tests.app.test_page import fresh_caches, opened, texts  # noqa: F401
from tests.conftest import ROOT
from tests.inference.artifacts import leave

NONE = Leak(0, 0, ())
SUMMARY = DataSummary(
    seen={"files": 21},
    read=18,
    quarantined={"CONSTANT": Named(1, ("a.png",))},
    left_out={"text or a table": Named(2, ("b.csv", "c.txt"))},
    duplicate_groups=0,
    surplus_copies=0,
    mislabelled_groups=0,
    patients=Patients(9, 0, 0),
    classes={"normal": 12, "viral": 6},
    split=SplitSummary(
        "by_patient",
        {"train": Part(10, 5), "val": Part(4, 2), "test": Part(4, 2)},
        "no leak",
        "fail",
        0,
        None,
    ),
)


def cells(app: AppTest) -> str:
    return "\n".join(table.value.to_csv(index=False) for table in app.table)


def test_the_data_of_a_project_that_is_not_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    leave(tmp_path, "phantoms", "manifest", pd.DataFrame({"image_id": ["a"]}))
    app = opened(tmp_path, monkeypatch, "Data")
    assert "has no summary yet" in app.info[0].value
    leave(tmp_path, "phantoms", "data_summary", SUMMARY)
    leave(tmp_path, "phantoms", "quarantine", pd.DataFrame({"path": ["a.png"], "code": ["X"]}))
    shared = {"patients": NONE, "pixels": Leak(2, 5, ())}
    audit = LeakageAudit(
        "leak",
        shared,
        NONE,
        None,
        {"train": 10},
        0,
        DuplicateCounts(0, 0, []),
        None,
        "by_patient",
        "fail",
    )
    leave(tmp_path, "phantoms", "leakage_audit", audit)
    app.run()
    assert not app.error
    assert not app.exception
    shown = cells(app)
    for row in ("normal,12 (67%)", "viral,6 (33%)", "train,10,5", "test,4,2"):
        assert row in shown
    assert "equal pictures,2,5" in shown
    assert 'text or a table,2,"b.csv, c.txt"' in shown
    assert "Verdict: **leak**" in texts(app)
    assert app.expander[1].label == "quarantine.csv: 1 rows"


def test_nothing_to_compare_names_the_command(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(trained, monkeypatch, "Compare")
    assert not app.error
    assert "Nothing is evaluated on phantoms yet: `kedro run` does it" in app.info[0].value


@pytest.mark.parametrize("view", ["Generate", "Score", "Compare", "Data", "Train"])
def test_every_view_of_an_empty_project_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, view: str
) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    app = opened(tmp_path, monkeypatch, view)
    assert not app.error
    assert not app.exception
    assert bool(app.info) or len(app.text_input) == 2
