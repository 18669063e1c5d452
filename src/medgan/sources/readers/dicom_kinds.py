"""Tell images of scans from what else DICOM files hold: masks, doses, reports, captures, scouts."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydicom.dataset import Dataset
from pydicom.uid import UID

from medgan.sources.raw import ImageRefused
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.dicom_attributes import codes, numbers

KEYWORDS = ("SOPClassUID", "Modality", "ImageType", "ConversionType", "SeriesDescription")
MODALITIES = frozenset(
    (
        *("BDUS", "BI", "BMD", "CFM", "CR", "CT", "DG", "DMS", "DX", "ECH", "EM", "ES", "FS"),
        *("GM", "IO", "IVOCT", "IVUS", "LP", "LS", "MG", "MR", "MS", "NM", "OCT", "OP", "OPM"),
        *("OPT", "OPTBSV", "OPTENF", "PA", "PT", "PX", "RF", "RG", "RTIMAGE", "SM", "ST", "TG"),
        *("US", "XA", "XC"),
    )
)
"""Modalities that take images (PS3.3 C.7.3.1.1.1)."""
OTHER_MODALITIES: Mapping[str, str] = {
    **dict.fromkeys(("SEG", "RTSEGANN"), "a segmentation"),
    "RTDOSE": "a radiotherapy dose",
    "RTSTRUCT": "radiotherapy contours",
    **dict.fromkeys(("RTPLAN", "RTRECORD", "RTINTENT", "RTRAD", "PLAN"), "a radiotherapy plan"),
    "PR": "a presentation state",
    **dict.fromkeys(("SR", "KO", "ASMT", "ANN", "SMR"), "a structured report"),
    "DOC": "a document",
    **dict.fromkeys(("REG", "FID"), "a registration"),
    **dict.fromkeys(("ECG", "EEG", "EMG", "EOG", "EPS", "HD", "RESP", "POS", "AU"), "a waveform"),
    **dict.fromkeys(("RWV", "CTPROTOCOL", "XAPROTOCOL", "TEXTUREMAP", "M3D"), "no image"),
    **dict.fromkeys(("AR", "IOL", "KER", "LEN", "OAM", "OPV", "SRF", "VA"), "eye measurements"),
}
"""Modalities of objects that are no images (PS3.3 C.7.3.1.1.1) -> what they are."""
IMAGES_BY_OTHER_NAMES = ("Enhanced US Volume Storage", "Parametric Map Storage")
PRIVATE_OBJECTS = {"1.3.12.2.1107.5.9.1": "Siemens CSA Non-Image"}
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
"""SOP class of captures and of digitized films, and the beginning of those of several frames."""
DRAWN = {"DRW": "a drawing", "SD": "a scanned document"}
"""Conversion type (PS3.3 C.8.6.1) of secondary captures that are no films -> what they are."""
CAPTURES = re.compile(r"\bSCREEN ?(SAVE|SHOT|CAP)|\bREPORT$|^DOSE\b|\bPROT(OCOL)?$")
"""Values of ImageType with which consoles mark screen saves and reports."""
SCOUTS = frozenset(
    ("LOCALIZER", "SCOUT", "TOPOGRAM", "SCANOGRAM", "SCANOSCOPE", "SURVIEW", "SURVEY")
)
SCOUT_SERIES = re.compile(
    r"\b(LOCALI[SZ]ERS?|SCOUTS?|SURVEY|SURVIEW|TOPOGRAMS?|SCANOGRAM|3 ?-? ?PL(ANE)? LOC|^LOC)\b"
)
"""Descriptions of the series of localizers, of which ImageType often says nothing. The text is
compared and never passed on.
"""
SCOUTED = frozenset(("", "CT", "MR", "NM", "PT"))
"""Modalities with localizers."""
SLIDES = "SM"
SLIDE_COMPANIONS = {
    "LABEL": "the photographed label of a slide",
    "OVERVIEW": "the overview of a slide",
    "THUMBNAIL": "the thumbnail of a slide",
    "LOCALIZER": "the overview of a slide",
}
"""Values of ImageType of what stands beside the images of a slide (PS3.3 C.8.12.4)."""
SLICED = frozenset(("CT", "MR", "PT"))
"""Modalities that never take color images: a secondary capture in color shows a console."""


def check_kind(header: Dataset, config: ReadingConfig) -> None:
    """Raise `ImageRefused` (NOT_AN_IMAGE, LOCALIZER) for what is no image of a scan."""
    modality = next(iter(codes(header, "Modality")), "")
    values = codes(header, "ImageType")
    sop_class = next(iter(codes(header, "SOPClassUID")), "")
    sop_class = sop_class or str(header.file_meta.get("MediaStorageSOPClassUID", ""))
    what = _object(sop_class) or OTHER_MODALITIES.get(modality, "")
    if modality == SLIDES and not what:
        what = next((text for value, text in SLIDE_COMPANIONS.items() if value in values), "")
    if not what and config.secondary_captures == "films":
        what = _capture(header, sop_class, modality, values)
        if what:
            what += "; reading.secondary_captures = all reads it anyway"
    if what:
        raise ImageRefused("NOT_AN_IMAGE", f"it is no image of a scan but {what}")
    described = any(map(SCOUT_SERIES.search, codes(header, "SeriesDescription")))
    if modality in SCOUTED and (SCOUTS.intersection(values) or (modality and described)):
        raise ImageRefused("LOCALIZER", "it is a localizer, from which the scan was planned")


def _object(sop_class: str) -> str:
    """Name a SOP class of the standard's dictionary without images; "" for all others."""
    uid = UID(sop_class)
    if uid in PRIVATE_OBJECTS:
        return PRIVATE_OBJECTS[uid]
    known = uid.type == "SOP Class" and uid.name != uid
    if not known or "Image" in uid.name or uid.name in IMAGES_BY_OTHER_NAMES:
        return ""
    return f"an object of the class {uid.name.removesuffix(' Storage')}"


def _capture(header: Dataset, sop_class: str, modality: str, values: list[str]) -> str:
    """Name a capture of a screen or of paper; "" for scans and digitized films."""
    if any(CAPTURES.search(value) for value in values):
        return "a screen save or report"
    if not f"{sop_class}.".startswith(f"{SECONDARY_CAPTURE}."):
        return ""
    for conversion in codes(header, "ConversionType"):
        if conversion in DRAWN:
            return DRAWN[conversion]
    if modality not in MODALITIES and values[:2] == ["DERIVED", "SECONDARY"]:
        return "a derived secondary capture without a modality that takes images"
    if modality in SLICED and numbers(header, "SamplesPerPixel") == [3]:
        return f"a secondary capture of {modality} in color"
    return ""
