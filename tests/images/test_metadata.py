from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from medgan.images import metadata as module
from medgan.images.metadata import AGE_BANDS, age_bands, read_facts
from medgan.sources.raw import ImageRefused, Picture
from tests.images.known import Remembered


@pytest.mark.parametrize(
    ("age", "band"),
    [
        (0, "0-1"), (1.99, "0-1"), (2, "2-5"), (5.9, "2-5"), (6, "6-17"), (17.5, "6-17"), (18, "18-39"),
        (40, "40-64"), (64.9, "40-64"), (65, "65+"), (120, "65+"),
        (121, "unknown"), (411, "unknown"), (-1, "unknown"), (None, "unknown"), (math.nan, "unknown"), (math.inf, "unknown"),
    ],
)  # fmt: skip
def test_every_age_has_one_band(age: float | None, band: str) -> None:
    assert age_bands([age]).tolist() == [band]


def test_a_column_has_the_bands_of_its_ages() -> None:
    assert age_bands([0.5, None, 70.0]).tolist() == ["0-1", "unknown", "65+"]
    assert set(age_bands(range(-1, 130))) == set(AGE_BANDS)
    assert age_bands([]).tolist() == []


class Large:
    """A source of pictures of a megabyte each."""

    name = "large"

    def read(self, path: str) -> Picture:
        if path == "bad":
            raise ImageRefused("UNREADABLE", "it is damaged")
        return Picture(
            np.random.default_rng(int(path)).integers(0, 256, (1000, 1000, 1), dtype=np.uint8)
        )

    def fingerprint(self, path: str) -> str:
        return path


def test_memory_does_not_grow_with_the_files() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in read_facts(Large(), [str(number) for number in range(count)], Remembered()):  # type: ignore[arg-type]
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(4)
    assert peak(96) < 1.5 * peak(24)


def test_facts_are_reported_while_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPORT_EVERY", 0.0)
    seen: list[tuple[int, int]] = []
    batches = list(
        read_facts(
            Large(), ["1", "bad", "2"], Remembered(), lambda done, total: seen.append((done, total))
        )
    )  # type: ignore[arg-type]
    assert [[one.path for one in batch] for batch in batches] == [["1"], ["bad"], ["2"], []]
    assert batches[1][0].code == "UNREADABLE"
    assert batches[0][0].width == 1000
    assert seen == [(1, 3), (2, 3), (3, 3)]
