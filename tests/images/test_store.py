from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.images.store import PIXELS, ImageStore, StoreInfo, padded_size, write_store

IMAGES = np.random.default_rng(1).integers(0, 256, (50, 28, 28, 1), dtype=np.uint8)
INFO = StoreInfo(50, 28, 28, 1, "standardised", ("normal", "viral"))


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    write_store(tmp_path / "images", IMAGES, INFO)
    return ImageStore.open(tmp_path / "images")


@pytest.mark.parametrize(
    "rows", [[], [0], [49], [3, 3, 2], [0, 1, 2, 10, 11, 5], list(range(50))[::-1], list(range(50))]
)
def test_rows_come_back_in_the_order_asked_for(store: ImageStore, rows: list[int]) -> None:
    chosen = np.array(rows, dtype=np.int64)
    assert np.array_equal(store.read(chosen), IMAGES[chosen])


@pytest.mark.parametrize("row", [-1, 50])
def test_a_row_outside_is_an_error(store: ImageStore, row: int) -> None:
    with pytest.raises(IndexError, match="50 images"):
        store.read(np.array([0, row]))


def test_the_spec_is_padded_to_a_power_of_two(store: ImageStore) -> None:
    assert (store.spec.size, store.spec.channels, store.spec.classes) == (
        32,
        1,
        ("normal", "viral"),
    )
    assert [padded_size(side) for side in (16, 28, 32, 33, 64, 200, 256)] == [
        32,
        32,
        32,
        64,
        64,
        256,
        256,
    ]


def test_a_store_that_is_cut_short_is_refused(store: ImageStore) -> None:
    path = store.folder / PIXELS
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"images.u8 is damaged .*--pipeline preprocessing"):
        ImageStore.open(store.folder)
    (store.folder / "SHA256SUMS").unlink()
    with pytest.raises(UserError, match=r"it has 39199 bytes of 39200"):
        ImageStore.open(store.folder)
    with pytest.raises(UserError, match="cut short"):
        store.read(np.array([49]))


def test_a_folder_without_a_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no image store"):
        ImageStore.open(tmp_path)


def test_the_key_follows_pixels_and_intensity_only(tmp_path: Path, store: ImageStore) -> None:
    def key(images: NDArray[np.uint8], info: StoreInfo) -> str:
        write_store(tmp_path / "other", images, info)
        return ImageStore.open(tmp_path / "other").key

    changed = IMAGES.copy()
    changed[7, 3, 3, 0] ^= 1
    assert (
        key(
            IMAGES,
            StoreInfo(50, 28, 28, 1, "standardised", ("normal", "viral"), source_key="elsewhere"),
        )
        == store.key
    )
    assert key(changed, INFO) != store.key
    assert key(IMAGES, StoreInfo(50, 28, 28, 1, "unit", ("normal", "viral"))) != store.key
    windows = [StoreInfo(50, 28, 28, 1, "local", INFO.classes, window=side) for side in (0.5, 0.3)]
    assert len({key(IMAGES, info) for info in windows}) == 2


def test_a_failed_write_leaves_the_old_store_and_no_rubbish(store: ImageStore) -> None:
    def broken() -> Iterator[NDArray[np.uint8]]:
        yield IMAGES[1]
        raise RuntimeError("the source went away")

    with pytest.raises(RuntimeError, match="went away"):
        write_store(store.folder, broken(), INFO)
    assert np.array_equal(ImageStore.open(store.folder).read(np.arange(50)), IMAGES)
    assert [path.name for path in store.folder.parent.iterdir()] == ["images"]


def test_images_that_do_not_fit_the_index_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="49 images for a store of 50"):
        write_store(tmp_path / "images", IMAGES[:49], INFO)
    with pytest.raises(ValueError, match="the store holds uint8"):
        write_store(tmp_path / "images", IMAGES[:, :27], INFO)
    assert not list(tmp_path.iterdir())


def test_a_new_store_replaces_the_old(store: ImageStore) -> None:
    written = write_store(store.folder, 255 - IMAGES, INFO)
    assert np.array_equal(ImageStore.open(store.folder).read(np.arange(50)), 255 - IMAGES)
    assert written.sha256 != store.info.sha256
    assert np.array_equal(store.read(np.arange(50)), IMAGES), (
        "a store that is open keeps its pixels"
    )
