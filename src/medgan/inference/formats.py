"""The forms in which `medgan export` writes a trained model: ONNX files, packages of medigan and
MONAI bundles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medgan import __version__, models
from medgan.inference import medigan_package
from medgan.inference.export import export_classifier, export_detector
from medgan.inference.generators import (
    NETWORK,
    UNJUDGED,
    Exportable,
    dump,
    exportable,
    write_checked,
)
from medgan.inference.medigan_package import CARD
from medgan.pipelines.arms import ARMS
from medgan.words import NOT_A_MEDICAL_DEVICE

MODEL_FILE = {"model_name": Path(NETWORK).stem, "extension": Path(NETWORK).suffix}


def export_medigan(root: Path, dataset: str, name: str, output: Path) -> str:
    """Write a generator as a package in medigan's format; return what was written.

    Raises:
        UserError: the generator is not trained, or the folder is in use.
    """
    made = exportable(root, dataset, name)
    return write_checked(made, output, _write_medigan, f"package {medigan_id(made)} for medigan")


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
    dump(folder / CARD, made.card)
    dump(folder / "metadata.json", {medigan_id(made): medigan_metadata(made)})
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


USE = """`python -m monai.bundle run --config_file configs/inference.json` in this folder writes
`output/images.npy`, float32 (N, C, H, W) in [-1, 1]; `--count`, `--seed` and, for a generator of
several classes, `--label` choose what is drawn. The network is a file of `torch.export`, its weights
lie in `models/model.pt` too. `generator.json` describes the generator.
"""


def export_monai(root: Path, dataset: str, name: str, output: Path) -> str:
    """Write a generator as a MONAI bundle; return what was written.

    Raises:
        UserError: the generator is not trained, or the folder is in use.
    """
    return write_checked(exportable(root, dataset, name), output, _write_monai, "MONAI bundle")


def _write_monai(made: Exportable, program: Any, folder: Path) -> Path:
    for name in ("configs", "models", "docs"):
        (folder / name).mkdir()
    network = folder / "models" / NETWORK
    torch.export.save(program, str(network))
    weights = {name: value.contiguous() for name, value in program.state_dict.items()}
    torch.save(weights, folder / "models" / "model.pt")
    dump(folder / "configs" / "metadata.json", monai_metadata(made))
    dump(folder / "configs" / "inference.json", monai_configuration(made))
    dump(folder / "docs" / CARD, made.card)
    text = f"# {made.title}\n\n{NOT_A_MEDICAL_DEVICE} {UNJUDGED}\n\n{USE}"
    (folder / "docs" / "README.md").write_text(text, encoding="utf-8")
    return network


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
