"""Export detectors with an encoder, and classifier arms, as ONNX files that run without PyTorch.

A file that does not score as PyTorch does is not written. That of an arm takes stored pixels and
gives calibrated probabilities: scaling, padding, network and temperature are inside.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medgan import __version__, models
from medgan.contracts import AnomalyDetector
from medgan.errors import UserError
from medgan.files.atomic import write_bytes
from medgan.files.documents import to_json
from medgan.images.loading import StoredImages
from medgan.images.store import ImageStore, StoreInfo, padded_size
from medgan.images.transforms import Intensity, prepare, window_side
from medgan.inference.classifier import TrainedClassifier, trained_classifier
from medgan.inference.trained import NotEvaluated, Trained, trained, with_threshold
from medgan.project.artifacts import Project
from medgan.words import NOT_A_MEDICAL_DEVICE

INPUT, OUTPUTS = "images", ("image_scores", "anomaly_maps")
PROBABILITIES = "probabilities"
TOLERANCE = 1e-4
"""Largest difference from PyTorch, relative to the value where that is larger than 1."""
PROBES = 16
"""Stored images on which the file is compared with PyTorch, in batches of 1, 3 and all of them."""
MISSING = "ONNX export needs packages that are not installed: pip install 'medgan[onnx]'."
PREPARED: Mapping[str, str] = {
    "standardised": "gray levels of the image minus their mean, over their standard deviation, "
    "clipped to [-3, 3], over 3",
    "local": "gray levels of the image minus the mean of the {window} x {window} pixels around each, "
    "over the root mean square of these differences in the same window or the mean of those of the "
    "image, whichever is larger; windows end at the border and hold all channels; clipped to "
    "[-3, 3], over 3",
    "unit": "gray levels 0 to 255 mapped linearly to [-1, 1]",
}
"""How gray levels become the input of the network, by `preprocessing.intensity`."""


@dataclass(frozen=True)
class Exported:
    """A file that was written."""

    path: Path
    difference: float
    """Largest difference of scores and maps from PyTorch's, relative to the value where that is
    larger than 1.
    """
    images: int
    """Number of images it was measured on."""


class _Scorer(nn.Module):
    """A detector as a function of images alone."""

    def __init__(self, detector: AnomalyDetector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        found = self.detector.score(images, torch.Generator())
        return found.image_scores, found.anomaly_maps


def export_detector(root: Path, dataset: str, name: str, output: Path) -> Exported:
    """Write a published detector, one of `models.encoders()`, as an ONNX file with its threshold and
    everything that is needed to prepare images for it. The file is replaced.

    Raises:
        UserError: the model cannot be exported, is not trained, or the file would not score as
            PyTorch does.
    """
    check_exportable(name)
    project = Project(root)
    environment = project.environment(dataset)
    using, missing = trained(project, environment, name), ""
    try:
        using = with_threshold(project, environment, using)
    except NotEvaluated as reason:
        missing = str(reason)
    images, detector = StoredImages(using.store)(probes(using.store)), using.published.build()
    return write_onnx(detector, images, metadata(using, missing), output)  # type: ignore[arg-type]


def probes(store: ImageStore) -> NDArray[np.int64]:
    """Return the rows of stored images on which a file is compared with PyTorch."""
    return np.linspace(0, len(store) - 1, min(PROBES, len(store))).astype(np.int64)


def check_exportable(name: str) -> None:
    """Check that a model encodes an image and scores it in one pass.

    Raises:
        UserError: it does not.
    """
    models.load(name)
    if name not in models.encoders():
        raise UserError(
            f"{name} is not exported to ONNX: it draws images only, or its score takes a search, "
            f"training images or no encoder; use one of {', '.join(models.encoders())}."
        )


def metadata(using: Trained, missing: str = "") -> dict[str, str]:
    """Describe how to use the file, as text by name; `missing` is why there is no threshold."""
    model, info, crop = using.published, using.store.info, using.preprocessing.crop
    size, frozen = model.spec.size, using.frozen
    return {
        "medgan": __version__,
        "model": model.name,
        "weights": model.key,
        "version": using.version,
        "published_step": str(model.card.get("published_step", "")),
        "dataset": using.dataset,
        "classes": json.dumps(model.spec.classes),
        "height": str(info.height),
        "width": str(info.width),
        "channels": str(info.channels),
        "intensity": str(info.scaling),
        "crop": "none" if crop is None else json.dumps({"top": crop.top, "centre": crop.centre}),
        "input": f"{INPUT}: float32 (N, {model.spec.channels}, {size}, {size}). Cut off `crop`, "
        f"resize to {info.height} x {info.width}, then {_prepared(info)}, then zeros "
        f"around it up to {size} x {size}",
        "outputs": "image_scores (N,), higher is more anomalous; anomaly_maps (N, 1, H, W), of the "
        "padded image",
        "threshold": "" if frozen is None else repr(frozen.value),
        "threshold_rule": missing if frozen is None else frozen.rule,
        "domain": "" if frozen is None else json.dumps(to_json(frozen.domain.limits)),
        "domain_check": "the file scores every image; `domain` has the accepted sizes and distances, "
        "which `medgan score` checks first",
        "called_anomalous": "image_scores at or above the threshold, which was frozen on "
        "validation images",
        "intended_use": str(model.card.get("intended_use", NOT_A_MEDICAL_DEVICE)),
    }


def _prepared(info: StoreInfo) -> str:
    side = window_side(info.window or 0.0, max(info.height, info.width))
    return PREPARED[info.intensity].format(window=side)


def write_onnx(
    detector: AnomalyDetector, images: Tensor, about: Mapping[str, str], output: Path
) -> Exported:
    """Write a detector in eval mode, on the CPU, whose score draws no random numbers; see
    `write_checked`. The images are (n, C, H, W).
    """
    module = _Scorer(detector).eval()
    return write_checked(module, images, about, OUTPUTS, output, module)


def write_checked(
    module: nn.Module,
    inputs: Tensor,
    about: Mapping[str, str],
    outputs: Sequence[str],
    output: Path,
    expected: Callable[[Tensor], Sequence[Any]],
) -> Exported:
    """Export a module of inputs (n, ...), compare its outputs with the expected ones in batches of 1,
    of 3 and of all inputs, and only then replace the file.

    Raises:
        UserError: a package is missing, the output is a folder, or the outputs differ by more than
            TOLERANCE.
    """
    if output.is_dir():
        raise UserError(
            f"{output} is a folder: give --output the name of a file, such as "
            f"{output / 'model.onnx'}."
        )
    data = exported(module, inputs, about, outputs)
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    worst = 0.0
    for count in sorted({1, min(3, len(inputs)), len(inputs)}):
        found = session.run(list(outputs), {INPUT: inputs[:count].numpy()})
        pairs = zip(found, expected(inputs[:count]), strict=True)
        worst = max(worst, *(value_difference(a, np.asarray(b)) for a, b in pairs))
    if not worst <= TOLERANCE:
        raise UserError(
            f"The ONNX file would differ from PyTorch by {worst:.2g}, more than {TOLERANCE:g}: "
            "nothing was written; try other versions of torch and onnxruntime."
        )
    write_bytes(output, data)
    return Exported(output, worst, len(inputs))


def exported(
    module: nn.Module, images: Tensor, about: Mapping[str, str], outputs: Sequence[str]
) -> bytes:
    """Export a module that takes images (n, ...) to these outputs, for batches of any size.

    Raises:
        UserError: a package is missing.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401  # asked for here, so that nothing is exported in vain
        import onnxscript  # noqa: F401  # torch's exporter needs it
    except ImportError:
        raise UserError(MISSING) from None
    batch = torch.export.Dim("batch")
    with silent_exporter():
        # Two images or more: a batch of one would be exported as a constant.
        example = images[:2] if len(images) > 1 else torch.cat([images, images])
        program: Any = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: batch},),
            input_names=[INPUT],
            output_names=list(outputs),
            verbose=False,
        )
    document = program.model_proto
    onnx.helper.set_model_props(document, dict(about))
    onnx.checker.check_model(document)
    return bytes(document.SerializeToString())


@contextlib.contextmanager
def silent_exporter() -> Iterator[None]:
    """Silence the exporter's steps and torch's own deprecations; a user can act on neither."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def value_difference(found: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Compute the largest difference, relative to the wanted value where that is larger than 1;
    infinite where a value is not finite.
    """
    if found.shape != wanted.shape or not np.isfinite(found).all():
        return float("inf")
    return float((np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted))).max())


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
        *(module, pixels, classifier_metadata(using), (PROBABILITIES,), output),
        lambda some: (using.probabilities(some.numpy()),),
    )


def classifier_metadata(using: TrainedClassifier) -> dict[str, str]:
    """Describe how to use the file of an arm, as text by name."""
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
        "outputs": f"{PROBABILITIES} (N, {len(using.classes)}), {known}, in the order of `classes`",
        "cautions": "; ".join(using.cautions),
        "intended_use": NOT_A_MEDICAL_DEVICE,
    }
