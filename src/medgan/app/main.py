"""The Streamlit app. `make app` serves it on this machine only.

Streamlit runs this file again at every click; models and results are kept in its caches, by the
version of the model. What the sidebar chooses stands in the address, so it survives a reload.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from medgan import models
from medgan.app import compare, data, generate, pretrained, score, train
from medgan.app.shared import errors_shown
from medgan.project.artifacts import Project, project_root
from medgan.words import NOT_A_MEDICAL_DEVICE

NOTE = """A score says how much an image differs from the normal training images, according to one
detector. It names no disease, and it has no meaning for images of another type than those of the
data set. Synthetic images are not anonymous because they are synthetic: pass on those of a released
generator only."""
UNTRAINED = (
    "Nothing is trained here yet: `make run` trains every model on the embedded data (about ten "
    "minutes), then reload this page. The view *Train* takes images of your own."
)
STYLE = """<style>
.block-container {padding-top: 3rem}
[data-testid="stTable"] {overflow-x: auto}
[data-testid="stTable"] td:last-child {min-width: 9rem}
[data-testid="stImage"] img {border-radius: 4px}
</style>"""
Page = Callable[[Project, str], None]
# Views of one data set. (Streamlit would show a text below a value on the page.)
PAGES: Mapping[str, Page] = {
    "Generate": generate.page,
    "Score": score.page,
    "Compare": compare.page,
    "Data": data.page,
}
# Views that need no data set.
ALONE: Mapping[str, Callable[[Project], None]] = {"medigan": pretrained.page, "Train": train.page}


def main() -> None:
    """Show the chosen view; any error is one sentence on it."""
    st.set_page_config(page_title="medgan", layout="wide")
    st.html(STYLE)
    st.title("medgan")
    st.caption(NOT_A_MEDICAL_DEVICE)
    with st.expander("What scores and synthetic images mean"):
        st.markdown(NOTE)
    with errors_shown():
        _view(Project(project_root()))


def _view(project: Project) -> None:
    data_sets = sorted({*project.data_sets(models.names()), *project.ingested()})
    view = st.sidebar.radio("View", [*PAGES, *ALONE], key="view", bind="query-params")
    if view in ALONE:
        ALONE[view](project)
        return
    if not data_sets:
        st.info(UNTRAINED)
        return
    dataset = st.sidebar.selectbox("Data set", data_sets, key="dataset", bind="query-params")
    st.header(view)
    PAGES[view](project, dataset)


if __name__ == "__main__":
    main()
