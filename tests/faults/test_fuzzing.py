from __future__ import annotations

import warnings
from pathlib import Path

from tests.faults.fuzzing import CONFIGS, attempt, fuzz, sound_files


def test_2000_damaged_files_are_refused_or_read_and_nothing_else(tmp_path: Path) -> None:
    with warnings.catch_warnings(action="ignore"):
        outcome = fuzz(tmp_path, 2000, seed=1)
    assert not outcome.problems()
    assert outcome.codes["read"] < 0.6 * outcome.inputs
    assert {"UNREADABLE", "FORMAT", "NO_PIXELS", "TOO_LARGE", "ORIENTATION"} <= set(outcome.codes)


def test_the_files_that_are_damaged_are_sound_before(tmp_path: Path) -> None:
    refused = {}
    for name, content in sound_files(tmp_path).items():
        (tmp_path / "input").write_bytes(content)
        found = attempt(tmp_path / "input", CONFIGS[0])
        refused |= {name: found} if found != "read" else {}
    assert refused == {
        "badVR.dcm": "UNREADABLE",
        "resampled_anat_moved.nii": "NONFINITE",
        "nested_priv_SQ.dcm": "UNREADABLE",
        "UN_sequence.dcm": "NO_PIXELS",
        "reportsi.dcm": "NO_PIXELS",
    }
