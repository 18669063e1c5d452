"""Which images a reader should see: where the detector was surest, right and wrong."""

from __future__ import annotations

import numpy as np
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


ERRORS = ("miss", "false alarm")


def random_errors(test: pd.DataFrame, threshold: float, n: int, seed: int = 0) -> pd.DataFrame:
    """Misses and false alarms at random, so that a reader sees the usual ones and not the worst alone.

    Args:
        test: test images with image_id, label and score.
        threshold: at or above it an image is called anomalous.
        n: of each kind, at most.
        seed: of the draw, which does not depend on the order of the rows.

    Returns:
        Those rows of `test`, misses first, each kind by image_id, with a column `kind`.
    """
    called, anomalous = test["score"] >= threshold, test["label"] == 1
    kinds = dict(zip(ERRORS, (test[~called & anomalous], test[called & ~anomalous]), strict=True))
    drawn = {kind: _drawn(rows.sort_values("image_id"), n, [seed, place]) for place, (kind, rows) in enumerate(kinds.items())}
    return pd.concat([rows.assign(kind=kind) for kind, rows in drawn.items()])


def _drawn(rows: pd.DataFrame, n: int, seed: list[int]) -> pd.DataFrame:
    places = np.random.default_rng(seed).permutation(len(rows))[:n]
    return rows.iloc[np.sort(places)]
