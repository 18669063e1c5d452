from __future__ import annotations

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def manifest() -> pd.DataFrame:
    """600 images of 200 patients in three categories, with three planted duplicates that cross
    patients.
    """
    rng = np.random.default_rng(0)
    owners = np.sort(rng.integers(0, 200, 600))
    kinds = rng.choice(["normal", "bacterial", "viral"], 200, p=[0.5, 0.3, 0.2])
    table = pd.DataFrame(
        {
            "image_id": [f"image-{index}" for index in range(600)],
            "path": [f"{index}.png" for index in range(600)],
            "group_id": [f"patient-{owner}" for owner in owners],
            "group_known": True,
            "category": kinds[owners],
            "split": None,
            "pixel_hash": [f"hash-{index}" for index in range(600)],
            "provenance": "real",
        }
    )
    table["label"] = (table["category"] != "normal").astype(int)
    table.loc[[100, 300, 500], "pixel_hash"] = table.loc[[10, 200, 400], "pixel_hash"].to_numpy()
    return table
