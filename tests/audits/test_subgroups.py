import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medgan.audits.cohort import leakage_verdict
from medgan.audits.scored import ScoredDetector
from medgan.audits.subgroups import NOTHING_KNOWN, audit_subgroups, periods
from medgan.files.documents import from_json, to_json
from medgan.images.leakage import Leak, LeakageAudit
from medgan.images.metadata import UNKNOWN
from medgan.stats.bootstrap import Estimate
from medgan.stats.strata import MINIMUM


def cohort(n=1200, seed=0, **columns):
    rng = np.random.default_rng(seed)
    patient = np.sort(rng.integers(0, n // 2, n))
    label = patient % 2
    splits = pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(n)],
            "group_id": [f"p{number}" for number in patient],
            "group_known": True,
            "label": label,
            "category": np.where(label, "viral", "normal"),
            "split": np.where(patient % 10 < 2, "train", "test"),
            "sex": np.where(patient % 3 == 0, "F", "M"),
            **columns,
        }
    )
    return splits, splits[["image_id"]].assign(score=rng.normal(label * 1.5, 1))


def audit(scores, splits, n_resamples):
    return audit_subgroups(ScoredDetector(scores, 0.75), splits, None, n_resamples)


def test_figures_of_a_group_are_those_of_its_images_at_the_frozen_threshold():
    splits, scores = cohort()
    document = audit(scores, splits, 200)
    women = (splits["split"] == "test") & (splits["sex"] == "F")
    told = document.groups["sex"]["F"]
    sick = women & (splits["label"] == 1)
    assert told.sensitivity.value == pytest.approx((scores["score"][sick] >= 0.75).mean())
    assert (told.n_images, told.n_anomalous) == (women.sum(), sick.sum())
    assert told.n_patients == splits.loc[women, "group_id"].nunique()
    assert told.training_images == ((splits["split"] == "train") & (splits["sex"] == "F")).sum()
    assert told.auroc.low < told.auroc.value < told.auroc.high
    assert document.threshold == 0.75
    json.dumps(to_json(document), allow_nan=False)


def test_a_detector_that_fails_one_sex_is_caught_with_the_better_group_first():
    splits, scores = cohort()
    blind = (splits["sex"] == "F") & (splits["label"] == 1)
    scores.loc[blind, "score"] -= 1.5
    document = audit(scores, splits, 300)
    gap = document.gaps["sex"]["sensitivity"]
    assert gap.between == ("M", "F")
    assert gap.low > 0.2
    assert gap.p_holm < 0.01
    assert document.gaps["sex"]["specificity"].p_holm > 0.05
    assert "sensitivity of sex F" in document.sentence or "auroc of sex F" in document.sentence


def test_without_a_gap_none_is_claimed_and_holm_pays_for_the_search():
    rng = np.random.default_rng(3)
    splits, scores = cohort(2400, seed=3, site=rng.choice(list("abcdef"), 2400))
    document = audit(scores, splits, 300)
    gaps = [
        gap
        for figures in document.gaps.values()
        for gap in figures.values()
        if gap.value is not None
    ]
    assert all(gap.p_holm >= gap.p for gap in gaps)
    assert not any(gap.p_holm < 0.05 for gap in gaps)
    assert document.sentence.startswith("No gap between groups is shown")


def test_small_groups_are_insufficient_and_unknown_is_a_group_that_is_compared_with_none():
    splits, scores = cohort(site="a")
    few = (splits["split"] == "test") & (splits["label"] == 1)
    splits.loc[few[few].index[: MINIMUM - 1], "site"] = "b"
    splits.loc[few[few].index[MINIMUM : 2 * MINIMUM], "site"] = None
    document = audit(scores, splits, 100)
    assert document.groups["site"]["b"].sensitivity == Estimate(
        None, reason="insufficient: 49 anomalous images, 50 are needed"
    )
    assert document.groups["site"][UNKNOWN].sensitivity.value is not None
    assert list(document.groups["site"]) == ["a", "b", UNKNOWN]
    assert document.gaps["site"]["sensitivity"].reason.startswith("insufficient")
    assert set(document.shifts["site"]) == {"a", "b"}


def test_a_site_that_is_worse_than_all_others_is_a_shift():
    rng = np.random.default_rng(4)
    splits, scores = cohort(2400, seed=4, site=rng.choice(list("abc"), 2400))
    worse = splits["site"] == "c"
    scores.loc[worse, "score"] = rng.normal(size=worse.sum())
    shifts = audit(scores, splits, 300).shifts["site"]
    assert shifts["c"].high < -0.2
    assert shifts["a"].low > 0


def test_where_nothing_is_known_one_sentence_says_so():
    splits, scores = cohort(sex=None, view="PA")
    document = audit(scores, splits, 100)
    assert document.groups == {}
    assert document.sentence == NOTHING_KNOWN
    assert document.not_measured["view"] == "the same for all test images (PA)"
    assert document.not_measured["sex"] == "not recorded for any test image"


def test_periods_are_years_or_halves():
    dates = pd.Series(["2015-03-01", "20160501", "2016", None, "no date"])
    assert periods(dates, dates).tolist() == ["2015", "2016", "2016", UNKNOWN, UNKNOWN]
    days = pd.Series([f"2016-05-{day:02d}" for day in range(1, 11)])
    halved = periods(days, days)
    assert halved.value_counts().tolist() == [5, 5]
    assert halved[0] == "until 2016-05-05"
    assert periods(pd.Series(["2017-01-01"]), days).tolist() == ["after 2016-05-05"]
    assert set(periods(pd.Series([None, None]), pd.Series([None]))) == {UNKNOWN}


def test_the_verdict_on_leakage_is_restated():
    document = json.loads((Path(__file__).parent / "documents.json").read_text())["LeakageAudit"]
    audited = from_json(LeakageAudit, document[0] | {"verdict": "leak", "dropped": 5})
    shared = {"patients": Leak(3, 6, []), "pixels": Leak(1, 2, [])}
    assert leakage_verdict(replace(audited, shared=shared)).sentence == (
        "Leakage audit of the split: leak (3 patients and 1 pictures are in two parts; 5 images were left out for it)."
    )
    assert leakage_verdict(None).verdict is None
