"""Interpret DICOM pixels: stored bits, padding, modality LUT, VOI window (PS3.3 C.7.6.3, C.11)."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID

from medgan.sources.raw import Bools, ImageRefused, Values
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import IMAGE_PERCENTILES, WINDOW_NAME, as_float
from medgan.sources.readers.dicom_attributes import codes, entries, numbers

PALETTES = tuple(
    f"{color}PaletteColorLookupTable{part}"
    for color in ("Red", "Green", "Blue")
    for part in ("Descriptor", "Data")
)
PADDING = {
    "PixelData": "PixelPadding",
    "FloatPixelData": "FloatPixelPadding",
    "DoubleFloatPixelData": "DoubleFloatPixelPadding",
}
"""Attribute of the pixels -> beginning of those of their padding."""
KEYWORDS = (
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "WindowCenter", "WindowWidth"),
    *("VOILUTFunction", "VOILUTSequence"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *(f"{start}{end}" for start in PADDING.values() for end in ("Value", "RangeLimit")),
)
Percentiles = Callable[[], tuple[float, float]]
HOUNSFIELD = "CT"
FAR_FEWER = 2
"""Bits by which entries may stay below those that are stated before they count as written wrongly:
some writers state 16 for tables of 8 or 12 bits, which would be shown black."""


@dataclass(frozen=True)
class Stored:
    """Stored values (H, W) or, in color, (H, W, 3), and which of them are padding, if any."""

    values: Values
    padded: Bools | None = None


@dataclass(frozen=True)
class Lookup:
    """A palette, a modality or a VOI LUT (PS3.3 C.7.6.3.1.5, C.11.1.1, C.11.2.1.1).

    pydicom looks up wrongly in tables of 8 bits with more than 256 entries, and in big endian.
    """

    table: NDArray[np.uint16]  # (n,)
    first: int
    """Value of the first entry; values below and above the table get its ends."""
    stated_bits: int

    def of(self, values: Values) -> NDArray[np.uint16]:
        """Look values of any shape up, rounded."""
        places = np.rint(values).astype(np.int64) - self.first
        return self.table[np.clip(places, 0, len(self.table) - 1)]


@dataclass(frozen=True)
class Windowed:
    """Values in the unit of the file, and the range that is shown; None: gray levels of 8 bits."""

    values: Values
    limits: tuple[float, float] | None
    name: str = ""


def stored_bits(words: Values, header: Dataset, precision: int | None) -> Values:
    """Cut the stored bits, with their sign, out of words that hold other bits too (PS3.5 8.1.1).

    `precision` is that of compressed words, whose lowest bits they are unless it is higher than
    the number of stored bits.
    """
    width, stored = 8 * words.dtype.itemsize, int(header.get("BitsStored") or 0)
    if words.dtype.kind == "f" or not 0 < stored < width:
        return words
    high = numbers(header, "HighBit")
    above = width - 1 - int(high[0]) if high and stored - 1 <= high[0] < width else width - stored
    if precision is not None and precision <= stored:
        above = width - stored
    return cast(Values, np.right_shift(np.left_shift(words, above), width - stored))


def padding(words: Values, stored: Values, header: Dataset, keyword: str) -> Bools | None:
    """Find the padding of a gray image (PS3.3 C.7.5.1.1.2); None where there is none.

    A padding value that the stored bits cannot hold is looked for in the words.
    """
    start = PADDING[keyword]
    found = [*numbers(header, f"{start}Value")[:1], *numbers(header, f"{start}RangeLimit")[:1]]
    if not numbers(header, f"{start}Value") or not np.isfinite(found).all():
        return None
    if stored.dtype.kind == "f":
        ends, compared = found, stored
    else:
        bits, signed = int(header.BitsStored), stored.dtype.kind == "i"
        fits = all(-(2 ** (bits - 1)) * signed <= end < 2**bits for end in found)
        compared, bits = (stored, bits) if fits else (words, 8 * words.dtype.itemsize)
        ends = [_as_stored(int(end), bits, signed) for end in found]
    numeric = cast(NDArray[Any], compared)
    padded = (numeric >= min(ends)) & (numeric <= max(ends))
    return padded if padded.any() else None


def _as_stored(number: int, bits: int, signed: bool) -> int:
    """Interpret a number, which may have been written with the other sign, as the pixels are."""
    pattern = number % (1 << bits)
    return pattern - (1 << bits) if signed and pattern >= 1 << (bits - 1) else pattern


def palette_colors(indices: Values, header: Dataset) -> tuple[Values, int]:
    """Look up RGB colors (H, W, 3), and their bits."""
    lookups = [
        read_lookup(header, descriptor, data, header.file_meta)
        for descriptor, data in zip(PALETTES[::2], PALETTES[1::2], strict=True)
    ]
    bits = depth(lookups)
    colors = np.stack([lookup.of(indices) for lookup in lookups], axis=2)
    return colors.astype(np.uint8 if bits == 8 else np.uint16), bits


def modality_values(stored: Values, header: Dataset, frame: int) -> Values:
    """Convert stored values (H, W) to the unit of the modality, for CT Hounsfield units."""
    if header.get("ModalityLUTSequence"):
        try:
            return _lookup(header.ModalityLUTSequence[0], header).of(stored)
        except ImageRefused as refused:
            problem = f"its ModalityLUTSequence has no usable table: {refused}"
            raise ImageRefused("UNREADABLE", problem) from None
    group = _group(header, frame, "PixelValueTransformationSequence")
    slope, intercept = (numbers(group, f"Rescale{name}")[:1] for name in ("Slope", "Intercept"))
    for name, number in (("Slope", slope), ("Intercept", intercept)):
        if number and (not math.isfinite(number[0]) or (name, number) == ("Slope", [0.0])):
            raise ImageRefused("UNREADABLE", f"its Rescale{name} is no usable number")
    if (slope or [1.0], intercept or [0.0]) == ([1.0], [0.0]):
        return stored
    scaled: Values = as_float(stored) * (slope or [1.0])[0] + (intercept or [0.0])[0]
    return scaled


def voi_window(
    values: Values, header: Dataset, frame: int, config: ReadingConfig, percentiles: Percentiles
) -> Windowed:
    """Window values by configuration, the file's LUT or window, 8 bits, or percentiles."""
    if config.limits:
        modality = next(iter(codes(header, "Modality")), HOUNSFIELD)
        if isinstance(config.window, str) and modality != HOUNSFIELD:
            problem = f"reading.window = {config.window} is for CT, and this is another image"
            raise ImageRefused("WINDOW", f"{problem}; give [lowest, highest]")
        return Windowed(values, config.limits, config.window_name)
    group = _group(header, frame, "FrameVOILUTSequence")
    found = _by_lut(values, group, header) or _by_window(values, group)
    if found is not None:
        return found
    bits = int(header.get("BitsStored") or 0)
    if values.dtype.kind == "u" and 0 < bits <= 8 and "ModalityLUTSequence" not in header:
        whole = values.dtype == np.uint8 and bits == 8
        return Windowed(values, None if whole else (0.0, 2.0**bits - 1.0))
    return Windowed(values, percentiles(), WINDOW_NAME.format(*IMAGE_PERCENTILES))


def show_black(shown: Windowed, padded: Bools, inverted: bool) -> Windowed:
    """Set padding to the end of the shown range that is black."""
    black = (shown.limits or (0.0, 255.0))[int(inverted)]
    if shown.limits is None:
        return Windowed(np.where(padded, np.uint8(black), shown.values), None, shown.name)
    return Windowed(np.where(padded, black, as_float(shown.values)), shown.limits, shown.name)


def _lookup(item: Dataset, header: Dataset, signed: bool = False) -> Lookup:
    return read_lookup(item, "LUTDescriptor", "LUTData", header.file_meta, signed)


def _by_lut(shown: Values, group: Dataset, header: Dataset) -> Windowed | None:
    """Apply the first table of the file that is usable."""
    signed = bool(cast(NDArray[Any], shown).min() < 0)
    for item in group.get("VOILUTSequence") or ():
        with contextlib.suppress(ImageRefused):
            lookup = _lookup(item, header, signed)
            return Windowed(lookup.of(shown), (0.0, 2.0 ** depth([lookup]) - 1.0), "file, table")
    return None


def _by_window(shown: Values, group: Dataset) -> Windowed | None:
    """Apply the first window of the file that is usable: numbers, and wide enough."""
    function = next(iter(entries(group, "VOILUTFunction")), "LINEAR")
    function = str(function).strip().upper()
    least = 1.0 if function == "LINEAR" else np.nextafter(0.0, 1.0)
    pairs = zip(numbers(group, "WindowCenter"), numbers(group, "WindowWidth"), strict=False)
    for center, width in pairs:
        if function in FUNCTIONS and math.isfinite(center) and least <= width < math.inf:
            return FUNCTIONS[function](shown, center, width)
    return None


def _linear(shown: Values, center: float, width: float) -> Windowed:
    if width == 1.0:  # black up to the center, white above it
        shown = (cast(NDArray[Any], shown) > center - 0.5).astype(np.float32)
        return Windowed(shown, (0.0, 1.0), f"file, above {center - 0.5:g}")
    return _linear_exact(shown, center - 0.5, width - 1.0)


def _linear_exact(shown: Values, center: float, width: float) -> Windowed:
    low, high = center - width / 2, center + width / 2
    return Windowed(shown, (low, high), f"file {low:g} to {high:g}")


def _sigmoid(shown: Values, center: float, width: float) -> Windowed:
    exponent = np.clip(-4.0 * (shown.astype(np.float64) - center) / width, -700.0, 700.0)
    name = f"file, sigmoid at {center:g}, width {width:g}"
    return Windowed(1.0 / (1.0 + np.exp(exponent)), (0.0, 1.0), name)


FUNCTIONS: Mapping[str, Callable[[Values, float, float], Windowed]] = {
    "LINEAR": _linear,
    "LINEAR_EXACT": _linear_exact,
    "SIGMOID": _sigmoid,
}
"""VOI LUT function (PS3.3 C.11.2.1.3) -> its window."""


def _group(header: Dataset, frame: int, name: str) -> Dataset:
    """Find attributes: of this frame, of all frames, or, in older files, of the header itself."""
    for sequence, number in (
        ("PerFrameFunctionalGroupsSequence", frame),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        items = header.get(sequence) or []
        found = items[number].get(name) if number < len(items) else None
        if found:
            return cast(Dataset, found[0])
    return header


def read_lookup(
    item: Dataset, descriptor: str, data: str, file_meta: Dataset, signed: bool = False
) -> Lookup:
    """Read a table from its two attributes, in the byte order of the file.

    `signed` values may be looked up in it, which implicit transfer syntaxes do not say.

    Raises:
        ImageRefused: one of the attributes cannot be used.
    """
    stated = numbers(item, descriptor)
    if len(stated) != 3 or not np.isfinite(stated).all():
        raise ImageRefused("UNREADABLE", f"its {descriptor} is not three numbers")
    count, first = int(stated[0]) or 2**16, int(stated[1])
    table = np.asarray(entries(item, data))
    if table.dtype.kind == "S":
        raw = bytes(item[data].value)
        order = "><"[UID(file_meta.TransferSyntaxUID).is_little_endian]
        table = np.frombuffer(raw, f"{order}u{2 if len(raw) >= 2 * count else 1}")
    if not 0 < count <= len(table):
        raise ImageRefused("UNREADABLE", f"its {data} has {len(table)} of {count} entries")
    first -= 2**16 * (signed and first >= 2**15)
    return Lookup(table[:count].astype(np.uint16), first, int(stated[2]))


def depth(lookups: Sequence[Lookup]) -> int:
    """Return the bits of the entries of tables: as stated, unless they need more, or far fewer."""
    stated = max(one.stated_bits for one in lookups)
    needed = max(int(one.table.max()).bit_length() for one in lookups)
    fitting = needed <= stated and (stated <= 8 or needed >= stated - FAR_FEWER)
    return stated if fitting else max(8, needed)
