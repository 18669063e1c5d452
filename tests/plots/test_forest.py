"""Figures of the audits say what their documents say."""

import io

from PIL import Image

from medgan.audits.data_results import Flow
from medgan.audits.results import RobustnessResult, ShortcutsResult, SubgroupsResult
from medgan.evaluation.details import DetectorTest
from medgan.files.documents import from_json
from medgan.plots.flow_chart import flow_chart
from medgan.plots.forest import (
    ForestRow,
    columns_forest,
    differences,
    forest,
    shortcut_forest,
    subgroup_forest,
)
from medgan.plots.robustness import robustness_curves, robustness_table
from medgan.stats.bootstrap import Estimate
from tests.plots.test_detectors import drawn

KNOWN = {"value": 0.8, "low": 0.7, "high": 0.9}
TESTED = {"n_images": 50, "scored_unit": "image", "n_patients": None, "interval_unit": "image"}
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
        "n_to_anomalous": 3,
        "n_to_normal": 2,
    }
    kind = {"unit": "grey levels", "severities": {"4": step, "8": {**step, "severity": 8.0}}}
    document = {
        "sentence": "It falls.",
        "clean": KNOWN,
        "sample": TESTED,
        "perturbations": {"noise": kind},
    }
    return from_json(RobustnessResult, document)


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
    told = words(flow_chart(from_json(Flow, flow)))
    for text in (
        "n = 1,234",
        "Excluded: n = 42",
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
        "n_images": 63,
        "n_patients": None,
        "training_images": None,
        "n_normal": 60,
        "n_anomalous": 3,
        "sensitivity": NONE,
        "specificity": KNOWN,
        "auroc": NONE,
    }
    document = {
        "groups": {"age_band": {"65+": found}},
        "sentence": "No gap.",
        "minimum": 50,
        "leakage": {"verdict": None, "sentence": ""},
        "threshold": 0.5,
        "tested": TESTED,
        **{name: {} for name in ("gaps", "shifts", "not_measured")},
    }
    told = words(subgroup_forest(from_json(SubgroupsResult, document), "a detector"))
    for text in (
        "age band",
        "65+  (n = 60 + 3)",
        "insufficient",
        "fewer than 50",
        "No gap.",
        "a detector",
    ):
        assert text in told, text
    assert "No gap." in words(
        subgroup_forest(from_json(SubgroupsResult, {**document, "groups": {}}))
    )


def test_shortcuts_stand_with_the_detectors_that_know_as_much():
    def against(no_better):
        best = {"shortcut": "border", "auroc": KNOWN, "difference": KNOWN, "no_better": no_better}
        return {kind: {"any": best} for kind in ("one_class", "mix", "probe")}

    def detector(auroc, kind, no_better):
        within = {"sites": {}, "pooled": NONE, "difference": NONE}
        more = {"within_sites": within, "flags": [], "sentence": ""}
        return {"auroc": auroc, "compared_with": kind, "against": against(no_better), **more}

    detectors = {
        "good_one": detector(KNOWN, "one_class", False),
        "bad_one": detector({**KNOWN, "value": 0.6}, "mix", True),
    }
    shortcuts = {
        "one_class": {"border": {**KNOWN, "value": 0.7}, "site": NONE},
        "mix": {"border": KNOWN},
        "probe": {"border": KNOWN},
    }
    document = {"shortcuts": shortcuts, "detectors": detectors, "tested": TESTED}
    figure = shortcut_forest(from_json(ShortcutsResult, document))
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == [
        "Fitted to normal training images only",
        "good one",
        "border",
        "Trained on the unlabelled mix",
        "border",
        "bad one *",
        "Trained on labels",
        "border",
    ]
    assert "site." in words(figure)


def test_robustness_shows_changes_flips_and_what_was_not_run():
    assert "25%" in words(robustness_curves(robust(), "a detector"))
    nothing = RobustnessResult("Not run: too slow.", {})
    assert "Not run: too slow." in words(robustness_curves(nothing))
    told = words(robustness_table({"one": robust(), "two": nothing, "three": robust(-0.001)}))
    for text in ("-0.20\n25% flip", "+0.00", "Not run: too slow.", "50 test images", "noise\n8"):
        assert text in told, text
    assert "Not run" in words(robustness_table({"two": nothing}))


def test_a_forest_without_rows_is_drawn():
    assert "nothing" in words(columns_forest([], ["AUROC"], note="nothing"))
    assert "not available" in words(columns_forest([ForestRow("a", [Estimate(None)])], ["AUROC"]))


def test_the_forest_puts_the_best_on_top_and_says_why_one_is_missing():
    figure = forest(
        {
            "a": Estimate(0.7, 0.6, 0.8),
            "b_b": Estimate(0.9, 0.85, 0.95),
            "c": Estimate(None, reason="no anomalies"),
        }
    )
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["c", "a", "b b"]
    assert "no anomalies" in [text.get_text() for text in figure.axes[0].texts]


def test_differences_show_value_corrected_p_and_what_was_not_tested():
    tests = {
        "gan": {
            "family": "normals only",
            "against": "autoencoder",
            "difference": {"value": -0.2, "low": -0.3, "high": -0.1},
            "p_value": 0.0001,
            "p_holm": 0.0001,
            "verdict": "worse than",
        },
        "new": {
            "family": "normals only",
            "against": "autoencoder",
            "difference": {"value": 0.05, "low": -0.1, "high": 0.2},
            "p_value": 0.2,
            "p_holm": 0.4,
            "verdict": "no difference",
        },
        "autoencoder": {
            "family": "normals only",
            "against": "autoencoder",
            "difference": {"value": None, "reason": "it is the baseline"},
            "p_value": None,
            "p_holm": None,
            "verdict": "no test",
        },
    }
    read = {name: from_json(DetectorTest, test) for name, test in tests.items()}
    figure = differences(read, "AUROC")
    axis = figure.axes[0]
    words = {text.get_text() for text in axis.texts}
    assert {"-0.200, p < 0.001", "+0.050, p = 0.400", "it is the baseline"} <= words
    assert [label.get_text() for label in axis.get_yticklabels()] == [
        "autoencoder",
        "gan\nagainst autoencoder",
        "new\nagainst autoencoder",
    ]
    assert axis.get_xlim()[0] < -0.3 < 0.2 < axis.get_xlim()[1]
    filled = {
        line.get_xdata()[0]: line.get_markerfacecolor()
        for line in axis.lines
        if line.get_marker() == "o"
    }
    assert filled[0.05] == "white" != filled[-0.2]
    assert drawn(figure).width > 100
