"""The Streamlit page. `make app` serves it on this machine only.

Streamlit runs this file again at every click; models and results are kept in its caches, by the
version of the model.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from medgan import models
from medgan.app import sampling
from medgan.app.sampling import Request
from medgan.errors import user_message
from medgan.files.names import slug
from medgan.inference import cautions
from medgan.inference.trained import NotEvaluated, Trained, trained, with_threshold
from medgan.inference.upload import Verdict, refusal_sentence, score_upload
from medgan.models import PublishedModel
from medgan.project.artifacts import Project, project_root
from medgan.sources.raw import ImageRefused
from medgan.training.runtime import Runtime
from medgan.words import NOT_A_MEDICAL_DEVICE

logger = logging.getLogger("medgan.app")
NOTE = f"""{NOT_A_MEDICAL_DEVICE} A score says how much an image differs from the
normal training images, according to one detector. It names no disease, and it has no meaning for
images of another type than those of the data set. Drawn images are not checked for similarity to
training images: do not pass on images of a generator that was trained on patient data."""
UNTRAINED = (
    "Nothing is trained here yet: `make run` trains every model on the embedded data (about ten "
    "minutes), then reload this page."
)
SCALED = (
    "The map is transparent up to the 75th percentile of the pixels of normal validation images, "
    "and has its last color from the 99th."
)
UNSCALED = (
    "There are no maps of validation images: the colors run from the lowest to the highest value "
    "of this map, so its hottest place need not be anomalous."
)
FAILED = "An unexpected error occurred; the log of this server has the details."


def main() -> None:
    """Show the whole page; any error is one sentence on it."""
    st.set_page_config(page_title="medgan", layout="wide")
    st.title("medgan")
    st.markdown(NOTE)
    try:
        _page(Project(project_root()))
    except Exception as error:
        message = user_message(error)
        if message is None:
            logger.exception("The page failed.")
        st.error(message or FAILED)


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


@dataclass(frozen=True)
class Chosen:
    """A version of a model, as the caches know it."""

    root: Path
    dataset: str
    name: str
    version: str


def _choose(project: Project, dataset: str, names: tuple[str, ...], label: str) -> Chosen | None:
    """Let the user choose a trained model; None where there is none."""
    found = project.trained(dataset, names)
    if not found:
        command = f"{project.run_command(dataset)} --pipeline gan_training"
        st.info(f"No {label.lower()} is trained on {dataset} yet: `{command}` trains them.")
        return None
    name = st.selectbox(label, found, key=label.lower())
    return Chosen(project.root, dataset, name, project.version(dataset, name))


def _describe(chosen: Chosen, published: PublishedModel) -> None:
    seed = published.card.get("seed", 0)
    st.caption(f"Version {chosen.version}, key {published.key}, seed {seed}")


def _warn(found: Iterable[str]) -> None:
    for caution in found:
        st.warning(f"{caution[:1].upper()}{caution[1:]}.")


@st.cache_resource(max_entries=4, show_spinner="Loading the generator")
def _generator(chosen: Chosen) -> tuple[PublishedModel, Any]:
    published = Project(chosen.root).published(chosen.dataset, chosen.name)
    return published, published.build().to(Runtime.detect().device)


def _draw_tab(project: Project, dataset: str) -> None:
    chosen = _choose(project, dataset, models.synthesizers(), "Generator")
    if chosen is None:
        return
    published, module = _generator(chosen)
    _describe(chosen, published)
    _warn(cautions.of_model(published))
    with st.form("draw"):
        left, middle, right = st.columns(3)
        label = left.selectbox("Class", published.drawable, key="class")
        count = middle.number_input("Images", 1, sampling.MOST, 16, key="count")
        seed = right.number_input("Seed", 0, 2**31 - 1, 0, key="seed")
        asked = st.form_submit_button("Draw")
    subject = (dataset, published.key)
    if asked:
        request = Request(str(label), int(count), int(seed))
        card = sampling.data_card(published, dataset, chosen.version, request)
        st.session_state["drawn"] = (subject, sampling.draw(published, module, request), card)
    drawn = st.session_state.get("drawn")
    if drawn is not None and drawn[0] == subject:
        _show_drawn(drawn[1], drawn[2])


def _show_drawn(images: Any, card: dict[str, Any]) -> None:
    about = f"{len(images)} synthetic images of class {card['class']}, seed {card['seed']}"
    st.caption(f"{about}. {sampling.NOTICE}")
    st.image([sampling.enlarged(image) for image in images], width=sampling.SIDE)
    subject = "-".join(slug(card[part]) for part in ("dataset", "model", "class"))
    name = f"{subject}-{card['seed']}.zip"
    packed = sampling.archive(images, card)
    st.download_button("Download (ZIP)", packed, name, "application/zip", key="download")


def _score_tab(project: Project, dataset: str) -> None:
    chosen = _choose(project, dataset, models.detectors(), "Detector")
    if chosen is None:
        return
    _describe(chosen, _detector(chosen).published)
    files = project.evaluation_files(dataset, chosen.name)
    stamp = tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in files)
    _warn(_evaluated(chosen, stamp)[0].cautions)
    upload = st.file_uploader(
        "Image: PNG, JPEG, BMP or TIFF, up to 20 MB. It is read on this machine and not kept.",
        key="upload",
    )
    if upload is None:
        return
    try:
        _show_verdict(*_verdict(chosen, stamp, upload.name, upload.getvalue()))
    except ImageRefused as refused:
        st.error(refusal_sentence(refused))


@st.cache_resource(max_entries=4, show_spinner="Loading the detector")
def _detector(chosen: Chosen) -> Trained:
    project = Project(chosen.root)
    return trained(project, project.environment(chosen.dataset), chosen.name)


@st.cache_resource(max_entries=4, show_spinner="Reading the evaluation")
def _evaluated(chosen: Chosen, stamp: tuple[int, ...]) -> tuple[Trained, str]:
    """Return a detector with its threshold, or without one and why there is none.

    `stamp` changes when there are new scores or results.
    """
    project, using = Project(chosen.root), _detector(chosen)
    try:
        return with_threshold(project, project.environment(chosen.dataset), using), ""
    except NotEvaluated as missing:
        return using, str(missing)


@st.cache_data(max_entries=16, show_spinner="Scoring")
def _verdict(
    chosen: Chosen, stamp: tuple[int, ...], name: str, data: bytes
) -> tuple[Verdict, str, bool]:
    """Score an upload; return also why there is no threshold, and whether the scale of the map is
    that of validation images.
    """
    using, missing = _evaluated(chosen, stamp)
    scaled = using.frozen is not None and using.frozen.scale is not None
    return score_upload(using, data, name), missing, scaled


def _show_verdict(found: Verdict, missing: str, scaled: bool) -> None:
    hint = "Higher is more anomalous. Scores of different detectors are not comparable."
    st.metric("Anomaly score", f"{found.score:.4g}", help=hint)
    if found.outside:
        st.error(f"No verdict: {found.outside}.")
    for sentence in found.sentences:
        st.markdown(sentence)
    if missing:
        st.info(missing)
    st.image(found.picture)
    st.caption(SCALED if scaled else UNSCALED)


if __name__ == "__main__":
    main()
