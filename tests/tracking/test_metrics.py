"""What of a document becomes a metric."""

from pathlib import Path

import pytest

from medgan.audits.data_results import Count
from medgan.datasets.tables import JSONDataset
from medgan.evaluation.results import LeftOut
from medgan.nested import numbers, shallow
from medgan.tracking.hooks import _LOGGERS, MOST_METRICS, _parts

FIGURE = {"value": 0.8, "low": 0.7, "high": None, "reason": "none"}


class Recorder:
    def __init__(self):
        self.logged, self.files = {}, []

    def metrics(self, _, values):
        self.logged |= numbers(values)

    def file(self, _, path, folder):
        self.files.append((Path(path).name, folder))


@pytest.fixture
def recorder():
    return Recorder()


def log(recorder, name, document):
    _LOGGERS["metrics"](recorder, "run", document, Path(f"{name}.json"))


def test_figures_of_the_evaluation_have_bare_names_and_those_of_other_documents_begin_with_it(
    recorder,
):
    log(recorder, "evaluation", {"auroc": FIGURE, "threshold": {"value": 0.3}})
    log(recorder, "localisation", {"dice": FIGURE, "threshold": {"value": 0.1}})
    assert recorder.logged["auroc.value"] == 0.8
    assert (
        recorder.logged["threshold.value"],
        recorder.logged["localisation.threshold.value"],
    ) == (0.3, 0.1)
    assert recorder.files == []


def test_a_document_of_many_numbers_is_a_file_and_its_main_figures_are_metrics(recorder):
    many = {f"step {number}": {"auroc": FIGURE} for number in range(MOST_METRICS)}
    log(recorder, "robustness", {"clean": FIGURE, "n": 5, "perturbations": many})
    assert set(recorder.logged) == {
        "robustness.clean.value",
        "robustness.clean.low",
        "robustness.n",
    }
    assert recorder.files == [("robustness.json", "documents")]


def test_shallow_keeps_figures_and_leaves_what_lies_deeper():
    assert shallow({"n": 1, "auroc": FIGURE, "rows": {"one": {"auroc": FIGURE}}}) == {
        "n": 1,
        "auroc": FIGURE,
    }


def test_the_figures_of_all_classes_together_are_main_figures():
    document = {
        "overall": {"kid_domain": FIGURE, "deep": {"er": {"auroc": FIGURE}}},
        "normal": {"kid_domain": FIGURE},
    }
    assert shallow(document) == {"overall": {"kid_domain": FIGURE}}


def test_a_typed_result_is_logged_as_its_document(recorder, tmp_path):
    dataset = JSONDataset(
        of="medgan.audits.data_results.Count", filepath=str(tmp_path / "audit.json")
    )
    for kind, data, path in _parts("metrics", LeftOut("no anomalies"), dataset):
        _LOGGERS[kind](recorder, "run", data, path)
    for kind, data, path in _parts("metrics", Count(3, 0.5), dataset):
        _LOGGERS[kind](recorder, "run", data, path)
    assert recorder.logged == {"audit.n": 3, "audit.share": 0.5}
