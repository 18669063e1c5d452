"""The page. `make app` serves it on this machine only.

Streamlit runs this file anew at every click; what takes long is kept in its caches, by the version
of the model.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import streamlit as st

from medgan import models
from medgan.app import pictures, sampling
from medgan.app.sampling import Request
from medgan.errors import user_message
from medgan.inference import trained as scoring
from medgan.inference.inputs import check_trained_on, prepared, seed_of
from medgan.models import PublishedModel
from medgan.project.artifacts import Project, project_root
from medgan.sources.raw import ImageRefused
from medgan.training.runtime import Runtime

logger = logging.getLogger("medgan.app")
NOTE = """**Not a medical device.** For research and teaching: nothing on this page is for diagnosis or for any decision about a patient.
A score says how unlike the normal training images an image is to one detector. It names no disease, and it means nothing for images of
another kind than those of the data set. Drawn images are not checked for likeness to training images: do not pass on images of a
generator that was trained on patients' data."""
UNTRAINED = "Nothing is trained here yet: `make run` trains every model on the embedded data (about ten minutes), then reload this page."


def main() -> None:
    """The whole page; whatever goes wrong is one sentence on it."""
    st.set_page_config(page_title="medgan", layout="wide")
    st.title("medgan")
    st.markdown(NOTE)
    try:
        _page(Project(project_root()))
    except Exception as error:
        message = user_message(error)
        if message is None:
            logger.exception("The page failed.")
        st.error(
            message
            or "Something went wrong that should not have; the log of this server says what."
        )


def _page(project: Project) -> None:
    data_sets = project.data_sets(models.names())
    if not data_sets:
        st.info(UNTRAINED)
        return
    dataset = st.selectbox("Data set", data_sets, key="dataset")
    draw, score = st.tabs(["Draw images", "Score an image"])
    with draw:
        _draw_tab(project, dataset)
    with score:
        _score_tab(project, dataset)


@st.cache_resource(max_entries=4, show_spinner="Loading the model")
def _loaded(root: Path, dataset: str, name: str, version: str) -> tuple[PublishedModel, Any]:
    """A published model and the module built from it; `version` makes the cache notice a new
    one.
    """
    published = Project(root).published(dataset, name)
    return published, published.build().to(Runtime.detect().device)


def _chosen_model(
    project: Project, dataset: str, names: tuple[str, ...], label: str
) -> tuple[PublishedModel, Any, str] | None:
    trained = project.trained(dataset, names)
    if not trained:
        st.info(
            f"No {label.lower()} is trained on {dataset} yet: `{project.run_command(dataset)} --pipeline gan_training` trains them."
        )
        return None
    name = st.selectbox(label, trained, key=label.lower())
    version = project.version(dataset, name)
    published, module = _loaded(project.root, dataset, name, version)
    st.caption(f"Version {version}, key {published.key}, seed {seed_of(published)}")
    return published, module, version


def _draw_tab(project: Project, dataset: str) -> None:
    chosen = _chosen_model(project, dataset, models.synthesizers(), "Generator")
    if chosen is None:
        return
    published, module, version = chosen
    with st.form("draw"):
        left, middle, right = st.columns(3)
        label = left.selectbox("Class", published.drawable, key="class")
        count = middle.number_input("Images", 1, sampling.MOST, 16, key="count")
        seed = right.number_input("Seed", 0, 2**31 - 1, 0, key="seed")
        asked = st.form_submit_button("Draw")
    subject = (dataset, published.key)
    if asked:
        request = Request(str(label), int(count), int(seed))
        card = sampling.data_card(published, dataset, version, request)
        st.session_state["drawn"] = (subject, sampling.draw(published, module, request), card)
    drawn = st.session_state.get("drawn")
    if drawn is not None and drawn[0] == subject:
        _show_drawn(drawn[1], drawn[2])


def _show_drawn(images: Any, card: dict[str, Any]) -> None:
    st.caption(
        f"{len(images)} synthetic images of class {card['class']}, seed {card['seed']}. {sampling.NOTICE}"
    )
    st.image([pictures.enlarged(image, 128) for image in images], width=128)
    name = f"{card['dataset']}-{card['model']}-{card['class']}-{card['seed']}.zip"
    st.download_button(
        "Download (ZIP)", sampling.archive(images, card), name, "application/zip", key="download"
    )


def _score_tab(project: Project, dataset: str) -> None:
    chosen = _chosen_model(project, dataset, models.detectors(), "Detector")
    if chosen is None:
        return
    published, _, version = chosen
    upload = st.file_uploader(
        "Image: PNG, JPEG, BMP or TIFF, up to 20 MB. It is read on this machine and not kept.",
        key="upload",
    )
    if upload is None:
        return
    try:
        found = _verdict(project.root, dataset, published.name, version, upload.getvalue())
    except ImageRefused as refused:
        st.error(scoring.refusal_sentence(refused))
        return
    _show_verdict(
        found,
        _reference(
            project.root, dataset, published.name, version, _stamp(project, dataset, published.name)
        ),
    )


@st.cache_data(max_entries=16, show_spinner="Scoring")
def _verdict(root: Path, dataset: str, name: str, version: str, data: bytes) -> scoring.Verdict:
    project = Project(root)
    published, module = _loaded(root, dataset, name, version)
    store = project.store(dataset)
    check_trained_on(published, store, f"{project.run_command(dataset)} --pipeline gan_training")
    pixels = prepared(scoring.read_upload(data), store.info, project.crop(dataset, store.info))
    return scoring.verdict(module, pixels, store.info, seed_of(published))


def _stamp(project: Project, dataset: str, name: str) -> tuple[int, ...]:
    """Changes when there are new scores or results."""
    files = project.evaluation_files(dataset, name)
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in files)


@st.cache_data(max_entries=16, show_spinner="Comparing")
def _reference(
    root: Path, dataset: str, name: str, version: str, stamp: tuple[int, ...]
) -> scoring.Reference:
    project = Project(root)
    published, module = _loaded(root, dataset, name, version)
    return scoring.reference(project, dataset, published, module, project.store(dataset))


def _show_verdict(found: scoring.Verdict, known: scoring.Reference) -> None:
    st.metric(
        "Anomaly score",
        f"{found.score:.4g}",
        help="Higher is more anomalous. Scores of different detectors do not compare.",
    )
    if known.threshold is not None:
        st.markdown(scoring.decision(found.score, known.threshold, known.rule))
    for shown, normals in known.normals.items():
        if len(normals):
            st.markdown(scoring.standing(found.score, normals, shown))
    if known.absent:
        st.info(known.absent)
    strength = pictures.scaled(
        found.anomaly_map, *(known.map_range or pictures.own_range(found.anomaly_map))
    )
    views = {
        "the image as the detector sees it": found.pixels,
        "anomaly map": pictures.heat(strength),
        "overlay": pictures.overlay(found.pixels, strength),
    }
    st.image(
        [pictures.enlarged(view) for view in views.values()],
        caption=list(views),
        width=pictures.SIDE,
    )
    st.caption(
        "Brightest: above 99.5 % of the map values of normal images."
        if known.map_range
        else "The map runs from its own lowest to its own highest value, so its brightest place need not be anomalous."
    )


if __name__ == "__main__":
    main()
