from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medgan.audits.robustness import audit_robustness, variants
from medgan.audits.scored import ScoredDetector
from medgan.audits.shortcuts import audit_shortcuts
from medgan.audits.subgroups import audit_subgroups
from medgan.errors import UserError
from medgan.evaluation.compare_runs import COLUMNS
from medgan.evaluation.detector import evaluate_detector
from medgan.evaluation.examples import case_name
from medgan.evaluation.external import Origin, evaluate_externally
from medgan.evaluation.protocol import EvaluationConfig, Protocol
from medgan.evaluation.results import VolumeScoring
from medgan.evaluation.score_table import joined, judged, scored_images, units_in
from medgan.evaluation.volumes import (
    AGGREGATES,
    BY_CONFIGURATION,
    BY_ORDER,
    BY_TIE,
    BY_VALIDATION,
    by_volume,
    choose_volume_score,
    top_tenth,
)
from medgan.stats.thresholds import Conformal

SLICES = pd.DataFrame(
    {
        "image_id": ["a0", "a1", "a2", "b0", "b1", "c"],
        "volume": ["a", "a", "a", "b", "b", None],
        "score": [1.0, 5.0, 3.0, 2.0, 0.0, 7.0],
        "label": [1, 1, 1, 0, 0, 1],
    }
)
LENGTH = 30


def profile(**heights: float) -> np.ndarray:
    """Expected scores (LENGTH,) of the slices of a volume: `all` of them, or those from a place on
    as `from_12_3=height` for three.
    """
    scores = np.full(LENGTH, heights.pop("all", 0.0))
    for name, height in heights.items():
        start, count = map(int, name.split("_")[1:])
        scores[start : start + count] += height
    return scores


def a_study(
    anomalous: np.ndarray, normal: np.ndarray, spread: float = 0.3
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores and splits of 20 volumes in each of val and test, which differ by `spread` as
    wholes.
    """
    rng = np.random.default_rng(0)
    names = [f"{part}/{number:02d}.nii.gz" for part in ("val", "test") for number in range(20)]
    table = pd.DataFrame(
        [(name, place) for name in names for place in range(LENGTH)], columns=["volume", "place"]
    )
    table["slice"] = table["place"].map("{:03d}".format)
    table["image_id"] = table["volume"] + "/" + table["slice"]
    table["split"] = table["volume"].str.extract("^([a-z]+)")
    table["label"] = table["volume"].str.extract("([0-9]+)").astype(int) % 2
    table["score"] = np.where(
        table["label"] == 1, np.tile(anomalous, len(names)), np.tile(normal, len(names))
    )
    table["score"] += rng.normal(0, 0.3, len(table)) + np.repeat(
        rng.normal(0, spread, len(names)), LENGTH
    )
    splits = table.assign(
        category=table["label"].map({0: "normal", 1: "migraine"}),
        group_id=table["volume"],
        group_known=True,
    )
    shuffled = splits.drop(columns=["score", "place"]).sample(frac=1, random_state=0)
    return table[["image_id", "split", "score"]], shuffled


DIFFUSE = a_study(profile(all=0.8), profile(from_3_1=6.0))
FOCAL = a_study(profile(from_12_1=5.0), profile(from_3_3=3.0))
THICK = a_study(profile(from_12_3=4.0), profile(from_3_1=6.0))
WANTED = {"mean": DIFFUSE, "max": FOCAL, "top10%": THICK}


def test_a_volume_has_one_score_and_shows_its_worst_slice() -> None:
    volumes = by_volume(SLICES, "mean")
    assert volumes[["image_id", "score", "label"]].to_numpy().tolist() == [
        ["a1", 3.0, 1],
        ["b0", 1.0, 0],
        ["c", 7.0, 1],
    ]
    assert volumes[["position", "n_slices"]].to_numpy().tolist() == [[2, 3], [1, 2], [1, 1]]
    assert by_volume(SLICES, "max")["score"].tolist() == [5.0, 2.0, 7.0]


@pytest.mark.parametrize(
    ("slices", "counted"), [(1, 1), (9, 1), (10, 1), (19, 1), (20, 2), (25, 2), (30, 3)]
)
def test_the_top_tenth_is_rounded_down_and_one_slice_at_least(slices: int, counted: int) -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1.0, slices + 1))
    expected = np.arange(slices, slices - counted, -1.0).mean()
    assert top_tenth(pd.Series(scores)) == expected
    table = pd.DataFrame(
        {"image_id": [str(number) for number in range(slices)], "volume": "v", "score": scores}
    )
    assert by_volume(table, "top10%")["score"].tolist() == [expected]


@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_images_that_are_no_slices_stay_as_they_are(aggregate: str) -> None:
    alone = SLICES.drop(columns="volume")
    assert by_volume(alone, aggregate).equals(alone)
    assert by_volume(alone.assign(volume=None), aggregate).equals(alone.assign(volume=None))
    scores, splits = FOCAL
    row = evaluate_detector(
        scores, splits.drop(columns="volume"), Protocol(n_resamples=20, volume_score=aggregate)
    )
    assert row.volume_score is None


def test_slices_are_placed_by_their_number_whatever_their_order() -> None:
    table = pd.DataFrame(
        {
            "image_id": list("pqrs"),
            "volume": "v",
            "slice": ["9", "-3.5", "100", "10"],
            "score": [0.0, 0.0, 0.0, 1.0],
        }
    )
    assert by_volume(table, "max")[["image_id", "position", "n_slices"]].to_numpy().tolist() == [
        ["s", 3, 4]
    ]


@pytest.mark.parametrize("best", WANTED)
def test_validation_chooses_for_each_detector_and_the_row_says_so(best: str) -> None:
    scores, splits = WANTED[best]
    row = evaluate_detector(scores, splits, Protocol(n_resamples=100))
    told = row.volume_score
    areas = {name: figure.value for name, figure in told.validation_auroc.items()}
    assert told.aggregate == best == max(areas, key=lambda name: areas[name])
    assert told.chosen_by in (BY_VALIDATION, BY_TIE)
    assert set(areas) == set(AGGREGATES)
    assert (told.n_volumes, told.n_anomalous) == (20, 10)
    assert told.validation_auroc[best] == row.validation_auroc
    assert "30 slices" in told.slice_count_auroc.reason
    fixed = evaluate_detector(scores, splits, Protocol(n_resamples=100, volume_score=best))
    assert fixed.volume_score.chosen_by == BY_CONFIGURATION
    for key in ("auroc", "threshold", "sensitivity", "validation", "patient_level"):
        assert getattr(fixed, key) == getattr(row, key)


def test_the_choice_and_the_threshold_do_not_know_the_test_labels_nor_the_test_scores() -> None:
    scores, splits = FOCAL
    test = splits["split"] == "test"
    clean = evaluate_detector(scores, splits, Protocol(n_resamples=100))
    flipped = splits.assign(label=splits["label"].where(~test, 1 - splits["label"]))
    other = scores.assign(
        score=scores["score"].where(scores["split"] == "val", DIFFUSE[0]["score"])
    )
    for row in (
        evaluate_detector(scores, flipped, Protocol(n_resamples=100)),
        evaluate_detector(other, splits, Protocol(n_resamples=100)),
    ):
        for key in ("aggregate", "chosen_by", "validation_auroc"):
            assert getattr(row.volume_score, key) == getattr(clean.volume_score, key)
        assert (row.threshold, row.validation) == (clean.threshold, clean.validation)
    validation = splits.assign(label=splits["label"].where(test, 1 - splits["label"]))
    assert (
        evaluate_detector(scores, validation, Protocol(n_resamples=100)).volume_score.aggregate
        != "max"
    ), "the same poison is seen on validation"


def test_the_choice_is_made_while_test_labels_cannot_be_read() -> None:
    scores, splits = FOCAL
    sealed = splits.astype({"label": object})
    sealed.loc[sealed["split"] == "test", "label"] = None
    assert choose_volume_score(scored_images(scores, sealed, "val")) == choose_volume_score(
        scored_images(scores, splits, "val")
    )


def test_without_a_choice_it_is_the_mean() -> None:
    scores, splits = FOCAL
    healthy = splits[(splits["split"] == "test") | (splits["label"] == 0)]
    row = evaluate_detector(scores, healthy, Protocol(n_resamples=100))
    assert (
        row.volume_score.aggregate,
        row.volume_score.chosen_by,
        row.labels_used,
    ) == ("mean", BY_ORDER, "none")
    assert all(
        figure.value is None and figure.reason
        for figure in row.volume_score.validation_auroc.values()
    )
    perfect = scored_images(
        scores.assign(
            score=splits.set_index("image_id").loc[scores["image_id"], "label"].to_numpy()
        ),
        splits,
        "val",
    )
    tied = choose_volume_score(perfect)
    assert (tied.aggregate, tied.chosen_by) == ("mean", BY_TIE)


def test_of_equally_good_ones_the_one_that_leans_less_on_single_slices_is_taken() -> None:
    scores, splits = FOCAL
    few = splits[splits["slice"].astype(int) < 19]  # of so few slices the top tenth is the maximum
    found = choose_volume_score(scored_images(scores, few, "val"))
    assert (found.aggregate, found.chosen_by) == ("top10%", BY_TIE)


def test_labels_that_chose_how_volumes_are_scored_are_labels_used() -> None:
    scores, splits = FOCAL
    row = evaluate_detector(scores, splits, Protocol(n_resamples=100, rule=Conformal(0.05)))
    assert row.labels_used == "volume_score"
    assert [told.labels_used for told in row.decisions.values()] == [
        "threshold",
        "volume_score",
        "volume_score",
    ]
    fixed = evaluate_detector(
        scores, splits, Protocol(n_resamples=100, rule=Conformal(0.05), volume_score="max")
    )
    assert fixed.labels_used == "none"


def test_longer_volumes_of_patients_are_a_warning_where_the_score_rises_with_their_length() -> None:
    scores, splits = a_study(profile(), profile(), spread=0.0)
    short = splits[(splits["label"] == 1) | (splits["slice"].astype(int) < 12)]
    row = evaluate_detector(scores, short, Protocol(n_resamples=100, volume_score="max"))
    assert row.volume_score.slice_count_auroc.value == 1.0
    assert any("number of slices alone" in warning for warning in row.warnings)
    assert row.auroc.value > 0.6, "noise alone does it"
    for other in (
        evaluate_detector(scores, short, Protocol(n_resamples=100, volume_score="mean")),
        evaluate_detector(scores, splits, Protocol(n_resamples=100)),
    ):
        assert not any("number of slices" in warning for warning in other.warnings)


def test_every_document_about_a_detector_has_its_scores_of_volumes() -> None:
    scores, splits = FOCAL
    row = evaluate_detector(scores, splits, Protocol(n_resamples=100))
    auroc, cut = row.auroc.value, row.threshold.value
    highest = joined(scores, splits, "test", "max")
    assert (
        auroc
        != evaluate_detector(
            scores, splits, Protocol(n_resamples=100, volume_score="mean")
        ).auroc.value
    )
    units = units_in(judged(scores, splits, row), "test", row)[list(COLUMNS)]
    assert units["score"].tolist() == highest["score"].tolist()
    assert units["called"].sum() == np.array(row.confusion_matrix)[:, 1].sum()
    detector = ScoredDetector.of(scores, row)
    assert (detector.threshold, detector.aggregate) == (cut, "max")
    groups = audit_subgroups(detector, splits.assign(sex="F"), None, 100, 0)
    assert groups.tested.scored_unit == "volume"
    test = scores[scores["split"] == "test"]
    arrays = {
        "image_id": test["image_id"].to_numpy(),
        "scores": np.tile(test["score"].to_numpy(), (len(list(variants())), 1)),
        "reason": "",
    }
    assert audit_robustness(arrays, detector, splits, 100, 0).clean == row.auroc
    outside = evaluate_externally(scores, splits, row, Origin("elsewhere", ""), 100, 0)
    assert (outside.auroc, outside.confusion_matrix) == (row.auroc, row.confusion_matrix)
    assert outside.volume_score == VolumeScoring(aggregate="max", chosen_by="frozen on elsewhere")
    alone = test[["image_id"]].assign(
        **{"one_class/border": test["score"], "probe/border": -test["score"]}
    )
    audit = audit_shortcuts(alone, {}, {"it": detector}, splits, 100, 0)
    told = audit.detectors["it"]
    assert told.auroc.value == auroc == told.against["one_class"].any.auroc.value, (
        "the same scores, read alike"
    )
    assert audit.shortcuts["one_class"]["border"].value != auroc, "alone it is the mean"


def test_pictures_name_the_volume_and_the_place_of_the_slice() -> None:
    scores, splits = FOCAL
    row = joined(scores, splits, "test", "max").sort_values("score").iloc[-1].to_dict()
    assert case_name(row).endswith(".nii 13/30")
    assert len(case_name({**row, "volume": "x" * 80}, 22)) <= 22
    assert case_name({"image_id": "a/film.png", "volume": None}) == "film"


def test_figures_count_volumes() -> None:
    """One outlying slice of a healthy volume is the first of all slices; its volume is not."""
    scores, splits = DIFFUSE
    row = evaluate_detector(scores, splits, Protocol(n_resamples=20))
    assert (row.n_images, row.scored_unit, row.n_patients) == (20, "volume", 20)
    assert row.auroc.value > 0.85
    assert (
        evaluate_detector(
            scores, splits.drop(columns="volume"), Protocol(n_resamples=20)
        ).auroc.value
        < row.auroc.value
    )
    assert not any("Fold" in text for text in row.warnings)
    folded = evaluate_detector(scores, splits.assign(fold="3 of 25"), Protocol(n_resamples=20))
    assert any(text.startswith("Fold 3 of 25 of a small cohort") for text in folded.warnings)


def test_an_unknown_score_of_volumes_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"evaluation\.volume_score is 'median': use auto, mean, top10% or max"
    ):
        EvaluationConfig(volume_score="median")


def test_one_table_has_the_split_the_label_the_score_and_the_decision_of_every_image() -> None:
    scores, splits = FOCAL
    row = evaluate_detector(scores, splits, Protocol(n_resamples=100))
    table = judged(scores, splits, row)
    assert set(table["split"]) == {"val", "test"}
    assert len(table) == len(scores)
    test = units_in(table, "test", row)
    expected = joined(scores, splits, "test", "max")
    assert test[list(expected.columns)].equals(expected)
    assert test["called"].tolist() == row.threshold.decide(test["score"].to_numpy()).tolist()
    assert (table.groupby("unit")["called"].nunique() == 1).all()
