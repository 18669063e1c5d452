"""Recognize what a folder of images holds: labels, patients, parts of the split, sizes, problems.

Names, folders and tables are guesses; the counts are those of the source that a run would open.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from medgan.contracts import NORMAL
from medgan.errors import UserError, unknown
from medgan.sources.files import FileImages
from medgan.sources.folder import FolderSource, compile_fields
from medgan.sources.forms import form, spellings
from medgan.sources.listed import ANYWHERE
from medgan.sources.listing import find_images
from medgan.sources.path_guesses import MOST_LABELS, PARTS, guess_from_paths, is_normal
from medgan.sources.raw import ImageRefused
from medgan.sources.readers.config import ReadingConfig, SlicePolicy, evenly_spaced
from medgan.sources.readers.formats import remedy_for, suffix_of
from medgan.sources.rows import EXCLUDED, exclusions, remarks_of
from medgan.sources.table import CsvSource
from medgan.sources.table_guesses import TableGuess, guess_from_tables

SAMPLE = 24
"""Images that are read to see sizes, colors and what cannot be read."""
COLORED = 2.0
"""Mean difference of the channels from which an image is in color."""
SLICES = SlicePolicy(count=8)
NO_LABEL = ""
FEW = 20
SEVERAL_LABELS = 0.3
"""Share of the patients with several labels from which the numbering may begin anew in each."""
READINGS: Mapping[str, ReadingConfig] = {
    "VOLUME": ReadingConfig(slices=SLICES),
    "MULTIPAGE": ReadingConfig(frames="all"),
}
"""Code of a refused sample -> how such files are read."""


@dataclass(frozen=True)
class Corrections:
    """What the user knows better than the names."""

    normal: str | None = None
    """The label of healthy images."""
    labels: Mapping[str, str | None] = field(default_factory=dict)
    """Label -> category; None leaves its images out."""
    patients: str | None = None
    """A pattern on the path whose group is the patient, or a column of the table; an empty text:
    patients are not known.
    """
    size: int | None = None
    """Side of the stored images in pixels."""


@dataclass(frozen=True)
class Sample:
    """What the sampled images are."""

    n_images: int
    sides: tuple[int, int]
    """Smallest and largest side in pixels; (0, 0) where none could be read."""
    color: bool
    refused: Mapping[str, str]
    """Path -> why it cannot be read."""
    patients: bool
    """Whether the files themselves name patients, as DICOM headers do."""


@dataclass(frozen=True)
class Recognition:
    """What a folder holds, as a run would read it."""

    source: FolderSource | CsvSource
    labels: Mapping[str, int]
    """Label -> images that have it."""
    meaning: Mapping[str, str | None]
    """Label -> category. Without `normal` among them the label of healthy images is not known."""
    separator: str | None
    formats: Mapping[str, int]
    """Suffix -> images."""
    n_images: int
    n_patients: int | None
    """None: not known, or only from the headers of the files."""
    parts: Mapping[str, int]
    """Part of the split that the folder gives -> images."""
    left_out: Mapping[str, int]
    """Reason -> files that are no images of the data set."""
    sample: Sample
    size: int
    problems: tuple[str, ...]

    @property
    def channels(self) -> Literal[1, 3]:
        """1 for gray images, 3 for color."""
        return 3 if self.sample.color else 1

    def require_normal(self) -> None:
        """Raise `UserError` where it is not known which label is that of healthy images."""
        if NORMAL not in self.meaning.values():
            first = ", ".join(list(self.labels)[:MOST_LABELS])
            raise UserError(
                f"It is not clear which label is that of healthy images: name one of {first}."
            )


def recognize(path: Path | str, corrections: Corrections | None = None) -> Recognition:
    """Look at a folder of images, with or without a table beside them.

    Raises:
        UserError: there is no such folder, it holds no images, or a correction does not fit.
    """
    corrections = corrections or Corrections()
    root = _folder(Path(path))
    paths = find_images(root, guess=True).require_images(root).images
    tables, problems = guess_from_tables(root, paths)
    source, about = _source(root, paths, tables)
    source = _with_patients(source, corrections.patients)
    opened = source.open()
    sample = _sample(opened)
    readings = [READINGS[code] for code in READINGS if code in sample.refused.values()]
    if readings:
        source = replace(source, reading=readings[0])
        opened = source.open()
        sample = _sample(opened)
    rows = opened.named_rows()
    used = rows[exclusions(rows).isna()]
    separator = tables[0].separator if tables and isinstance(source, CsvSource) else None
    labels = _label_counts(used, separator)
    found = Recognition(
        source=source,
        labels=labels,
        meaning=_meaning(list(labels), corrections),
        separator=separator,
        formats=Counter(suffix_of(_file(name)) for name in used["path"]),
        n_images=len(used),
        n_patients=_n_patients(used),
        parts=_counts(used, "split"),
        left_out=_counts(rows.assign(**{EXCLUDED: exclusions(rows)}), EXCLUDED),
        sample=sample,
        size=corrections.size or (64 if sample.sides[0] >= 64 or not sample.sides[0] else 32),
        problems=(),
    )
    remarks = [remark.text + "." for remark in remarks_of(opened)]
    return replace(found, problems=(*problems, *about, *remarks, *_problems(found, used)))


def _folder(given: Path) -> Path:
    """Resolve the path of a folder. Raises `UserError` where there is none."""
    try:
        found = given.expanduser().resolve()
        if found.is_dir():
            return found
        problem = remedy_for(found) or "a file" if found.exists() else ""
    except (RuntimeError, ValueError):  # of an unknown ~user, or a path with a zero byte
        problem = ""
    what = f"is {problem}" if problem else "does not exist"
    raise UserError(f"{given} {what}: give the folder that holds the images.")


def _file(path: str) -> str:
    """Return the file of a slice."""
    return re.sub(r"/\d{3,}$", "", path)


def _source(
    root: Path, paths: Sequence[str], tables: Sequence[TableGuess]
) -> tuple[FolderSource | CsvSource, list[str]]:
    """Return the source, and what has to be said of the choice."""
    labeled = [table for table in tables if "category" in table.columns or table.one_hot]
    if not labeled:
        guess = guess_from_paths(paths)
        values = {"split": guess.split_values} if _renamed(guess.split_values) else {}
        return FolderSource(str(root), guess.fields, values), []
    first, *others = labeled
    of_parts = {PARTS.get(Path(table.name).stem.lower()): table for table in labeled}
    together = len(of_parts) == len(labeled) > 1 and None not in of_parts
    same = all(table.columns == first.columns for table in others)
    about = [
        f"The tables {', '.join(table.name for table in others)} are not used, {first.name} is."
    ] * (bool(others) and not (together and same))
    missing = sum(table.missing for table in (labeled if together else [first]))
    if missing:
        about.append(f"{missing} listed files are not there; their rows are left out.")
    source = CsvSource(
        columns=dict(first.columns),
        path=str(root),
        table=first.name,
        one_hot=first.one_hot,
        images=ANYWHERE,
        file="{image_id}",
        values={"split": first.split_values} if first.split_values else {},
        on_missing="leave_out" if missing else "fail",
    )
    if together and same:
        named = {str(name): table.name for name, table in of_parts.items()}
        columns = {name: column for name, column in source.columns.items() if name != "split"}
        source = replace(source, columns=columns, table=CsvSource.table, tables=named, values={})
    return source, about


def _renamed(values: Mapping[str, str]) -> bool:
    return any(old.lower() != new for old, new in values.items())


def _with_patients(
    source: FolderSource | CsvSource, wanted: str | None
) -> FolderSource | CsvSource:
    if wanted is None:
        return source
    if isinstance(source, CsvSource):
        columns = {name: column for name, column in source.columns.items() if name != "group_id"}
        return replace(source, columns=columns | ({"group_id": wanted} if wanted else {}))
    fields = {name: patterns for name, patterns in source.fields.items() if name != "group_id"}
    chosen = replace(source, fields=fields | ({"group_id": [wanted]} if wanted else {}))
    compile_fields(chosen.fields)
    return chosen


def _label_counts(used: pd.DataFrame, separator: str | None) -> dict[str, int]:
    """Count the images of each label, the most frequent one first."""
    raw = used["category_raw"].fillna(NO_LABEL).astype(str)
    single = raw.str.split(separator, regex=False).explode().str.strip() if separator else raw
    return {str(label): int(count) for label, count in single.value_counts().items()}


def _meaning(labels: Sequence[str], corrections: Corrections) -> dict[str, str | None]:
    """Return label -> category: as corrected, else `normal` for its usual names, else its own.

    Spellings of one label have one category.
    """
    for label in [*corrections.labels, *filter(None, [corrections.normal])]:
        if label not in labels:
            raise unknown("label", label, labels)
    if labels == [NO_LABEL]:
        return {NO_LABEL: NORMAL}
    guessed = [label for label in labels if is_normal(label)][:1]
    healthy = [corrections.normal] if corrections.normal is not None else guessed
    own = {form(label): _category(label) for label in reversed(labels)}
    own |= {form(label): NORMAL for label in healthy}
    return {label: own[form(label)] for label in labels} | dict(corrections.labels)


def _category(label: str) -> str | None:
    """Return the name of a category: that of its label in lower case, with underscores."""
    if not label:
        return None
    plain = re.sub(r"\W+", "_", label.strip().casefold()).strip("_")
    named = {"1": "anomalous", "yes": "anomalous", NORMAL: "other_normal"}
    return named.get(plain, plain or "anomalous")


def _n_patients(used: pd.DataFrame) -> int | None:
    if "group_id" not in used or used["group_id"].isna().all():
        return None
    return int(used["group_id"].nunique())


def _counts(used: pd.DataFrame, column: str) -> dict[str, int]:
    if column not in used:
        return {}
    return {str(name): int(count) for name, count in used[column].value_counts().items()}


def _sample(opened: FileImages) -> Sample:
    """Read images that are spread over the source."""
    rows = opened.named_rows()
    paths = rows.loc[exclusions(rows).isna(), "path"].tolist()
    chosen = [paths[place] for place in evenly_spaced(len(paths), SAMPLE)]
    sides, color, refused, patients = list[int](), False, dict[str, str](), False
    for path in chosen:
        try:
            image = opened.read(path)
        except ImageRefused as error:
            refused[path] = error.code
            continue
        sides += image.pixels.shape[:2]
        color = color or _is_colored(image.pixels)
        patients = patients or bool(image.metadata.get("group_id"))
    return Sample(
        len(chosen), (min(sides, default=0), max(sides, default=0)), color, refused, patients
    )


def _is_colored(pixels: np.ndarray) -> bool:
    if pixels.shape[2] == 1:
        return False
    wide = pixels.astype(np.int16)
    return bool(np.abs(wide - wide.mean(axis=2, keepdims=True)).mean() > COLORED)


def _problems(found: Recognition, used: pd.DataFrame) -> Iterator[str]:
    """Say what the user has to know or to correct."""
    sample = found.sample
    if sample.refused:
        path, code = next(iter(sample.refused.items()))
        count = f"{len(sample.refused)} of {sample.n_images} sampled images"
        yield f"{count} cannot be read ({code}: {path}); docs/formats.md explains the codes."
    if list(found.labels) == [NO_LABEL]:
        yield "No labels were found: all images are taken for normal, so nothing can be tested."
    elif NORMAL not in found.meaning.values():
        yield "It is not clear which label is that of healthy images: name it."
    elif NO_LABEL in found.labels:
        yield f"{found.labels[NO_LABEL]} images have no label; they are left out."
    for group in spellings(found.labels):
        shown = " and ".join(f"`{label}` ({found.labels[label]})" for label in group)
        yield f"The labels {shown} differ only in how they are written: they are one category."
    if found.n_patients is None and not sample.patients:
        yield (
            "Patients are not known: every image counts as a patient of its own, and images of one "
            "patient may be in training and test. Name a pattern or a column, if there is one."
        )
    normals = sum(
        count for label, count in found.labels.items() if found.meaning.get(label) == NORMAL
    )
    if 0 < normals < FEW:
        yield f"There are {normals} normal images only: figures from so few mean little."
    yield from _shared_patients(used)


def _shared_patients(used: pd.DataFrame) -> Iterator[str]:
    if _n_patients(used) is None or used["category_raw"].nunique() < 2:
        return
    labels = used.groupby("group_id")["category_raw"].nunique()
    several = labels[labels > 1]
    if len(several) >= SEVERAL_LABELS * len(labels):
        yield (
            f"{len(several)} of {len(labels)} patients have images under several labels, such as "
            f"{several.index[0]}. If the numbering begins anew under each label, let the pattern "
            "of patients include the label."
        )
