"""Which images a reader should see: where the detector was surest, right and wrong."""

from __future__ import annotations

import pandas as pd

KINDS = ("hit", "miss", "false alarm", "true normal")


def surest_examples(table: pd.DataFrame, threshold: float, count: int) -> pd.DataFrame:
    """The surest hits, misses, false alarms and true normals, `count` of each at most.

    Args:
        table: test images with label and score.
        threshold: at or above it an image is called anomalous.
        count: images of each kind.

    Returns:
        Those rows of `table`, in the order of KINDS, with a column `kind`.
    """
    called, anomalous = table["score"] >= threshold, table["label"] == 1
    chosen = {
        "hit": table[called & anomalous].nlargest(count, "score"),
        "miss": table[~called & anomalous].nsmallest(count, "score"),
        "false alarm": table[called & ~anomalous].nlargest(count, "score"),
        "true normal": table[~called & ~anomalous].nsmallest(count, "score"),
    }
    return pd.concat([rows.assign(kind=kind) for kind, rows in chosen.items()])
