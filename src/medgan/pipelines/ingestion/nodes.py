"""From a source of images to the table of those that can be used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from medgan.images.config import IngestionConfig
from medgan.images.hashing import CopyGroups, captions, copy_groups, differences
from medgan.images.manifest import build_manifest, listing
from medgan.images.metadata import ImageFacts, KnownFacts, read_facts
from medgan.images.profile import intensity_bands, look_at, profile, sample
from medgan.sources.registry import ImageSource
from medgan.training.progress import progress_bar

SAMPLED, SAMPLED_OF_CATEGORY = 600, 100
"""Images behind the intensity histograms: of all categories together, and of one, at most."""
SHEET_PICTURES = 48
"""Pictures on a contact sheet of few categories; no category has fewer than SHEET_ROW or more than
two rows of them.
"""
SHEET_ROW = 8
SHOWN_GROUPS, SHOWN_COPIES = 32, 4
"""Duplicates that are shown: groups, and copies of one group."""


def read_images(
    source: ImageSource, known: KnownFacts, config: IngestionConfig
) -> Iterator[list[ImageFacts]]:
    """Looks at every wanted image whose content is not known yet; yields what it found every few
    seconds, so that a killed run goes on.
    """
    wanted, _ = listing(source, config)
    with progress_bar(f"reading {source.name}", "image", len(wanted)) as bar:
        yield from read_facts(
            source, wanted["path"].tolist(), known, lambda done, total: bar.update(done - bar.n)
        )


def make_manifest(
    source: ImageSource, facts: KnownFacts, config: IngestionConfig
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The manifest of all usable images, the quarantine of those that cannot be read, the list of
    those that are not wanted.
    """
    return build_manifest(source, facts, config)


def profile_data(
    manifest: pd.DataFrame, quarantine: pd.DataFrame, exclusions: pd.DataFrame
) -> dict[str, Any]:
    """Counts, spreads, what is missing, duplicates, and the flow from the files to the manifest."""
    return profile(manifest, quarantine, exclusions)


def plot_profile(data_profile: dict[str, Any]) -> Figure:
    """The profile as one figure."""
    from medgan.plots.data_profile import profile_figure

    return profile_figure(data_profile)


def plot_sample(source: ImageSource, manifest: pd.DataFrame, seed: int) -> tuple[Figure, Figure]:
    """A seeded sample of every category: a contact sheet of its first pictures, and the histograms
    of all of it.
    """
    from medgan.plots.data_profile import intensity_histograms
    from medgan.plots.grids import CELL, Block, contact_sheet

    sizes = manifest["category"].value_counts()
    chosen = sample(manifest, min(SAMPLED_OF_CATEGORY, max(SHEET_ROW, SAMPLED // len(sizes))), seed)
    chosen = chosen.assign(
        look=pd.Series(look_at(source, chosen["path"].tolist(), CELL), chosen.index, dtype=object)
    )
    shown = SHEET_ROW * (2 if 2 * SHEET_ROW * len(sizes) <= SHEET_PICTURES else 1)
    on_sheet = chosen.groupby("category", sort=False).head(shown)
    blocks = [
        Block(
            f"{name}: {len(rows)} of {sizes[name]:,} images",
            [look.picture for look in rows["look"]],
            rows["image_id"].tolist(),
        )
        for name, rows in on_sheet.groupby("category", sort=False)
    ]
    sheet = contact_sheet(blocks, "A random sample of every class")
    bands = intensity_bands(chosen["category"], chosen["look"])
    counts = {str(name): int(count) for name, count in chosen["category"].value_counts().items()}
    return sheet, intensity_histograms(
        bands, counts, "Intensities of a random sample: mean, and the band of 90 % of the images"
    )


def plot_duplicates(source: ImageSource, manifest: pd.DataFrame) -> Figure:
    """Pictures that come more than once, side by side; those first whose copies differ in class,
    patient or split.
    """
    from medgan.plots.grids import CELL, Copies, duplicate_sheet

    groups = copy_groups(manifest, SHOWN_GROUPS)
    shown = [group.head(SHOWN_COPIES) for group in groups.shown]
    looks = iter(look_at(source, [path for rows in shown for path in rows["path"]], CELL))
    copies = [
        Copies(
            [next(looks).picture for _ in range(len(rows))],
            [captions(row) for _, row in rows.iterrows()],
            differences(group),
        )
        for rows, group in zip(shown, groups.shown, strict=True)
    ]
    return duplicate_sheet(copies, _heading(groups))


def _heading(groups: CopyGroups) -> str:
    if not groups.count:
        return "No two images have the same pixels"
    left = f"; {len(groups.shown)} of them shown" if len(groups.shown) < groups.count else ""
    return (
        f"{groups.count} pictures come more than once, with {groups.surplus} surplus copies{left}"
    )
