"""Nodes that read a source into manifest, quarantine and exclusions, profile the images, and search
near-duplicates, once for a data set.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd
from numpy import uint8
from numpy.typing import NDArray

from medgan.images import near_duplicates
from medgan.images.config import IngestionConfig
from medgan.images.duplicates import captions, differences, select_groups
from medgan.images.manifest import build_manifest, listing
from medgan.images.metadata import ImageFacts, KnownFacts, read_facts
from medgan.images.patients import patients_of
from medgan.images.profile import intensity_bands, previews, profile, sample
from medgan.images.resizing import fit_square
from medgan.images.summary import DataSummary, summarize_ingestion
from medgan.pipelines.outputs import DataProfile, NearDuplicates
from medgan.progress import progress_bar
from medgan.sources.registry import ImageSource

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAMPLED, SAMPLED_OF_CATEGORY = 600, 100
"""Most images behind the intensity histograms: of all categories together, and of one."""
SHEET_PICTURES = 48
"""Images on a contact sheet of few categories; each category has one or two rows of SHEET_ROW."""
SHEET_ROW = 8
SHOWN_GROUPS, SHOWN_COPIES = 32, 4  # duplicates that are shown: groups, and copies of one group
SHOWN_PAIRS, SIDE = 20, 224  # near-duplicates that are shown, and the side of each in pixels


def read_images(
    source: ImageSource, known: KnownFacts, config: IngestionConfig
) -> Iterator[list[ImageFacts]]:
    """Read every wanted image whose content is not known yet; yield facts every few seconds."""
    paths = listing(source, config)[0]["path"].tolist()
    with progress_bar(f"reading {source.name}", "image", len(paths)) as bar:
        yield from read_facts(source, paths, known, lambda done, _: bar.update(done - bar.n))


def make_manifest(
    source: ImageSource, facts: KnownFacts, config: IngestionConfig
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, DataSummary]:
    """Return the manifest of usable images, the quarantine, the exclusions and their summary."""
    tables = build_manifest(source, facts, config)
    read = facts.of(tables[0]["path"].tolist())
    patients = patients_of(fact.metadata for fact in read.values())
    told = source.rows().reindex(columns=["group_id"])["group_id"].notna().all()
    return (*tables, summarize_ingestion(source, *tables, () if told else patients.remarks))


def profile_data(
    source: ImageSource,
    manifest: pd.DataFrame,
    quarantine: pd.DataFrame,
    exclusions: pd.DataFrame,
    seed: int,
) -> DataProfile:
    """Profile the data set: counts, missing values, duplicates, the flow from files to the manifest
    and pictures of them.
    """
    from medgan.plots.data_profile import profile_figure

    found = profile(manifest, quarantine, exclusions)
    sheet, intensities = plot_sample(source, manifest, seed)
    return DataProfile(
        found, sheet, profile_figure(found), intensities, plot_duplicates(source, manifest)
    )


def plot_sample(source: ImageSource, manifest: pd.DataFrame, seed: int) -> tuple[Figure, Figure]:
    """Plot a seeded sample of each category: a contact sheet, and the intensity histograms."""
    from medgan.plots.data_profile import intensity_histograms
    from medgan.plots.grids import CELL, Block, contact_sheet

    sizes = manifest["category"].value_counts()
    chosen = sample(manifest, min(SAMPLED_OF_CATEGORY, max(SHEET_ROW, SAMPLED // len(sizes))), seed)
    images = previews(source, chosen["path"].tolist(), CELL)
    chosen = chosen.assign(preview=pd.Series(images, chosen.index, dtype=object))
    shown = SHEET_ROW * (2 if 2 * SHEET_ROW * len(sizes) <= SHEET_PICTURES else 1)
    blocks = [
        Block(
            f"{name}: {len(rows)} of {sizes[name]:,} images",
            [preview.picture for preview in rows["preview"]],
            rows["image_id"].tolist(),
        )
        for name, every in chosen.groupby("category", sort=False)
        for rows in [every.head(shown)]
    ]
    counts = {str(name): int(count) for name, count in chosen["category"].value_counts().items()}
    return contact_sheet(blocks, "A random sample of every class"), intensity_histograms(
        intensity_bands(chosen["category"], images),
        counts,
        "Intensities of a random sample: mean, and the band of 90 % of the images",
    )


def plot_duplicates(source: ImageSource, manifest: pd.DataFrame) -> Figure:
    """Plot images with equal pixels side by side, those that differ in class, patient or split
    first.
    """
    from medgan.plots.grids import CELL, Copies, duplicate_sheet

    groups = select_groups(manifest, SHOWN_GROUPS)
    shown = [group.head(SHOWN_COPIES) for group in groups.shown]
    images = iter(previews(source, [path for rows in shown for path in rows["path"]], CELL))
    copies = [
        Copies(
            [next(images).picture for _ in range(len(rows))],
            [captions(row) for _, row in rows.iterrows()],
            differences(group),
        )
        for rows, group in zip(shown, groups.shown, strict=True)
    ]
    left_out = f"; {len(shown)} of them shown" if len(shown) < groups.count else ""
    counts = f"{groups.count} pictures come more than once, with {groups.surplus} surplus copies"
    heading = counts + left_out if groups.count else "No two images have the same pixels"
    return duplicate_sheet(copies, heading)


def find_near_duplicates(source: ImageSource, manifest: pd.DataFrame, seed: int) -> NearDuplicates:
    """Find the verified pairs, with a summary of the search and a picture of them."""
    with progress_bar("searching near-duplicates", "image") as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = near_duplicates.find_near_duplicates(source, manifest, seed, show)
    figure = plot_near_duplicates(source, manifest, found.pairs)
    return NearDuplicates(found.pairs, found.summary, figure)


def plot_near_duplicates(
    source: ImageSource, manifest: pd.DataFrame, pairs: pd.DataFrame
) -> Figure:
    """Plot pairs side by side for a person to judge: different patients first, equal images last;
    within these, pairs across official parts and the least similar ones first.
    """
    from medgan.plots.grids import Pair, side_by_side

    rows = manifest.set_index("image_id")
    part_a, part_b = (
        rows["split"].reindex(pairs[f"image_id_{end}"]).fillna("").to_numpy() for end in "ab"
    )
    order = ["patients", "exact", "one_part", "correlation"]
    chosen = (
        pairs.assign(one_part=part_a == part_b).sort_values(order, kind="stable").head(SHOWN_PAIRS)
    )

    def caption(image_id: str) -> str:
        row = rows.loc[image_id]
        patient = str(row["group_id"]) if row["group_known"] else "patient unknown"
        return "\n".join(
            [image_id, patient, *([str(row["split"])] if pd.notna(row["split"]) else [])]
        )

    def picture(image_id: str) -> NDArray[uint8]:
        return fit_square(source.read(str(rows.loc[image_id, "path"])).pixels, SIDE, 3)

    def pair(row: dict[Any, Any]) -> Pair:
        left, right = str(row["image_id_a"]), str(row["image_id_b"])
        similar = "equal" if row["exact"] else f"correlation {row['correlation']:.3f}"
        title = f"{similar}, {row['distance']} bits apart"
        return Pair(picture(left), picture(right), title, caption(left), caption(right))

    sheet = [pair(row) for row in chosen.to_dict("records")]
    return side_by_side(
        sheet,
        f"near-duplicates: {len(sheet)} of {len(pairs)} pairs",
        "No two pictures of different patients are alike.",
    )
