"""Read attributes of a DICOM header that may be missing, damaged or of another type than due."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from medgan.sources.raw import ImageRefused

TEXTS = frozenset(("DS", "IS", "LO", "SH", "UN"))
"""Value representations that keep numbers as text, or that a damaged number may have."""


def entries(header: Dataset, keyword: str) -> list[Any]:
    """Return the values of an attribute; none where it is missing, empty or damaged."""
    try:
        value = header.get(keyword)
    except Exception:  # damaged bytes raise nearly anything
        return []
    several = value if isinstance(value, list | tuple | MultiValue) else [value]
    return [one for one in several if one is not None and one != ""]


def codes(header: Dataset, keyword: str) -> list[str]:
    """Return the values of an attribute of codes as capitals, with blanks for underscores."""
    found = (re.sub(r"[\s_\0]+", " ", str(one)).strip() for one in entries(header, keyword))
    return [one.upper() for one in found if one]


def numbers(header: Dataset, keyword: str) -> list[float]:
    """Return the numbers of an attribute, NaN for each value that is none."""
    element = header.get_item(keyword) if keyword in header else None
    if isinstance(element, RawDataElement) and (element.VR or dictionary_VR(element.tag)) in TEXTS:
        # pydicom refuses all values of an attribute where one is damaged
        text = bytes(element.value or b"").decode("ascii", "replace").strip(" \0")
        return [_number(part) for part in text.split("\\")] if text else []
    return [_number(one) for one in entries(header, keyword)]


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def whole(header: Dataset, keyword: str, allowed: Collection[int]) -> int:
    """Return an attribute that has to be one of the `allowed` numbers. Raises `ImageRefused`."""
    found = numbers(header, keyword)
    if not found:
        raise ImageRefused("UNREADABLE", f"its header has no {keyword}")
    number = int(found[0]) if found[0].is_integer() else -1
    if len(found) > 1 or number not in allowed:
        ends = isinstance(allowed, range)
        choice = f"{min(allowed)} to {max(allowed)}" if ends else ", ".join(map(str, allowed))
        raise ImageRefused("UNREADABLE", f"its {keyword} is not {choice}")
    return number
