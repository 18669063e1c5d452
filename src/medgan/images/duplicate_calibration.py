"""Calibrate the search of near-duplicates with modified copies (twins) of a data set's images."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from medgan.errors import UserError
from medgan.files.parallel import in_order
from medgan.images import hashing
from medgan.images.hashing import BITS, distances, pack, perceptual_hash
from medgan.images.resizing import as_image
from medgan.sources.raw import Floats, Ints, Pixels

Read = Callable[[str], Pixels]
Change = Callable[[Image.Image, np.random.Generator], Image.Image]
TONE = 0.25  # largest change of brightness, contrast and exposure, in both directions
SCALES = (0.5, 1.5)
QUALITIES = (30, 90)  # of JPEG
MIN_SIDE, MAX_SIDE = 64, 512
"""Sides in pixels: nothing is shrunk below the one; larger images are first brought to the other,
which changes their twins more."""
FILTERS = (
    *(Image.Resampling.BOX, Image.Resampling.BILINEAR),
    *(Image.Resampling.BICUBIC, Image.Resampling.LANCZOS),
)
SAMPLE = 500  # images that twins are made of
TWINS = 1000  # twins at least, and two of each image
MISSED = 0.005  # share of the twins that the threshold may miss where different patients allow it
MARGIN = 1.5
"""Radius relative to the distance within which all but MISSED of the twins are: comparing a
candidate more costs little."""
NEIGHBORS = 20  # largest mean number of candidates per image
PRIOR = 10
"""Images without detail that are added to the mean, which of few images is that of duplicates."""
FALSE_PAIRS = 0.1
"""Expected number of pairs of different patients above the threshold in the whole data set."""
FEWEST = 50  # pairs of different patients without which the threshold depends on twins alone
ABOVE = 20  # sampled pairs above the higher of the two quantiles that define the tail


@dataclass(frozen=True)
class Pictures:
    """The different images of a data set, n of them."""

    read: Read
    paths: Sequence[str]
    sides: Ints  # (n,) the shorter side in pixels
    words: NDArray[np.uint64]  # (n, 4) packed hashes
    owners: Ints  # (n,) number of the patient, or of the image where no patient is known


@dataclass(frozen=True)
class Calibration:
    """What counts as close in one data set, and how well that separates twins from others."""

    radius: int  # images whose hashes differ in more bits are never compared
    threshold: float  # correlation from which two images are near-duplicates
    descriptor_side: int
    shared: NDArray[np.float32]  # (side * side,) mean of the descriptors of the data set
    sampled_images: int
    twins: int
    twin_recall: float  # share of the twins within the radius and above the threshold
    different_pairs_compared: int  # pairs of different (or unknown) patients
    expected_false_pairs: float | None
    """In the whole data set; None where too few pairs were compared."""
    expected_candidates: int


@dataclass(frozen=True)
class _Tail:
    """Exponential upper tail of Fisher's z of the correlations of different patients."""

    start: float
    share: float  # of the pairs, above `start`
    scale: float

    def share_above(self, z: float) -> float:
        return float(self.share * np.exp(-max(0.0, z - self.start) / self.scale))

    def exceeded_by(self, share: float) -> float:
        return float(self.start + self.scale * np.log(max(1.0, self.share / share)))


def _factor(rng: np.random.Generator) -> float:
    return float(rng.uniform(1.0 - TONE, 1.0 + TONE))


def _resized(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    scale = max(rng.uniform(*SCALES), min(1.0, MIN_SIDE / min(picture.size)))
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), FILTERS[int(rng.integers(len(FILTERS)))])


def _enhanced(aspect: Callable[[Image.Image], Any]) -> Change:
    return lambda picture, rng: aspect(picture).enhance(_factor(rng))


def _shifted(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    offset = rng.uniform(-TONE, TONE) * 255.0
    return picture.point(lambda value: value + offset)


def _exposed(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    gamma = _factor(rng)
    curve = [round(255.0 * (value / 255.0) ** gamma) for value in range(256)]
    return picture.point(curve * len(picture.getbands()))


def _compressed(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=int(rng.integers(QUALITIES[0], QUALITIES[1] + 1)))
    return Image.open(buffer, formats=["JPEG"])


BRIGHTNESS, CONTRAST = _enhanced(ImageEnhance.Brightness), _enhanced(ImageEnhance.Contrast)
CHANGES: dict[str, tuple[Change, ...]] = {
    "size": (_resized,),
    "tone": (BRIGHTNESS, _shifted, CONTRAST, _exposed),
    "tone again": (BRIGHTNESS, CONTRAST),
    "compression": (_compressed,),
}
"""Possible changes of an image, in this order; of several variants one is drawn."""


def make_twin(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Copy uint8 (H, W, 1 or 3) with a random half of CHANGES, at least one, in another size."""
    picture = as_image(pixels)
    picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.BILINEAR)
    chosen = rng.random(len(CHANGES)) < 0.5
    chosen[int(rng.integers(len(chosen)))] = True
    for variants, wanted in zip(CHANGES.values(), chosen, strict=True):
        if wanted:
            picture = variants[int(rng.integers(len(variants)))](picture, rng)
    copy = np.asarray(picture)
    return copy[:, :, None] if copy.ndim == 2 else copy


def calibrate(pictures: Pictures, seed: int) -> Calibration:
    """Measure distances of twins and of images of different owners. Raises `UserError`."""
    owners = pictures.owners
    sample = _sample(owners, np.random.default_rng([seed, 0]))
    side = hashing.descriptor_side(pictures.sides)
    details, twin_distances, twin_details = _describe_twins(pictures, sample, side, seed)
    shared = details.sum(axis=0) / np.float32(len(details) + PRIOR)
    descriptors = hashing.scaled(details - shared)
    twin_z = _fisher(np.einsum("nkd,nd->nk", hashing.scaled(twin_details - shared), descriptors))
    radius, neighbors = _radius(twin_distances, pictures, sample)
    floor = float(np.quantile(twin_z, MISSED))
    different = _different(descriptors, pictures, sample, radius, floor)
    sizes = np.unique(owners, return_counts=True)[1].astype(np.int64)
    pairs = int((len(owners) * (len(owners) - 1) - (sizes * (sizes - 1)).sum()) // 2)
    tail = _tail(different)
    threshold = _threshold(floor, tail, pairs)
    return Calibration(
        radius=radius,
        threshold=float(np.tanh(threshold)),
        descriptor_side=side,
        shared=shared,
        sampled_images=len(sample),
        twins=twin_z.size,
        twin_recall=float(((twin_distances <= radius) & (twin_z >= threshold)).mean()),
        different_pairs_compared=len(different),
        expected_false_pairs=None if tail is None else pairs * tail.share_above(threshold),
        expected_candidates=round(neighbors * len(owners) / 2),
    )


def _sample(owners: Ints, rng: np.random.Generator) -> Ints:
    """Choose up to SAMPLE images, of as many owners as possible."""
    shuffled = rng.permutation(len(owners))
    firsts = np.zeros(len(owners), dtype=bool)
    firsts[np.unique(owners[shuffled], return_index=True)[1]] = True
    return np.sort(np.concatenate([shuffled[firsts], shuffled[~firsts]])[:SAMPLE])


def _describe_twins(
    pictures: Pictures, sample: Ints, side: int, seed: int
) -> tuple[NDArray[np.float32], Ints, NDArray[np.float32]]:
    """Make k twins of n images; return details (n, d), twin distances (n, k), details (n, k, d)."""
    count = max(2, -(-TWINS // len(sample)))

    def describe(place: int) -> tuple[NDArray[np.float32], Ints, NDArray[np.float32]]:
        pixels, path = pictures.read(pictures.paths[place]), pictures.paths[place]
        if not np.array_equal(pack([perceptual_hash(pixels)])[0], pictures.words[place]):
            raise UserError(
                f"{path} does not have the perceptual hash that the manifest gives it: another "
                "version of medgan made it; delete image_facts.sqlite beside the manifest and run "
                "`kedro run --pipeline ingestion`"
            )
        rngs = [np.random.default_rng([seed, 1, place, number]) for number in range(count)]
        twins = [make_twin(pixels, rng) for rng in rngs]
        hashes = pack([perceptual_hash(twin) for twin in twins])
        twin_details = np.stack([hashing.detail(twin, side) for twin in twins])
        return hashing.detail(pixels, side), distances(pictures.words[place], hashes), twin_details

    details, twin_distances, twin_details = zip(*in_order(describe, sample.tolist()), strict=True)
    return np.stack(details), np.stack(twin_distances), np.stack(twin_details)


def _fisher(correlation: NDArray[np.floating]) -> Floats:
    """Compute Fisher's z, which makes correlations near 1 comparable."""
    return np.asarray(np.arctanh(np.clip(correlation, -0.9999, 0.9999)), dtype=np.float64)


def _radius(twins: Ints, pictures: Pictures, sample: Ints) -> tuple[int, float]:
    """Choose the radius; return it with the mean number of candidates of an image within it."""
    words, owners = pictures.words, pictures.owners
    counts = np.zeros(BITS + 1, dtype=np.int64)
    for place in sample:
        others = distances(words[place], words)[owners != owners[place]]
        counts += np.bincount(others, minlength=BITS + 1)
    neighbors = np.cumsum(counts) / len(sample)
    affordable = int(np.searchsorted(neighbors, NEIGHBORS, side="right")) - 1
    wanted = int(np.ceil(MARGIN * np.quantile(twins, 1.0 - MISSED)))
    radius = max(0, min(wanted, affordable))
    return radius, float(neighbors[radius])


def _different(
    descriptors: NDArray[np.float32], pictures: Pictures, sample: Ints, radius: int, floor: float
) -> Floats:
    """Return sorted Fisher's z of sampled pairs of different owners, without those like twins."""
    words, owners = pictures.words[sample], pictures.owners[sample]
    first, second = np.triu_indices(len(owners), k=1)
    z = _fisher((descriptors @ descriptors.T)[first, second])
    twins = (z >= floor) & (distances(words[first], words[second]) <= radius)
    return np.sort(z[(owners[first] != owners[second]) & ~twins])


def _tail(different: Floats) -> _Tail | None:
    """Fit the tail to the quantiles that ABOVE pairs, and ten times as many, exceed."""
    if len(different) < FEWEST:
        return None
    share = max(0.001, ABOVE / len(different))
    wider = min(0.5, 10 * share)
    start, low = np.quantile(different, [1.0 - share, 1.0 - wider])
    return _Tail(float(start), share, max(1e-6, float(start - low) / float(np.log(wider / share))))


def _threshold(floor: float, tail: _Tail | None, pairs: int) -> float:
    """Choose the middle between different patients and twins; where they overlap, the former."""
    if tail is None:
        return 0.9 * floor
    reached = tail.exceeded_by(FALSE_PAIRS / max(1, pairs))
    return max(reached, (reached + floor) / 2)
