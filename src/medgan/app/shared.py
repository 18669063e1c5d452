"""What several pages of the app share: the choice of a model, sentences, tables, errors."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from medgan.app import sampling
from medgan.errors import user_message
from medgan.models import PublishedModel
from medgan.project.artifacts import Project
from medgan.report.tables import Table

logger = logging.getLogger("medgan.app")
FAILED = "An unexpected error occurred; the log of this server has the details."
MARKUP = re.compile(
    r"^\s*(?:[#>+-]|\d+[.)])|[\\*\[\]$~<`]|(?<!\w)_|_(?!\w)|:(?=//|[\w+/-]+:)|&(?=#?\w+;)|(?<=www)\.",
    re.MULTILINE,
)
"""What Streamlit would format, link, or replace by a picture."""


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show any error of the block as one sentence on the page."""
    try:
        yield
    except Exception as error:
        message = user_message(error)
        if message is None:
            logger.exception("The page failed.")
        st.error(said(message or FAILED))


def plain(text: str) -> str:
    """Escape a name or text from data: Streamlit takes texts for Markdown, and loads its images."""
    return MARKUP.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", text)


def said(sentence: str) -> str:
    """Escape a sentence that may name things from data; `commands` stay as they are."""
    parts = sentence.split("`")
    if len(parts) % 2 == 0:  # a name has one of them
        return plain(sentence)
    return "`".join(part if place % 2 else plain(part) for place, part in enumerate(parts))


@dataclass(frozen=True)
class Chosen:
    """A version of a model, as the caches know it."""

    root: Path
    dataset: str
    name: str
    version: str
    images: tuple[int, ...]
    """Times of the stored images that it was trained on."""


def choose(
    project: Project,
    dataset: str,
    names: Sequence[str],
    label: str,
    remarks: Mapping[str, str] | None = None,
    about: str | None = None,
) -> Chosen | None:
    """Let the user choose one of the trained models in the sidebar; None where there is none.

    Args:
        project: the project.
        dataset: the data set.
        names: models in the order of the list.
        label: of the list.
        remarks: name -> what stands behind it in the list.
        about: the help of the list.
    """
    found = [name for name in names if name in project.trained(dataset, names)]
    if not found:
        command = f"{project.run_command(dataset)} --pipeline gan_training"
        st.info(f"No {label.lower()} is trained on {dataset} yet: `{command}` trains them.")
        return None
    said = remarks or {}
    name = st.sidebar.selectbox(
        label,
        found,
        key=label.lower(),
        help=about,
        bind="query-params",
        format_func=lambda one: f"{one} ({said[one]})" if said.get(one) else one,
    )
    images = project.stamp(dataset, "images", "manifest")
    return Chosen(project.root, dataset, name, project.version(dataset, name), images)


def describe(chosen: Chosen, published: PublishedModel) -> None:
    """Show version, key and seed of a model."""
    seed = published.card.get("seed", 0)
    st.caption(f"{chosen.name}, version {chosen.version}, key {published.key}, seed {seed}")


def warn(found: Iterable[str]) -> None:
    """Show what has to be known of a model before it is believed."""
    for caution in found:
        st.warning(said(f"{caution[:1].upper()}{caution[1:]}."))


def show(parts: Iterable[Table | str]) -> None:
    """Show tables and sentences."""
    for part in parts:
        if isinstance(part, Table):
            show_table(part)
        else:
            st.caption(said(part))


def show_images(images: Sequence[NDArray[np.uint8]]) -> None:
    """Show synthetic images (H, W, 1 or 3) side by side."""
    with st.container(horizontal=True, gap="small"):
        for number, image in enumerate(images, 1):
            alt = f"Synthetic image {number} of {len(images)}"
            st.image(sampling.enlarged(image), width=sampling.SIDE, alt=alt)


def show_table(table: Table) -> None:
    """Show a table of the report, with its title and note."""
    if table.title:
        st.markdown(f"**{said(table.title)}**")
    cells = [[said(text) for text in row] for row in table.texts]
    frame = pd.DataFrame(cells, columns=table.headings)
    st.table(frame, hide_index=True, alt=table.title or ", ".join(table.headings))
    if table.note:
        st.caption(said(table.note))
