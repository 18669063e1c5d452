"""The page that makes a data set of images of one's own, and trains on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from medgan.app.runs import SCALES, STOPPED, StartedRun, losses, newest_curves, other_run
from medgan.app.shared import show
from medgan.contracts import NORMAL
from medgan.errors import UserError
from medgan.files.archives import unpack
from medgan.project.artifacts import Project
from medgan.project.environment import Environment
from medgan.project.new_environment import (
    environment_files,
    require_free_name,
    write_environment,
)
from medgan.report.recognition import described
from medgan.sources.folder import FolderSource
from medgan.sources.recognition import Corrections, Recognition, recognize
from medgan.words import SMOKE

ZIP_MB = 500
"""Largest archive, in MB."""
SIZES = (28, 32, 64, 128)
MOST_LABELS = 20
"""Labels whose categories can be corrected on the page."""
EVERY = 3
"""Seconds between two looks at a run."""
ABOUT = (
    "Give a folder on this machine, or a ZIP file. Labels and patients are proposed from the names "
    "of folders and files, and from a table beside them. Nothing is written before you say so, and "
    "nothing leaves this machine."
)
HOW = {
    "smoke": f"a few steps of everything, in minutes; {SMOKE}",
    "cpu": "budgets for two CPU cores, in hours",
}


@dataclass(frozen=True)
class Looked:
    """A folder, and what it is to be called."""

    name: str
    path: Path


def page(project: Project) -> None:
    """Recognize a folder, let the user correct it, write its environment, and start a run."""
    st.header("Train on your own images")
    st.markdown(ABOUT)
    _ask(project)
    looked: Looked | None = st.session_state.get("looked")
    if looked is not None:
        _show_recognized(project, looked)
    name: str | None = st.session_state.get("written")
    if name is not None:
        _show_written(project, name)


def _ask(project: Project) -> None:
    with st.form("own"):
        name = st.text_input("Name of the data set", key="own_name", placeholder="my_films").strip()
        folder = st.text_input(
            "Folder with the images", key="own_folder", placeholder="/data/films"
        )
        archive = st.file_uploader(
            f"or a ZIP file, up to {ZIP_MB} MB", "zip", key="own_zip", max_upload_size=ZIP_MB
        )
        if not st.form_submit_button("Look at the images"):
            return
    st.session_state.pop("looked", None)
    st.session_state.pop("written", None)
    try:
        require_free_name(project.root / "conf", name)
        path = Path(folder.strip()).expanduser()
        if archive is not None:
            path = project.root / "data" / "01_raw" / name
            unpack(archive, path)
        elif not folder.strip():
            raise UserError("There is nothing to look at: give a folder, or a ZIP file.")
        st.session_state["looked"] = Looked(name, path.resolve())
    except UserError as error:
        st.error(str(error))


@st.cache_data(max_entries=8, show_spinner="Looking at the images")
def _recognized(path: Path, corrections: Corrections) -> Recognition:
    return recognize(path, corrections)


def _show_recognized(project: Project, looked: Looked) -> None:
    st.subheader("What was recognized")
    try:
        proposed = _recognized(looked.path, Corrections())
        found = _recognized(looked.path, _corrections(proposed))
    except UserError as error:
        st.error(str(error))
        return
    show(described(found))
    if st.button("Write the environment", key="write", type="primary"):
        try:
            write_environment(project.root / "conf", looked.name, found)
        except UserError as error:
            st.error(str(error))
            return
        st.session_state["written"] = looked.name
        st.session_state["files"] = environment_files(looked.name, found)
        st.session_state.pop("looked")
        st.rerun()


def _corrections(proposed: Recognition) -> Corrections:
    """Let the user correct what was proposed."""
    labels = list(proposed.labels)
    normal = next((one for one, name in proposed.meaning.items() if name == NORMAL), None)
    with st.expander("Correct it", expanded=normal is None):
        left, right = st.columns(2)
        chosen = left.selectbox(
            "Label of healthy images",
            labels,
            None if normal is None else labels.index(normal),
            key="own_normal",
            format_func=lambda label: label or "(no label)",
        )
        size = right.select_slider(
            "Side of the stored images, pixels", SIZES, proposed.size, key="own_size"
        )
        patients = st.text_input(
            "Patients: a column of the table, or a pattern on the path with the patient in (…)",
            _patients(proposed),
            key="own_patients",
            help="Empty: patients are not known.",
        )
        categories = _categories(proposed, chosen)
    changed = patients if patients != _patients(proposed) else None
    return Corrections(chosen, categories, changed, int(size))


def _categories(proposed: Recognition, normal: str | None) -> Mapping[str, str | None]:
    """Ask for the category of every label that is not that of healthy images."""
    found: dict[str, str | None] = {}
    for label in [one for one in proposed.labels if one != normal][:MOST_LABELS]:
        suggested = proposed.meaning.get(label)
        name = st.text_input(
            f"Category of the label {label or '(no label)'}; empty: left out",
            label.lower() if suggested == NORMAL else suggested or "",
            key=f"own_category_{label}",
        )
        found[label] = name.strip() or None
    return found


def _patients(found: Recognition) -> str:
    """Return the column or the first pattern of patients; empty where they are not known."""
    if isinstance(found.source, FolderSource):
        return next(iter(found.source.fields.get("group_id", [])), "")
    column = found.source.columns.get("group_id", "")
    return column if isinstance(column, str) else ""


@st.cache_resource
def _started() -> dict[tuple[Path, str], StartedRun]:
    """Return the runs that this server has started, by project and data set."""
    return {}


def _show_written(project: Project, name: str) -> None:
    st.success(f"conf/{name} is written. Its three files say what was proposed: edit them freely.")
    for file, text in st.session_state.get("files", {}).items():
        with st.expander(file):
            st.code(text, "yaml")
    command = Environment(project.root / "conf", name).command()
    st.code(f"{command} --params scale=smoke", "bash")
    key = (project.root, name)
    scale = st.radio("Scale", SCALES, key="own_scale", captions=[HOW[scale] for scale in SCALES])
    running = key in _started() and _started()[key].code is None
    if st.button("Start the run", key="start", disabled=running):
        try:
            _started()[key] = StartedRun.start(project.root, name, scale)
        except UserError as error:
            st.error(str(error))
            return
        st.rerun()
    _show_run(project, name)


@st.fragment(run_every=EVERY)
def _show_run(project: Project, name: str) -> None:
    run = _started().get((project.root, name))
    if run is None:
        if other := other_run(project, name):
            st.info(other)
        return
    progress, code = run.progress(), run.code
    if code is not None and st.session_state.get("ended") != run.process.pid:
        st.session_state["ended"] = run.process.pid
        st.rerun()  # the button above may be pressed again
    st.progress(progress.done / progress.total, f"{progress.done}/{progress.total} {progress.node}")
    if code is None:
        _show_running(project, name, run)
    elif code == 0:
        st.success(f"The run has ended. Choose {name} in the views Score, Compare and Data.")
    elif code == STOPPED:
        st.info("The run was stopped, and has saved its step. Start it again to resume it.")
    else:
        st.error(f"The run ended with exit code {code}; its last lines are below.")
    with st.expander("Log"):
        st.code(progress.tail, None)


def _show_running(project: Project, name: str, run: StartedRun) -> None:
    if st.button("Stop", key="stop", help="It saves its step; the same command resumes it."):
        run.stop()
    if (curves := newest_curves(project, name)) is not None:
        model, table = curves
        st.caption(f"Losses of {model}")
        st.line_chart(losses(table), alt=f"Losses of {model}")
