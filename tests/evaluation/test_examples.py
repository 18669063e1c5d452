"""Which images are shown: extremes, close calls, and a draw that is the same for one seed and
honest about its size.
"""

import numpy as np
import pandas as pd
import pytest

from medgan.evaluation.examples import (
    KINDS,
    closest_examples,
    most_confident_examples,
    random_errors,
    share_below,
    short_name,
    with_kinds,
)

CUT = 0.5


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "image_id": [f"i{n:03d}" for n in range(200)],
            "label": rng.integers(0, 2, 200),
            "score": rng.random(200),
        }
    )


def test_kinds_are_the_four_cells_of_the_confusion_matrix(table):
    kinds = with_kinds(table, CUT)
    called, anomalous = kinds["score"] >= CUT, kinds["label"] == 1
    for kind, cell in zip(
        KINDS,
        (called & anomalous, ~called & anomalous, called & ~anomalous, ~called & ~anomalous),
        strict=True,
    ):
        assert (kinds["kind"] == kind).equals(cell)


def test_the_most_confident_are_the_farthest_and_the_closest_the_nearest(table):
    kinds = with_kinds(table, CUT)
    for choose, extreme in ((most_confident_examples, np.max), (closest_examples, np.min)):
        chosen = choose(table, CUT, 3)
        assert list(dict.fromkeys(chosen["kind"])) == list(KINDS)
        for kind, rows in chosen.groupby("kind"):
            assert len(rows) == 3
            assert rows["margin"].iloc[0] == extreme(kinds.loc[kinds["kind"] == kind, "margin"])


def test_random_errors_are_errors_half_and_half_and_the_same_for_a_seed(table):
    drawn = random_errors(table, CUT, 20, 0)
    assert drawn["kind"].value_counts().to_dict() == {"false negative": 10, "false positive": 10}
    assert (
        drawn["image_id"].tolist()
        == random_errors(table.sample(frac=1, random_state=3), CUT, 20, 0)["image_id"].tolist()
    )
    assert drawn["image_id"].tolist() != random_errors(table, CUT, 20, 1)["image_id"].tolist()


def test_one_kind_fills_up_where_the_other_is_short(table):
    few = pd.concat(
        [table[table["label"] == 0], table[(table["label"] == 1) & (table["score"] < CUT)].head(3)]
    )
    assert random_errors(few, CUT, 20, 0)["kind"].value_counts().to_dict() == {
        "false positive": 17,
        "false negative": 3,
    }
    assert random_errors(table.assign(score=table["label"]), CUT, 20, 0).empty


def test_a_random_error_is_no_extreme_one(table):
    """Every error is drawn about equally often."""
    kinds = with_kinds(table, CUT)
    misses = kinds.loc[kinds["kind"] == "false negative", "image_id"]
    counts = pd.concat([random_errors(table, CUT, 20, seed) for seed in range(200)])[
        "image_id"
    ].value_counts()
    expected = 200 * 10 / len(misses)
    assert counts.reindex(misses, fill_value=0).between(0.5 * expected, 1.6 * expected).all()


def test_names_and_shares_are_short():
    assert short_name("train/NORMAL/IM-0001-0001.jpeg") == "IM-0001-0001"
    assert len(short_name("x" * 60)) <= 26
    assert short_name("plain") == "plain"
    assert share_below(0.5, np.array([0.1, 0.2, 0.5, 0.9])) == "50 %"
