"""Every type reads and writes the documents of the embedded data set without a change."""

import json
from pathlib import Path

import pytest

from medgan.audits import data_results, results
from medgan.files.documents import from_json, to_json
from medgan.images import cropping, leakage
from medgan.stats.bootstrap import Estimate

DOCUMENTS = json.loads((Path(__file__).parent / "documents.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_round_trip(name):
    places = (results, data_results, cropping, leakage)
    kind = next(getattr(place, name) for place in places if hasattr(place, name))
    for document in DOCUMENTS[name]:
        assert to_json(from_json(kind, document)) == document


def test_a_gap_without_two_groups_has_a_reason_alone():
    missing = {"value": None, "reason": "insufficient"}
    assert to_json(results.Gap(None, reason="insufficient")) == missing
    gap = results.Gap(0.1, 0.0, 0.2, between=("F", "M"), p=0.03, p_holm=0.06, pairs=2)
    assert to_json(from_json(results.Gap, to_json(gap))) == to_json(gap)


def test_reported_label_noise_round_trips():
    noise = data_results.LabelNoise(0.1, 0.05)
    bound = data_results.LabelNoiseBound(noise, 0.9, {"gan": Estimate(0.8)}, "at random")
    found = data_results.ReferenceStandard("two readers", bound)
    assert from_json(data_results.ReferenceStandard, to_json(found)) == found
