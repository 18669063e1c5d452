from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medgan.errors import UserError
from medgan.experiments.collect import collect
from medgan.experiments.comparisons import chosen_on_validation
from medgan.experiments.detector_tables import detectors, validation
from medgan.experiments.document import Collected
from medgan.experiments.ensembles import ensembles
from medgan.experiments.plan import Experiment, read_experiments
from medgan.experiments.publish import page
from medgan.experiments.records import Record, read_records
from tests.experiments.making import detector, record

NAME = "pneumoniamnist"
EXPERIMENT = Experiment(
    "films",
    seeds=(0, 1, 2),
    models=("nearest_neighbour", "bigan"),
    ensembles={"bigan-ensemble": ("bigan",), "neighbours-ensemble": ("nearest_neighbour",)},
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    for seed in (0, 1, 2):
        record(folder, NAME, "nearest_neighbour", seed, **detector(0.8, seed))
        record(folder, NAME, "bigan", seed, **detector(1.2, seed))
    return folder


@pytest.fixture(scope="module")
def found(root: Path) -> Collected:
    return collect(root, NAME, EXPERIMENT, 0.5)


def scores(one: Record) -> tuple[np.ndarray, np.ndarray]:
    assert one.validation_scores is not None
    assert one.test_scores is not None
    normals = one.validation_scores.scores[one.validation_scores.labels == 0]
    return one.test_scores.labels, (one.test_scores.scores - normals.mean()) / normals.std()


def test_an_ensemble_is_the_mean_of_scores_scaled_by_validation_normals(
    root: Path, found: Collected
) -> None:
    each = [scores(one) for one in read_records(root, NAME)["bigan"]]
    expected = roc_auc_score(each[0][0], np.mean([scaled for _, scaled in each], axis=0))
    row = found.detectors["bigan-ensemble"]
    assert row.auroc.value == pytest.approx(expected, abs=1e-5)
    assert row.seeds == (0, 1, 2)
    # Independent noise averages out: the ensemble is above the mean of its trainings.
    assert row.auroc.value > found.detectors["bigan"].auroc.value


def test_an_ensemble_is_compared_with_the_ensemble_of_a_baseline(found: Collected) -> None:
    against = {test.first: (test.second, test.seeds) for test in found.differences}
    assert against["bigan-ensemble"] == ("neighbours-ensemble", (0, 1, 2))
    assert against["bigan"] == ("nearest_neighbour", (0, 1, 2))
    assert chosen_on_validation(found, sees_mix=False) == "bigan-ensemble"
    text = page({NAME: found}, {NAME: EXPERIMENT})
    assert "Among the GANs validation chooses `bigan-ensemble`" in text


def test_the_threshold_of_an_ensemble_knows_validation_alone(root: Path) -> None:
    records = read_records(root, NAME)
    declared = {"both": ("bigan", "nearest_neighbour")}
    before = ensembles(declared, records)["both"][0]
    flipped = {
        name: tuple(
            replace(one, test_scores=one.test_scores and _flipped(one.test_scores)) for one in of
        )
        for name, of in records.items()
    }
    after = ensembles(declared, flipped)["both"][0]
    assert before.evaluation is not None
    assert after.evaluation is not None
    assert before.evaluation.threshold == after.evaluation.threshold  # type: ignore[union-attr]
    assert before.evaluation.auroc.value == pytest.approx(1 - (after.evaluation.auroc.value or 0))


def _flipped(images):  # type: ignore[no-untyped-def]
    return replace(images, label="".join("10"[int(one)] for one in images.label))


def test_there_is_no_ensemble_without_validation_scores_or_a_row(root: Path) -> None:
    records = read_records(root, NAME)
    older = {
        **records,
        "bigan": tuple(replace(one, validation_scores=None) for one in records["bigan"]),
    }
    assert ensembles({"a": ("bigan",)}, older) == {}
    assert ensembles({"a": ("bigan", "fanogan")}, records) == {}
    assert ensembles({"a": ("bigan",)}, {"bigan": records["bigan"][:1]}) == {}


def test_an_ensemble_of_an_unknown_row_is_refused(tmp_path: Path) -> None:
    (tmp_path / "experiments.yml").write_text(
        "films: {about: x, models: [bigan], ensembles: {all: [fanogan]}}"
    )
    with pytest.raises(UserError, match="an ensemble of 'fanogan', which is none of its rows"):
        read_experiments(tmp_path)


def test_a_row_that_failed_on_validation_is_neither_chosen_nor_compared(tmp_path: Path) -> None:
    for seed in (0, 1):
        record(tmp_path, NAME, "nearest_neighbour", seed, **detector(0.8, seed))
        record(tmp_path, NAME, "bigan", seed, **detector(0.0, seed))
    found = collect(tmp_path, NAME, EXPERIMENT, 0.5)
    assert found.detectors["bigan"].failed
    assert [test.first for test in found.differences] == []
    assert chosen_on_validation(found, sees_mix=False) is None
    rows = {line.split(" |")[0]: line for line in detectors(found).markdown().splitlines()}
    assert "failed: validation cannot tell it from chance" in rows["| bigan (ALAD)"]


def test_validation_stands_beside_test_with_its_intervals(root: Path, found: Collected) -> None:
    lines = [line for line in validation(found).markdown().splitlines() if "| bigan |" in line]
    assert ["validation" in lines[0], "test" in lines[1]] == [True, True]
    row = found.detectors["bigan"]
    assert row.validation is not None
    for metric in ("auroc", "accuracy", "precision", "sensitivity", "specificity", "f1"):
        one = row.validation.metric(metric)
        assert one.low is not None
        assert len(one.per_seed) == 3
        assert f"{one.value:.3f} [{one.low:.3f}" in lines[0]
