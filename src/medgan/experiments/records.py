"""Records: one small file for each finished (data set, row, seed), docs/results/runs/<data
set>/<name>-<seed>.json.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medgan.errors import UserError
from medgan.files.atomic import write_text

SCHEMA = 1
FOLDER = Path("docs/results/runs")
SIX_DIGITS = "{:.6g}"
REQUIRED = ("dataset", "name", "model", "seed", "parameters", "provenance")


@dataclass(frozen=True)
class TestScores:
    """The test images of a row: what intervals of differences, and curves, are made of. No image is
    named, no patient either.
    """

    __test__ = False  # no test class, whatever its name

    units: str
    """Hash of the image ids in order: rows with the same one were scored on the same images."""
    label: np.ndarray
    """(n,) 0 or 1."""
    called: np.ndarray
    """(n,) 0 or 1, at the frozen threshold."""
    score: np.ndarray
    """(n,) rising with anomaly, to six digits."""
    group: np.ndarray
    """(n,) the patient's number among all of the data set, the same in every split and seed; the
    image's where patients are unknown.
    """
    group_known: bool

    @classmethod
    def of(cls, table: pd.DataFrame, groups: pd.Series) -> TestScores:
        """From a table of `evaluation.run_differences.COLUMNS`, and the group_id of every image of
        the data set.
        """
        ordered = table.sort_values("unit", ignore_index=True)
        known = bool(ordered["group_known"].all())
        numbers = {name: number for number, name in enumerate(sorted(groups.astype(str).unique()))}
        return cls(
            units=_hash(ordered["unit"]),
            label=ordered["label"].to_numpy(dtype=np.int64),
            called=ordered["called"].to_numpy(dtype=np.int64),
            score=ordered["score"].to_numpy(dtype=np.float64),
            group=ordered["group_id"].astype(str).map(numbers).to_numpy(dtype=np.int64)
            if known
            else np.arange(len(ordered)),
            group_known=known,
        )

    def as_dict(self) -> dict[str, Any]:
        """As text, so that a record stays a page of JSON."""
        return {
            "units": self.units,
            "label": "".join(map(str, self.label)),
            "called": "".join(map(str, self.called)),
            "score": _text(self.score),
            "group": " ".join(map(str, self.group)) if self.group_known else None,
        }

    def frame(self) -> pd.DataFrame:
        """As `evaluation.cohorts.fold_average` takes them."""
        return pd.DataFrame(
            {
                "label": self.label,
                "score": self.score,
                "group_id": self.group,
                "group_known": self.group_known,
            }
        )

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> TestScores:
        """The inverse of `as_dict`."""
        label, called = (
            np.array(list(document[key]), dtype=np.int64) for key in ("label", "called")
        )
        score = _numbers(document["score"])
        known = document["group"] is not None
        group = (
            np.array(document["group"].split(), dtype=np.int64) if known else np.arange(len(label))
        )
        if not len(label) == len(called) == len(score) == len(group):
            raise UserError(
                "a record's test scores do not have one label, decision, score and group for each image"
            )
        return cls(document["units"], label, called, score, group, known)


def _hash(units: pd.Series) -> str:
    """Of the ids of test images, in their order."""
    return hashlib.sha256("\n".join(units.astype(str)).encode()).hexdigest()[:16]


def shortcuts_as_dict(table: pd.DataFrame) -> dict[str, Any]:
    """What `evaluation.shortcut_scores` gave, in the order of `TestScores`: {"units", "scores":
    {shortcut: text}}.
    """
    ordered = table[table["split"] == "test"].sort_values("image_id")
    return {
        "units": _hash(ordered["image_id"]),
        "scores": {name: _text(ordered[name]) for name in ordered.columns if "/" in name},
    }


def read_shortcuts(document: Mapping[str, Any], units: str) -> dict[str, np.ndarray]:
    """Shortcut -> scores (n,), in the order of the test images whose hash is `units`; none where
    these were not scored.
    """
    return (
        {name: _numbers(text) for name, text in document["scores"].items()}
        if document["units"] == units
        else {}
    )


def _text(scores: Iterable[float]) -> str:
    return " ".join(SIX_DIGITS.format(value) for value in scores)


def _numbers(text: str) -> np.ndarray:
    return np.array(text.split(), dtype=np.float64)


def path_of(root: Path, dataset: str, name: str, seed: int) -> Path:
    """Where a record lies."""
    return root / FOLDER / dataset / f"{name}-{seed}.json"


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Writes a record, whole or not at all."""
    write_text(
        path,
        json.dumps({"schema": SCHEMA, **record}, indent=1, allow_nan=False, ensure_ascii=False)
        + "\n",
    )


def read_record(path: Path) -> dict[str, Any]:
    """A record.

    Raises:
        UserError: it is damaged, or of another schema.
    """
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"The record {path} cannot be read ({error}): delete it, then `make reproduce` makes it again."
        ) from None
    missing = [key for key in REQUIRED if key not in record]
    if record.get("schema") != SCHEMA or missing:
        raise UserError(
            f"{path} is no record of schema {SCHEMA}: delete it, then `make reproduce` makes it again."
        )
    return record


def read_records(root: Path, dataset: str) -> dict[str, list[dict[str, Any]]]:
    """Name -> the records of its seeds, in their order."""
    found = [read_record(path) for path in sorted((root / FOLDER / dataset).glob("*.json"))]
    names = dict.fromkeys(record["name"] for record in found)
    return {
        name: sorted((r for r in found if r["name"] == name), key=lambda record: record["seed"])
        for name in names
    }
