from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medgan.errors import UserError
from medgan.experiments.records import TestScores, path_of, read_record, read_records
from tests.experiments.making import detector, record, splits


def test_test_scores_survive_being_written_to_six_digits() -> None:
    document = detector(1.0, 0)["test_scores"]
    scores = TestScores.read(document)
    assert scores.as_dict() == document
    assert len(scores.label) == (splits()["split"] == "test").sum()
    assert scores.group_known
    assert "patient" not in str(document)


def test_a_patient_has_one_number_in_every_split() -> None:
    table = splits().assign(unit=lambda t: t["image_id"], score=0.5, called=0)
    numbers = [
        TestScores.of(table[table["split"] == part], table["group_id"]).group
        for part in ("val", "test")
    ]
    assert not set(numbers[0]) & set(numbers[1])
    assert set(np.concatenate(numbers)) == set(range(40))


def test_unknown_patients_stand_for_themselves() -> None:
    table = splits().assign(unit=lambda t: t["image_id"], score=0.5, called=0, group_known=False)
    scores = TestScores.of(table, table["group_id"])
    assert scores.as_dict()["group"] is None
    assert len(set(TestScores.read(scores.as_dict()).group)) == len(table)


def test_records_are_found_by_name_with_their_seeds_in_order(tmp_path: Path) -> None:
    for seed in (10, 2, 0):
        record(tmp_path, "films", "dcgan-wide", seed, "dcgan")
    record(tmp_path, "films", "dcgan", 0)
    found = read_records(tmp_path, "films")
    assert {name: [one["seed"] for one in records] for name, records in found.items()} == {
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
