"""The domain of a detector: images of the data set are inside, foreign images are outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medgan.evaluation.domain import SENTENCE, UNSEEN_ANOMALIES, Domain, freeze_domain
from medgan.files.documents import from_json, to_json
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.stats.thresholds import conformal_quantile, upper_limit

SIDE, COUNT = 32, 150


def film(seed: int, channels: int = 1) -> np.ndarray:
    """Two bright lungs on a gray ground, (32, 32, C) uint8; reddish where it is in color."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    shape = sum(
        np.exp(-(((x - center - rng.normal(0, 0.02)) ** 2) * 60 + (y - 0.4) ** 2 * 15))
        for center in (0.3, 0.7)
    )
    gray = 0.2 + rng.uniform(0.4, 0.6) * shape + rng.normal(0, 0.03, (SIDE, SIDE))
    tint = np.array([1.0, 0.6, 0.5]) if channels == 3 else np.ones(1)
    return (np.clip(gray[..., None] * tint, 0, 1) * 255).astype(np.uint8)


def frozen(folder: Path, channels: int = 1, anomalies: bool = True, color: str = "grey") -> Domain:
    info = StoreInfo(COUNT, SIDE, SIDE, channels, "unit", ("normal", "sick"))
    write_store(folder / "images", (film(seed, channels) for seed in range(COUNT)), info)
    rows = np.arange(COUNT)
    splits = pd.DataFrame(
        {
            "row": rows,
            "split": np.where(rows < COUNT // 2, "train", "val"),
            "label": (rows % 5 == 0).astype(int) if anomalies else 0,
            "group_id": rows,
            "width": 64,
            "height": 64,
            "color": color,
        }
    )
    return freeze_domain(ImageStore.open(folder / "images"), splits)


@pytest.fixture(scope="module")
def gray(tmp_path_factory: pytest.TempPathFactory) -> Domain:
    return frozen(tmp_path_factory.mktemp("gray"))


@pytest.fixture(scope="module")
def colored(tmp_path_factory: pytest.TempPathFactory) -> Domain:
    return frozen(tmp_path_factory.mktemp("colored"), channels=3, color="RGB")


def outside(domain: Domain, pixels: np.ndarray, native: np.ndarray | None = None) -> str:
    large = pixels.repeat(2, 0).repeat(2, 1)
    return domain.outside(large if native is None else native, pixels)


def test_new_images_of_the_data_set_are_inside(gray: Domain, colored: Domain) -> None:
    for domain, channels in ((gray, 1), (colored, 3)):
        said = [outside(domain, film(seed, channels)) for seed in range(1000, 1200)]
        assert sum(map(bool, said)) <= 8  # 4 %; at most 0.5 % are expected for each distance


NOISE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
STRIPES = np.where(np.arange(SIDE) % 8 < 4, 250, 20).astype(np.uint8)
FOREIGN = {
    "inverted": lambda image: 255 - image,
    "rotated": lambda image: np.rot90(image).copy(),
    "noise": lambda image: NOISE[:, :, : image.shape[2]],
    "almost blank": lambda image: (128 + NOISE[:, :, : image.shape[2]] % 3).astype(np.uint8),
    "dark": lambda image: image // 5,
    "stripes, as lines of text": lambda image: np.broadcast_to(STRIPES[:, None, None], image.shape),
    "ramp": lambda image: np.broadcast_to(
        np.linspace(0, 255, SIDE).astype(np.uint8)[:, None, None], image.shape
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("channels", [1, 3])
def test_foreign_images_are_outside(
    name: str, channels: int, gray: Domain, colored: Domain
) -> None:
    domain = gray if channels == 1 else colored
    said = [outside(domain, FOREIGN[name](film(seed, channels))) for seed in range(2000, 2020)]
    assert all(text.startswith(f"{SENTENCE}: ") for text in said)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((20, 20), "its shorter side is 20 pixels, accepted are 32 to 128"),
        ((400, 400), "its shorter side is 400 pixels"),
        ((64, 120), "1.88 times as wide as high, accepted are 0.80 to 1.25"),
        ((100, 64), "0.64 times as wide as high"),
        ((64, 64), ""),
        ((110, 120), ""),
    ],
)
def test_size_and_proportions_are_those_of_validation(
    shape: tuple[int, int], said: str, gray: Domain
) -> None:
    found = outside(gray, film(5), np.zeros((*shape, 1), np.uint8))
    assert said in found
    assert bool(found) == bool(said)


def test_color_and_gray_are_told_apart(gray: Domain, colored: Domain, tmp_path: Path) -> None:
    tinted = film(5, 3).repeat(2, 0).repeat(2, 1)
    assert "it is in color, the images of the data set are gray" in outside(gray, film(5), tinted)
    assert not outside(gray, film(5), film(5).repeat(3, 2).repeat(2, 0).repeat(2, 1))
    assert "it is gray, the images of the data set are in color" in outside(
        colored, film(5).repeat(3, 2)
    )
    unsure = frozen(tmp_path, color="RGB")  # stored as gray, though files are in color
    assert not outside(unsure, film(5), tinted)


def test_limits_are_wider_where_validation_has_no_anomaly(gray: Domain, tmp_path: Path) -> None:
    normals = frozen(tmp_path, anomalies=False)
    assert normals.limits.n_anomalous == 0
    for name, limit in gray.limits.distances.items():
        assert normals.limits.distances[name] == pytest.approx(UNSEEN_ANOMALIES * (limit or 0))


def test_limits_survive_their_document(gray: Domain) -> None:
    again = Domain(from_json(type(gray.limits), to_json(gray.limits)), gray.reference)
    assert again.limits == gray.limits
    assert not outside(again, film(5))
    assert outside(again, 255 - film(5))


def test_the_upper_limit_is_conformal_where_there_are_enough_groups() -> None:
    values = np.random.default_rng(1).lognormal(size=400)
    groups = np.arange(400)
    assert upper_limit(values, 0.01, groups) == conformal_quantile(values, 0.01, groups)
    assert upper_limit(values[:1], 0.01, groups[:1]) is None


@pytest.mark.parametrize("count", [2, 4, 12, 40])
def test_the_upper_limit_of_few_values_is_rarely_reached(count: int) -> None:
    rng = np.random.default_rng(count)
    reached = []
    for _ in range(400):
        values = rng.lognormal(2, 0.4, count)
        limit = upper_limit(values, 0.01, np.arange(count))
        assert limit is not None
        assert limit > values.max()
        reached.append(rng.lognormal(2, 0.4, 50) >= limit)
    assert np.mean(reached) <= 0.015
