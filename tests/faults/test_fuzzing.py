from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, environment
from tests.faults.fuzzing import CONFIGS, attempt, sound_files


def test_2000_damaged_files_are_refused_or_read_and_nothing_else() -> None:
    """In a process of its own, whose memory is that of the readers alone."""
    command = [sys.executable, "-m", "tests.faults.soak", "2000"]
    soak = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert soak.returncode == 0, soak.stdout
    assert soak.stdout.startswith("2000 damaged files, ")
    codes = {
        name: int(count)
        for name, count in re.findall(
            r"(\w+) (\d+)(?:,|\n)", soak.stdout.split(": ", 1)[1].split("\n")[0] + "\n"
        )
    }
    assert codes["read"] < 0.6 * 2000
    assert {"UNREADABLE", "FORMAT", "NO_PIXELS", "TOO_LARGE", "ORIENTATION"} <= set(codes)


def test_the_files_that_are_damaged_are_sound_before(tmp_path: Path) -> None:
    refused = {}
    for name, content in sound_files(tmp_path).items():
        (tmp_path / "input").write_bytes(content)
        found = attempt(tmp_path / "input", CONFIGS[0])
        refused |= {name: found} if found != "read" else {}
    assert refused == {
        "badVR.dcm": "NOT_AN_IMAGE",
        "liver_1frame.dcm": "NOT_AN_IMAGE",
        "rtdose.dcm": "NOT_AN_IMAGE",
        "rtdose_rle.dcm": "NOT_AN_IMAGE",
        "resampled_anat_moved.nii": "NONFINITE",
        "nested_priv_SQ.dcm": "UNREADABLE",
        "UN_sequence.dcm": "NO_PIXELS",
        "reportsi.dcm": "NOT_AN_IMAGE",
    }
