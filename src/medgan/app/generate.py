"""The page that draws images from a trained generator."""

from __future__ import annotations

from typing import Any

import streamlit as st

from medgan import models
from medgan.app import sampling
from medgan.app.sampling import Request
from medgan.app.shared import Chosen, choose, describe, warn
from medgan.files.names import slug
from medgan.inference import cautions
from medgan.models import PublishedModel
from medgan.project.artifacts import Project
from medgan.training.runtime import Runtime


@st.cache_resource(max_entries=4, show_spinner="Loading the generator")
def _generator(chosen: Chosen) -> tuple[PublishedModel, Any]:
    published = Project(chosen.root).published(chosen.dataset, chosen.name)
    return published, published.build().to(Runtime.detect().device)


def page(project: Project, dataset: str) -> None:
    """Draw images of a class, and hand them out."""
    chosen = choose(project, dataset, models.synthesizers(), "Generator")
    if chosen is None:
        return
    published, module = _generator(chosen)
    describe(chosen, published)
    warn(cautions.of_model(published))
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
