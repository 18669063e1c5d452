"""The page that puts detectors, classifier arms and runs side by side."""

from __future__ import annotations

from collections.abc import Iterator

import streamlit as st

from medgan import models
from medgan.app.shared import show, show_table
from medgan.audits.results import SubgroupsResult
from medgan.datasets.documents import read_document
from medgan.errors import UserError
from medgan.evaluation.results import Results
from medgan.inference.generation import judged
from medgan.models import display_name
from medgan.pipelines.outputs import Audit, Comparison
from medgan.project.artifacts import Project
from medgan.project.run_comparison import archive_of, comparison
from medgan.report.runs import compared
from medgan.report.sections.audits import gaps_table
from medgan.report.summary import summary
from medgan.report.tables import Column, Table
from medgan.tracking.reading import TrackedRun

NO_RUNS = (
    "MLflow has fewer than two runs of {dataset} that evaluated a detector: `{command}` makes one."
)
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
    show(summary(results))
    _show_figures(project, dataset)
    st.subheader("Gaps between subgroups")
    _show_gaps(project, dataset, results)
    st.subheader("Release of synthetic images")
    show_table(_verdicts(project, dataset))
    st.subheader("Two runs")
    _show_runs(project, dataset)


def _show_figures(project: Project, dataset: str) -> None:
    found: Comparison | None = project.read(dataset, "comparison")
    if found is None:
        return
    tabs = st.tabs(["AUROC", "ROC", "Precision and recall"])
    for tab, (name, caption) in zip(tabs, FIGURES.items(), strict=True):
        tab.image(getattr(found, name), caption, alt=caption)


def _show_gaps(project: Project, dataset: str, results: Results) -> None:
    found = dict(_subgroups(project, dataset, results))
    if not found:
        st.caption("Subgroups were not audited.")
        return
    name = st.selectbox("Detector", list(found), key="audited", format_func=display_name)
    st.caption(found[name].sentence)
    table = gaps_table(found[name])
    if table.rows:
        show_table(table)
    for column, reason in found[name].not_measured.items():
        st.caption(f"{column}: {reason}.")


def _subgroups(
    project: Project, dataset: str, results: Results
) -> Iterator[tuple[str, SubgroupsResult]]:
    for name in results.detectors:
        audit: Audit | None = project.read(dataset, f"{name}.audit")
        if audit is not None:
            yield name, audit.subgroups


def _verdicts(project: Project, dataset: str) -> Table:
    """List the generators with the verdict of the release gate."""
    environment = project.environment(dataset)
    refusals = {
        name: judged(project, environment, name).refusal
        for name in project.trained(dataset, models.synthesizers())
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
        st.caption(str(error))
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
