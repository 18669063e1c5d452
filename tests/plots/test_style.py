"""A drawing is named by what it shows and by the code that draws it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from medgan.plots import style as module
from medgan.plots.detectors import confusion_matrix
from medgan.plots.style import drawing, notice


@dataclass(frozen=True)
class Shown:
    image: np.ndarray
    words: str


def shown(value=1.0, words="word"):
    table = pd.DataFrame({"score": [value], "site": [pd.NA], "date": [pd.Timestamp(0)]})
    return [Shown(np.arange(4.0) * value, words)], table, {"a": (1, None)}


def test_equal_content_has_one_name_and_other_content_another():
    assert drawing(notice, *shown()).key == drawing(notice, *shown(words="".join(["wo", "rd"]))).key
    others = [
        drawing(notice, *shown(2.0)),
        drawing(notice, *shown(words="other")),
        drawing(confusion_matrix, *shown()),
    ]
    others.append(drawing(notice, *shown(), words="more"))
    assert len({drawing(notice, *shown()).key, *(other.key for other in others)}) == 5


def test_other_code_has_another_name(monkeypatch):
    before = drawing(notice, "title", "words").key
    monkeypatch.setattr(module, "_code", lambda: [b"changed"])
    assert drawing(notice, "title", "words").key != before


def test_what_has_no_lasting_name_is_refused():
    with pytest.raises(TypeError, match="cannot be named by a function"):
        drawing(notice, lambda: 1)


def test_nothing_is_drawn_before_it_is_asked_for():
    called = drawing(lambda: pytest.fail("drawn"))
    with pytest.raises(pytest.fail.Exception, match="drawn"):
        called.draw()
    assert drawing(notice, "title", "words").draw().axes
