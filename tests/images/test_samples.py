"""The sample that is looked at, its histograms, and the copies that are shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medgan.contracts import Refusal
from medgan.images.copies import copy_groups, differences
from medgan.images.picture import ImageRefused, Picture
from medgan.images.samples import BINS, intensity_bands, intensity_shares, look_at, read_again, sample


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
    looks = look_at(Shades(), ["200", "8", "100"], 50)
    assert [look.picture.shape for look in looks] == [(1, 50, 1), (25, 50, 1), (2, 50, 1)]
    assert [int(look.shares.argmax()) for look in looks] == [25, 1, 12]


def test_an_image_that_was_lost_is_refused_by_name() -> None:
    with pytest.raises(Refusal, match=r"lost was readable at ingestion and is not any more \(it is gone\)"):
        read_again(Shades(), "lost")


def test_histograms_count_pixels_and_colour_by_its_luminance() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    shares = intensity_shares(image)
    assert shares.shape == (BINS,)
    assert shares.sum() == pytest.approx(1.0)
    green = np.zeros((4, 4, 3), np.uint8)
    green[..., 1] = 255
    assert int(intensity_shares(green).argmax()) == 150 // 8


def test_the_band_lies_about_the_mean() -> None:
    looks = look_at(Shades(), [str(width) for width in range(1, 120)], 8)
    bands = intensity_bands(["a"] * 60 + ["b"] * 59, looks)
    assert list(bands) == ["a", "b"]
    assert bands["a"].shape == (3, BINS)
    assert (bands["a"][0] <= bands["a"][2]).all()
    assert bands["b"][1].sum() == pytest.approx(1.0)


def test_copies_that_differ_in_most_come_first(manifest: pd.DataFrame) -> None:
    manifest.loc[[20, 21], "pixel_hash"] = "same patient"
    manifest.loc[[20, 21], ["group_id", "category"]] = ["p", "viral"]
    groups = copy_groups(manifest, 3)
    assert (groups.count, groups.surplus, len(groups.shown)) == (4, 4, 3)
    assert [len(differences(group)) for group in groups.shown] == sorted([len(differences(group)) for group in groups.shown], reverse=True)
    assert "patient" in differences(groups.shown[0])
    assert not differences(copy_groups(manifest, 4).shown[-1])


def test_no_copies_are_no_groups(manifest: pd.DataFrame) -> None:
    assert copy_groups(manifest.drop_duplicates("pixel_hash"), 5).count == 0
