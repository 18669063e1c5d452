"""Guess labels, patients and parts of the split from the paths of images, as patterns of a
`FolderSource`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from medgan.sources.folder import first_match
from medgan.sources.forms import form

NORMAL_WORDS = frozenset(
    (
        *("normal", "normals", "healthy", "health", "good", "ok", "control", "controls", "hc"),
        *("no", "none", "negative", "neg", "no finding", "no findings", "nofinding", "notumor"),
        *("no tumor", "no tumour", "no disease", "non tumor", "0", "false", "clear"),
    )
)
"""Labels of healthy images, as `forms.form` writes them."""
PARTS = {
    **dict.fromkeys(("train", "training", "trainset", "imagestr"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "testset", "imagests"), "test"),
}
"""Folder name in lower case -> part of the split."""
CONTAINERS = frozenset(("images", "image", "imgs", "img", "data", "dataset", "dicom", "png", "jpg"))
"""Names of folders that say nothing about the images in them."""
PERSON = "patient|pat|pt|subject|subj|sub|case|person|participant|pid|volunteer"
NAMED_PATIENT = r"(?i)(?:^|[^a-z])((?:{})(?:[ _-]+[a-z]{{0,3}})?\d+)"
"""Pattern of a patient that is called by one of these words, with a number."""
NUMBERED_FILE = r"(?:^|/)([A-Za-z]{0,12}[_-]?\d+)[_-][^/]*$"
MOST_LABELS = 20
FEWEST_PATIENTS = 5
MOST_FOUND = 0.8
"""Share of the images that the patterns of patients have to match."""
LARGEST_PATIENT = 0.5
"""Largest share of the images that one guessed patient may have."""


@dataclass(frozen=True)
class PathGuess:
    """What paths tell: field -> patterns, and part of the split there -> here."""

    fields: dict[str, list[str]]
    split_values: dict[str, str]


def guess_from_paths(paths: Sequence[str]) -> PathGuess:
    """Guess the fields category, group_id and split from POSIX paths below the folder."""
    parts = {name for path in paths for name in _folders(path) if name.lower() in PARTS}
    if len({PARTS[name.lower()] for name in parts}) < 2:
        parts = set()
    labels = _labels(paths, parts)
    category = _one_of(labels) if labels else _label_in_name(paths)
    found = {
        "category": [category] if category else [],
        "group_id": _patients(paths, labels, parts),
        "split": [_one_of(parts)] if parts else [],
    }
    fields = {name: patterns for name, patterns in found.items() if patterns}
    return PathGuess(fields, {name: PARTS[name.lower()] for name in sorted(parts)})


def is_normal(label: str) -> bool:
    """Return whether a label is a usual name for healthy images."""
    return form(label) in NORMAL_WORDS


def _folders(path: str) -> list[str]:
    return path.split("/")[:-1]


def _any_of(names: Iterable[str]) -> str:
    return f"(?:{'|'.join(re.escape(name) for name in sorted(names))})"


def _one_of(names: Iterable[str]) -> str:
    """Return a pattern whose group is the folder of one of these names."""
    return f"(?:^|/)({_any_of(names)[3:]}/"


def _levels(paths: Sequence[str], silent: Callable[[str], bool]) -> list[Counter[str]]:
    """Count the folders at each depth, from the top, without those that say nothing."""
    rows = [[name for name in _folders(path) if not silent(name)] for path in paths]
    columns = zip_longest(*rows)
    return [Counter(name for name in column if name is not None) for column in columns]


def _labels(paths: Sequence[str], parts: set[str]) -> set[str]:
    """Return the names of the folders that are labels: of the level with a word for normal, else of
    the one with the fewest names; none where there is no such level.
    """

    def silent(name: str) -> bool:
        patient = re.search(NAMED_PATIENT.format(PERSON), name)
        return name in parts or name.lower() in CONTAINERS or patient is not None

    levels = [level for level in _levels(paths, silent) if len(level) <= MOST_LABELS]
    named = [level for level in levels if any(map(is_normal, level))]
    several = sorted((level for level in levels if len(level) > 1), key=len)
    return set(next(iter([*named, *several]), ()))


def _label_in_name(paths: Sequence[str]) -> str | None:
    """Return a pattern for names such as `normal_12.png`, where one of the words is `normal`."""
    pattern = r"(?:^|/)([A-Za-z]+(?:[ _-][A-Za-z]+)*)[ _-]*\d[^/]*$"
    words = _values([pattern], paths)
    known = 2 <= len(words) <= MOST_LABELS and any(map(is_normal, words))
    return pattern if known and words.total() == len(paths) else None


def _patients(paths: Sequence[str], labels: set[str], parts: set[str]) -> list[str]:
    """Return patterns of patients: a word such as `patient` with a number, a folder beside the one
    of the label, or a number that several files share; none where nothing fits.
    """
    named, called = _named_patient(paths)
    if len(called) > 1 and called.total() >= MOST_FOUND * len(paths):
        return [named]
    label, part = _any_of(labels), _any_of(parts)
    folders = [rf"(?:^|/){label}/([^/]+)/", rf"(?:^|/)([^/]+)/{label}/"]
    if not labels:
        folders = [rf"(?:^|/){part}/([^/]+)/" if parts else "^([^/]+)/"]
    candidates = [*([folder] for folder in folders), [named, NUMBERED_FILE]]
    silent = {*parts, *labels, None}
    return next((one for one in candidates if _are_patients(one, paths, silent)), [])


def _named_patient(paths: Sequence[str]) -> tuple[str, Counter[str]]:
    """Return the pattern of the words for patients that occur in the paths, and its values."""
    values = _values([NAMED_PATIENT.format(PERSON)], paths)
    words = {re.match("[a-z]+", value.lower()) for value in values}
    occurring = sorted({word.group() for word in words if word})
    return NAMED_PATIENT.format("|".join(occurring) or PERSON), values


def _are_patients(patterns: Sequence[str], paths: Sequence[str], silent: Collection[Any]) -> bool:
    """Return whether values could be patients: of most images, each of few, some of several."""
    values = _values(patterns, paths)
    kept = Counter({name: count for name, count in values.items() if name not in silent})
    return (
        len(kept) >= FEWEST_PATIENTS
        and kept.total() >= MOST_FOUND * len(paths)
        and max(kept.values()) <= LARGEST_PATIENT * len(paths)
        and len(kept) < kept.total()
    )


def _values(patterns: Sequence[str], paths: Sequence[str]) -> Counter[str]:
    compiled = [re.compile(pattern) for pattern in patterns]
    return Counter(value for path in paths if (value := first_match(compiled, path)))
