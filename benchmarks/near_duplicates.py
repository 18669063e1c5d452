"""Speed of the search for near-duplicates: pairs of 256-bit hashes within a radius.

    python benchmarks/near_duplicates.py                              # 100,000 random hashes
    python benchmarks/near_duplicates.py --images FOLDER --radius 40  # and those of real images

Real hashes, which are skewed, are those of the images in a folder; up to the wanted number they are
repeated with a random share of at most 15 % of their bits inverted. Each search runs in its own
process, whose peak memory is reported, and in brackets what the search added. The plain
alternatives are timed on fewer hashes and extrapolated by the number of pairs. One thread.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from medgan.images.hashing import BITS, close_pairs, pack, perceptual_hash
from medgan.images.near_duplicates import CANDIDATES
from medgan.sources.files import walk
from medgan.sources.readers.decoding import read_picture

PLAIN_RADIUS = 30
COLUMNS = (
    "hashes",
    "pairs",
    "radius",
    "seconds",
    "peak memory MB",
    "double loop, s (ratio)",
    "full matrix, s (ratio)",
    "full matrix, GB",
)


def main() -> None:
    arguments = _arguments()
    print(f"{arguments.count:,} hashes, radius {arguments.radius}, numpy {np.__version__}\n")
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    hashes = {"random": _random(arguments.count)}
    if arguments.images:
        hashes["real"] = _real(arguments)
    for name, words in hashes.items():
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            seconds, pairs, radius, memory = alone.submit(_search, words, arguments.radius).result()
        loop, matrix = (_extrapolated(run, words, count) for run, count in PLAIN)
        cells = (
            name,
            f"{pairs:,}",
            radius,
            f"{seconds:.1f}",
            memory,
            f"{loop:,.0f} ({loop / seconds:.0f}x)",
            f"{matrix:,.0f} ({matrix / seconds:.1f}x)",
            f"{len(words) ** 2 / 1e9:.0f}",
        )
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


def _search(words: NDArray[np.uint64], radius: int) -> tuple[float, int, int, str]:
    before, started = _peak(), time.perf_counter()
    found = close_pairs(words, radius, np.arange(len(words)), CANDIDATES)
    seconds = time.perf_counter() - started
    return seconds, len(found), found.radius, f"{_peak()} ({_peak() - before})"


def _peak() -> int:
    """Return the peak memory in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _loop(words: NDArray[np.uint64]) -> None:
    """Compare Python integers in two loops."""
    numbers = [int.from_bytes(word.tobytes()) for word in words]
    for i, a in enumerate(numbers):
        [j for j, b in enumerate(numbers[:i]) if (a ^ b).bit_count() <= PLAIN_RADIUS]


def _matrix(words: NDArray[np.uint64]) -> None:
    """Compute all distances in one array, by the product of the signs."""
    signs = np.unpackbits(words.view(np.uint8), axis=1).astype(np.float32) * 2 - 1
    np.argwhere((BITS - signs @ signs.T) / 2 <= PLAIN_RADIUS)


def _extrapolated(
    run: Callable[[NDArray[np.uint64]], None], words: NDArray[np.uint64], count: int
) -> float:
    """Return the seconds for all words."""
    few = words[: min(count, len(words))]
    started = time.perf_counter()
    run(few)
    return (time.perf_counter() - started) * (len(words) / len(few)) ** 2


def _random(count: int) -> NDArray[np.uint64]:
    return np.random.default_rng(0).integers(0, 2**64, (count, BITS // 64), dtype=np.uint64)


def _real(arguments: argparse.Namespace) -> NDArray[np.uint64]:
    rng = np.random.default_rng(1)
    pictures = (read_picture(arguments.images / path).pixels for path in walk(arguments.images))
    real = pack([perceptual_hash(pixels) for pixels in pictures])[: arguments.count]
    repeated = rng.integers(0, len(real), arguments.count - len(real))
    chosen = np.concatenate([np.arange(len(real)), repeated])
    bits = np.unpackbits(real.view(np.uint8), axis=1)[chosen]
    inverted = rng.random(bits.shape, dtype=np.float32) < rng.uniform(0.0, 0.15, (len(bits), 1))
    inverted[: len(real)] = False
    return np.packbits(bits ^ inverted, axis=1).view(np.uint64)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--radius", type=int, default=40)
    parser.add_argument("--images", type=Path, help="a folder of real images")
    return parser.parse_args()


PLAIN = ((_loop, 2000), (_matrix, 6000))
"""The plain alternatives, and the number of hashes that each is timed on."""


if __name__ == "__main__":
    main()
