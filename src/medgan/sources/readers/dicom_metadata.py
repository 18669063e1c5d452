"""Metadata of DICOM headers: a fixed list of attributes, none of which identifies a person."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from medgan.sources.readers.config import ReadingConfig, check_secret
from medgan.sources.rows import years

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

VARIABLE = "MEDGAN_PSEUDONYM_KEY"
KEYWORDS = (
    *("PatientSex", "PatientAge", "PatientBirthDate", "StudyDate", "PatientID"),
    *("IssuerOfPatientID", "SeriesInstanceUID", "Modality", "ViewPosition", "ScanningSequence"),
    *("SequenceVariant", "Manufacturer", "ManufacturerModelName", "ImagePositionPatient"),
)
"""Attributes that are read; birth and study date only give years, ids only give pseudonyms."""
AGE = re.compile(r"\d{3}[DWMY]")
SEXES = {"F": "F", "M": "M", "O": "O"}
DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
CODED = re.compile(r"[A-Z0-9_]+(?: [A-Z0-9_]+)*")
"""Value representation CS: capitals, digits, underscores and single blanks."""


def describe(header: Dataset, config: ReadingConfig) -> dict[str, str]:
    """Return what is known of `FACTS` and, with a secret key, `group_id` and `volume`."""
    key = secret(config)
    known = FACTS if key is None else FACTS | _pseudonyms(key)
    facts = {}
    for name, read in known.items():
        try:
            facts[name] = read(header)
        except Exception:  # a damaged attribute is a missing one: the pixels are still good
            facts[name] = ""
    return {name: text for name, text in facts.items() if text}


def secret(config: ReadingConfig) -> str | None:
    """Return the key of the configuration, or of the environment. Raises `UserError`."""
    key = config.pseudonym_key or os.environ.get(VARIABLE) or None
    if key is not None:
        check_secret(key, f"the environment variable {VARIABLE}")
    return key


def pseudonym(text: str, key: str, purpose: str) -> str:
    """Compute a keyed hash, 32 hexadecimal digits; `purpose` has at most 16 characters."""
    secret_key = hashlib.sha512(key.encode()).digest()
    data = text.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(
        data, key=secret_key, digest_size=16, person=purpose.encode()
    ).hexdigest()


def _pseudonyms(key: str) -> dict[str, Callable[[Dataset], str]]:
    def patient(header: Dataset) -> str:
        name = _text(header, "PatientID")
        issuer = _text(header, "IssuerOfPatientID")
        return pseudonym(f"{issuer}\n{name}", key, "patient") if name else ""

    def series(header: Dataset) -> str:
        uid = _text(header, "SeriesInstanceUID")
        return pseudonym(uid, key, "series") if uid else ""

    return {"group_id": patient, "volume": series}


def _text(header: Dataset, keyword: str) -> str:
    return str(header.get(keyword) or "").strip(" \x00")


def _codes(header: Dataset, keyword: str) -> list[str]:
    """Return the coded values of an attribute that may have several."""
    value = header.get(keyword)
    several = [value] if isinstance(value, str) else list(value or ())
    return [text for text in map(str, several) if len(text) <= 16 and CODED.fullmatch(text)]


def _age(header: Dataset) -> str:
    """Return the stated age in years, else the whole years from birth to study."""
    stated = _text(header, "PatientAge").upper()
    if AGE.fullmatch(stated):
        age = years(stated)
    else:
        birth, study = (
            DATE.fullmatch(_text(header, name)) for name in ("PatientBirthDate", "StudyDate")
        )
        if not birth or not study:
            return ""
        born, seen = (tuple(map(int, date.groups())) for date in (birth, study))
        age = years(seen[0] - born[0] - (seen[1:] < born[1:]))
    return "" if age is None else f"{age:.2f}".rstrip("0").rstrip(".")


def _sequence(header: Dataset) -> str:
    """Return codes such as `MR SE/SK`; the names of sequence and protocol are free text."""
    names = ["/".join(_codes(header, name)) for name in ("ScanningSequence", "SequenceVariant")]
    return " ".join([*_codes(header, "Modality")[:1], "/".join(filter(None, names))]).strip()


def _scanner(header: Dataset) -> str:
    words = " ".join(_text(header, name) for name in ("Manufacturer", "ManufacturerModelName"))
    return " ".join(re.sub(r"[^\x20-\x7e]", " ", words).split())[:128]


def _position(header: Dataset) -> str:
    position: Any = header.get("ImagePositionPatient")
    millimeters = float(position[2]) if position else math.nan
    return f"{millimeters:.1f}" if math.isfinite(millimeters) else ""


FACTS: dict[str, Callable[[Dataset], str]] = {
    "sex": lambda header: SEXES.get(_text(header, "PatientSex").upper(), ""),
    "age": _age,
    "view": lambda header: next(iter(_codes(header, "ViewPosition")), ""),
    "sequence": _sequence,
    "scanner": _scanner,
    "slice": _position,
}
"""Key of `raw.METADATA` -> its value in a header; empty where there is no usable one."""
