from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from medgan.errors import UserError
from medgan.images.loading import (
    BatchStream,
    Concatenated,
    DrawnImages,
    StoredImages,
    TensorImages,
)
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.images.transforms import Intensity, as_tensor, pad_square


def numbered(count: int) -> TensorImages:
    """Images whose pixels are their own number."""
    return TensorImages(
        torch.arange(count, dtype=torch.float32)[:, None, None, None].expand(count, 1, 4, 4)
    )


def numbers(images: torch.Tensor | None) -> list[int]:
    assert images is not None
    return [int(number) for number in images[:, 0, 0, 0]]


def test_a_batch_is_a_function_of_seed_stage_and_number() -> None:
    def stream(seed: int = 1) -> BatchStream:
        return BatchStream(numbered(100), np.arange(100), seed, augment=["horizontal_flip"])

    later = stream()
    for index in range(5):
        later.draw("adversarial", index, 16)
    first, again = later.draw("adversarial", 7, 16), stream().draw("adversarial", 7, 16)
    assert torch.equal(first.images, again.images)
    assert torch.equal(torch.rand(3, generator=first.rng), torch.rand(3, generator=again.rng))
    others = [
        stream().draw("adversarial", 8, 16),
        stream().draw("encoder", 7, 16),
        stream(2).draw("adversarial", 7, 16),
    ]
    for other in others:
        assert numbers(other.images) != numbers(first.images)
        assert other.rng.initial_seed() != first.rng.initial_seed()


def test_each_epoch_shows_every_image_once_and_batches_run_across_epochs() -> None:
    stream = BatchStream(numbered(10), np.arange(10), 0)
    seen = [number for index in range(15) for number in numbers(stream.draw("s", index, 4).images)]
    epochs = [seen[start : start + 10] for start in range(0, 60, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 6


def test_batches_are_full_even_where_images_are_few() -> None:
    stream = BatchStream(numbered(3), np.array([0, 1, 2]), 0, unlabelled_rows=np.array([2]))
    batch = stream.draw("s", 4, 8)
    assert len(batch.images) == 8
    assert set(numbers(batch.images)) == {0, 1, 2}
    assert numbers(batch.unlabelled) == [2] * 8


def test_labels_stay_with_their_images() -> None:
    rows = np.array([9, 4, 7, 1])
    stream = BatchStream(numbered(10), rows, 0, labels=rows % 3)
    for batch in (stream.draw("s", 3, 6), *stream.epoch(3)):
        assert batch.labels is not None
        assert batch.labels.dtype == torch.int64
        assert batch.labels.tolist() == [number % 3 for number in numbers(batch.images)]


def test_the_mix_is_drawn_from_its_own_rows() -> None:
    stream = BatchStream(numbered(20), np.arange(10), 0, unlabelled_rows=np.arange(10, 20))
    batches = [stream.draw("s", index, 5) for index in range(2)]
    assert sorted(number for batch in batches for number in numbers(batch.images)) == list(
        range(10)
    )
    assert sorted(number for batch in batches for number in numbers(batch.unlabelled)) == list(
        range(10, 20)
    )


def test_an_epoch_is_ordered_whole_and_not_augmented() -> None:
    stream = BatchStream(numbered(10), np.arange(10), 0, augment=["contrast"])
    assert [numbers(batch.images) for batch in stream.epoch(4)] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9],
    ]


def test_no_images_and_unknown_augmentations_are_refused() -> None:
    with pytest.raises(UserError, match="no image to train on"):
        BatchStream(numbered(3), np.array([], dtype=np.int64), 0)
    with pytest.raises(UserError, match="`spin`"):
        BatchStream(numbered(3), np.arange(3), 0, augment=["spin"])


def test_sets_joined_count_their_rows_on() -> None:
    joined = Concatenated([numbered(4), TensorImages(100 + numbered(3).images)])
    assert len(joined) == 7
    assert numbers(joined(np.array([6, 0, 4, 3, 3]))) == [102, 0, 100, 3, 3]


@pytest.mark.parametrize("name", ["unit", "standardised", "local"])
def test_images_are_augmented_before_their_intensity_is_scaled(tmp_path: Path, name: str) -> None:
    """A batch whose brightness and contrast were changed is standardised all the same."""
    pixels = np.random.default_rng(1).integers(60, 180, (16, 28, 28, 1), dtype=np.uint8)
    intensity = Intensity.of(name, 0.5)
    info = StoreInfo(16, 28, 28, 1, name, ("normal",), window=intensity.window)
    write_store(tmp_path / "images", pixels, info)
    stored = StoredImages(ImageStore.open(tmp_path / "images"))
    rows, photometric = np.arange(16), ["brightness", "contrast"]
    plain, changed = (
        BatchStream(stored, rows, 0, augment=names).draw("s", 0, 16).images
        for names in ([], photometric)
    )
    assert torch.allclose(plain, changed, atol=1e-3) == (name != "unit")
    assert (changed[:, :, 0] == 0).all()  # the padding


def test_synthetic_images_are_scaled_again_where_they_are_changed() -> None:
    drawn = np.random.default_rng(1).integers(0, 256, (4, 28, 28, 1), dtype=np.uint8)
    images, rows = DrawnImages(drawn, Intensity("standardised"), 32), np.array([2, 0])
    assert torch.equal(images(rows), pad_square(as_tensor(drawn[rows]), 32))
    brighter = images(rows, lambda shown: 0.5 * shown + 0.2)
    assert torch.allclose(brighter, images(rows, lambda shown: shown), atol=1e-3)


def test_drawing_from_a_store_is_quick(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2000, 32, 32, 1), dtype=np.uint8)
    write_store(
        tmp_path / "images", images, StoreInfo(2000, 32, 32, 1, "standardised", ("normal",))
    )
    stream = BatchStream(
        StoredImages(ImageStore.open(tmp_path / "images")), np.arange(0, 2000, 2), 0
    )
    times = []
    for index in range(60):
        start = time.perf_counter()
        stream.draw("s", index, 32)
        times.append(time.perf_counter() - start)
    assert np.median(times) < 0.01, (
        "0.5 ms on an idle core; ten times that means batches are no longer read whole"
    )
