"""From a source of images to the table of those that can be used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from medgan.contracts import NORMAL
from medgan.images.config import IngestionConfig
from medgan.images.facts import ImageFacts, KnownFacts, read_facts
from medgan.images.manifest import build_manifest, listing, profile
from medgan.images.resizing import fit_square
from medgan.images.sources import ImageSource
from medgan.tracking.progress import progress_bar

SHEET_COLUMNS = 8
SHEET_SIZE = 128
"""Side of a picture on the contact sheet in pixels."""


def read_images(source: ImageSource, known: KnownFacts, config: IngestionConfig) -> Iterator[list[ImageFacts]]:
    """Looks at every wanted image whose content is not known yet; yields what it found every few seconds, so that a killed run goes on."""
    wanted, _ = listing(source, config)
    with progress_bar(f"reading {source.name}", "image", len(wanted)) as bar:
        yield from read_facts(source, wanted["path"].tolist(), known, lambda done, total: bar.update(done - bar.n))


def make_manifest(source: ImageSource, facts: KnownFacts, config: IngestionConfig) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The manifest of all usable images, the quarantine of those that cannot be read, the list of those that are not wanted."""
    return build_manifest(source, facts, config)


def profile_data(manifest: pd.DataFrame, quarantine: pd.DataFrame, exclusions: pd.DataFrame) -> dict[str, Any]:
    """Counts, spreads, duplicates."""
    return profile(manifest, quarantine, exclusions)


def plot_contact_sheet(source: ImageSource, manifest: pd.DataFrame) -> Figure:
    """A row of pictures of every category, spread over the manifest."""
    from medgan.plots.grids import image_grid

    categories = sorted(manifest["category"].unique(), key=lambda name: (name != NORMAL, name))
    chosen = pd.concat([_spread(manifest[manifest["category"] == name]) for name in categories])
    pictures = [fit_square(source.read(path).pixels, SHEET_SIZE, 3) for path in chosen["path"]]
    return image_grid(np.stack(pictures), titles=chosen["category"].tolist(), columns=SHEET_COLUMNS)


def _spread(rows: pd.DataFrame) -> pd.DataFrame:
    """As many rows as a row of the sheet has, evenly spaced; all of them where they are fewer."""
    places = np.linspace(0, len(rows) - 1, min(SHEET_COLUMNS, len(rows))).round().astype(np.int64)
    return rows.iloc[places]
