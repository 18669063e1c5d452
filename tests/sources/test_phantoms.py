from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch

from medgan.images.resizing import fit_square
from medgan.images.transforms import Intensity, prepare
from medgan.sources.phantoms import EFFECT, PhantomImages, PhantomSource, phantom, phantom_table


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    ranks = pd.Series(scores).rank().to_numpy()
    positives = labels.sum()
    return float(
        (ranks[labels].sum() - positives * (positives + 1) / 2)
        / (positives * (len(labels) - positives))
    )


def half_width(labels: np.ndarray, scores: np.ndarray, patients: np.ndarray) -> float:
    """Of the 95 % interval of the AUROC, resampling patients."""
    rng, names = np.random.default_rng(0), np.unique(patients)
    rows = {name: np.flatnonzero(patients == name) for name in names}
    draws = [
        np.concatenate([rows[name] for name in rng.choice(names, len(names))]) for _ in range(200)
    ]
    low, high = np.percentile([auroc(labels[draw], scores[draw]) for draw in draws], [2.5, 97.5])
    return float(high - low) / 2


def distances(effect: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Phantoms of patients that are not in the reference, and their distance to the nearest normal
    reference image.
    """
    source = PhantomSource(effect=effect).open()
    table = source.rows()
    pixels = np.stack([fit_square(source.read(path).pixels, 32, 1) for path in table["path"]])
    images = prepare(torch.from_numpy(pixels.copy()), Intensity("standardised"), 32).flatten(1)
    held_out = table["group_id"].str[-1].isin(list("01234")).to_numpy()
    reference = images[~held_out & (table["category_raw"] == "normal").to_numpy()]
    return table[held_out], torch.cdist(images[held_out], reference).min(dim=1).values.numpy()


@pytest.fixture(scope="module")
def measured() -> dict[float, tuple[pd.DataFrame, np.ndarray]]:
    return {effect: distances(effect) for effect in (0.0, EFFECT, 2.0)}


def overall(table: pd.DataFrame, scores: np.ndarray) -> float:
    return auroc((table["category_raw"] != "normal").to_numpy(), scores)


def test_without_an_effect_anomalies_cannot_be_told(
    measured: dict[float, tuple[pd.DataFrame, np.ndarray]],
) -> None:
    table, scores = measured[0.0]
    labels = (table["category_raw"] != "normal").to_numpy()
    assert abs(auroc(labels, scores) - 0.5) <= half_width(
        labels, scores, table["group_id"].to_numpy()
    )


def test_difficulty_is_what_was_decided(
    measured: dict[float, tuple[pd.DataFrame, np.ndarray]],
) -> None:
    table, scores = measured[EFFECT]
    assert 0.75 <= overall(table, scores) <= 0.90
    for kind in ("bacterial", "viral"):
        chosen = table["category_raw"].isin(["normal", kind]).to_numpy()
        labels = (table["category_raw"][chosen] == kind).to_numpy()
        assert (
            auroc(labels, scores[chosen])
            - half_width(labels, scores[chosen], table["group_id"][chosen].to_numpy())
            > 0.5
        )


def test_a_larger_effect_is_easier_to_see(
    measured: dict[float, tuple[pd.DataFrame, np.ndarray]],
) -> None:
    values = [overall(*measured[effect]) for effect in sorted(measured)]
    assert all(later > earlier + 0.02 for earlier, later in pairwise(values)), values


def test_the_data_set_is_as_large_as_described() -> None:
    table = phantom_table(PhantomSource())
    assert len(table) == 800
    assert table["group_id"].nunique() == 300
    assert table["group_id"].value_counts().max() > 3
    assert table.groupby("group_id")["category_raw"].nunique().max() == 1
    assert set(table["category_raw"]) == {"normal", "bacterial", "viral"}
    assert table["category_raw"].value_counts().min() > 140
    for column in ("sex", "age", "site", "view"):
        assert table[column].notna().all()


def test_effect_changes_nothing_but_the_opacity() -> None:
    for index in range(60):
        plain, strong = (phantom(index, PhantomSource(effect=effect)) for effect in (0.0, 1.0))
        assert plain.patient == strong.patient
        assert np.array_equal(plain.mask, strong.mask)
        changed = plain.image != strong.image
        assert changed.any() == (strong.category != "normal")


def test_masks_are_there_for_anomalous_images_only_and_mark_the_change() -> None:
    source = PhantomSource().open()
    for path, category in zip(
        source.rows()["path"][:150], source.rows()["category_raw"][:150], strict=True
    ):
        assert source.mask(path).any() == (category != "normal")
        assert source.mask(path).shape == source.read(path).pixels.shape[:2]
    plain, strong = (
        [
            phantom(index, PhantomSource(effect=effect))
            for index in range(150)
            if phantom(index, PhantomSource()).category == "bacterial"
        ]
        for effect in (0.0, 1.0)
    )
    change = [
        np.abs(after.image.astype(int) - before.image)
        for before, after in zip(plain, strong, strict=True)
    ]
    inside = np.mean(
        [difference[image.mask].mean() for difference, image in zip(change, strong, strict=True)]
    )
    outside = np.mean(
        [difference[~image.mask].mean() for difference, image in zip(change, strong, strict=True)]
    )
    assert inside > 10 * outside


def test_nuisances_know_nothing_of_the_label() -> None:
    """Over many patients, so that chance is small: shares of sexes and sites, ages and images a
    patient, beside brightness at effect 0.
    """
    config = PhantomSource(images=4000, patients=4000, effect=0.0)
    table = phantom_table(config)
    ill = (table["category_raw"] != "normal").to_numpy()
    assert abs(auroc(ill, table["age"].to_numpy()) - 0.5) < 0.04
    for column in ("sex", "site"):
        shares = pd.crosstab(table[column], ill, normalize="columns")
        assert (shares[True] - shares[False]).abs().max() < 0.05
    brightness = np.array([phantom(index, config).image.mean() for index in range(500)])
    assert abs(auroc(ill[:500], brightness) - 0.5) < 0.08


def test_sites_differ_in_their_films() -> None:
    source = PhantomSource().open()
    table = source.rows().iloc[:200]
    means = (
        pd.Series([source.read(path).pixels.mean() for path in table["path"]])
        .groupby(table["site"])
        .mean()
    )
    assert means.max() - means.min() > 5


def test_an_image_is_a_function_of_seed_and_number() -> None:
    small = PhantomSource(images=40, patients=12)
    assert np.array_equal(phantom(7, small).image, PhantomImages(small).read("7").pixels[..., 0])
    assert not np.array_equal(phantom(7, small).image, phantom(8, small).image)
    assert not np.array_equal(
        phantom(7, small).image, phantom(7, PhantomSource(images=40, patients=12, seed=1)).image
    )


def test_the_size_can_be_chosen() -> None:
    assert phantom(3, PhantomSource(images=40, patients=12, size=128)).image.shape == (128, 128)
