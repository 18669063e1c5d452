"""The profile: what it counts, with and without the columns that a data set may lack."""

from __future__ import annotations

import json
import time

import numpy as np
import pandas as pd
import pytest

from medgan.errors import UserError
from medgan.files.documents import from_json, to_json
from medgan.images.metadata import read_again
from medgan.images.profile import (
    BINS,
    Flow,
    Profile,
    association,
    associations,
    completed,
    flow,
    intensity_bands,
    intensity_shares,
    previews,
    profile,
    sample,
)
from medgan.sources.raw import ImageRefused, Picture


def full(count: int = 240, seed: int = 0) -> pd.DataFrame:
    """Two images a patient; site A has the normals, sex knows nothing of the class."""
    rng = np.random.default_rng(seed)
    owners = np.arange(count) // 2
    ill = rng.random(count)[owners] < 0.5
    return pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(count)],
            "path": [f"{number}.png" for number in range(count)],
            "group_id": [f"p{owner}" for owner in owners],
            "group_known": True,
            "category": np.where(ill, "viral", "normal"),
            "label": ill.astype(int),
            "split": None,
            "sex": rng.choice(["F", "M"], count)[owners],
            "age": rng.integers(0, 130, count)[owners].astype(float),
            "site": np.where(ill, "B", "A"),
            "width": rng.integers(30, 300, count),
            "height": rng.integers(30, 300, count),
            "pixel_hash": [f"h{number}" for number in range(count)],
            "provenance": "real",
        }
    )


def bare(count: int = 12) -> pd.DataFrame:
    return full(count)[
        ["image_id", "path", "group_id", "category", "width", "height", "pixel_hash"]
    ].assign(group_known=False, split=None)


def test_the_profile_names_duplicates_and_what_they_cross() -> None:
    manifest = full(20).assign(category=["normal", "viral"] * 10)
    for copy, original in {2: 0, 4: 0, 7: 6, 9: 8}.items():
        manifest.loc[copy, "pixel_hash"] = manifest.loc[original, "pixel_hash"]
    found = profile(manifest, pd.DataFrame({"path": ["a"], "code": ["CONSTANT"]}))
    assert (found.images, found.patients, found.most_images_of_a_patient) == (20, 10, 2)
    assert found.category == {"normal": 10, "viral": 10}
    assert found.quarantined == {"CONSTANT": 1}
    assert found.duplicates.groups == 3
    assert found.duplicates.surplus_copies == 4
    assert found.duplicates.crossing_patients == [["i0", "i2", "i4"]]
    assert found.duplicates.crossing_categories == [["i6", "i7"], ["i8", "i9"]]
    assert from_json(Profile, json.loads(json.dumps(to_json(found)))) == found


def test_every_listed_image_is_accounted_for() -> None:
    excluded = pd.DataFrame(
        {"path": ["a", "b", "c"], "reason": ["label Edema", "label Edema", "lateral view"]}
    )
    quarantine = pd.DataFrame({"path": ["d"], "code": ["UNREADABLE"]})
    left_out = {"label Edema": 2, "lateral view": 1}
    assert flow(full(10), quarantine, excluded) == Flow(14, left_out, {"UNREADABLE": 1}, 10)
    assert flow(full(10)).listed == 10


def test_classes_are_told_by_images_patients_and_sizes() -> None:
    manifest = full()
    found = profile(manifest).by_category
    assert list(found) == ["normal", "viral"]
    for name, rows in manifest.groupby("category"):
        assert found[name].images == len(rows) == 2 * found[name].patients
        assert found[name].shorter_side[0] == rows[["width", "height"]].min(axis=None)
        assert len(found[name].width_by_height) == 5


def test_ages_are_counted_in_bands() -> None:
    found = profile(full().assign(age=[1.0, 130.0] * 120))
    assert found.age_band == {"0-1": 120, "unknown": 120}
    assert found.category_by["age_band"]["normal"].keys() == {"0-1", "unknown"}


def test_what_gives_the_class_away_is_seen() -> None:
    related = associations(completed(full()))
    assert related["site"] == pytest.approx(1.0, abs=0.02)
    assert related["sex"] is not None
    assert related["sex"] < 0.2
    assert related["view"] is None


def test_chance_is_taken_off_the_association() -> None:
    rng = np.random.default_rng(0)
    many = [association(rng.integers(0, 3, 60), rng.integers(0, 8, 60)) for _ in range(50)]
    assert np.median([value for value in many if value is not None]) < 0.12  # uncorrected: 0.34
    assert association(["a", "b"] * 30, ["x", "y"] * 30) == pytest.approx(1.0, abs=0.01)
    assert association(["a"] * 9, ["x", "y", "z"] * 3) is None
    assert association([], []) is None


def test_a_data_set_that_knows_nothing_but_its_labels_has_a_profile() -> None:
    found = profile(bare())
    assert found.patients is None
    assert found.age is None
    assert found.category_by == {}
    assert set(found.missing.values()) == {1.0}
    json.dumps(to_json(found), allow_nan=False)


def test_the_word_unknown_counts_as_missing() -> None:
    assert profile(full().assign(sex=["Unknown", "F", "M", None] * 60)).missing["sex"] == 0.5


def test_100000_images_take_seconds() -> None:
    manifest = full(100_000)
    manifest["category"] = [f"class {number % 15}" for number in range(100_000)]
    start = time.process_time()
    profile(manifest)
    assert time.process_time() - start < 5


class Shades:
    """A source whose image `n` has n columns, all of the grey n."""

    name = "shades"

    def rows(self) -> pd.DataFrame:
        return pd.DataFrame()

    def read(self, path: str) -> Picture:
        if path == "lost":
            raise ImageRefused("UNREADABLE", "it is gone")
        return Picture(np.full((4, int(path), 1), int(path), np.uint8))

    def fingerprint(self, path: str) -> str:
        return path


def test_the_sample_is_seeded_and_prefers_patients_it_has_not_seen(manifest: pd.DataFrame) -> None:
    drawn = sample(manifest, 20, 0)
    assert drawn["category"].tolist() == ["normal"] * 20 + ["bacterial"] * 20 + ["viral"] * 20
    assert drawn["group_id"].is_unique
    assert drawn["image_id"].tolist() == sample(manifest, 20, 0)["image_id"].tolist()
    assert drawn["image_id"].tolist() != sample(manifest, 20, 1)["image_id"].tolist()
    assert drawn["image_id"].tolist() != manifest.groupby("category").head(20)["image_id"].tolist()


def test_a_sample_larger_than_the_data_set_is_the_data_set(manifest: pd.DataFrame) -> None:
    one = manifest.iloc[[0]].assign(category="rare")
    assert len(sample(pd.concat([manifest, one]), 10_000, 0)) == 601


def test_looks_come_in_order_and_are_small() -> None:
    looks = previews(Shades(), ["200", "8", "100"], 50)
    assert [look.picture.shape for look in looks] == [(1, 50, 1), (25, 50, 1), (2, 50, 1)]
    assert [int(look.shares.argmax()) for look in looks] == [25, 1, 12]


def test_an_image_that_was_lost_is_refused_by_name() -> None:
    with pytest.raises(
        UserError, match=r"lost was readable at ingestion and is not any more \(it is gone\)"
    ):
        read_again(Shades(), "lost")


def test_histograms_count_pixels_and_color_by_its_luminance() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    shares = intensity_shares(image)
    assert shares.shape == (BINS,)
    assert shares.sum() == pytest.approx(1.0)
    green = np.zeros((4, 4, 3), np.uint8)
    green[..., 1] = 255
    assert int(intensity_shares(green).argmax()) == 150 // 8


def test_the_band_lies_about_the_mean() -> None:
    looks = previews(Shades(), [str(width) for width in range(1, 120)], 8)
    bands = intensity_bands(["a"] * 60 + ["b"] * 59, looks)
    assert list(bands) == ["a", "b"]
    assert bands["a"].shape == (3, BINS)
    assert (bands["a"][0] <= bands["a"][2]).all()
    assert bands["b"][1].sum() == pytest.approx(1.0)
