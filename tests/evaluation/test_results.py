import copy

import pytest

from medgan.errors import UserError
from medgan.evaluation.results import new_document, rows_of, validate
from medgan.report.tables import render_text
from medgan.report.text import best_first, direction, number, pairing_name, with_interval

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
    made = new_document("phantoms", "test", {"seed": 0})
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
    text = render_text(document, width)
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
    text = render_text(document)
    assert "patients unknown" in text
    assert "image interval, likely too narrow" in text
    assert "patient interval" not in text.split("Classifier arms")[0]


def test_what_has_not_been_run_names_its_command():
    text = render_text(new_document("phantoms"))
    for pipeline in ("anomaly_evaluation", "classifier_training", "synthesis"):
        assert f"kedro run --pipeline {pipeline}" in " ".join(text.split())


def test_a_warning_of_all_detectors_stands_once(document):
    for row in document["detectors"].values():
        row["warnings"] = ["Patients are unknown."]
    document["detectors"]["dcgan"]["warnings"] = ["Patients are unknown.", "AUROC is under 0.5."]
    text = render_text(document)
    assert text.count("Patients are unknown.") == 1
    assert "dcgan: AUROC is under 0.5." in text


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda made: made.update(schema=2), "schema"),
        (lambda made: made.pop("quality"), "quality"),
        (lambda made: made.update(detectors=[]), "detectors"),
        (lambda made: made["detectors"]["dcgan"].pop("auroc"), r"detectors\.dcgan"),
        (
            lambda made: made["detectors"]["dcgan"].update(f1={"value": None}),
            r"detectors\.dcgan\.f1",
        ),
        (lambda made: made["classifiers"]["real"].pop("seeds"), "seeds"),
    ],
)
def test_a_damaged_document_is_refused_with_the_place(document, damage, complaint):
    validate(document)
    damage(document)
    with pytest.raises(UserError, match=complaint):
        validate(document)


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_f47_a_number_that_is_not_finite_is_refused_with_its_place(document, number):
    document["quality"]["acgan"]["overall"]["psnr_nearest"]["value"] = number
    with pytest.raises(UserError, match=r"results\.quality\.acgan\.overall\.psnr_nearest\.value"):
        validate(document)


def test_the_best_comes_first_and_the_unknown_last(document):
    document["detectors"]["mix_vs_normal"]["auroc"] = {"value": 0.9}
    assert best_first(document["detectors"]) == ["mix_vs_normal", "dcgan", "flat"]


def test_names_keep_pairing_and_backbone():
    assert (
        pairing_name("lpips_squeeze-caffe_nearest") == "LPIPS (squeeze-caffe), nearest real image"
    )
    assert pairing_name("ms_gmsd_random") == "MS-GMSD, random real image"
    assert pairing_name("fid_domain") == "Fréchet distance, domain features"
    assert pairing_name("coverage_domain") == "Coverage, domain features"
    assert [direction(key) for key in ("recall_domain", "kid_domain", "copied_share_domain")] == [
        "higher",
        "lower",
        "lower",
    ]
    assert number({"value": -0.0001}) == "0.000"
    assert with_interval({"value": 0.5, "low": None, "high": None}) == "0.500"


def test_rows_of_a_section_as_the_catalog_keeps_it():
    assert rows_of({"data": "key", "rows": {"a": 1}}) == {"a": 1}
    assert rows_of(None) == {}
