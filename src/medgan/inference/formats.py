"""The forms in which `medgan export` writes a trained model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from medgan.inference.export import export_detector
from medgan.inference.export_classifier import export_classifier
from medgan.inference.medigan_export import export_medigan
from medgan.inference.monai_export import export_monai
from medgan.pipelines.arms import ARMS


def export_onnx(root: Path, dataset: str, name: str, output: Path) -> str:
    """Write a detector or classifier arm as an ONNX file; return what was written."""
    write = export_classifier if name in ARMS else export_detector
    done = write(root, dataset, name, output)
    return (
        f"Wrote {done.path}. Its outputs for {done.images} images differ from PyTorch's "
        f"by {done.difference:.1g} at most."
    )


FORMATS: Mapping[str, Callable[[Path, str, str, Path], str]] = {
    "onnx": export_onnx,
    "medigan": export_medigan,
    "monai": export_monai,
}
"""Name -> function of the project folder, the data set, the model and the output; it returns a
sentence about what was written."""
