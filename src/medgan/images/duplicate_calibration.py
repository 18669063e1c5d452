"""How near is near? Set for each data set by copies made of its own images, and by images of it
that are known to differ.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from medgan.errors import UserError
from medgan.files.parallel import in_order
from medgan.images import hashing
from medgan.images.hashing import BITS, pack, perceptual_hash

TONE = 0.25
"""Brightness, contrast and exposure change by up to this share, in both directions."""
SCALES = (0.5, 1.5)
QUALITIES = (30, 90)
"""Of JPEG."""
SMALLEST, LARGEST = 64, 512
"""Sides in pixels: nothing is shrunk below the one; larger pictures are brought to the other first,
which makes their twins harsher.
"""
FILTERS = (
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)


def _resized(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    scale = max(rng.uniform(*SCALES), min(1.0, SMALLEST / min(picture.size)))
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), FILTERS[int(rng.integers(len(FILTERS)))])


def _factor(rng: np.random.Generator) -> float:
    return float(rng.uniform(1.0 - TONE, 1.0 + TONE))


def _brightened(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageEnhance.Brightness(picture).enhance(_factor(rng))


def _shifted(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    offset = rng.uniform(-TONE, TONE) * 255.0
    return picture.point(lambda value: value + offset)


def _contrasted(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageEnhance.Contrast(picture).enhance(_factor(rng))


def _exposed(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    gamma = _factor(rng)
    return picture.point(
        [round(255.0 * (value / 255.0) ** gamma) for value in range(256)] * len(picture.getbands())
    )


def _compressed(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=int(rng.integers(QUALITIES[0], QUALITIES[1] + 1)))
    return Image.open(buffer, formats=["JPEG"])


CHANGES: dict[str, tuple[Callable[[Image.Image, np.random.Generator], Image.Image], ...]] = {
    "size": (_resized,),
    "tone": (_brightened, _shifted, _contrasted, _exposed),
    "tone again": (_brightened, _contrasted),
    "compression": (_compressed,),
}
"""What may happen to a picture, in this order; of several ways one is drawn."""


def make_twin(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A copy of uint8 (H, W, 1 or 3) with a random half of CHANGES, at least one; its sides differ
    from those given.
    """
    picture = Image.fromarray(
        np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    )
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.BILINEAR)
    chosen = rng.random(len(CHANGES)) < 0.5
    chosen[int(rng.integers(len(chosen)))] = True
    for ways in (ways for ways, wanted in zip(CHANGES.values(), chosen, strict=True) if wanted):
        picture = ways[int(rng.integers(len(ways)))](picture, rng)
    copy = np.asarray(picture)
    return copy[:, :, None] if copy.ndim == 2 else copy


Read = Callable[[str], NDArray[np.uint8]]
SAMPLE = 500
"""Images that twins are made of."""
TWINS = 1000
"""Twins at least, and two of each image."""
MISSED = 0.005
"""Share of the twins that the threshold may miss where different patients leave it the choice."""
MARGIN = 1.5
"""The radius is this many times the distance within which all but MISSED of the twins lie: looking
at a candidate more costs little.
"""
NEIGHBOURS = 20
"""Candidates of an image, on average, at most."""
FALSE_PAIRS = 0.1
"""Pairs of different patients that may be expected above the threshold in the whole data set."""
FEWEST = 50
"""Pairs of different patients below which nothing can be said of them."""
ABOVE = 20
"""Pairs of the sample above the higher of the two quantiles that the tail is drawn through."""


@dataclass(frozen=True)
class Calibration:
    """What counts as near in one data set, and how well that tells twins from different
    patients.
    """

    radius: int
    """Pictures whose hashes differ in more bits are never compared."""
    threshold: float
    """Correlation from which two pictures are near-duplicates."""
    side: int
    """Of the descriptors, in pixels."""
    shared: NDArray[np.float32]
    """(side * side,) what the descriptors of the data set have in common."""
    sampled: int
    twins: int
    twin_recall: float
    """Share of the twins within the radius and above the threshold."""
    different_pairs: int
    """Pairs of different patients (or of unknown ones) that were compared."""
    expected_false_pairs: float | None
    """In the whole data set; None where too few pairs were compared."""
    expected_candidates: int


@dataclass(frozen=True)
class _Tail:
    """The upper tail of Fisher's z of different patients' correlations: from `start` on, a share
    falls off exponentially.
    """

    start: float
    share: float
    scale: float

    def share_above(self, z: float) -> float:
        return float(self.share * np.exp(-max(0.0, z - self.start) / self.scale))

    def exceeded_by(self, share: float) -> float:
        return float(self.start + self.scale * np.log(max(1.0, self.share / share)))


def calibrate(
    read: Read,
    paths: Sequence[str],
    sides: NDArray[np.int64],
    words: NDArray[np.uint64],
    owners: NDArray[np.int64],
    seed: int,
) -> Calibration:
    """Makes twins of a seeded sample of the images and measures how far they are, and how far
    images of different owners are.

    Args:
        read: the pixels of a path.
        paths: n of them, each of another picture.
        sides: (n,) the shorter side in pixels.
        words: (n, 4) packed hashes.
        owners: (n,) number of the patient, or one for each picture of which none is known.
        seed: of the sample and the twins.
    """
    sample = _sample(owners, np.random.default_rng([seed, 0]))
    side = hashing.descriptor_side(sides.tolist())
    count = max(2, -(-TWINS // len(sample)))

    def look(place: int) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
        pixels = read(paths[place])
        if not np.array_equal(pack([perceptual_hash(pixels)])[0], words[place]):
            raise UserError(
                f"{paths[place]} does not have the perceptual hash that the manifest gives it: another version of medgan made it; "
                "delete image_facts.sqlite beside the manifest and run `kedro run --pipeline ingestion`"
            )
        copies = [
            make_twin(pixels, np.random.default_rng([seed, 1, place, number]))
            for number in range(count)
        ]
        hashes = pack([perceptual_hash(copy) for copy in copies])
        return (
            hashing.detail(pixels, side),
            _distances(words[place], hashes),
            np.stack([hashing.detail(copy, side) for copy in copies]),
        )

    details, twin_distances, twin_details = (
        np.stack(part) for part in zip(*in_order(look, sample.tolist()), strict=True)
    )
    shared = hashing.shared_detail(details)
    descriptors = hashing.scaled(details - shared)
    twin_z = _fisher(np.einsum("nkd,nd->nk", hashing.scaled(twin_details - shared), descriptors))
    radius, neighbours = _radius(twin_distances, words[sample], words, owners[sample], owners)
    floor = float(np.quantile(twin_z, MISSED))
    different = _different(descriptors, words[sample], owners[sample], radius, floor)
    pairs = _pairs_of_different_owners(owners)
    tail = _tail(different)
    threshold = _threshold(floor, tail, pairs)
    return Calibration(
        radius=radius,
        threshold=float(np.tanh(threshold)),
        side=side,
        shared=shared,
        sampled=len(sample),
        twins=twin_z.size,
        twin_recall=float(((twin_distances <= radius) & (twin_z >= threshold)).mean()),
        different_pairs=len(different),
        expected_false_pairs=None if tail is None else pairs * tail.share_above(threshold),
        expected_candidates=round(neighbours * len(paths) / 2),
    )


def _sample(owners: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Places of up to SAMPLE images, of as many owners as can be."""
    shuffled = rng.permutation(len(owners))
    firsts = np.zeros(len(owners), dtype=bool)
    firsts[np.unique(owners[shuffled], return_index=True)[1]] = True
    return np.sort(np.concatenate([shuffled[firsts], shuffled[~firsts]])[:SAMPLE])


def _distances(one: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(n,) bits in which hashes (n, 4), or one of (4,), differ from others (n, 4)."""
    return np.asarray(np.bitwise_count(one ^ others).sum(axis=-1), dtype=np.int64)


def _fisher(correlation: NDArray[np.floating]) -> NDArray[np.float64]:
    """Fisher's z, which makes correlations near 1 comparable."""
    return np.asarray(np.arctanh(np.clip(correlation, -0.9999, 0.9999)), dtype=np.float64)


def _radius(
    twins: NDArray[np.int64],
    sample: NDArray[np.uint64],
    words: NDArray[np.uint64],
    sample_owners: NDArray[np.int64],
    owners: NDArray[np.int64],
) -> tuple[int, float]:
    """The radius, and the mean number of candidates that an image has within it."""
    counts = np.zeros(BITS + 1, dtype=np.int64)
    for word, owner in zip(sample, sample_owners, strict=True):
        counts += np.bincount(_distances(word, words)[owners != owner], minlength=BITS + 1)
    neighbours = np.cumsum(counts) / len(sample)
    affordable = int(np.searchsorted(neighbours, NEIGHBOURS, side="right")) - 1
    wanted = int(np.ceil(MARGIN * np.quantile(twins, 1.0 - MISSED)))
    radius = max(0, min(wanted, affordable))
    return radius, float(neighbours[radius])


def _different(
    descriptors: NDArray[np.float32],
    words: NDArray[np.uint64],
    owners: NDArray[np.int64],
    radius: int,
    floor: float,
) -> NDArray[np.float64]:
    """Sorted Fisher's z of the sample's pairs of different owners, but for those that look like
    twins: such are what is searched for.
    """
    first, second = np.triu_indices(len(owners), k=1)
    z = _fisher((descriptors @ descriptors.T)[first, second])
    twins = (z >= floor) & (_distances(words[first], words[second]) <= radius)
    return np.sort(z[(owners[first] != owners[second]) & ~twins])


def _pairs_of_different_owners(owners: NDArray[np.int64]) -> int:
    sizes = np.unique(owners, return_counts=True)[1].astype(np.int64)
    return int((len(owners) * (len(owners) - 1) - (sizes * (sizes - 1)).sum()) // 2)


def _tail(different: NDArray[np.float64]) -> _Tail | None:
    """Drawn through the quantiles that ABOVE pairs (but at most 1 in 1,000), and ten times as many,
    lie above.
    """
    if len(different) < FEWEST:
        return None
    share = max(0.001, ABOVE / len(different))
    wider = min(0.5, 10 * share)
    start, low = np.quantile(different, [1.0 - share, 1.0 - wider])
    return _Tail(float(start), share, max(1e-6, float(start - low) / float(np.log(wider / share))))


def _threshold(floor: float, tail: _Tail | None, pairs: int) -> float:
    """Half-way between what different patients reach and what all but MISSED of the twins do; where
    these overlap, the former.
    """
    if tail is None:
        return 0.9 * floor
    reached = tail.exceeded_by(FALSE_PAIRS / max(1, pairs))
    return max(reached, (reached + floor) / 2)
