"""Trained generators as packages of medigan and as MONAI bundles, which run without medgan.

The network is a file of `torch.export`. A package whose images differ from those of the trained
model is not written.
"""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medgan import __version__, models
from medgan.contracts import TrainingSet
from medgan.errors import UserError
from medgan.files.atomic import new_folder
from medgan.files.documents import to_json
from medgan.images.transforms import crop_padding
from medgan.inference import medigan_package
from medgan.models import PublishedModel
from medgan.project.artifacts import Project
from medgan.words import NOT_A_MEDICAL_DEVICE

NETWORK = "generator.pt2"
TOLERANCE = 1e-5
"""Largest difference of a pixel in [-1, 1] from that of the trained model."""
PROBES = (1, 2, 5)
"""Batch sizes with which the file is compared."""
MODEL_FILE = {"model_name": Path(NETWORK).stem, "extension": Path(NETWORK).suffix}
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
        return crop_padding(self.generator(*inputs), self.height, self.width)


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
    """As JSON; None where it was not measured."""

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
        UserError: it draws no images, or is not trained.
    """
    models.load(name)
    if name not in models.synthesizers():
        known = ", ".join(models.synthesizers())
        raise UserError(f"{name} draws no images: use one of {known}, or --format onnx.")
    project = Project(root)
    published = project.published(dataset, name)
    made = project.read(dataset, f"{name}.synthetic")
    built: Any = published.build()
    height, width = published.card.get("image_size", published.spec.shape[1:])
    return Exportable(
        dataset=dataset,
        version=project.version(dataset, name),
        model=published,
        network=Drawing(built.generator, height, width).eval(),
        latent_dim=built.config.latent_dim,
        intensity=str(project.store(dataset).info.scaling),
        quality=to_json(made.quality) if made else None,
    )


def export_medigan(root: Path, dataset: str, name: str, output: Path) -> str:
    """Write a generator as a package in medigan's format; return what was written.

    Raises:
        UserError: the generator is not trained, or the folder is in use.
    """
    made = exportable(root, dataset, name)
    return _write(made, output, _write_medigan, f"package {medigan_id(made)} for medigan")


def export_monai(root: Path, dataset: str, name: str, output: Path) -> str:
    """Write a generator as a MONAI bundle; return what was written.

    Raises:
        UserError: the generator is not trained, or the folder is in use.
    """
    return _write(exportable(root, dataset, name), output, _write_monai, "MONAI bundle")


Writer = Callable[[Exportable, Any, Path], Path]


def _write(made: Exportable, output: Path, write: Writer, what: str) -> str:
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
    with _quiet():
        return torch.export.export(made.network, inputs, dynamic_shapes=(shapes,))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's own deprecations, on which a user cannot act."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def largest_difference(made: Exportable, path: Path) -> float:
    """Compare a file with the trained network at several batch sizes; infinite where a value is
    not finite.
    """
    with _quiet():
        network = torch.export.load(str(path)).module()
    worst = 0.0
    for count in PROBES:
        inputs = made.inputs(count, seed=count)
        difference = (network(*inputs) - made.network(*inputs)).abs().max()
        worst = max(worst, float(difference) if torch.isfinite(difference) else float("inf"))
    return worst


def medigan_id(made: Exportable) -> str:
    """Name a model as medigan wants it: a number of five digits, at most 30 characters."""
    number = 90_000 + int(made.model.key, 16) % 10_000
    dataset = "".join(one if one.isalnum() else "_" for one in made.dataset.upper())
    return f"{number}_{made.model.name.upper()}_{dataset}"[:30].rstrip("_")


def _write_medigan(made: Exportable, program: Any, folder: Path) -> Path:
    network = folder / NETWORK
    torch.export.save(program, str(network))
    source = Path(medigan_package.__file__).read_bytes()
    (folder / "__init__.py").write_bytes(source)
    (folder / "requirements.txt").write_text("numpy\ntorch\n", encoding="utf-8")
    _dump(folder / medigan_package.CARD, made.card)
    _dump(folder / "metadata.json", {medigan_id(made): medigan_metadata(made)})
    return network


def medigan_metadata(made: Exportable) -> dict[str, Any]:
    """Describe a generator in the schema of medigan's `global.json`.

    Metrics of medigan's names are not given, since medgan does not measure them alike; its own
    stand under `medgan`.
    """
    height, width = made.network.height, made.network.width
    base = ["model_file", "num_samples", "output_path", "save_images"]
    custom = {"label": None, "seed": None}
    unmeasured = dict.fromkeys(("SSIM", "MSE", "NSME", "PSNR", "IS", "FID", "turing_test"))
    function = f"{'conditional' if made.conditional else 'unconditional'} generation"
    return {
        "execution": {
            "package_name": medigan_id(made),
            "package_link": "ADD_ZENODO_OR_LOCAL_URL_HERE",
            **MODEL_FILE,
            "image_size": [height, width],
            "dependencies": ["numpy", "torch"],
            "generate_method": {"name": "generate", "args": {"base": base, "custom": custom}},
            "input_latent_vector_size": made.latent_dim,
        },
        "selection": {
            "performance": {**unmeasured, "medgan": made.quality},
            "use_cases": [],
            "organ": [],
            "modality": [],
            "vendors": [],
            "centres": [],
            "function": ["noise to image", "image generation", function],
            "condition": list(made.model.drawable) if made.conditional else [],
            "dataset": [made.dataset],
            "augmentations": [],
            "generates": list(made.model.drawable),
            "height": height,
            "width": width,
            "depth": None,
            "type": models.form(made.model.name, made.model.configuration),
            "license": "",
            "dataset_type": "",
            "privacy_preservation": None,
            "tags": ["medgan"],
            "year": "",
        },
        "description": {
            "title": made.title,
            "provided_date": "",
            "trained_date": "",
            "provided_after_epoch": None,
            "version": "0.0.1",
            "publication": None,
            "doi": [],
            "inputs": [
                "label: default=None help=class of the images, by name or number; None alternates",
                "seed: default=None help=the same seed gives the same images",
            ],
            "comment": f"{NOT_A_MEDICAL_DEVICE} {UNJUDGED}",
        },
    }


def _write_monai(made: Exportable, program: Any, folder: Path) -> Path:
    for name in ("configs", "models", "docs"):
        (folder / name).mkdir()
    network = folder / "models" / NETWORK
    torch.export.save(program, str(network))
    weights = {name: value.contiguous() for name, value in program.state_dict.items()}
    torch.save(weights, folder / "models" / "model.pt")
    _dump(folder / "configs" / "metadata.json", monai_metadata(made))
    _dump(folder / "configs" / "inference.json", monai_configuration(made))
    _dump(folder / "docs" / medigan_package.CARD, made.card)
    text = f"# {made.title}\n\n{NOT_A_MEDICAL_DEVICE} {UNJUDGED}\n\n{USE}"
    (folder / "docs" / "README.md").write_text(text, encoding="utf-8")
    return network


USE = """`python -m monai.bundle run --config_file configs/inference.json` in this folder writes
`output/images.npy`, float32 (N, C, H, W) in [-1, 1]; `--count`, `--seed` and, for a generator of
several classes, `--label` choose what is drawn. The network is a file of `torch.export`, its weights
lie in `models/model.pt` too. `generator.json` describes the generator.
"""


def monai_metadata(made: Exportable) -> dict[str, Any]:
    """Describe a bundle; the latent is its `image` input, a vector without sides."""
    height, width = made.network.height, made.network.width
    channels = made.model.spec.channels
    return {
        "version": "0.0.1",
        "changelog": {"0.0.1": f"exported by medgan {__version__}"},
        "monai_version": "1.3.0",
        "pytorch_version": torch.__version__.partition("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {},
        "task": "image generation",
        "description": made.title,
        "authors": "",
        "copyright": "",
        "intended_use": f"{NOT_A_MEDICAL_DEVICE} {UNJUDGED}",
        "data_source": made.dataset,
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "tuples",
                    "format": "latent",
                    "num_channels": made.latent_dim,
                    "spatial_shape": [],
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": False,
                    "channel_def": {},
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "image",
                    "num_channels": channels,
                    "spatial_shape": [height, width],
                    "dtype": "float32",
                    "value_range": [-1, 1],
                    "is_patch_data": False,
                    "channel_def": {"0": "image"},
                }
            },
        },
    }


def monai_configuration(made: Exportable) -> dict[str, Any]:
    """Configure the inference workflow of a bundle."""
    latents = (
        f"$torch.randn(@count, {made.latent_dim}, generator=torch.Generator().manual_seed(@seed))"
    )
    labels, file = "$torch.full((@count,), @label)", f"@bundle_root + '/models/{NETWORK}'"
    inputs = ["@latents.to(@device)", *(["@labels.to(@device)"] if made.conditional else [])]
    return {
        "imports": ["$import numpy", "$import torch", "$from pathlib import Path"],
        "bundle_root": ".",
        "output_dir": "$@bundle_root + '/output'",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "count": 16,
        "seed": 0,
        **({"label": 0, "labels": labels} if made.conditional else {}),
        "latents": latents,
        "network_def": f"$torch.export.unflatten(torch.export.load({file}))",  # has `eval`
        "network": "$@network_def.to(@device)",
        "inferer": {"_target_": "SimpleInferer"},
        "images": f"$@inferer({inputs[0]}, @network{', ' + inputs[1] if made.conditional else ''})",
        "run": [
            "$Path(@output_dir).mkdir(parents=True, exist_ok=True)",
            "$numpy.save(@output_dir + '/images.npy', @images.detach().cpu().numpy())",
        ],
    }


def _dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, default=str) + "\n", encoding="utf-8")
