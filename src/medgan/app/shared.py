"""What several pages of the app share: the choice of a model, cautions, tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from medgan.app import sampling
from medgan.models import PublishedModel
from medgan.project.artifacts import Project
from medgan.report.tables import Table


@dataclass(frozen=True)
class Chosen:
    """A version of a model, as the caches know it."""

    root: Path
    dataset: str
    name: str
    version: str


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
        format_func=lambda one: f"{one} ({said[one]})" if said.get(one) else one,
    )
    return Chosen(project.root, dataset, name, project.version(dataset, name))


def describe(chosen: Chosen, published: PublishedModel) -> None:
    """Show version, key and seed of a model."""
    seed = published.card.get("seed", 0)
    st.caption(f"{chosen.name}, version {chosen.version}, key {published.key}, seed {seed}")


def warn(found: Iterable[str]) -> None:
    """Show what has to be known of a model before it is believed."""
    for caution in found:
        st.warning(f"{caution[:1].upper()}{caution[1:]}.")


def show(parts: Iterable[Table | str]) -> None:
    """Show tables and sentences."""
    for part in parts:
        if isinstance(part, Table):
            show_table(part)
        else:
            st.caption(part)


def show_images(images: Sequence[NDArray[np.uint8]]) -> None:
    """Show synthetic images (H, W, 1 or 3) side by side."""
    with st.container(horizontal=True, gap="small"):
        for number, image in enumerate(images, 1):
            alt = f"Synthetic image {number} of {len(images)}"
            st.image(sampling.enlarged(image), width=sampling.SIDE, alt=alt)


def show_table(table: Table) -> None:
    """Show a table of the report, with its title and note."""
    if table.title:
        st.markdown(f"**{table.title}**")
    frame = pd.DataFrame(table.texts, columns=table.headings)
    st.table(frame, hide_index=True, alt=table.title or ", ".join(table.headings))
    if table.note:
        st.caption(table.note)
