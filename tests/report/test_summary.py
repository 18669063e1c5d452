import copy

import pytest

from medgan.evaluation.reading import read_results
from medgan.evaluation.results import Results
from medgan.files.documents import to_json
from medgan.report.summary import comparison_table, render_text

FIGURE = {"value": 0.851, "low": 0.82, "high": 0.88}
COUNTS = {"n_images": 160, "n_patients": 60, "interval_unit": "patient", "n_seeds": 1, "seeds": [0]}
DETECTOR = {
    **dict.fromkeys(
        ("auroc", "average_precision", "sensitivity", "specificity", "precision", "f1"), FIGURE
    ),
    **COUNTS,
    "threshold": {"rule": "youden", "value": 0.3},
    "sees_mix": False,
    "labels_used": "threshold",
    "warnings": [],
}
ARM = {**dict.fromkeys(("accuracy", "precision", "recall", "f1", "auroc"), FIGURE), **COUNTS}


@pytest.fixture
def document():
    made = to_json(Results(dataset="phantoms", provenance={"seed": 0}))
    unknown = {"value": None, "reason": "not estimable: the images are all of one class"}
    made["detectors"] = {
        "flat": {**DETECTOR, "auroc": unknown},
        "dcgan": {**DETECTOR, "search_steps": 50},
        "mix_vs_normal": {**DETECTOR, "sees_mix": True},
    }
    made["classifiers"] = {"real": ARM, "gan_classical": ARM}
    made["quality"] = {
        "acgan": {
            "overall": {
                "psnr_nearest": {"value": 20.1, "n": 600, "real_vs_real": 21.0},
                "lpips_squeeze_random": {"value": None, "reason": "no weights"},
            }
        }
    }
    return copy.deepcopy(made)


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_table_fits_its_width_and_says_what_matters(document, width):
    text = render_text(read_results(document), width)
    assert max(map(len, text.splitlines())) <= width
    for expected in (
        "0.851 [0.820, 0.880]",
        "160 images of 60 patients",
        "search",
        "unlabelled",
        "95 % patient interval",
        "exploratory",
        "no weights",
        "20.100",
    ):
        assert expected in text


def test_unknown_patients_are_named_in_the_table(document):
    for row in document["detectors"].values():
        row |= {"n_patients": None, "interval_unit": "image"}
    text = render_text(read_results(document))
    assert "patients unknown" in text
    assert "image interval, likely too narrow" in text
    assert "patient interval" not in text.split("Classifier arms")[0]


def test_what_has_not_been_run_names_its_command():
    text = render_text(Results(dataset="phantoms"))
    for pipeline in ("anomaly_evaluation", "classifier_training", "synthesis"):
        assert f"kedro run --pipeline {pipeline}" in " ".join(text.split())


def test_what_was_left_out_says_why_and_smoke_is_marked():
    why = "it learns from labels, and all images are normal"
    left_out = {"classifiers": {"real": why, "gan": why}, "quality": {"acgan": why}}
    results = Results(dataset="phantoms", provenance={"scale": "smoke"}, left_out=left_out)
    text = " ".join(render_text(results).split())
    assert text.startswith("*** scale=smoke: figures mean nothing ***")
    assert f"Classifier arms: left out: {why}." in text
    assert f"Left out: real, gan, acgan: {why}." in text
    assert "kedro run --pipeline classifier_training" not in text
    assert "smoke" not in render_text(Results(dataset="phantoms", provenance={"scale": "cpu"}))


def test_a_warning_of_all_detectors_stands_once(document):
    for row in document["detectors"].values():
        row["warnings"] = ["Patients are unknown."]
    document["detectors"]["dcgan"]["warnings"] = ["Patients are unknown.", "AUROC is under 0.5."]
    text = render_text(read_results(document))
    assert text.count("Patients are unknown.") == 1
    assert "dcgan: AUROC is under 0.5." in text


def test_the_comparison_has_every_metric_with_its_bounds(document):
    table = comparison_table(read_results(document).detectors)
    assert table["detector"].tolist() == ["flat", "dcgan", "mix_vs_normal"]
    assert list(table.columns[:4]) == ["detector", "auroc", "auroc_low", "auroc_high"]
    assert table.set_index("detector").loc["dcgan", ["f1", "f1_low"]].tolist() == [0.851, 0.82]
    assert table["auroc"].isna().tolist() == [True, False, False]
    assert table["threshold_rule"].unique().tolist() == ["youden"]
