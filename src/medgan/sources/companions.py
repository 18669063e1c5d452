"""Names that say that a file is the mask or the thumbnail of another image.

`x_mask.png` beside `x.png`, `masks/x.png` beside `images/x.png`, `BraTS_001_seg.nii.gz` beside
`BraTS_001_flair.nii.gz`, `case_1/segmentation.nii` beside `case_1/imaging.nii`. A name alone says
nothing: an image has to stand behind it.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

MASK = "looks like a mask of another image"
THUMBNAIL = "looks like a thumbnail of another image"
MASK_WORDS = (
    r"masks?|msks?|mascaras?|maske|masken|masques?|segs?|dseg|segm|segmentations?|segmented|"
    r"labels?|labelmaps?|gts?|ground[ _.\-]?truths?|annotations?|annos?|contours?|rois?|manual\d?|"
    r"1stho|2ndho"
)
DERIVED_WORDS = (
    r"annotated|overlays?|heatmaps?|bbox(?:es)?|superpixels|masked|preds?|predictions?|grad-?cams?|"
    r"saliency"
)
"""Words for pictures with or of marks, which are no masks that could be evaluated."""
MARKED = re.compile(r"(.+?)[ _.\-]+(?:masks?|segs?|segmentations?)[ _.\-]+[^\W\d].*", re.IGNORECASE)
"""A name with what a mask marks behind the word: `x_mask_tumour`."""
THUMBNAIL_WORDS = r"thumbs?|thumbnails?|previews?|tn|\d{2,3}x\d{2,3}"
SUFFIX = re.compile(r"(\.nii)?\.[a-z]{2,5}[0-9]{0,4}$", re.IGNORECASE)
"""Of an image: the numbers of a UID, as DICOM files are called, are none."""
BETWEEN = re.compile(r"[ _.\-]+")
SUITE = (
    r"(?:tr|ts|[ _.\-]?(?:train(?:ing)?|val(?:id|idation)?|test(?:ing)?|images?|png|class|object|"
    r"square|ah|vk|\d{3,}))*"
)
"""What stands behind the word in the name of a folder: `labelsTr`, `masks_test`."""
PICTURES = re.compile(
    rf"(?:.*[ _.\-])?(?:images?|imgs?|jpegimages|pngimages|originals?|scans?|inputs?){SUITE}",
    re.IGNORECASE,
)
"""Names of folders of images beside which `masks` holds masks, whatever their names."""
MOST = 0.5
"""A folder called like masks holds masks where this share of its files belongs to images."""


@dataclass(frozen=True)
class Kind:
    """A kind of companion, and the names that it has."""

    reason: str
    words: str
    marked: re.Pattern[str] | None = None
    """Names with more than a number behind the word; the first group is the name without it."""

    def base(self, stem: str) -> str | None:
        """Return the name without the word for this kind; None where the word is missing."""
        before = rf"(?:[ _.\-]+|(?<=[\d)\]])|(?<=[a-z])(?=[A-Z]))(?i:{self.words})"
        after = r"(?:[ _.\-]*\(?\d*\)?)"
        if match := re.fullmatch(rf"(.+?)(?:{before})+{after}", stem):
            return match[1]
        if self.marked is not None and (match := self.marked.fullmatch(stem)):
            return match[1]
        if match := re.fullmatch(rf"(?i:{self.words})(?:[ _.\-]+|(?=[A-Z\d]))(.+)", stem):
            return match[1]
        return "" if re.fullmatch(rf"(?i:{self.words})", stem) else None

    def holds(self, folder: str) -> bool:
        """Return whether a folder is called like this kind: `masks`, `leftMask`, `labelsTr`."""
        name = rf"(?:.*(?:[ _.\-]|(?<=[a-z])(?=[A-Z])))?(?i:(?:{self.words}){SUITE})"
        return re.fullmatch(name, folder) is not None


MASKS = Kind(MASK, MASK_WORDS, MARKED)
KINDS = (MASKS, Kind(MASK, DERIVED_WORDS), Kind(THUMBNAIL, THUMBNAIL_WORDS))


def stem_of(path: PurePosixPath) -> str:
    """Return the name of a file without its suffix, which has two parts for packed files."""
    return SUFFIX.sub("", path.name)


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
    # A DICOM file that is called `seg.dcm` says itself whether it is one.
    named = {
        file: _canonical(base)
        for file, base in bases
        if base or (base is not None and file.suffix.lower() != ".dcm")
    }
    housing = {folder: _house(folder, kind) for folder in {file.parent for file in files}}
    if not named and not any(housing.values()):
        return
    others = [file for file in files if file not in named and not housing[file.parent]]
    known = {part for file in others for part in _parts(_canonical(stem_of(file)))}
    folders = {folder for file in others for folder in file.parents}
    yield from (
        str(file)
        for file, base in named.items()
        if (_names_one(base, known) if base else file.parent in folders)
    )
    pictures = {folder.parent for folder in folders if PICTURES.fullmatch(folder.name)}
    for house in set(filter(None, housing.values())):
        inside = [file for file in files if housing[file.parent] == house]
        belonging = [
            file
            for file in inside
            if named.get(file) in known or _names_one(_canonical(stem_of(file)), known)
        ]
        if house.parent in pictures or len(belonging) > MOST * len(inside):
            yield from map(str, inside)


def _names_one(name: str, known: Container[str]) -> bool:
    """Return whether a name, or a beginning of it with a number, is known: `sub 01 lesion`."""
    words = name.split(" ")
    starts = (" ".join(words[:cut]) for cut in range(1, len(words)))
    return name in known or any(start in known for start in starts if re.search(r"\d", start))


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
