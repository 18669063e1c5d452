"""The page that shows what was used of a data set, what was not, and what its split shares."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from medgan.app.shared import plain, said, show_table
from medgan.images.leakage import SHARED_NAMES, LeakageAudit
from medgan.images.summary import DataSummary, Named
from medgan.pipelines.outputs import DataProfile, NearDuplicates
from medgan.project.artifacts import Project
from medgan.report.tables import VALUE, Column, Table

ROWS = 200
"""Rows of a list on the page; the download has all."""
COUNT = Column("images", VALUE, 0)


def page(project: Project, dataset: str) -> None:
    """Show classes, split, leaks, pictures, duplicates and what was left out."""
    found: DataSummary | None = project.read(dataset, "data_summary") or project.read(
        dataset, "ingestion_summary"
    )
    if found is None:
        st.info(f"{dataset} has no summary yet: `{project.run_command(dataset)}` makes one.")
        return
    for warning in found.warnings:
        st.warning(said(warning))
    left, right = st.columns(2)
    with left:
        _show_classes(found)
    with right:
        _show_split(found)
    audit: LeakageAudit | None = project.read(dataset, "leakage_audit")
    if audit is not None:
        _show_leaks(audit)
    _show_pictures(project, dataset)
    st.subheader("Not used")
    _show_left_out("Quarantined: cannot be read", found.quarantined)
    _show_left_out("Left out: no images of the data set", found.left_out)
    for entry in ("quarantine", "exclusions"):
        _show_list(project.read(dataset, entry), entry)


def _show_classes(found: DataSummary) -> None:
    st.subheader("Classes")
    rows = [[name, f"{count} ({count / found.read:.0%})"] for name, count in found.classes.items()]
    show_table(Table([Column("class"), COUNT], rows, note=f"{found.read} images in all."))


def _show_split(found: DataSummary) -> None:
    st.subheader("Split by patient")
    known = f"{found.patients.known} patients, {found.patients.images_without} images without one."
    if found.split is None:
        st.caption(f"{known} The images are not split yet: run the pipeline preprocessing.")
        return
    rows = [
        [name, str(part.images), "unknown" if part.patients is None else str(part.patients)]
        for name, part in found.split.parts.items()
    ]
    columns = [Column("part"), COUNT, Column("patients", VALUE, 0)]
    show_table(Table(columns, rows, note=f"Rule: {found.split.rule.replace('_', ' ')}. {known}"))


def _show_leaks(audit: LeakageAudit) -> None:
    st.subheader("Leakage audit")
    st.markdown(
        f"Verdict: **{audit.verdict}**. Policy: `{audit.on_leak}`, {audit.dropped} dropped."
    )
    rows = [
        [SHARED_NAMES.get(name, name), str(leak.count), str(leak.images)]
        for name, leak in audit.shared.items()
    ]
    rows.append(["synthetic images", str(audit.synthetic.count), str(audit.synthetic.images)])
    columns = [Column("two parts share"), Column("number", VALUE, 0), COUNT]
    show_table(Table(columns, rows))


def _show_pictures(project: Project, dataset: str) -> None:
    profile: DataProfile | None = project.read(dataset, "data_profile")
    pairs: NearDuplicates | None = project.read(dataset, "near_duplicates")
    pictures = {
        "Contact sheet": profile and profile.contact_sheet,
        "Profile": profile and profile.data_profile_figure,
        "Intensities": profile and profile.intensity,
        "Equal images": profile and profile.duplicates,
        "Near-duplicates": pairs and pairs.pairs_figure,
    }
    shown = {name: picture for name, picture in pictures.items() if isinstance(picture, bytes)}
    if not shown:
        return
    st.subheader("Images")
    for tab, (name, picture) in zip(st.tabs(list(shown)), shown.items(), strict=True):
        tab.image(picture, alt=f"{name} of {dataset}")


def _show_left_out(title: str, found: Mapping[str, Named]) -> None:
    if not found:
        st.caption(f"{title}: none.")
        return
    rows = [[why, str(one.count), ", ".join(one.examples)] for why, one in found.items()]
    columns = [Column("reason"), COUNT, Column("such as", text=True)]
    show_table(Table(columns, rows, title))


def _show_list(table: pd.DataFrame | None, name: str) -> None:
    if table is None or table.empty:
        return
    with st.expander(f"{name}.csv: {len(table)} rows"):
        shown = table.head(ROWS).map(lambda cell: "" if pd.isna(cell) else plain(str(cell)))
        st.table(shown, hide_index=True, alt=f"The first {ROWS} rows of {name}.csv")
        st.download_button(
            f"All rows of {name}.csv", table.to_csv(index=False), f"{name}.csv", "text/csv"
        )
