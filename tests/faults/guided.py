"""`make soak-guided`: DICOM and NIfTI inputs that atheris invents, guided by the branches that they
reach in pydicom, nibabel and medgan's readers. Arguments are those of libFuzzer (`-runs=N`).
"""

from __future__ import annotations

import faulthandler
import gzip
import sys
import tempfile
import time
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pydicom", "nibabel", "medgan"]):
    from tests.faults.fuzzing import CONFIGS, LARGEST, SLOWEST, attempt, peak_memory, sound_files

PACKED = b"\x1f\x8b"
DICOM_AND_NIFTI = (".dcm", ".nii", ".nii.gz")


def corpus(folder: Path) -> Path:
    """Write the sound files from which atheris starts; packed ones unpacked."""
    (folder / "sound").mkdir()
    (folder / "corpus").mkdir()
    for name, content in sound_files(folder / "sound").items():
        if name.endswith(DICOM_AND_NIFTI):
            plain = gzip.decompress(content) if content.startswith(PACKED) else content
            (folder / "corpus" / name).write_bytes(plain)
    return folder / "corpus"


def main(arguments: list[str]) -> None:
    """Read inputs until one raises an unexpected error, is slow, or memory grows."""
    faulthandler.enable()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        path, inputs = Path(folder) / "input", 0

        def read(data: bytes) -> None:
            nonlocal inputs
            path.write_bytes(data)
            start = time.process_time()  # not the clock, since the fuzzer may have a busy machine
            try:
                attempt(path, CONFIGS[inputs % len(CONFIGS)])
                assert (seconds := time.process_time() - start) < SLOWEST, f"{seconds:.1f} s"
                assert peak_memory() < LARGEST, "too much memory"
            except BaseException:
                Path("build/guided-input").write_bytes(data)
                raise
            inputs += 1

        atheris.Setup([sys.argv[0], "-timeout=60", *arguments, str(corpus(Path(folder)))], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
