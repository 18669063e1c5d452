"""The page that draws images with a pre-trained generator of medigan."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import streamlit as st
import yaml

from medgan.app import sampling
from medgan.app.shared import plain, show, show_images
from medgan.errors import UserError
from medgan.files.documents import to_json
from medgan.inference.sets import png
from medgan.project.artifacts import Project
from medgan.report.pretrained import description
from medgan.sources.medigan.catalogue import Model, listed
from medgan.sources.medigan.drawing import Drawn, Request, draw
from medgan.sources.medigan.packages import PREFIX
from medgan.words import NOT_A_MEDICAL_DEVICE

FOREIGN = (
    "I agree that this Python code of other people runs with my rights on this machine "
    "(docs/medigan.md says what confines it)"
)
AGREE = "Nothing runs before you agree to run the code of the package."
PYTHON = (
    "A Python that has what the package needs. Empty: an environment of its own, which is made at the "
    "first use (6 GB)."
)


def page(project: Project) -> None:
    """Choose a package, agree to run it, and look at what it draws."""
    st.header("Pre-trained generators of medigan")
    model = st.sidebar.selectbox("Model", listed(), format_func=_name, key="medigan")
    with st.expander("What is known of it", expanded=True):
        show(description(model))
    request = _request(model)
    if request is not None:
        st.session_state.pop("foreign", None)
        with st.spinner("The package draws; the first use downloads it."):
            st.session_state["foreign"] = draw(project.medigan(), request)
    drawn: Drawn | None = st.session_state.get("foreign")
    if drawn is not None:
        _show(drawn)


def _name(model: Model) -> str:
    about = model.metadata.selection
    words = (model.short, about.type, *about.modality[:1], *about.organ[:1])
    return ", ".join(word for word in words if word)


def _request(model: Model) -> Request | None:
    """Ask what to draw; None until the user says so, and agrees."""
    with st.form("medigan_draw"):
        left, right = st.columns(2)
        count = left.number_input("Images", 1, sampling.MOST, 8, key="medigan_count")
        seed = right.number_input("Seed", 0, 2**31 - 1, 0, key="medigan_seed")
        given = {
            name: st.text_input(plain(name), json.dumps(default), key=f"{model.id} {name}")
            for name, default in model.metadata.execution.generate_method.args.custom.items()
        }
        local = st.text_input(
            "Package on this machine", key="medigan_path", help="Empty: the one that medigan lists."
        )
        python = st.text_input("Python", key="medigan_python", help=PYTHON)
        agreed = st.checkbox(FOREIGN, key="medigan_agreed")
        if not st.form_submit_button("Draw"):
            return None
    if not agreed:
        st.info(AGREE)
        return None
    arguments = {} if local.strip() else _arguments(given)
    source = PREFIX + (local.strip() or model.id)
    return Request(source, int(count), int(seed), True, python.strip() or None, arguments)


def _arguments(given: Mapping[str, str]) -> dict[str, Any]:
    """Read arguments as YAML: `3` is a number, `malignant` a word.

    Raises:
        UserError: one is no YAML.
    """
    try:
        return {name: yaml.safe_load(text) for name, text in given.items()}
    except yaml.YAMLError:
        raise UserError("An argument is no number, word or list: correct it.") from None


def _show(drawn: Drawn) -> None:
    card = drawn.card
    show_images(list(drawn.images))
    about = (
        f"{card.count} images of {card.model}, seed {card.seed}, as they came: {card.drawn}. License: "
        f"{card.license}. Not judged by the release gate. {NOT_A_MEDICAL_DEVICE}"
    )
    st.caption(plain(about))
    name = f"{card.name}-seed{card.seed}"
    st.download_button(
        "Download (ZIP, not released)", packed(drawn, name), f"{name}.zip", "application/zip"
    )


def packed(drawn: Drawn, name: str) -> bytes:
    """Pack the images, and where they come from, into a ZIP file below a folder of that name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, image in enumerate(drawn.images):
            text = f"Synthetic, of {drawn.card.model}. {NOT_A_MEDICAL_DEVICE}"
            archive.writestr(f"{name}/{number:05d}.png", png(image, text))
        archive.writestr(f"{name}/source.json", json.dumps(to_json(drawn.card), indent=1))
    return buffer.getvalue()
