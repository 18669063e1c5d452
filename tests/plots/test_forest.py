"""Figures of the audits say what their documents say."""

import io

from PIL import Image

from medgan.plots.data_profile import flow_chart
from medgan.plots.forest import ForestRow, columns_forest, shortcut_forest, subgroup_forest
from medgan.plots.robustness import robustness_curves, robustness_table

KNOWN = {"value": 0.8, "low": 0.7, "high": 0.9}
NONE = {"value": None, "reason": "insufficient: 3 normal images, 50 are needed"}


def words(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=50)
    assert Image.open(buffer).size[0] > 100
    axes = [
        text
        for axis in figure.axes
        for text in (*axis.texts, *axis.get_yticklabels(), *axis.get_xticklabels(), axis.title)
    ]
    return " | ".join(text.get_text() for text in (*axes, *figure.texts))


def robust(change=-0.2):
    step = {
        "severity": 4.0,
        "auroc": KNOWN,
        "change": {**KNOWN, "value": change},
        "flipped": {**KNOWN, "value": 0.25},
    }
    kind = {"unit": "grey levels", "severities": {"4": step, "8": {**step, "severity": 8.0}}}
    return {
        "sentence": "It falls.",
        "clean": KNOWN,
        "sample": {"n_images": 50},
        "perturbations": {"noise": kind},
    }


def test_a_flow_names_every_reason_or_counts_the_rare_ones():
    def some(images, patients=None):
        return {"images": images, "patients": patients}

    part = {**some(10, 4), "normal": some(6), "anomalous": some(4)}
    reasons = {f"label {number}": 9 - number for number in range(6)} | {
        "a view that is anything but the frontal one of a chest": 30
    }
    flow = {
        "listed": 1234,
        "excluded": {"images": 42, "reasons": reasons},
        "quarantined": {"images": 1, "reasons": {"NO_DECODER": 1}},
        "usable": 30,
        "dropped": {"images": 0, "reasons": {}},
        "kept": some(30),
        "parts": {"train": {**part, "unlabelled_mix": some(5)}, "val": part, "test": part},
    }
    told = words(flow_chart(flow))
    for text in (
        "n = 1,234",
        "Not wanted: n = 42",
        "label 0: 9",
        "3 other reasons",
        "NO DECODER: 1",
        "patients unknown",
        "4 patients",
        "mix: 5",
    ):
        assert text in told, text
    assert "label 5" not in told


def test_groups_show_their_sizes_and_what_is_insufficient():
    found = {
        "n_normal": 60,
        "n_anomalous": 3,
        "sensitivity": NONE,
        "specificity": KNOWN,
        "auroc": NONE,
    }
    document = {"groups": {"age_band": {"65+": found}}, "sentence": "No gap.", "minimum": 50}
    told = words(subgroup_forest(document, "a detector"))
    for text in (
        "age band",
        "65+  (n = 60 + 3)",
        "insufficient",
        "fewer than 50",
        "No gap.",
        "a detector",
    ):
        assert text in told, text
    assert "No gap." in words(subgroup_forest({**document, "groups": {}}))


def test_shortcuts_stand_with_the_detectors_that_know_as_much():
    def against(no_better):
        return {
            "one_class": {"any": {"no_better": no_better}},
            "probe": {"any": {"no_better": no_better}},
        }

    detectors = {
        "good_one": {"auroc": KNOWN, "compared_with": "one_class", "against": against(False)},
        "bad_one": {
            "auroc": {**KNOWN, "value": 0.6},
            "compared_with": "probe",
            "against": against(True),
        },
    }
    shortcuts = {
        "one_class": {"border": {**KNOWN, "value": 0.7}, "site": NONE},
        "probe": {"border": KNOWN},
    }
    figure = shortcut_forest({"shortcuts": shortcuts, "detectors": detectors})
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == [
        "Fitted to training normals only",
        "good one",
        "border",
        "Learnt from labels, or from the unlabelled mix",
        "border",
        "bad one *",
    ]
    assert "site." in words(figure)


def test_robustness_shows_changes_flips_and_what_was_not_run():
    assert "25%" in words(robustness_curves(robust(), "a detector"))
    nothing = {"sentence": "Not run: too slow.", "perturbations": {}}
    assert "Not run: too slow." in words(robustness_curves(nothing))
    told = words(robustness_table({"one": robust(), "two": nothing, "three": robust(-0.001)}))
    for text in ("-0.20\n25% flip", "+0.00", "Not run: too slow.", "50 test images", "noise\n8"):
        assert text in told, text
    assert "Not run" in words(robustness_table({"two": nothing}))


def test_a_forest_without_rows_is_drawn():
    assert "nothing" in words(columns_forest([], ["AUROC"], note="nothing"))
    assert "not available" in words(columns_forest([ForestRow("a", [{"value": None}])], ["AUROC"]))
