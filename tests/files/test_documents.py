"""Typed results as JSON and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from medgan.errors import UserError
from medgan.files.documents import ALWAYS, FLAT, OpenKeys, from_json, to_json
from medgan.stats.bootstrap import Estimate


@dataclass(frozen=True)
class Row:
    auroc: Estimate
    n_patients: int | None
    seeds: Sequence[int]
    parts: Mapping[str, Estimate] = field(default_factory=dict)
    remark: str = ""


ROW = Row(Estimate(0.9, 0.8, 1.0), None, [0, 1], {"a": Estimate(None, reason="not run")})


def test_a_result_survives_json():
    document = json.loads(json.dumps(to_json(ROW), allow_nan=False))
    assert document["parts"] == {"a": {"value": None, "reason": "not run"}}
    assert document["n_patients"] is None
    assert from_json(Row, document) == ROW


def test_fields_that_equal_their_default_are_left_out():
    assert set(to_json(Row(ROW.auroc, 3, []))) == {"auroc", "n_patients", "seeds"}


def test_numpy_values_become_plain_ones():
    assert to_json({"a": np.float64(1.5), "b": np.arange(2)}) == {"a": 1.5, "b": [0, 1]}


def test_a_missing_key_is_named_in_one_sentence():
    document = to_json(ROW)
    del document["auroc"]
    with pytest.raises(UserError, match=r"evaluation\.json is not of this version .*auroc"):
        from_json(Row, document, "evaluation.json")


@dataclass(frozen=True, kw_only=True)
class Open(OpenKeys):
    entries: Mapping[str, Estimate] = field(default_factory=dict, metadata=FLAT)
    warnings: tuple[str, ...] = field(default=(), metadata=ALWAYS)
    n: int = 1


def test_entries_of_a_flat_field_are_keys_of_the_document():
    document = to_json(Open(entries={"a": Estimate(0.5)}))
    assert document == {"a": {"value": 0.5, "low": None, "high": None}, "warnings": []}
    assert from_json(Open, document) == Open(entries={"a": Estimate(0.5)})
    assert from_json(Open, {**document, "unknown": 3}) == Open(entries={"a": Estimate(0.5)})
