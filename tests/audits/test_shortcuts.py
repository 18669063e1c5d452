"""Shortcuts on images whose source does, or does not, give the label away."""

import json

import numpy as np
import pandas as pd
import pytest

from medgan.audits.scored import ScoredDetector
from medgan.audits.shortcut_baselines import (
    FEW_LABELS,
    NO_MIX,
    RAW,
    metadata_features,
    pixel_features,
    shortcut_scores,
)
from medgan.audits.shortcuts import COARSE, FLAG, SITE_FLAG, audit_shortcuts, within_sites
from medgan.files.documents import to_json
from medgan.images.transforms import Intensity
from medgan.sources.phantoms import PhantomSource, phantom_table

SIDE = 32
COUNT = 800


def cohort(confounded, seed=0, **columns):
    """Images of two sites, a patient each; `confounded` is how much more often an anomalous patient
    is of the south.
    """
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, COUNT)
    south = rng.random(COUNT) < 0.5 + confounded * (label - 0.5)
    pixels = rng.integers(90, 150, (COUNT, SIDE, SIDE, 1)).astype(np.uint8)
    pixels[south, :2, :12] = 255  # the marker of the south
    splits = pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(COUNT)],
            "path": [f"{number}.png" for number in range(COUNT)],
            "group_id": [f"p{number}" for number in range(COUNT)],
            "group_known": True,
            "label": label,
            "category": np.where(label, "viral", "normal"),
            "split": rng.choice(["train", "val", "test"], COUNT, p=[0.5, 0.1, 0.4]),
            "row": np.arange(COUNT),
            "role": roles(label, np.random.default_rng([seed, 1])),
            "site": np.where(south, "south", "north"),
            "provenance": "real",
            "width": 40,
            "height": 30,
            **columns,
        }
    )
    return pixels, splits


def roles(label, rng):
    """Half of the normals outside the mix, half in it, with as many anomalous images."""
    mixed = rng.random(len(label)) < 0.5
    return np.where(mixed, "mix", np.where(label == 0, "normal", None))


def audited(pixels, splits, seed=0, intensity=RAW, **detectors):
    table, reasons = shortcut_scores(lambda rows: pixels[rows], splits, seed, intensity)
    scored = {
        name: ScoredDetector(
            splits[["image_id"]].assign(score=np.asarray(values, dtype=float)),
            0.5,
            sees_mix=name == "mix",
        )
        for name, values in detectors.items()
    }
    return audit_shortcuts(table, reasons, scored, splits, n_resamples=300, seed=seed)


def test_a_marker_that_goes_with_the_disease_is_caught_and_so_is_the_detector_that_reads_it():
    pixels, splits = cohort(0.8)
    rng = np.random.default_rng(1)
    reads_marker = pixels[:, :2, :12].mean((1, 2, 3)) + rng.normal(0, 20, COUNT)
    reads_disease = splits["label"] * 4 + rng.normal(0, 1, COUNT)
    document = audited(pixels, splits, marker=reads_marker, disease=reads_disease, mix=reads_marker)
    probes = document.shortcuts["probe"]
    assert probes["border"].low > 0.8
    assert probes["site"].low > 0.8
    assert document.shortcuts["one_class"]["site"].low > 0.8
    for name in ("marker", "mix"):
        told = document.detectors[name]
        assert told.auroc.low > 0.75
        assert told.flags == [FLAG, SITE_FLAG]
        assert (
            "may detect the source of" in told.sentence
            or "may detect the source and" in told.sentence
        )
        assert told.within_sites.pooled.value == pytest.approx(0.5, abs=0.1)
        assert told.within_sites.difference.high < -0.2
    assert document.detectors["mix"].compared_with == "mix"
    assert document.shortcuts["mix"]["border"].low > 0.7
    honest = document.detectors["disease"]
    assert honest.compared_with == "one_class"
    assert honest.flags == []
    assert honest.against["one_class"].any.difference.low > 0
    json.dumps(to_json(document), allow_nan=False)


def test_without_a_confounder_no_shortcut_is_shown_to_work():
    pixels, splits = cohort(0.0)
    document = audited(
        pixels, splits, disease=splits["label"] * 4 + np.random.default_rng(1).normal(0, 1, COUNT)
    )
    known = [
        found
        for kind in document.shortcuts.values()
        for found in kind.values()
        if found.value is not None
    ]
    assert len(known) == 12
    assert sum(found.low > 0.5 for found in known) <= 1
    assert max(found.value for found in known) < 0.62
    assert document.detectors["disease"].flags == []


def test_labels_of_test_images_do_not_touch_the_shortcuts():
    pixels, splits = cohort(0.8)
    poisoned = splits.assign(
        label=splits["label"].where(splits["split"] != "test", 1 - splits["label"])
    )
    before, after = (
        shortcut_scores(lambda rows: pixels[rows], table)[0] for table in (splits, poisoned)
    )
    pd.testing.assert_frame_equal(before, after)


def test_the_mix_kind_reads_no_label():
    pixels, splits = cohort(0.8)
    poisoned = splits.assign(label=1 - splits["label"])
    before, after = (
        shortcut_scores(lambda rows: pixels[rows], table)[0].filter(like="mix/")
        for table in (splits, poisoned)
    )
    assert {"mix/border", "mix/site"} <= set(before)
    pd.testing.assert_frame_equal(before, after)
    moved = splits.assign(role=splits["role"].replace({"mix": "normal", "normal": "mix"}))
    turned = shortcut_scores(lambda rows: pixels[rows], moved)[0]["mix/border"]
    assert np.corrcoef(before["mix/border"], turned)[0, 1] < -0.9


def test_shortcuts_see_what_the_detectors_see_too():
    """Exposure differs between images, so that a thumbnail shows the disease once it is removed."""
    _, splits = cohort(0.0)
    rng = np.random.default_rng(2)
    opacity = np.zeros((SIDE, SIDE))
    opacity[8:20, 8:20] = 10
    shown = 100 + rng.normal(0, 20, (COUNT, SIDE, SIDE))
    shown += np.linspace(-40, 40, SIDE) + splits["label"].to_numpy()[:, None, None] * opacity
    exposure = rng.uniform(0.5, 1.4, (COUNT, 1, 1))
    pixels = (shown * exposure).clip(0, 255).astype(np.uint8)[..., None]
    reads_disease = splits["label"] * 4 + rng.normal(0, 1, COUNT)
    raw = audited(pixels, splits, one=reads_disease)
    scaled = audited(
        pixels, splits, intensity=Intensity("standardised"), one=reads_disease, mix=reads_disease
    )
    for kind, found in scaled.shortcuts.items():
        assert found["thumbnail"] == raw.shortcuts[kind]["thumbnail"]
    alone = scaled.shortcuts["one_class"]
    assert alone["thumbnail, standardised"].value > alone["thumbnail"].value + 0.1
    for name, kind in (("one", "one_class"), ("mix", "mix")):
        against, found = scaled.detectors[name].against[kind], scaled.shortcuts[kind]
        assert against.any.auroc.value == max(one.value or 0 for one in found.values())
        assert against.not_the_disease.shortcut not in COARSE
    assert scaled.detectors["one"].against["one_class"].any.shortcut == "thumbnail, standardised"


def test_rounding_of_a_standardised_image_is_no_shortcut():
    pixels = np.random.default_rng(3).integers(100, 140, (COUNT, SIDE, SIDE, 1)).astype(np.uint8)
    document = audited(
        pixels, cohort(0.0)[1], intensity=Intensity("standardised"), one=range(COUNT)
    )
    for kind in document.shortcuts.values():
        assert "the same in all images" in kind["intensity, standardised"].reason


def test_what_cannot_be_had_says_why():
    pixels, splits = cohort(0.0, sex=None, view="PA")
    splits = splits[(splits["split"] == "test") | (splits["label"] == 0)].reset_index(drop=True)
    document = audited(pixels, splits, one=splits["label"])
    assert document.shortcuts["one_class"]["sex"].reason == "not recorded for any image"
    assert "the same in all images" in document.shortcuts["probe"]["view"].reason
    assert "the same in all images" in document.shortcuts["one_class"]["image size"].reason
    assert document.shortcuts["probe"]["border"].reason == FEW_LABELS
    without = audited(pixels, splits.assign(role=None), one=splits["label"])
    assert without.shortcuts["mix"]["border"].reason == NO_MIX
    assert document.shortcuts["one_class"]["border"].value is not None


def test_size_and_the_kind_of_file_are_shortcuts_too():
    pixels, splits = cohort(0.0)
    anomalous = splits["label"] == 1
    splits = splits.assign(
        width=np.where(anomalous, 64, 40), file_format=np.where(anomalous, ".jpg", ".png")
    )
    document = audited(pixels, splits, one=splits["label"])
    for kind in ("one_class", "mix", "probe"):
        assert document.shortcuts[kind]["image size"].value == 1.0
        assert document.shortcuts[kind]["file format"].value == 1.0


def test_features_are_what_they_are_called():
    images = np.zeros((2, 64, 64, 1), dtype=np.uint8)
    images[1, :4] = 255
    images[0, 20:40, 20:40] = 200
    features = pixel_features(lambda rows: images[rows], np.arange(2))
    assert features["border"][0].max() == 0.0
    assert features["border"].shape == (2, 32 * 32 - 28 * 28)
    assert features["thumbnail"].reshape(2, 8, 8)[1, 0] == pytest.approx(0.5)
    assert features["intensity"][0, 0] == pytest.approx(images[0].mean() / 255)
    told = metadata_features(
        pd.DataFrame({"file_format": [".nii", ".png", None, ""], "sex": ["F", None, "", "M"]})
    )
    assert told["file format"].tolist() == [".nii", ".png", "unknown", "unknown"]
    assert told["sex"].tolist() == ["F", "unknown", "unknown", "M"]


def test_site_sex_and_age_of_the_phantoms_know_nothing_of_the_label():
    table = phantom_table(PhantomSource(images=2000, patients=1200))
    label, split = (
        (table["category_raw"] != "normal").astype(int),
        np.where(np.arange(2000) % 2, "train", "test"),
    )
    table = table.assign(
        label=label,
        category=table["category_raw"],
        split=split,
        age_band=(table["age"] // 20).astype(str),
    )
    table = table.assign(group_known=True, row=np.arange(2000), provenance="real")
    blank = np.random.default_rng(0).integers(0, 255, (2000, 8, 8, 1)).astype(np.uint8)
    document = audited(blank, table, none=np.arange(2000))
    for kind in ("one_class", "probe"):
        for name in ("site", "sex", "age_band", "border", "intensity"):
            assert abs(document.shortcuts[kind][name].value - 0.5) < 0.06, name


def test_pairs_of_one_site_alone_count_within_sites():
    test = pd.DataFrame(
        {
            "label": [0, 1, 0, 1],
            "score": [0.1, 0.2, 0.8, 0.9],
            "site": ["a", "a", "b", "b"],
            "group_id": list("wxyz"),
        }
    )
    found = within_sites(test, 100)
    assert found.pooled.value == 1.0
    assert found.difference.value == pytest.approx(0.25)
    assert found.sites["a"].auroc.reason.startswith("insufficient: 1")
    assert within_sites(test.assign(site="a"), 100).pooled.reason.startswith("fewer than two sites")
    assert within_sites(test.drop(columns="site"), 100).pooled.reason == "no site is recorded"


def test_a_border_that_is_scaled_by_a_window_may_show_the_disease():
    assert {"border, local", "thumbnail", "thumbnail, local"} <= set(COARSE)
    assert not {"border", "border, standardised", "image size"} & set(COARSE)
