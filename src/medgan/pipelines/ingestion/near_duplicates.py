"""Near-duplicates: found once for a data set, so that every split can keep them together, and
shown.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medgan.images import near_duplicates as images
from medgan.images.resizing import fit_square
from medgan.sources.registry import ImageSource
from medgan.training.progress import progress_bar

SHOWN = 20
SIDE = 224
"""Of a shown picture, in pixels."""


def find_near_duplicates(
    source: ImageSource, manifest: pd.DataFrame, seed: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The verified pairs, and how they were searched."""
    with progress_bar("searching near-duplicates", "image") as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = images.find_near_duplicates(source, manifest, seed, show)
    return found.pairs, found.summary


def plot_near_duplicates(
    source: ImageSource, manifest: pd.DataFrame, pairs: pd.DataFrame
) -> Figure:
    """The pairs that a person has to judge, side by side: different patients first, equal pictures
    last; of each, those that stand in two official parts, and the least alike, first.
    """
    from medgan.plots.grids import Pair, side_by_side

    rows = manifest.set_index("image_id")
    parts = [
        rows["split"].reindex(pairs[column]).fillna("").to_numpy()
        for column in ("image_id_a", "image_id_b")
    ]
    order = ["patients", "exact", "one_part", "correlation"]
    chosen = (
        pairs.assign(one_part=parts[0] == parts[1]).sort_values(order, kind="stable").head(SHOWN)
    )

    def caption(image_id: str) -> str:
        row = rows.loc[image_id]
        patient = str(row["group_id"]) if row["group_known"] else "patient unknown"
        return "\n".join(
            [str(image_id), patient, *([str(row["split"])] if pd.notna(row["split"]) else [])]
        )

    def picture(image_id: str) -> NDArray[np.uint8]:
        return fit_square(source.read(str(rows.loc[image_id, "path"])).pixels, SIDE, 3)

    def pair(row: dict[Any, Any]) -> Pair:
        left, right = str(row["image_id_a"]), str(row["image_id_b"])
        alike = "equal" if row["exact"] else f"correlation {row['correlation']:.3f}"
        return Pair(
            picture(left),
            picture(right),
            f"{alike}, {row['distance']} bits apart",
            caption(left),
            caption(right),
        )

    sheet = [pair(row) for row in chosen.to_dict("records")]
    return side_by_side(
        sheet,
        f"near-duplicates: {len(sheet)} of {len(pairs)} pairs",
        "No two pictures of different patients are alike.",
    )
