from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medgan.images import duplicate_calibration
from medgan.pipelines.ingestion.nodes import (
    SHOWN_PAIRS,
    find_near_duplicates,
    plot_near_duplicates,
)
from tests.images.planting import Pictures, described, phantoms


def test_pairs_are_found_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicate_calibration, "TWINS", 100)
    films = phantoms(20)
    source = Pictures(films | {"darker": (films["film-2"] * 0.8).astype(np.uint8)})
    manifest = described(source)
    found = find_near_duplicates(source, manifest, 0)
    pairs, figure = found.pairs, found.pairs_figure
    assert len(pairs) == found.summary["pairs"] == 1
    written = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert any(text.startswith("correlation ") for text in written)
    assert {"darker\ndarker", "film-2\nfilm-2"} <= set(written)
    assert not plot_near_duplicates(source, manifest, pairs[:0]).axes


def test_what_a_person_has_to_judge_comes_first_and_the_sheet_has_an_end() -> None:
    source = Pictures(phantoms(30))
    manifest = described(source).assign(split=["train"] * 15 + ["test"] * 15)
    first, second = ["film-0"] * 25, [f"film-{number}" for number in range(1, 26)]
    pairs = pd.DataFrame(
        {
            "image_id_a": first,
            "image_id_b": second,
            "distance": 3,
            "correlation": 0.99,
            "patients": "unknown",
            "exact": False,
        }
    )
    pairs.loc[20, "correlation"] = 0.95
    pairs.loc[24, "patients"] = "different"
    pairs.loc[0, "exact"] = True
    figure = plot_near_duplicates(source, manifest, pairs)
    assert sum(bool(axis.images) for axis in figure.axes) == 2 * SHOWN_PAIRS
    shown = [axis.texts[-1].get_text().split("\n")[0] for axis in figure.axes if axis.images][1::2]
    assert shown[:2] == ["film-25", "film-21"]
    assert set(shown[1:12]) == {f"film-{number}" for number in range(15, 25)} | {shown[11]}
    assert "film-1" not in shown
