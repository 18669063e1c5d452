"""Names that say that a file is the mask or the thumbnail of another image.

`x_mask.png` beside `x.png`, `masks/x.png` beside `images/x.png`, `BraTS_001_seg.nii.gz` beside
`BraTS_001_flair.nii.gz`. A name alone says nothing: an image has to stand behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

MASK = "looks like a mask of another image"
THUMBNAIL = "looks like a thumbnail of another image"
MASK_WORDS = (
    r"masks?|mascara|segs?|segm|segmentations?|segmented|labels?|labelmap|gts?|ground[ _.\-]?truth|"
    r"annotations?|annotated|contours?|overlays?|superpixels|manual\d?|1stho|2ndho"
)
THUMBNAIL_WORDS = r"thumbs?|thumbnails?|previews?"
BETWEEN = re.compile(r"[ _.\-]+")
SUITE = r"(?:tr|ts|[ _.\-]?(?:train(?:ing)?|val(?:id|idation)?|test(?:ing)?|images?|png))?"
"""What stands behind the word in the name of a folder: `labelsTr`, `masks_test`."""
MOST = 0.5
"""A folder called like masks holds masks where this share of its files belongs to images."""


@dataclass(frozen=True)
class Kind:
    """A kind of companion, and the names that it has."""

    reason: str
    words: str

    def base(self, stem: str) -> str | None:
        """Return the name without the word for this kind, or None where the word is missing."""
        before = rf"(?:[ _.\-]+|(?<=[\d)\]])|(?<=[a-z])(?=[A-Z]))(?i:{self.words})"
        after = r"(?:[ _.\-]*\(?\d*\)?)"
        if match := re.fullmatch(rf"(.+?){before}{after}", stem):
            return match[1]
        if match := re.fullmatch(rf"(?i:{self.words})(?:[ _.\-]+|(?=[A-Z\d]))(.+)", stem):
            return match[1]
        return None

    def holds(self, folder: str) -> bool:
        """Return whether a folder is called like this kind: `masks`, `train_masks`, `labelsTr`."""
        name = rf"(?:.*[ _.\-])?(?:{self.words}){SUITE}"
        return re.fullmatch(name, folder, re.IGNORECASE) is not None


MASKS = Kind(MASK, MASK_WORDS)
KINDS = (MASKS, Kind(THUMBNAIL, THUMBNAIL_WORDS))


def stem_of(path: PurePosixPath) -> str:
    """Return the name of a file without its suffix, which has two parts for packed files."""
    name = path.name
    return name[: -len(".nii.gz")] if name.lower().endswith(".nii.gz") else path.stem


def companions(paths: Iterable[str]) -> dict[str, str]:
    """Find the files that are masks or thumbnails of others: path -> reason."""
    files = [PurePosixPath(path) for path in paths]
    found: dict[str, str] = {}
    for kind in KINDS:
        left = [file for file in files if str(file) not in found]
        found |= dict.fromkeys(_of_kind(left, kind), kind.reason)
    return found


def _of_kind(files: list[PurePosixPath], kind: Kind) -> Iterator[str]:
    bases = ((file, kind.base(stem_of(file))) for file in files)
    named = {file: _canonical(base) for file, base in bases if base}
    housing = {folder: _house(folder, kind) for folder in {file.parent for file in files}}
    if not named and not any(housing.values()):
        return
    others = [file for file in files if file not in named and not housing[file.parent]]
    known = {part for file in others for part in _parts(_canonical(stem_of(file)))}
    yield from (str(file) for file, base in named.items() if base in known)
    for house in set(filter(None, housing.values())):
        inside = [file for file in files if housing[file.parent] == house]
        belonging = [f for f in inside if {named.get(f), _canonical(stem_of(f))} & known]
        if len(belonging) > MOST * len(inside):
            yield from map(str, inside)


def _house(folder: PurePosixPath, kind: Kind) -> PurePosixPath | None:
    """Return the folder, or its nearest parent, that is called like this kind."""
    return next((one for one in (folder, *folder.parents) if kind.holds(one.name)), None)


def _canonical(name: str) -> str:
    return " ".join(filter(None, BETWEEN.split(name.lower())))


def _parts(name: str) -> Iterator[str]:
    """Iterate over a name, its beginnings and its ends: words of `BraTS 001 flair`."""
    words = name.split(" ")
    yield name
    for cut in range(1, len(words)):
        yield " ".join(words[:cut])
        yield " ".join(words[cut:])
