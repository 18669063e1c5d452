"""Generators as packages of medigan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from medgan import models
from medgan.inference import medigan_package
from medgan.inference.generators import (
    NETWORK,
    UNJUDGED,
    Exportable,
    dump,
    exportable,
    write_checked,
)
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
    dump(folder / medigan_package.CARD, made.card)
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
