"""Export a classifier arm as an ONNX file that takes stored pixels and gives calibrated
probabilities: scaling of the intensity, padding, network and temperature are inside.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medgan import __version__
from medgan.images.store import padded_size
from medgan.images.transforms import Intensity, prepare
from medgan.inference.classifier import TrainedClassifier, trained_classifier
from medgan.inference.export import INPUT, Exported, probes, write_checked
from medgan.project.artifacts import Project
from medgan.words import NOT_A_MEDICAL_DEVICE

OUTPUT = "probabilities"


class _Calibrated(nn.Module):
    """Pixels (N, h, w, C) uint8 to probabilities (N, K)."""

    def __init__(self, model: Any, intensity: Intensity, size: int, by: float) -> None:
        super().__init__()
        self.model, self.intensity, self.size, self.temperature = model, intensity, size, by

    def forward(self, pixels: Tensor) -> tuple[Tensor]:
        images = prepare(pixels, self.intensity, self.size)
        return (self.model.normalized(self.model.network(images) / self.temperature),)


def export_classifier(root: Path, dataset: str, arm: str, output: Path) -> Exported:
    """Write a published arm as an ONNX file with its preprocessing, its temperature and its card.

    Raises:
        UserError: the arm is not trained or evaluated, or the file would not give the probabilities
            of PyTorch.
    """
    project = Project(root)
    using = trained_classifier(project, project.environment(dataset), arm)
    info = using.store.info
    pixels = torch.from_numpy(using.store.read(probes(using.store)))
    size = padded_size(max(info.height, info.width))
    module = _Calibrated(using.published.build(), info.scaling, size, using.temperature).eval()
    return write_checked(
        *(module, pixels, _metadata(using), (OUTPUT,), output),
        lambda some: (using.probabilities(some.numpy()),),
    )


def _metadata(using: TrainedClassifier) -> dict[str, str]:
    info, crop = using.store.info, using.preprocessing.crop
    cut = "" if crop is None else f"cropped as {crop}, "
    known = "one for each finding" if using.several else "calibrated on validation images"
    return {
        "medgan": __version__,
        "arm": using.arm,
        "weights": using.published.key,
        "version": using.version,
        "dataset": using.dataset,
        "network": str(using.evaluation.network),
        "classes": json.dumps(using.classes),
        "temperature": repr(using.temperature),
        "input": f"{INPUT}: uint8 (N, {info.height}, {info.width}, {info.channels}), gray levels "
        f"0 to 255, {cut}resized to {info.height} x {info.width}; scaling ({info.scaling}) and "
        "padding are part of the file",
        "outputs": f"{OUTPUT} (N, {len(using.classes)}), {known}, in the order of `classes`",
        "cautions": "; ".join(using.cautions),
        "intended_use": NOT_A_MEDICAL_DEVICE,
    }
