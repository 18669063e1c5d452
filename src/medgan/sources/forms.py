"""Spellings of one and the same value: `12`, `12.0` and ` 012`, or `No Finding` and `no_finding`."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from pydantic import BeforeValidator

from medgan.errors import UserError

NUMBER = re.compile(r"([+-]?)(\d+)(?:[.,](\d*))?(?:e\+(\d{1,2}))?")
"""A number as records write it: with a decimal point or comma, or as pandas writes large ones."""
SEPARATORS = re.compile(r"(?<=[^\W_])[\s_./\u2010-\u2015\u2212-]+(?=[^\W_])")
"""What stands between two letters or digits: blanks, underscores, full stops, slashes, dashes."""
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+")
EXCEL_TEXT = re.compile(r"""="(.*)"|'([^']+)'?|"([^"]+)"|[“‘]([^”’]+)[”’]""")
"""How a spreadsheet is told to leave a number as it is, and text in quotes."""


def plain(text: str) -> str:
    """Return the text, in NFC, without outer blanks, invisible characters, and the marks of text
    (`="012"`, `'012`, `"012"`).
    """
    if not text.isascii():
        shown = "".join(one for one in text if unicodedata.category(one) != "Cf")
        text = unicodedata.normalize("NFC", shown)
    text = text.strip()
    marked = EXCEL_TEXT.fullmatch(text)
    return next(filter(None, marked.groups()), "").strip() if marked else text


def form(text: str) -> str:
    """Return the same text for spellings that differ only in form.

    Case, Unicode form, blanks and other separators, leading zeros, and the zeros of a decimal
    fraction do not count. The sign of a number and other symbols do (`ER-` is not `ER`).
    """
    folded = unicodedata.normalize("NFKC", plain(text)).casefold().strip(" _")
    if THOUSANDS.fullmatch(folded):
        folded = folded.replace(",", "")
    number = NUMBER.fullmatch(folded)
    if number:
        return _number(*number.groups(default=""))
    words = re.sub(r"(?<!\d)0+(?=\d)", "", SEPARATORS.sub(" ", folded))
    return re.sub(r"(?<!\d) | (?!\d)", "", words) or folded


def _number(sign: str, whole: str, fraction: str, exponent: str) -> str:
    shift = int(exponent or 0)
    digits = (whole + fraction[:shift].ljust(shift, "0")).lstrip("0") or "0"
    rest = fraction[shift:].rstrip("0")
    return f"{sign.strip('+')}{digits}{'.' * bool(rest)}{rest}"


def spellings(values: Iterable[str]) -> list[list[str]]:
    """Group values of one form: those with several spellings, the most frequent one first."""
    groups: dict[str, list[str]] = {}
    for value, _ in sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0])):
        groups.setdefault(form(value), []).append(value)
    return [group for group in groups.values() if len(group) > 1]


def as_text(value: object) -> object:
    """Convert a number that YAML read to text. Raises `UserError` for yes, no, true and false."""
    if isinstance(value, bool):
        raise UserError(
            "conf: YAML reads yes, no, on, off, true and false as a truth value and not as text; "
            "put the label or value in quotes, such as 'no': normal"
        )
    return str(value) if isinstance(value, int | float) else value


Text = Annotated[str, BeforeValidator(as_text)]
"""Text that YAML may have read as a number."""
