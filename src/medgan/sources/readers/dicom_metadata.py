"""What a DICOM header may say of its image. Only what is listed here is ever looked at, and nothing
of it names a person.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydicom.dataset import Dataset

from medgan.errors import UserError
from medgan.sources.readers.config import SHORTEST_KEY, ReadingConfig

VARIABLE = "MEDGAN_PSEUDONYM_KEY"


def secret(config: ReadingConfig) -> str | None:
    """The key of the configuration, else that of the environment, else None. Raises `UserError` for
    one that is too short.
    """
    key = config.pseudonym_key or os.environ.get(VARIABLE) or None
    if key is not None and len(key) < SHORTEST_KEY:
        raise UserError(
            f"the environment variable {VARIABLE} has {len(key)} characters; give a secret of at least {SHORTEST_KEY}"
        )
    return key


def pseudonym(text: str, key: str, kind: str) -> str:
    """32 hexadecimal digits for a text; `kind` (up to 16 letters) keeps equal texts of different
    meaning apart.
    """
    digest = hashlib.blake2b(
        key=hashlib.sha512(key.encode()).digest(), digest_size=16, person=kind.encode()
    )
    digest.update(text.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


KEYWORDS = (
    *(
        "PatientSex",
        "PatientAge",
        "PatientBirthDate",
        "StudyDate",
        "PatientID",
        "IssuerOfPatientID",
        "SeriesInstanceUID",
    ),
    *(
        "Modality",
        "ViewPosition",
        "ScanningSequence",
        "SequenceVariant",
        "Manufacturer",
        "ManufacturerModelName",
        "ImagePositionPatient",
    ),
)
"""Attributes that are read; birth date and study date only give years, ids only give pseudonyms."""
AGE = re.compile(r"(\d{3})([DWMY])")
YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
OLDEST = 150
CODED = re.compile(r"[A-Z0-9_]+(?: [A-Z0-9_]+)*")
"""The value representation CS: capitals, digits, underscores and single blanks."""
SEXES = ("M", "F", "O")


def describe(header: Dataset, config: ReadingConfig) -> dict[str, str]:
    """What is known of `FACTS` and, where there is a secret key, the pseudonyms `group_id` and
    `volume`.
    """
    facts = {name: _tried(tell, header) for name, tell in FACTS.items()}
    return {name: text for name, text in {**facts, **_pseudonyms(header, config)}.items() if text}


def _tried(tell: Callable[[Dataset], str], header: Dataset) -> str:
    """A damaged attribute is an unknown one: it does not make the pixels worse."""
    try:
        return tell(header)
    except Exception:
        return ""


def _pseudonyms(header: Dataset, config: ReadingConfig) -> dict[str, str]:
    key = secret(config)
    if key is None:
        return {}
    patient, issuer = (
        _tried(lambda file: _text(file, "PatientID"), header),
        _tried(lambda file: _text(file, "IssuerOfPatientID"), header),
    )
    series = _tried(lambda file: _text(file, "SeriesInstanceUID"), header)
    return {
        "group_id": pseudonym(f"{issuer}\n{patient}", key, "patient") if patient else "",
        "volume": pseudonym(series, key, "series") if series else "",
    }


def _text(header: Dataset, keyword: str) -> str:
    return str(header.get(keyword) or "").strip(" \x00")


def _codes(header: Dataset, keyword: str) -> list[str]:
    """The coded values of an attribute that may have several."""
    value = header.get(keyword)
    several = [value] if isinstance(value, str) else list(value or ())
    return [text for text in map(str, several) if len(text) <= 16 and CODED.fullmatch(text)]


def _sex(header: Dataset) -> str:
    sex = _text(header, "PatientSex").upper()
    return sex if sex in SEXES else ""


def _age(header: Dataset) -> str:
    """Years: the stated age, else the whole years from birth to study."""
    stated = AGE.fullmatch(_text(header, "PatientAge").upper())
    years = int(stated[1]) * YEARS[stated[2]] if stated else _years_between(header)
    return (
        f"{years:.2f}".rstrip("0").rstrip(".") if years is not None and 0 <= years <= OLDEST else ""
    )


def _years_between(header: Dataset) -> float | None:
    birth, study = (
        DATE.fullmatch(_text(header, keyword)) for keyword in ("PatientBirthDate", "StudyDate")
    )
    if not birth or not study:
        return None
    born, seen = (tuple(map(int, date.groups())) for date in (birth, study))
    return float(seen[0] - born[0] - (seen[1:] < born[1:]))


def _sequence(header: Dataset) -> str:
    """Such as `MR SE/SK`; the sequence's name and protocol are free text and stay out."""
    names = [
        "/".join(_codes(header, keyword)) for keyword in ("ScanningSequence", "SequenceVariant")
    ]
    return " ".join([*_codes(header, "Modality")[:1], "/".join(filter(None, names))]).strip()


def _scanner(header: Dataset) -> str:
    words = " ".join(
        _text(header, keyword) for keyword in ("Manufacturer", "ManufacturerModelName")
    )
    return " ".join(re.sub(r"[^\x20-\x7e]", " ", words).split())[:128]


def _view(header: Dataset) -> str:
    return next(iter(_codes(header, "ViewPosition")), "")


def _position(header: Dataset) -> str:
    position: Any = header.get("ImagePositionPatient")
    millimetres = float(position[2]) if position else math.nan
    return f"{millimetres:.1f}" if math.isfinite(millimetres) else ""


FACTS: Mapping[str, Callable[[Dataset], str]] = {
    "sex": _sex,
    "age": _age,
    "view": _view,
    "sequence": _sequence,
    "scanner": _scanner,
    "slice": _position,
}
"""Key of `picture.METADATA` -> what a header says of it; empty where it says nothing that is
usable.
"""
