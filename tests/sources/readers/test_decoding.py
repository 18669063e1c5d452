"""The window of a decoded image."""

from __future__ import annotations

import numpy as np
import pytest

from medgan.sources.readers.decoding import Decoded, render


@pytest.mark.parametrize("kind", ["<u2", ">u2", "<i2", "i1", "u1"])
@pytest.mark.parametrize("window", [(-20.0, 90.5), (90.5, -20.0), (30.0, 30.0)])
def test_many_integers_are_shown_as_few_are(kind: str, window: tuple[float, float]) -> None:
    """Images with more pixels than there are values are looked up in a table."""
    few = np.arange(-100, 120).clip(*(np.iinfo(kind).min, np.iinfo(kind).max)).astype(kind)
    many = np.resize(few, (300, 220, 1))
    shown = render(Decoded(many, *window)).pixels
    # float64 has no table
    assert (shown == render(Decoded(many.astype(np.float64), *window)).pixels).all()
    assert shown.dtype == np.uint8
    if window[0] != window[1]:
        assert len(np.unique(shown)) > 50
