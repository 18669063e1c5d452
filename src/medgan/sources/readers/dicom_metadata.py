"""Metadata of DICOM headers: a fixed list of attributes, none of which identifies a person.

Text is passed on only where it is one of the listed values; any other text becomes `other`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from medgan.sources.forms import form
from medgan.sources.neutral_ids import pseudonym, secret
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.dicom_attributes import codes
from medgan.sources.readers.dicom_kinds import MODALITIES
from medgan.sources.rows import years

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

KEYWORDS = (
    *("PatientSex", "PatientAge", "PatientBirthDate", "StudyDate", "PatientID"),
    *("IssuerOfPatientID", "StudyInstanceUID", "SeriesInstanceUID", "Modality"),
    *("ViewPosition", "ScanningSequence", "SequenceVariant", "Manufacturer"),
    *("ManufacturerModelName", "ImagePositionPatient"),
)
"""Attributes that are read; birth and study date only give years, ids only give pseudonyms."""
AGE = re.compile(r"\d{3}[DWMY]")
SEXES = {"F": "F", "M": "M", "O": "O"}
DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
OTHER = "other"
VIEWS = frozenset(
    (
        *("AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "LATERAL", "LAT", "FRONTAL"),
        *("OBLIQUE", "LAO", "RAO", "LPO", "RPO", "AXIAL", "AP AXIAL", "AP LLD", "AP RLD"),
        *("PA LLD", "PA RLD", "SWIMMERS", "XTABLE LATERAL", "POSTERO ANTERIOR"),
        *("ANTERO POSTERIOR", "LATERAL DECUBITUS", "ERECT", "SUPINE", "PRONE"),
        *("CC", "ML", "MLO", "LM", "LMO", "FB", "SIO", "ISO", "XCC", "XCCL", "XCCM", "CV", "AT"),
    )
)
"""View positions of radiographs and mammograms (PS3.3 C.8.1.2, C.8.11), and those of public
data sets, with blanks for underscores."""
SCANNING_SEQUENCES = frozenset(("SE", "IR", "GR", "EP", "RM"))
SEQUENCE_VARIANTS = frozenset(("SK", "MTC", "SS", "TRSS", "SP", "MP", "OSP", "TOF", "NONE"))
"""Terms of MR images (PS3.3 C.8.3.1)."""
MAKERS: Mapping[str, str] = {
    name.lower(): name
    for name in (
        *("Accuray", "Acuson", "ADAC", "Agfa", "Aloka", "Aperio", "Bruker", "Canon"),
        *("Carestream", "DRGem", "DRTech", "Elekta", "Elscint", "Esaote", "Fujifilm", "GE"),
        *("Gendex", "Giotto", "Hamamatsu", "Heidelberg", "Hitachi", "Hologic", "Howtek", "iRay"),
        *("Kodak", "Konica", "Leica", "Lodox", "Lumisys", "Marconi", "Metaltronica", "Mindray"),
        *("Neusoft", "Nidek", "Oldelft", "Olympus", "Optovue", "Philips", "Picker", "Planmeca"),
        *("Planmed", "Rayence", "Samsung", "Sectra", "Shimadzu", "Siemens", "Sirona"),
        *("SonoSite", "Swissray", "TomoTherapy", "Topcon", "Toshiba", "Varian", "Vatech"),
        *("Vidar", "Vieworks", "Zeiss"),
    )
} | {
    "gems": "GE",
    "fuji": "Fujifilm",
    "lorad": "Hologic",
    "medison": "Samsung",
    "uih": "United Imaging",
    "united": "United Imaging",
}
"""Word of a manufacturer's name, in small letters -> the maker's usual name."""


def describe(header: Dataset, config: ReadingConfig) -> dict[str, str]:
    """Return what is known of `FACTS` and, with a secret key, of patient, study and series.

    With a key, models of one maker are told apart by six digits of a pseudonym.
    """
    key = secret(config)
    known = FACTS if key is None else FACTS | _pseudonyms(key)
    facts = {}
    for name, read in known.items():
        try:
            facts[name] = read(header)
        except Exception:  # a damaged attribute is a missing one: the pixels are still good
            facts[name] = ""
    return {name: text for name, text in facts.items() if text}


def _pseudonyms(key: str) -> dict[str, Callable[[Dataset], str]]:
    def issuer(header: Dataset) -> str:
        return form(_text(header, "IssuerOfPatientID"))

    def number(header: Dataset) -> str:
        name = form(_text(header, "PatientID"))
        return pseudonym(name, key, "number") if name else ""

    def patient(header: Dataset) -> str:
        name = form(_text(header, "PatientID"))
        return pseudonym(f"{issuer(header)}\n{name}", key, "patient") if name else ""

    def study(header: Dataset) -> str:
        uid = _text(header, "StudyInstanceUID")
        return pseudonym(uid, key, "study") if uid else ""

    def series(header: Dataset) -> str:
        uid = _text(header, "SeriesInstanceUID")
        return pseudonym(uid, key, "series") if uid else ""

    def scanner(header: Dataset) -> str:
        model = _text(header, "ManufacturerModelName").lower()
        number = pseudonym(model, key, "model")[:6] if model else ""
        return f"{_maker(header) or OTHER} {number}" if number else _maker(header)

    return {
        "group_id": patient,
        "issuer": lambda header: "named" if patient(header) and issuer(header) else "",
        "number": number,
        "study": study,
        "volume": series,
        "scanner": scanner,
    }


def _text(header: Dataset, keyword: str) -> str:
    return str(header.get(keyword) or "").strip(" \x00")


def _listed(header: Dataset, keyword: str, known: Collection[str]) -> list[str]:
    """Return the values of an attribute, with OTHER for those that are not `known`."""
    return [code if code in known else OTHER for code in codes(header, keyword)]


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
    known = {"ScanningSequence": SCANNING_SEQUENCES, "SequenceVariant": SEQUENCE_VARIANTS}
    names = [code for keyword, terms in known.items() for code in _listed(header, keyword, terms)]
    return " ".join([*_listed(header, "Modality", MODALITIES)[:1], "/".join(names)]).strip()


def _maker(header: Dataset) -> str:
    """Return the manufacturer, which is free text, as one of MAKERS, or OTHER."""
    text = _text(header, "Manufacturer")
    words = re.findall("[a-z]+", text.lower())
    found = next((MAKERS[word] for word in words if word in MAKERS), OTHER)
    return found if text else ""


def _position(header: Dataset) -> str:
    position: Any = header.get("ImagePositionPatient")
    millimeters = float(position[2]) if position else math.nan
    return f"{millimeters:.1f}" if math.isfinite(millimeters) else ""


FACTS: dict[str, Callable[[Dataset], str]] = {
    "sex": lambda header: SEXES.get(_text(header, "PatientSex").upper(), ""),
    "age": _age,
    "view": lambda header: next(iter(_listed(header, "ViewPosition", VIEWS)), ""),
    "sequence": _sequence,
    "scanner": _maker,
    "slice": _position,
}
"""Key of `raw.METADATA` -> its value in a header; empty where there is no usable one."""
