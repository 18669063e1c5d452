from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from medgan.errors import UserError
from medgan.evaluation.results import AnomalyTypeResult
from medgan.experiments.records import (
    ImageScores,
    ShortcutScores,
    path_of,
    read_record,
    read_records,
)
from medgan.files.documents import from_json, to_json
from medgan.stats.pooling import over_seeds
from tests.conftest import ROOT
from tests.experiments.making import detector, record, splits

RECORDS = sorted((ROOT / "docs/results/runs").glob("*/*.json"))


def test_all_committed_records_are_read_and_written_back_without_loss() -> None:
    assert len(RECORDS) == 232
    for path in RECORDS:
        assert to_json(read_record(path)) == json.loads(path.read_text()), path


def test_test_scores_survive_being_written_to_six_digits() -> None:
    document = detector(1.0, 0)["test_scores"]
    scores = from_json(ImageScores, document)
    assert to_json(scores) == document
    assert len(scores.labels) == (splits()["split"] == "test").sum()
    assert scores.group is not None
    assert "patient" not in str(document)


def test_test_scores_of_different_lengths_are_refused() -> None:
    with pytest.raises(UserError, match="one label, decision, score and group for each image"):
        ImageScores("a", "01", "01", "0.5 0.6", "1 2 3")


def test_a_patient_has_one_number_in_every_split() -> None:
    table = splits().assign(unit=lambda t: t["image_id"], score=0.5, called=0)
    numbers = [
        ImageScores.of(table[table["split"] == part], table).groups for part in ("val", "test")
    ]
    assert not set(numbers[0]) & set(numbers[1])
    assert set(np.concatenate(numbers)) == set(range(40))


def test_unknown_patients_stand_for_themselves() -> None:
    table = splits().assign(unit=lambda t: t["image_id"], score=0.5, called=0, group_known=False)
    scores = ImageScores.of(table, table)
    assert to_json(scores)["group"] is None
    assert len(set(from_json(ImageScores, to_json(scores)).groups)) == len(table)


def test_records_of_two_data_folders_agree_though_their_ids_differ() -> None:
    """The key of the neutral ids is of a folder: it orders images and patients anew."""
    here = splits().assign(score=np.linspace(0, 1, 240), called=1)
    there = here.assign(
        image_id=[f"{7919 * n % 240:016x}" for n in range(240)],
        group_id=[f"{f'{17 * int(name[7:]) % 40}':>016}" for name in here["group_id"]],
    ).sample(frac=1, random_state=0)
    both = [
        (table.assign(unit=table["image_id"]), table.assign(**{"one_class/border": table["score"]}))
        for table in (here, there)
    ]
    first, second = (to_json(ImageScores.of(table, table)) for table, _ in both)
    assert first == second
    first, second = (to_json(ShortcutScores.of(table, table)) for _, table in both)
    assert first == second


def test_seeds_whose_regressions_have_other_strengths_are_combined() -> None:
    rows = [{"n_images": 20, "c": c, "folds": 3} for c in (0.1, 1.0)]
    found = from_json(AnomalyTypeResult, over_seeds(rows))
    assert (found.c, found.folds) == ((0.1, 1.0), 3)


def test_records_are_found_by_name_with_their_seeds_in_order(tmp_path: Path) -> None:
    for seed in (10, 2, 0):
        record(tmp_path, "films", "dcgan-wide", seed, "dcgan")
    record(tmp_path, "films", "dcgan", 0)
    found = read_records(tmp_path, "films")
    assert {name: [one.seed for one in records] for name, records in found.items()} == {
        "dcgan": [0],
        "dcgan-wide": [0, 2, 10],
    }


@pytest.mark.parametrize("content", ["{", '{"schema": 2}', '{"schema": 1, "dataset": "films"}'])
def test_a_damaged_record_is_named_with_what_to_do(tmp_path: Path, content: str) -> None:
    path = path_of(tmp_path, "films", "dcgan", 0)
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(UserError, match=r"dcgan-0.json.*make reproduce"):
        read_record(path)
