from __future__ import annotations

from typing import Any

import pytest

from medgan.datasets.images import ImageSourceDataset
from medgan.errors import UserError
from medgan.sources.folder import FolderSource
from medgan.sources.readers.config import ReadingConfig, SlicePolicy


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"window": "lungs"}, r"reading\.window is `lungs`.*choose from lung"),
        ({"window": (5.0, 5.0)}, r"reading\.window is \[5\.0, 5\.0\]"),
        ({"frames": "some"}, r"reading\.frames is `some`.*refuse, first, all"),
        ({"volumes_4d": "all"}, r"reading\.volumes_4d"),
        ({"burned_in": "blur"}, r"reading\.burned_in"),
        ({"pseudonym_key": "short"}, r"reading\.pseudonym_key has 5 characters"),
        ({"max_pixels": 0}, r"reading\.max_pixels"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ReadingConfig(**keys)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"axis": "oblique"}, r"reading\.slices\.axis is `oblique`"),
        ({"start": 0.6, "stop": 0.4}, r"from 0\.6 to 0\.4"),
        ({"every": 0}, r"reading\.slices\.every is 0"),
        ({"count": 3, "every": 2}, r"reading\.slices\.count is 3, with every 2"),
    ],
)
def test_a_wrong_slice_policy_is_refused_with_its_key(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        SlicePolicy(**keys)


def test_slices_are_a_fixed_range_of_the_body() -> None:
    assert SlicePolicy(start=0.4, stop=0.6).numbers(10) == [4, 5]
    assert SlicePolicy(start=0.4, stop=0.6).numbers(100) == list(range(40, 60))
    assert SlicePolicy(start=0.4, stop=0.6, every=5).numbers(100) == [40, 45, 50, 55]
    assert SlicePolicy(start=0.0, stop=1.0, count=3).numbers(9) == [0, 4, 8]
    assert SlicePolicy(start=0.0, stop=1.0, count=50).numbers(3) == [0, 1, 2]
    assert SlicePolicy(start=0.45, stop=0.46).numbers(4) == [1], "the nearest one, never none"


def test_the_catalog_fills_the_key_reading() -> None:
    said = {"window": [-160, 240], "slices": {"axis": "coronal", "count": 5}, "frames": "all"}
    source = ImageSourceDataset(kind="folder", reading=said).check()
    assert isinstance(source, FolderSource)
    assert source.reading == ReadingConfig((-160.0, 240.0), "all", SlicePolicy("coronal", count=5))
    assert ImageSourceDataset(kind="folder", reading={"window": "lung"}).check().reading.limits == (
        -1350.0,
        150.0,
    )
    with pytest.raises(UserError, match=r"reading.*windows"):
        ImageSourceDataset(kind="folder", reading={"windows": "lung"}).check()
