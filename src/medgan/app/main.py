"""The Streamlit page. `make app` serves it on this machine only.

Streamlit runs this file again at every click; models and results are kept in its caches, by the
version of the model.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from medgan import models
from medgan.app import sampling
from medgan.app.sampling import DrawnSet
from medgan.errors import user_message
from medgan.inference import cautions
from medgan.inference.generation import (
    Drawn,
    JudgedGenerator,
    Request,
    between,
    draw,
    judged_generator,
)
from medgan.inference.trained import NotEvaluated, Trained, trained, with_threshold
from medgan.inference.upload import Verdict, refusal_sentence, score_upload
from medgan.models import PublishedModel
from medgan.project.artifacts import Project, project_root
from medgan.sources.raw import ImageRefused
from medgan.words import NOT_A_MEDICAL_DEVICE

logger = logging.getLogger("medgan.app")
NOTE = f"""{NOT_A_MEDICAL_DEVICE} A score says how much an image differs from the
normal training images, according to one detector. It names no disease, and it has no meaning for
images of another type than those of the data set. Synthetic images are not anonymous because they
are synthetic: pass on those of a released generator only."""
TRUNCATION = (
    "Components of the latents beyond this absolute value are drawn again, so images are more alike; "
    "0: no truncation."
)
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
def _generator(chosen: Chosen, release: str) -> JudgedGenerator:
    """Load a generator with its verdict; `release` changes when there is a new one."""
    project = Project(chosen.root)
    return judged_generator(project, project.environment(chosen.dataset), chosen.name)


def _draw_tab(project: Project, dataset: str) -> None:
    chosen = _choose(project, dataset, models.synthesizers(), "Generator")
    if chosen is None:
        return
    using = _generator(chosen, project.newest(dataset, f"{chosen.name}.release"))
    _describe(chosen, using.published)
    _warn(cautions.of_model(using.published))
    _show_release(using.refusal)
    request = _request(using)
    subject = (dataset, using.published.key, using.refusal)
    if request is not None:
        st.session_state["drawn"] = (subject, _drawn(using, request))
    elif st.session_state.get("drawn", ("",))[0] == subject:
        _show(st.session_state["drawn"][1].images)
    if st.session_state.get("drawn", ("",))[0] == subject:
        _hand_out(st.session_state["drawn"][1])
    _between_form(using)


def _between_form(using: JudgedGenerator) -> None:
    """Show the images on the way between two seeds."""
    with st.expander("Between two seeds"), st.form("between"):
        left, middle, right = st.columns(3)
        label = left.selectbox("Class", using.published.drawable, key="between_class")
        first = middle.number_input("From seed", 0, 2**31 - 1, 0, key="first_seed")
        second = right.number_input("To seed", 0, 2**31 - 1, 1, key="second_seed")
        if st.form_submit_button("Show"):
            _show(between(using, str(label), (int(first), int(second)), sampling.STEPS))


def _show_release(refusal: str) -> None:
    if refusal:
        st.warning(f"**Not released**: {refusal}. Do not pass these images on; a download says so.")
    else:
        st.success(
            "**Released**: all rules of the release gate hold. Suspected copies are left out."
        )


def _request(using: JudgedGenerator) -> Request | None:
    """Ask what to draw; None until the user says so."""
    with st.form("draw"):
        left, middle, right, last = st.columns(4)
        label = left.selectbox("Class", using.published.drawable, key="class")
        count = middle.number_input("Images", 1, sampling.MOST, 16, key="count")
        seed = right.number_input("Seed", 0, 2**31 - 1, 0, key="seed")
        truncation = last.number_input(
            "Truncation", 0.0, 100.0, 0.0, key="truncation", help=TRUNCATION
        )
        if not st.form_submit_button("Draw"):
            return None
    limit = float(truncation) or None
    return Request(int(count), {str(label): 1.0}, int(seed), limit, sampling.AT_ONCE)


def _drawn(using: JudgedGenerator, request: Request) -> DrawnSet:
    """Draw, and show the images as they come."""
    bar, place, batches = st.progress(0.0, "Drawing"), st.empty(), list[Drawn]()
    for drawn in draw(using, request):
        batches.append(drawn)
        images = [image for batch in batches for _, image in batch.kept()]
        with place.container():
            _show(images)
        bar.progress(len(images) / request.count, "Drawing")
    bar.empty()
    return sampling.packed(using, request, batches)


def _show(images: Sequence[NDArray[np.uint8]]) -> None:
    st.image([sampling.enlarged(image) for image in images], width=sampling.SIDE)


def _hand_out(drawn: DrawnSet) -> None:
    card = drawn.card
    classes = ", ".join(card.counts)
    about = f"{len(drawn.images)} synthetic images of class {classes}, seed {card.seed}"
    left_out = f", {card.n_flagged} suspected copies left out" if card.n_flagged else ""
    st.caption(f"{about}{left_out}. {NOT_A_MEDICAL_DEVICE}")
    label = "Download (ZIP)" if card.released else "Download (ZIP, not released)"
    st.download_button(label, drawn.packed, f"{card.name}.zip", "application/zip", key="download")


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
