"""Labels of images, including images that show several findings.

An image of several findings (ChestX-ray14) has the category SEVERAL and lists them in the column
`findings`. A finding is evaluated against normal images; single-label classifiers leave images of
several findings out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import NORMAL
from medgan.errors import UserError
from medgan.sources.forms import spellings
from medgan.sources.raw import Bools

SEVERAL = "several findings"
SEPARATOR = "|"


def check_spellings(labels: Iterable[str], where: str) -> None:
    """Raise `UserError` for labels that differ only in case, blanks, separators or Unicode form."""
    counts = Counter(labels)
    for group in spellings(counts.elements()):
        shown = " and ".join(f"`{label}` ({counts[label]})" for label in group)
        raise UserError(
            f"the labels {shown} of {where} differ only in how they are written; write them in one "
            "way, or list each of them in ingestion.labels"
        )


def category_of(findings: Sequence[str]) -> str:
    """Return the category of an image with these findings."""
    return findings[0] if len(findings) == 1 else SEVERAL


def shows(table: pd.DataFrame, finding: str) -> Bools:
    """Return which images (n,) show a finding, alone or with others."""
    several = table["category"] == SEVERAL
    shown = (table["category"] == finding).to_numpy(dtype=bool, copy=True)
    if several.any():
        listed = table.loc[several, "findings"].fillna("").str.split(SEPARATOR, regex=False)
        shown[several.to_numpy(dtype=bool)] = [finding in names for names in listed]
    return shown


def findings_of(table: pd.DataFrame) -> list[str]:
    """Return every finding that an image shows, in alphabetical order, without `normal`."""
    names = set(table["category"])
    if SEVERAL in names:
        listed = table.loc[table["category"] == SEVERAL, "findings"].dropna().unique()
        names = names.union(*(text.split(SEPARATOR) for text in listed))
    return sorted(names - {NORMAL, SEVERAL})


def one_finding(table: pd.DataFrame) -> pd.DataFrame:
    """Return the images of one category, which a single-label classifier can learn from."""
    return table[table["category"] != SEVERAL]


def class_labels(table: pd.DataFrame, classes: Sequence[str]) -> NDArray[Any]:
    """Return labels for a network: (n,) int64 indices into `classes`, or (n, K) multi-hot float32
    where any image shows several. Raises `UserError` for a finding that is none of the classes.
    """
    unknown = sorted({*table["category"], *findings_of(table)} - {*classes, SEVERAL})
    if unknown:
        raise UserError(
            f"images of the category `{unknown[0]}` are in the split, and the image store does not "
            "know it: run `kedro run --pipelines ingestion,preprocessing` again"
        )
    if (table["category"] == SEVERAL).any():
        return np.stack([shows(table, name) for name in classes], axis=1).astype(np.float32)
    return pd.Index(classes).get_indexer(pd.Index(table["category"])).astype(np.int64)
