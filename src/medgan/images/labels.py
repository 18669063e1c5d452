"""Labels of images: which category each has, and images that show several findings at once.

An image of several findings (ChestX-ray14) has the category SEVERAL and lists them in the column
`findings`, separated by SEPARATOR. A finding is evaluated against normal images, the others left
out; a classifier of one class for each image leaves out those of several.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import NORMAL
from medgan.errors import UserError

SEVERAL = "several findings"
SEPARATOR = "|"


def named(found: Sequence[str]) -> str:
    """The category of an image with these findings."""
    return found[0] if len(found) == 1 else SEVERAL


def shows(table: pd.DataFrame, finding: str) -> NDArray[np.bool_]:
    """(n,) which images show a finding, alone or with others."""
    single: NDArray[np.bool_] = (table["category"] == finding).to_numpy(dtype=bool)
    several = table["category"] == SEVERAL
    if not several.any():
        return single
    listed = table["findings"].where(several, "").fillna("").str.split(SEPARATOR, regex=False)
    among: NDArray[np.bool_] = np.fromiter(
        (finding in names for names in listed), dtype=bool, count=len(table)
    )
    return single | among


def findings_of(table: pd.DataFrame) -> list[str]:
    """Every finding that an image of the table shows, in alphabetical order; `normal` is none."""
    listed = (
        table.loc[table["category"] == SEVERAL, "findings"]
        if (table["category"] == SEVERAL).any()
        else pd.Series(dtype=object)
    )
    names = set(table["category"]).union(
        *(text.split(SEPARATOR) for text in listed.dropna().unique())
    )
    return sorted(names - {NORMAL, SEVERAL})


def one_finding(table: pd.DataFrame) -> pd.DataFrame:
    """The images of one category each: what a classifier with one answer for each image can learn
    from and be tested on.
    """
    return table[table["category"] != SEVERAL]


def class_labels(table: pd.DataFrame, classes: Sequence[str]) -> NDArray[Any]:
    """The labels of images as a network learns them: (n,) int64 indices into `classes`; (n, K)
    multi-hot float32 where any shows several.

    Raises:
        UserError: an image shows what is none of the classes.
    """
    strange = sorted({*table["category"], *findings_of(table)} - {*classes, SEVERAL})
    if strange:
        raise UserError(
            f"images of the category `{strange[0]}` are in the split, and the image store does not know it: "
            "run `kedro run --pipelines ingestion,preprocessing` again"
        )
    if (table["category"] == SEVERAL).any():
        return np.stack([shows(table, name) for name in classes], axis=1).astype(np.float32)
    numbers = {name: index for index, name in enumerate(classes)}
    return np.asarray([numbers[name] for name in table["category"]], dtype=np.int64)
