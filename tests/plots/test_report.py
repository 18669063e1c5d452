import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from medgan.evaluation.results import new_document
from medgan.evaluation.story import tell
from medgan.plots.report import render_report

PNG = b"\x89PNG not really"
FIGURE = {"value": 0.851, "low": 0.82, "high": 0.88}
ROW = {
    **dict.fromkeys(("auroc", "average_precision", "sensitivity", "specificity", "precision", "f1"), FIGURE),
    "n_images": 160,
    "n_patients": 60,
    "n_anomalous": 100,
    "interval_unit": "patient",
    "n_seeds": 1,
    "seeds": [0],
    "threshold": {"rule": "youden", "value": 0.3},
    "sees_mix": False,
    "labels_used": "threshold",
    "warnings": [],
    "per_category": {},
}
SPLITS = pd.DataFrame({"category": ["normal", "viral"], "split": ["test", "test"], "images": [60, 100], "patients": [20, 40]})


def auroc(value):
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


def document(**detectors):
    made = new_document("phantoms", "test", {"seed": 0})
    made["detectors"] = detectors or {"nearest_neighbour": ROW, "dcgan": {**ROW, "auroc": auroc(0.6), "search_steps": 50}}
    return made


class Checker(HTMLParser):
    """Every tag that is opened is closed, and nothing is fetched."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.sources = [], []

    def handle_starttag(self, tag, attrs):
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_fetches_nothing():
    page = render_report(tell(document(), SPLITS), {"forest": PNG, "roc": PNG, "confusion_dcgan": PNG, "heatmaps_dcgan": PNG})
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert len([source for source in checker.sources if source.startswith("data:image/png;base64,")]) == 4
    assert all(source.startswith(("data:", "#")) for source in checker.sources)
    assert not re.search(r"https?://|@import|<script", page)


def test_the_answer_comes_first_with_its_interval_and_its_number():
    page = render_report(tell(document(), SPLITS), {})
    answer = re.search(r"<h1>(.*?)</h1>", page, re.S).group(1)
    for expected in ("Nearest neighbour", "0.851 [0.820, 0.880]", "160 images of 60 patients"):
        assert expected in answer


def test_a_gan_that_loses_is_reported_as_losing():
    assert any("0.251 below" in sentence and "not earned its cost" in sentence for sentence in tell(document(), SPLITS).details)
    winning = document(nearest_neighbour=ROW, dcgan={**ROW, "auroc": auroc(0.9)})
    assert any("0.049 above" in sentence for sentence in tell(winning, SPLITS).details)


def test_a_gan_is_not_held_against_a_baseline_that_sees_more():
    rows = document(
        mix_vs_normal={**ROW, "sees_mix": True, "auroc": auroc(0.95)},
        autoencoder={**ROW, "auroc": auroc(0.7)},
        dcgan={**ROW, "auroc": auroc(0.8)},
    )
    assert any("0.100 above" in sentence and "autoencoder" in sentence for sentence in tell(rows, SPLITS).details)


def test_no_skill_is_not_called_skill():
    assert "not shown to be better than chance" in tell(document(dcgan={**ROW, "auroc": auroc(0.52)}), SPLITS).answer
    unknown = document(dcgan={**ROW, "auroc": {"value": None, "reason": "the images are all of one class"}})
    assert tell(unknown, SPLITS).answer == "No detector can be ranked: the images are all of one class."


def test_what_was_not_run_says_how_to_run_it():
    page = render_report(tell(document(), SPLITS), {})
    for pipeline in ("classifier_training", "synthesis"):
        assert f"kedro run --pipeline {pipeline}" in page


@pytest.mark.parametrize("words", ["not a medical device", "Limits", "frozen on validation", "exploratory"])
def test_the_limits_are_on_the_page(words):
    assert words in render_report(tell(document(), SPLITS), {})


def test_unknown_patients_are_said_where_the_intervals_are():
    row = {**ROW, "n_patients": None, "interval_unit": "image"}
    page = render_report(tell(document(dcgan=row), SPLITS.drop(columns="patients")), {})
    assert "likely too narrow" in page
    assert "patients are unknown" in page
    assert "patient interval" not in page


def test_names_cannot_inject_markup():
    made = document(**{"<script>alert(1)</script>": ROW})
    assert "<script" not in render_report(tell(made, SPLITS), {"confusion_<script>": PNG})


def test_arms_and_quality_are_shown_where_they_are():
    made = document()
    made["classifiers"] = {"gan_classical": {**dict.fromkeys(("accuracy", "precision", "recall", "f1", "auroc"), FIGURE), **ROW}}
    made["quality"] = {"acgan": {"overall": {"psnr_nearest": {"value": 20.1, "n": 600, "real_vs_real": 21.0}}, "normal": {}}}
    page = render_report(tell(made, SPLITS), {"confusion_gan_classical": PNG, "samples_acgan": PNG})
    assert "gan + classical" in page
    assert "20.1 (21.0)" in page
    assert "Synthetic images drawn by acgan, not selected." in page


def test_generators_are_compared_on_the_class_that_they_share_and_shown_alone_where_they_draw_several():
    def figures(value):
        return {
            "psnr_random": {"value": value, "n": 100, "real_vs_real": 20.7},
            "lpips_alex_random": {"value": None, "reason": "no weights"},
        }

    made = document()
    made["quality"] = {
        "acgan": {"overall": figures(19.0), "normal": figures(20.0), "viral": figures(18.0)},
        "dcgan": {"overall": figures(20.5), "normal": figures(20.5)},
    }
    together, alone = tell(made, SPLITS).quality
    assert together.title == "All generators, normal images"
    assert list(together.columns) == ["Figure", "acgan", "dcgan", "Images", "Better"]
    assert list(together.rows[0]) == ["PSNR, random real image", "20.0 (20.7)", "20.5 (20.7)", "100", "higher"]
    assert together.note.count("no weights") == 1
    assert (alone.title, list(alone.columns)[1:4]) == ("acgan", ["overall", "normal", "viral"])
    made["quality"].pop("dcgan")
    assert [table.title for table in tell(made, SPLITS).quality] == ["acgan"]
