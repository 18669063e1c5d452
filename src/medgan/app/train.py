"""The page that makes a data set of images of one's own, and trains on it."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import streamlit as st

from medgan.app.runs import (
    SCALES,
    STOPPED,
    Progress,
    StartedRun,
    StartedRuns,
    losses,
    newest_curves,
    other_run,
)
from medgan.app.shared import errors_shown, plain, said, show
from medgan.contracts import NORMAL
from medgan.errors import UserError
from medgan.files.archives import unpack
from medgan.project.artifacts import Project
from medgan.project.environment import Environment
from medgan.project.new_environment import (
    require_free_name,
    write_environment,
    written_environments,
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
NEW = "(new)"
ABOUT = (
    "Give a folder on this machine, or a ZIP file. Labels and patients are proposed from the names "
    "of folders and files, and from a table beside them. A ZIP file is unpacked into data/01_raw; "
    "nothing else is written before you say so, and nothing leaves this machine."
)
HOW = {
    "smoke": f"a few steps of everything, in minutes; {SMOKE}",
    "cpu": "budgets for two CPU cores, in hours; in less for under 1,000 images",
}


@dataclass(frozen=True)
class Looked:
    """A folder, and what it is to be called."""

    name: str
    path: str
    at: float = 0.0
    """When, in seconds: a folder that was put in order is looked at again."""


def page(project: Project) -> None:
    """Recognize a folder, let the user correct it, write its environment, and start a run."""
    st.header("Train on your own images")
    if (name := _own(project)) != NEW:
        _show_written(project, name)
        return
    st.markdown(ABOUT)
    _ask(project)
    looked: Looked | None = st.session_state.get("looked")
    if looked is not None:
        _show_recognized(project, looked)


def _own(project: Project) -> str:
    """Let the user choose an environment that was written here before; the address remembers it."""
    names = [NEW, *written_environments(project.root / "conf")]
    if "written" in st.session_state:
        st.session_state["own"] = st.session_state.pop("written")
    if len(names) == 1:
        return NEW
    remembered = st.query_params.get("own", NEW)
    place = names.index(remembered) if remembered in names else 0
    name = st.sidebar.selectbox("Data set", names, place, key="own")
    st.query_params["own"] = "" if name == NEW else name
    return name


def _ask(project: Project) -> None:
    with st.form("own_images"):
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
    with errors_shown():
        require_free_name(project.root / "conf", name)
        if archive is not None and folder.strip():
            raise UserError("There are two things to look at: give a folder, or a ZIP file.")
        path = _unpacked(project, name, archive) if archive is not None else folder.strip()
        if not path:
            raise UserError("There is nothing to look at: give a folder, or a ZIP file.")
        st.session_state["looked"] = Looked(name, path, time.time())


def _unpacked(project: Project, name: str, archive: BytesIO) -> str:
    """Unpack a ZIP file into the project, once; return the folder. Without images none is left."""
    digest = hashlib.file_digest(archive, "sha256").hexdigest()[:8]
    folder = project.root / "data" / "01_raw" / f"{name}-{digest}"
    if not folder.exists():
        unpack(archive, folder)
        try:
            recognize(folder)
        except UserError:
            shutil.rmtree(folder)
            raise
    return str(folder)


@st.cache_data(max_entries=8, show_spinner="Looking at the images")
def _recognized(looked: Looked, corrections: Corrections) -> Recognition:
    return recognize(looked.path, corrections)


def _show_recognized(project: Project, looked: Looked) -> None:
    st.subheader("What was recognized")
    with errors_shown():
        proposed = _recognized(looked, Corrections())
        found = _recognized(looked, _corrections(proposed, looked))
        show(described(found))
        if st.button("Write the environment", key="write", type="primary"):
            write_environment(project.root / "conf", looked.name, found)
            st.session_state["written"] = st.session_state.pop("looked").name
            st.rerun()


def _corrections(proposed: Recognition, looked: Looked) -> Corrections:
    """Let the user correct what was proposed; corrections of another look do not count."""
    labels = list(proposed.labels)
    normal = next((one for one, name in proposed.meaning.items() if name == NORMAL), None)
    with st.expander("Correct it", expanded=normal is None):
        left, right = st.columns(2)
        chosen = left.selectbox(
            "Label of healthy images",
            labels,
            None if normal is None else labels.index(normal),
            key=f"own_normal {looked.at}",
            format_func=lambda label: label or "(no label)",
        )
        size = right.select_slider(
            "Side of the stored images, pixels", SIZES, proposed.size, key=f"own_size {looked.at}"
        )
        patients = st.text_input(
            "Patients: a column of the table, or a pattern on the path with the patient in (…)",
            _patients(proposed),
            key=f"own_patients {looked.at}",
            help="Empty: patients are not known.",
        )
        categories = _categories(proposed, chosen, looked)
    changed = patients if patients != _patients(proposed) else None
    return Corrections(chosen, categories, changed, int(size))


def _categories(
    proposed: Recognition, normal: str | None, looked: Looked
) -> Mapping[str, str | None]:
    """Ask for the category of every label that is not that of healthy images."""
    found: dict[str, str | None] = {}
    for label in [one for one in proposed.labels if one != normal][:MOST_LABELS]:
        suggested = proposed.meaning.get(label)
        name = st.text_input(
            plain(f"Category of the label {label or '(no label)'}; empty: left out"),
            label.lower() if suggested == NORMAL else suggested or "",
            key=f"own_category_{label} {looked.at}",
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
def _runs(root: Path) -> StartedRuns:
    return StartedRuns(root)


def _show_written(project: Project, name: str) -> None:
    st.success(f"conf/{name} is written. Its files say how the images are read: edit them freely.")
    for file in sorted((project.root / "conf" / name).glob("*.yml")):
        with st.expander(plain(file.name)):
            st.code(file.read_text("utf-8"), "yaml")
    scale = st.radio("Scale", SCALES, key="own_scale", captions=[HOW[scale] for scale in SCALES])
    command = Environment(project.root / "conf", name).command()
    st.code(f"{command} --params scale={scale}", "bash")
    run = _runs(project.root).of(name)
    working = run is not None and run.code is None
    if st.button("Start the run", key="start", disabled=working) and not working:
        with errors_shown():
            _runs(project.root).start(name, scale)
            st.rerun()
    watched = EVERY if working or other_run(project, name) else None
    st.fragment(_show_run, run_every=watched)(project, name, working)


def _show_run(project: Project, name: str, working: bool) -> None:
    """Show the last run, and the whole page again once it has ended."""
    run = _runs(project.root).of(name)
    with errors_shown():
        if working and run is not None and run.code is not None:
            st.session_state["dataset"] = name  # what the other views show first
            st.rerun()
        if not working and (other := other_run(project, name)):
            st.info(said(other))
        if run is None:
            return
        progress = run.progress()
        where = f"{progress.done}/{progress.total} {progress.node}"
        st.progress(min(1.0, progress.done / progress.total), plain(where))
        if run.code is None:
            _show_running(project, name, run)
        else:
            _show_ended(name, run.code, progress)
        with st.expander("Log"):
            st.code(progress.tail, None)


def _show_ended(name: str, code: int, progress: Progress) -> None:
    if code == 0:
        st.success(f"The run has ended. Choose {name} in the views Score, Compare and Data.")
    elif code in STOPPED:
        st.info("The run was stopped. Start it again: it goes on from the last step that it saved.")
    else:
        why = progress.error or "its last lines are in the log below"
        st.error(said(f"The run ended with exit code {code}: {why}"))


def _show_running(project: Project, name: str, run: StartedRun) -> None:
    if st.button("Stop", key="stop", help="It saves its step; the same command resumes it."):
        run.stop()
    if run.stopping:
        st.caption("It finishes its step, saves it, and ends.")
    if (curves := newest_curves(project, name, run.since)) is not None:
        model, table = curves
        st.caption(f"Losses of {model}")
        st.line_chart(losses(table), alt=f"Losses of {model}")
