"""Tiles cover every image, and their maps blend to one without seams."""

from itertools import pairwise

import numpy as np
import pytest

from medgan.images.tiles import cut, score_in_tiles, starts


@pytest.mark.parametrize(
    ("length", "size", "overlap"), [(100, 32, 0.5), (33, 32, 0.0), (64, 32, 0), (32, 32, 0.9)]
)
def test_tiles_reach_from_border_to_border_and_overlap(
    length: int, size: int, overlap: float
) -> None:
    found = starts(length, size, overlap)
    assert found[0] == 0
    assert found[-1] == length - size
    assert all(0 < b - a <= size * (1 - overlap) for a, b in pairwise(found))


@pytest.mark.parametrize("shape", [(70, 100), (32, 45), (20, 90), (10, 10)])
def test_the_blended_map_of_pixels_is_the_image(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 1), dtype=np.uint8)
    found = score_in_tiles(image, 32, 0.5, lambda t: (t.max((1, 2, 3)), t[..., 0]), batch_size=3)
    np.testing.assert_allclose(found.anomaly_map, image[..., 0], rtol=1e-5)
    assert found.highest_tile == image.max()
    assert found.score < image.max()
    assert found.tiles == len(list(cut(image, 32, 0.5)))


def test_the_score_is_the_highest_mean_of_few_pixels() -> None:
    image = np.zeros((64, 96, 1), dtype=np.uint8)
    image[40:45, 60:65] = 200
    image[10, 10] = 255
    found = score_in_tiles(image, 32, 0.5, lambda t: (t.mean((1, 2, 3)), t[..., 0]))
    assert found.score == pytest.approx(200, rel=1e-4)


def test_neighbouring_tiles_that_disagree_leave_no_edge() -> None:
    count = iter(range(100))
    image = np.zeros((32, 64, 1), dtype=np.uint8)

    def levels(tiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = np.array([next(count) for _ in tiles], dtype=np.float32)
        return values, np.broadcast_to(values[:, None, None], tiles.shape[:3])

    blended = score_in_tiles(image, 32, 0.5, levels).anomaly_map
    assert blended[0].min() == 0
    assert blended[0].max() == 2
    assert np.abs(np.diff(blended, axis=1)).max() <= 0.11
