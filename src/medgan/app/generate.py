"""The page that draws images from a trained generator."""

from __future__ import annotations

import streamlit as st

from medgan import models
from medgan.app import sampling
from medgan.app.sampling import DrawnSet
from medgan.app.shared import Chosen, choose, describe, plain, said, show_images, warn
from medgan.images.transforms import as_tensor
from medgan.inference import cautions
from medgan.inference.generation import (
    Drawn,
    JudgedGenerator,
    Request,
    between,
    draw,
    judged_generator,
)
from medgan.project.artifacts import Project
from medgan.words import NOT_A_MEDICAL_DEVICE

TRUNCATION = (
    "Components of the latents beyond this absolute value are drawn again, so images are more alike; "
    "0: no truncation."
)


@st.cache_resource(max_entries=4, show_spinner="Loading the generator")
def _generator(chosen: Chosen, release: tuple[int, ...]) -> JudgedGenerator:
    """Load a generator with its verdict; `release` changes when there is a new one."""
    project = Project(chosen.root)
    return judged_generator(project, project.environment(chosen.dataset), chosen.name)


def page(project: Project, dataset: str) -> None:
    """Draw images of a class, and hand them out as a set with its card."""
    chosen = choose(project, dataset, models.synthesizers(), "Generator")
    if chosen is None:
        return
    using = _generator(chosen, project.stamp(dataset, f"{chosen.name}.release"))
    describe(chosen, using.published)
    warn(cautions.of_model(using.published))
    _show_release(using.refusal)
    request = _request(using)
    subject = (dataset, using.published.key, using.refusal)
    if request is not None:
        st.session_state["drawn"] = (subject, _drawn(using, request))
    elif st.session_state.get("drawn", ("",))[0] == subject:
        show_images(st.session_state["drawn"][1].images)
    if st.session_state.get("drawn", ("",))[0] == subject:
        _hand_out(st.session_state["drawn"][1])
        _nearest(using, st.session_state["drawn"][1])
    _between_form(using)


def _nearest(using: JudgedGenerator, drawn: DrawnSet) -> None:
    """Show an image beside the training image that it resembles most."""
    if using.check is None or not drawn.images:
        return
    with st.expander("Nearest training image"):
        number = int(st.number_input("Image", 1, len(drawn.images), 1, key="nearest_to"))
        image = drawn.images[number - 1]
        found = using.check.matches(as_tensor(image[None]))
        nearest = using.check.training[found.place[0]]
        if found.mirrored[0]:
            nearest = nearest[:, ::-1]
        show_images([image])
        st.image(
            sampling.enlarged(nearest[..., None]),
            width=sampling.SIDE,
            alt=f"Training image that synthetic image {number} resembles most",
        )
        turned = "mirrored; " if found.mirrored[0] else ""
        st.caption(
            f"Above: synthetic image {number}; below: the training image that it resembles most "
            f"({turned}in gray levels). Similarity {found.similarity[0]:.2f}, the correlation of their "
            f"details; from {using.check.limit:.2f} on an image is a suspected copy. The training "
            "image is not part of the download."
        )


def _between_form(using: JudgedGenerator) -> None:
    """Show the images on the way between two seeds."""
    with st.expander("Between two seeds"), st.form("between"):
        left, middle, right = st.columns(3)
        label = left.selectbox("Class", using.published.drawable, key="between_class")
        first = middle.number_input("From seed", 0, 2**31 - 1, 0, key="first_seed")
        second = right.number_input("To seed", 0, 2**31 - 1, 1, key="second_seed")
        if st.form_submit_button("Show"):
            show_images(between(using, str(label), (int(first), int(second)), sampling.STEPS))


def _show_release(refusal: str) -> None:
    if refusal:
        st.warning(
            f"**Not released**: {said(refusal)}. Do not pass these images on; a download says so."
        )
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
            show_images(images)
        bar.progress(len(images) / request.count, "Drawing")
    bar.empty()
    return sampling.packed(using, request, batches)


def _hand_out(drawn: DrawnSet) -> None:
    card = drawn.card
    classes = ", ".join(card.counts)
    about = f"{len(drawn.images)} synthetic images of class {classes}, seed {card.seed}"
    left_out = f", {card.n_flagged} suspected copies left out" if card.n_flagged else ""
    st.caption(plain(f"{about}{left_out}. {NOT_A_MEDICAL_DEVICE}"))
    label = "Download (ZIP)" if card.released else "Download (ZIP, not released)"
    st.download_button(label, drawn.packed, f"{card.name}.zip", "application/zip", key="download")
