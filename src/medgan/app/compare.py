"""The page that puts detectors, classifier arms and runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from medgan import models
from medgan.app.shared import said, show, show_table, warn
from medgan.audits.results import SubgroupsResult
from medgan.datasets.documents import read_document
from medgan.errors import UserError
from medgan.inference.generation import judged_generator
from medgan.models import display_name
from medgan.pipelines.outputs import Audit, Comparison
from medgan.project.artifacts import Project
from medgan.project.run_comparison import archive_of, comparison
from medgan.report.runs import compared
from medgan.report.sections.audits import gaps_table
from medgan.report.summary import summary
from medgan.report.tables import Column, Table
from medgan.tracking.reading import TrackedRun
from medgan.words import SMOKE, SMOKE_SCALE

NO_RUNS = (
    "MLflow has fewer than two runs of {dataset} that evaluated a detector: `{command}` makes one."
)
WIDTH = 640
"""Of a figure, in pixels; less on a narrow screen."""
FIGURES = {
    "auroc": "AUROC of each detector on the test images, with 95 % intervals over patients",
    "roc": "ROC curve of each detector on the test images",
    "precision_recall": "Precision-recall curve of each detector on the test images",
}
"""Field of a `Comparison` -> its caption."""


def page(project: Project, dataset: str) -> None:
    """Show results of the newest run, gaps between subgroups, verdicts, and two runs."""
    results = read_document(project.results_file(dataset))
    if results is None:
        st.info(f"Nothing is evaluated on {dataset} yet: `{project.run_command(dataset)}` does it.")
        return
    warn([SMOKE] if results.provenance.get("scale") == SMOKE_SCALE else [])
    show(summary(results))
    _show_figures(project, dataset)
    stamp = str(results.provenance.get("time", ""))
    st.subheader("Gaps between subgroups")
    _show_gaps(_subgroups(project, str(project.root), dataset, stamp, list(results.detectors)))
    st.subheader("Release of synthetic images")
    show_table(_verdicts(project, str(project.root), dataset, _releases(project, dataset)))
    st.subheader("Two runs")
    _show_runs(project, dataset)


def _show_figures(project: Project, dataset: str) -> None:
    found: Comparison | None = project.read(dataset, "comparison")
    if found is None:
        return
    tabs = st.tabs(["AUROC", "ROC", "Precision and recall"])
    for tab, (name, caption) in zip(tabs, FIGURES.items(), strict=True):
        tab.image(getattr(found, name), caption, WIDTH, alt=caption)


def _show_gaps(found: Mapping[str, SubgroupsResult]) -> None:
    if not found:
        st.caption("Subgroups were not audited.")
        return
    name = st.selectbox("Detector", list(found), key="audited", format_func=display_name)
    st.caption(said(found[name].sentence))
    table = gaps_table(found[name])
    if table.rows:
        show_table(table)
    for column, reason in found[name].not_measured.items():
        st.caption(said(f"{column}: {reason}."))


@st.cache_resource(max_entries=4, show_spinner="Reading the audits")
def _subgroups(
    _project: Project, root: str, dataset: str, stamp: str, names: Sequence[str]
) -> dict[str, SubgroupsResult]:
    """Read the subgroups of each detector; `stamp` changes with the results."""
    audits: dict[str, Audit | None] = {
        name: _project.read(dataset, f"{name}.audit") for name in names
    }
    return {name: audit.subgroups for name, audit in audits.items() if audit is not None}


def _releases(project: Project, dataset: str) -> tuple[int, ...]:
    """Return times that change with a generator or with its verdict."""
    trained = project.trained(dataset, models.synthesizers())
    entries = (f"{name}.{part}" for name in trained for part in ("trained", "release"))
    return project.stamp(dataset, *entries)


@st.cache_data(max_entries=4, show_spinner="Reading the verdicts")
def _verdicts(_project: Project, root: str, dataset: str, releases: tuple[int, ...]) -> Table:
    """List the generators with the verdict of the release gate."""
    environment = _project.environment(dataset)
    refusals = {
        name: judged_generator(_project, environment, name).refusal
        for name in _project.trained(dataset, models.synthesizers())
    }
    rows = [
        [name, f"not released: {refusal}" if refusal else "released"]
        for name, refusal in refusals.items()
    ]
    return Table([Column("generator"), Column("verdict", text=True)], rows)


@st.cache_data(ttl=60, show_spinner="Reading the runs from MLflow")
def _runs(_project: Project, root: str, dataset: str) -> list[TrackedRun]:
    return archive_of(_project.environment(dataset)).evaluated()


@st.cache_data(max_entries=4, show_spinner="Comparing")
def _compared(_project: Project, root: str, dataset: str, a: str, b: str) -> list[Table | str]:
    return list(compared(comparison(a, b, _project.environment(dataset))))


def _show_runs(project: Project, dataset: str) -> None:
    root = str(project.root)
    try:
        runs = _runs(project, root, dataset)
    except UserError as error:
        st.caption(said(str(error)))
        return
    if len(runs) < 2:
        st.caption(NO_RUNS.format(dataset=dataset, command=project.run_command(dataset)))
        return
    titles = {run.run_id: run.title for run in runs}
    left, right = st.columns(2)
    a = left.selectbox("Run A", list(titles), 1, key="run_a", format_func=titles.__getitem__)
    b = right.selectbox("Run B", list(titles), 0, key="run_b", format_func=titles.__getitem__)
    if a == b:
        st.caption("Choose two different runs.")
        return
    show(_compared(project, root, dataset, a, b))
