"""Which share of an anomaly map lies where findings are expected, without any mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.evaluation.details import RegionShare
from medgan.evaluation.protocol import Region
from medgan.stats.bootstrap import estimates, mean_over, ratio

NO_ANOMALOUS = "not estimable: no test image is anomalous"
NO_NORMAL = "not estimable: no test image is normal"


def region_share(
    maps: NDArray[Any], test: pd.DataFrame, region: Region, n_resamples: int = 1000, seed: int = 0
) -> RegionShare:
    """Compute which share of the anomaly maps (n, H, W) of the test images lies inside a box,
    without any mask. Each map is counted from its lowest value, since some are logits.
    """
    inside = _box(region, *maps.shape[1:])
    values = np.asarray(maps, dtype=np.float64)
    values = values - values.min((1, 2), keepdims=True)
    area = float(inside.mean())
    # A map without contrast has no place.
    shares = ratio(values[:, inside].sum(1), values.sum((1, 2)), otherwise=area)
    anomalous = (test["label"] == 1).to_numpy()
    means = {
        "anomalous": mean_over(shares, anomalous, NO_ANOMALOUS),
        "normal": mean_over(shares, ~anomalous, NO_NORMAL),
    }
    found = estimates(means, test["group_id"].to_numpy(), n_resamples, seed)
    return RegionShare(region.name, area, **found)


def _box(region: Region, height: int, width: int) -> NDArray[np.bool_]:
    """The pixels (H, W) whose centers lie inside."""
    down, across = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    rows = (region.top <= down) & (down < 1 - region.bottom)
    columns = (region.left <= across) & (across < 1 - region.right)
    return rows[:, None] & columns
