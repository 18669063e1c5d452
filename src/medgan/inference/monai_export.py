"""Generators as MONAI bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from medgan import __version__
from medgan.inference.generators import (
    NETWORK,
    UNJUDGED,
    Exportable,
    dump,
    exportable,
    write_checked,
)
from medgan.inference.medigan_package import CARD
from medgan.words import NOT_A_MEDICAL_DEVICE

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
