import copy
import json
from pathlib import Path

import pytest

from medgan.errors import UserError
from medgan.evaluation.details import CategoriesResult
from medgan.evaluation.reading import SECTIONS, read_results
from medgan.evaluation.results import ClassifierResult, DetectorResult, Results, SynthesisResult
from medgan.files.documents import from_json, to_json

STORED = Path(__file__).parents[2] / "docs" / "results"
METRIC = {"value": 0.851, "low": 0.82, "high": 0.88}
COUNTS = {"n_images": 160, "n_patients": 60, "interval_unit": "patient", "n_seeds": 1, "seeds": [0]}
DETECTOR = {
    **dict.fromkeys(
        ("auroc", "average_precision", "sensitivity", "specificity", "precision", "f1"), METRIC
    ),
    **COUNTS,
    "threshold": {"rule": "youden", "value": 0.3},
    "sees_mix": False,
    "labels_used": "threshold",
    "warnings": [],
}
ARM = {**dict.fromkeys(("accuracy", "precision", "recall", "f1", "auroc"), METRIC), **COUNTS}


@pytest.fixture
def document():
    unknown = {"value": None, "reason": "not estimable: the images are all of one class"}
    overall = {
        "psnr_nearest": {"value": 20.1, "n": 600, "real_vs_real": 21.0},
        "lpips_squeeze_random": {"value": None, "reason": "no weights"},
    }
    made = to_json(Results(dataset="phantoms", provenance={"seed": 0})) | {
        "detectors": {"flat": {**DETECTOR, "auroc": unknown}, "dcgan": DETECTOR},
        "classifiers": {"real": ARM, "gan_classical": ARM},
        "quality": {"acgan": {"overall": overall}},
    }
    return copy.deepcopy(made)


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
        (lambda made: made["detectors"]["dcgan"].pop("threshold"), r"dcgan\.threshold"),
    ],
)
def test_a_damaged_document_is_refused_with_the_place(document, damage, complaint):
    read_results(document)
    damage(document)
    with pytest.raises(UserError, match=complaint):
        read_results(document)


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_f47_a_number_that_is_not_finite_is_refused_with_its_place(document, number):
    document["quality"]["acgan"]["overall"]["psnr_nearest"]["value"] = number
    with pytest.raises(UserError, match=r"results\.quality\.acgan\.overall\.psnr_nearest\.value"):
        read_results(document)


def test_a_metric_that_was_not_stored_is_missing_with_a_reason(document):
    row = read_results(document).detectors["dcgan"]
    assert row.auroc.value == 0.851
    assert row.metric("accuracy").value is None
    assert "before" in row.metric("accuracy").reason


@pytest.mark.parametrize("name", ["chest_xray", "ham10000", "pneumoniamnist"])
def test_stored_results_survive_reading_and_writing(name):
    stored = json.loads((STORED / f"{name}.json").read_text())
    chosen = {key: stored[key] for key in ("schema", "dataset", "split", "provenance", *SECTIONS)}
    assert to_json(read_results(chosen)) == chosen


@pytest.mark.parametrize(
    ("run", "key", "kind"),
    [
        ("fanogan-0", "evaluation", DetectorResult),
        ("gan-0", "evaluation", ClassifierResult),
        ("fanogan-0", "quality", SynthesisResult),
        ("fanogan-0", "categories", CategoriesResult),
    ],
)
def test_the_results_of_one_run_survive_reading_and_writing(run, key, kind):
    stored = json.loads((STORED / "runs" / "chest_xray" / f"{run}.json").read_text())[key]
    assert to_json(from_json(kind, stored)) == stored
