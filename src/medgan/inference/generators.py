"""Trained generators in a form that runs without medgan, for packages of medigan and MONAI bundles.

The network is a file of `torch.export`. A package whose images differ from those of the trained
model is not written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medgan import __version__, models
from medgan.contracts import LatentSynthesizer, TrainingSet
from medgan.errors import UserError
from medgan.files.atomic import new_folder
from medgan.files.documents import to_json
from medgan.images.transforms import crop_padding
from medgan.inference.export import silent_exporter
from medgan.models import PublishedModel
from medgan.pipelines.drawing import image_size
from medgan.project.artifacts import Project
from medgan.words import NOT_A_MEDICAL_DEVICE

NETWORK = "generator.pt2"
TOLERANCE = 1e-5
"""Largest difference of a pixel in [-1, 1] from that of the trained model."""
PROBES = (1, 2, 5)
"""Batch sizes with which the file is compared."""
UNJUDGED = (
    "Whether images of this generator give away training images was not judged for a release: do "
    "not treat them as anonymous."
)


class Drawing(nn.Module):
    """A generator that draws images without the padding around them."""

    def __init__(self, generator: nn.Module, height: int, width: int) -> None:
        super().__init__()
        self.generator, self.height, self.width = generator, height, width

    def forward(self, *inputs: Tensor) -> Tensor:
        """Draw images (N, C, height, width) of latents (N, D) and, where it has them, labels
        (N,).
        """
        drawn: Tensor = self.generator(*inputs)
        return crop_padding(drawn, self.height, self.width)


@dataclass(frozen=True)
class Exportable:
    """A published generator with all that its packages say of it."""

    dataset: str
    version: str
    model: PublishedModel
    network: Drawing
    latent_dim: int
    intensity: str
    """How the gray levels of the training images became numbers in [-1, 1]."""
    quality: Any
    """As JSON; None where it was not measured for this version."""

    @property
    def conditional(self) -> bool:
        """Whether the network takes labels."""
        return models.load(self.model.name).TRAINING_SET is TrainingSet.LABELLED

    @property
    def title(self) -> str:
        """What it is, in one sentence."""
        drawn = ", ".join(self.model.drawable)
        name = models.form(self.model.name, self.model.configuration)
        return f"{name}, trained on {self.dataset}, draws {drawn}"

    @property
    def card(self) -> dict[str, Any]:
        """What is needed to run it, and where it comes from."""
        return {
            "title": self.title,
            "model": self.model.name,
            "key": self.model.key,
            "version": self.version,
            "dataset": self.dataset,
            "classes": list(self.model.drawable),
            "conditional": self.conditional,
            "latent_dim": self.latent_dim,
            "latents": "N(0, 1)",
            "images": f"(N, {self.model.spec.channels}, {self.network.height}, "
            f"{self.network.width}) in [-1, 1], scaled as `intensity` says",
            "intensity": self.intensity,
            "torch": torch.__version__,
            "medgan": __version__,
            "intended_use": NOT_A_MEDICAL_DEVICE,
            "privacy": UNJUDGED,
            "quality": self.quality,
            "training": to_json(dict(self.model.card)),
        }

    def inputs(self, count: int, seed: int = 0) -> tuple[Tensor, ...]:
        """Latents, and the labels that alternate."""
        rng = torch.Generator().manual_seed(seed)
        latents = torch.randn(count, self.latent_dim, generator=rng)
        labels = torch.arange(count) % len(self.model.drawable)
        return (latents, labels) if self.conditional else (latents,)


def exportable(root: Path, dataset: str, name: str) -> Exportable:
    """Load the newest version of a generator of a project.

    Raises:
        UserError: it draws no images, is several generators, or is not trained.
    """
    models.load(name)
    if name not in models.synthesizers():
        known = ", ".join(models.synthesizers())
        raise UserError(f"{name} draws no images: use one of {known}, or --format onnx.")
    project = Project(root)
    published, version = project.published(dataset, name), project.version(dataset, name)
    network = published.build()
    if not isinstance(network, LatentSynthesizer):
        raise UserError(
            f"{name} is several generators, which one file does not hold: export one of "
            f"{', '.join(one for one in models.synthesizers() if one != name)}."
        )
    built: Any = network
    return Exportable(
        dataset=dataset,
        version=version,
        model=published,
        network=Drawing(built.generator, *image_size(published)).eval(),
        latent_dim=built.config.latent_dim,
        intensity=str(project.store(dataset).info.scaling),
        quality=_quality(project, dataset, name, version),
    )


def _quality(project: Project, dataset: str, name: str, version: str) -> Any:
    """Read the quality of images that were drawn since the generator was published, as JSON."""
    entry: Any = project.catalog(dataset).get(f"{name}.synthetic")
    if not entry.exists() or entry.resolve_load_version() < version:  # both are times
        return None
    made = project.read(dataset, f"{name}.synthetic")
    return to_json(made.quality) if made else None


Writer = Callable[[Exportable, Any, Path], Path]


def write_checked(made: Exportable, output: Path, write: Writer, what: str) -> str:
    """Fill a new folder, compare its network with the trained one, and only then put it there."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output} is in use: give --output the name of a new folder.")
    with new_folder(output) as folder, torch.inference_mode():
        network = write(made, exported(made), folder)
        difference = largest_difference(made, network)
        if not difference <= TOLERANCE:
            raise UserError(
                f"The exported network would differ from the trained one by {difference:.2g}, more "
                f"than {TOLERANCE:g}: nothing was written; try another version of torch."
            )
    return (
        f"Wrote {output}, a {what}. Images of the same latents differ from those of the trained "
        f"model by {difference:.1g} at most (N = {sum(PROBES)})."
    )


def exported(made: Exportable) -> Any:
    """Trace the network for any number of images."""
    batch, inputs = torch.export.Dim("batch"), made.inputs(2)
    shapes = tuple({0: batch} for _ in inputs)
    with silent_exporter():
        return torch.export.export(made.network, inputs, dynamic_shapes=(shapes,))


def largest_difference(made: Exportable, path: Path) -> float:
    """Compare a file with the trained network at several batch sizes; infinite where a value is
    not finite.
    """
    with silent_exporter():
        network = torch.export.load(str(path)).module()
    worst = 0.0
    for count in PROBES:
        inputs = made.inputs(count, seed=count)
        difference = (network(*inputs) - made.network(*inputs)).abs().max()
        worst = max(worst, float(difference) if torch.isfinite(difference) else float("inf"))
    return worst


def dump(path: Path, value: Any) -> None:
    """Write JSON; what it does not know becomes text."""
    path.write_text(json.dumps(value, indent=1, default=str) + "\n", encoding="utf-8")
