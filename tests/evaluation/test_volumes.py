from __future__ import annotations

import pandas as pd

from medgan.evaluation.detectors import evaluate_detector
from medgan.evaluation.volumes import by_volume

SLICES = pd.DataFrame(
    {
        "image_id": ["a0", "a1", "a2", "b0", "b1", "c"],
        "volume": ["a", "a", "a", "b", "b", None],
        "score": [1.0, 5.0, 3.0, 2.0, 0.0, 7.0],
        "label": [1, 1, 1, 0, 0, 1],
    }
)


def test_a_volume_has_the_mean_score_and_shows_its_worst_slice() -> None:
    volumes = by_volume(SLICES)
    assert volumes[["image_id", "score", "label"]].to_numpy().tolist() == [["a1", 3.0, 1], ["b0", 1.0, 0], ["c", 7.0, 1]]


def test_images_that_are_no_slices_stay_as_they_are() -> None:
    alone = SLICES.drop(columns="volume")
    assert by_volume(alone).equals(alone)
    assert by_volume(alone.assign(volume=None)).equals(alone.assign(volume=None))


def test_figures_count_volumes() -> None:
    """One outlying slice of a healthy volume would be the first of all slices; its volume is not."""
    volumes = [f"{part}{number}" for part in ("val", "test") for number in range(8)]
    table = pd.DataFrame(
        [(f"{name}-{place}", name, place) for name in volumes for place in range(5)], columns=["image_id", "volume", "place"]
    )
    table["split"] = table["volume"].str.extract("([a-z]+)")
    table["label"] = table["volume"].str[-1].astype(int) % 2
    table["score"] = table["label"] * 1.0 + (table["place"] == 0) * (1 - table["label"]) * 3.0
    splits = table.assign(category=table["label"].map({0: "normal", 1: "migraine"}), group_id=table["volume"], group_known=True)
    row = evaluate_detector(table[["image_id", "score"]], splits.drop(columns="score"), n_boot=20)
    assert (row["n_images"], row["scored_unit"], row["n_patients"]) == (8, "volume", 8)
    assert row["auroc"]["value"] == 1.0
    assert not any("Fold" in text for text in row["warnings"])
    folded = evaluate_detector(table[["image_id", "score"]], splits.drop(columns="score").assign(fold="3 of 25"), n_boot=20)
    assert any(text.startswith("Fold 3 of 25 of a small cohort") for text in folded["warnings"])
