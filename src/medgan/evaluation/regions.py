"""Which share of an anomaly map lies where findings are expected, without any mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.evaluation.details import RegionShare
from medgan.evaluation.localisation import mean_over
from medgan.evaluation.protocol import Region
from medgan.stats.bootstrap import estimates

NO_ANOMALOUS = "not estimable: no test image is anomalous"
NO_NORMAL = "not estimable: no test image is normal"


def region_share(
    maps: NDArray[Any], test: pd.DataFrame, region: Region, n_resamples: int = 1000, seed: int = 0
) -> RegionShare:
    """Compute which share of the anomaly maps lies inside a box, without any mask.

    Args:
        maps: of the test images (n, H, W), each counted from its lowest value, since some maps are
            logits.
        test: label and group_id of the test images.
        region: the box.
        n_resamples: resamples of patients.
        seed: of the resamples.
    """
    inside = _box(region, *maps.shape[1:])
    values = np.asarray(maps, dtype=np.float64)
    values = values - values.min((1, 2), keepdims=True)
    within, whole = values[:, inside].sum(1), values.sum((1, 2))
    # A map without contrast has no place.
    shares = np.divide(within, whole, out=np.full(len(values), inside.mean()), where=whole > 0)
    anomalous = (test["label"] == 1).to_numpy()
    means = {
        name: mean_over(shares, among, reason)
        for name, among, reason in (
            ("anomalous", anomalous, NO_ANOMALOUS),
            ("normal", ~anomalous, NO_NORMAL),
        )
    }
    found = estimates(means, test["group_id"].to_numpy(), n_resamples, seed)
    return RegionShare(region.name, float(inside.mean()), **found)


def _box(region: Region, height: int, width: int) -> NDArray[np.bool_]:
    """The pixels (H, W) whose centers lie inside."""
    down, across = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    rows, columns = (
        (region.top <= down) & (down < 1 - region.bottom),
        (region.left <= across) & (across < 1 - region.right),
    )
    return rows[:, None] & columns
