"""Nodes that search near-duplicates, once for a data set, and show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from numpy import uint8
from numpy.typing import NDArray

from medgan.images import near_duplicates as images
from medgan.images.resizing import fit_square
from medgan.pipelines.outputs import NearDuplicates
from medgan.progress import progress_bar
from medgan.sources.registry import ImageSource

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 20
SIDE = 224  # of a shown image, in pixels


def find_near_duplicates(source: ImageSource, manifest: pd.DataFrame, seed: int) -> NearDuplicates:
    """Find the verified pairs, with a summary of the search and a picture of them."""
    with progress_bar("searching near-duplicates", "image") as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = images.find_near_duplicates(source, manifest, seed, show)
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
    chosen = pairs.assign(one_part=part_a == part_b).sort_values(order, kind="stable").head(SHOWN)

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
