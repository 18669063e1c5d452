"""A small package in medigan's own format, made on the spot."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np

ID = "90001_NOISE_XRAY"
NAME = "90001_NOISE"
CODE = '''
"""Squares of noise around the level that the weights name."""
import os
import random
from pathlib import Path

import numpy as np


def generate(model_file, num_samples, output_path, save_images, level=None, side=24, mode="uint8"):
    assert not save_images and Path(output_path).is_dir()
    print("not a report")
    weights = np.load(model_file)
    mean = weights["level"] if level is None else level
    if mode == "raises":
        raise RuntimeError("no such GPU")
    if mode == "imports":
        import a_module_that_nobody_has
    if mode == "kills":
        os._exit(7)
    if mode == "variables":
        mean = float(len(os.environ.get("SECRET_TOKEN", "")))
    noise = np.random.rand(num_samples, side, side) * 40 + mean
    images = noise.astype("uint8")
    if mode == "unit":
        images = noise / 255
    if mode == "signed":
        images = noise / 127.5 - 1
    if mode == "masks":
        return [(image, image > 99) for image in images]
    if mode == "first":
        return list(np.stack([images] * 3, 1))
    if mode == "wild":
        images = noise * 1000
    if mode == "objects":
        return [np.array([object()] * 100).reshape(10, 10) for _ in images]
    if mode == "text":
        return [np.full((20, 20), "gray") for _ in images]
    if mode == "flat":
        return list(np.zeros_like(images))
    if mode == "nothing":
        return []
    if mode == "four":
        return list(np.stack([images] * 4, -1))
    if mode == "nan":
        return list(noise * np.nan)
    if mode == "more":
        return list(images) * 2
    return list(images)
'''


def metadata(identifier: str = ID, **execution: object) -> dict[str, object]:
    """An entry in the schema of medigan's templates/template.json."""
    base = ["model_file", "num_samples", "output_path", "save_images"]
    custom = {"level": None, "side": 24, "mode": "uint8"}
    return {
        identifier: {
            "execution": {
                "package_name": NAME,
                "package_link": "",
                "model_name": "weights",
                "extension": ".npz",
                "image_size": [24, 24],
                "dependencies": ["numpy"],
                "generate_method": {"name": "generate", "args": {"base": base, "custom": custom}},
                **execution,
            },
            "selection": {
                "performance": {"FID": 12.5, "FID_no_images": 300, "SSIM": None},
                "organ": ["lung"],
                "modality": ["x-ray"],
                "height": 24,
                "width": 24,
                "type": "noise",
                "license": "MIT",
            },
            "description": {"title": "Noise", "publication": None, "doi": []},
        }
    }


def package_folder(parent: Path, code: str = CODE, **execution: object) -> Path:
    """A package as a folder."""
    folder = parent / NAME
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(code)
    (folder / "metadata.json").write_text(json.dumps(metadata(**execution)))
    np.savez(folder / "weights.npz", level=100.0)
    return folder


def package_archive(parent: Path, code: str = CODE, **execution: object) -> Path:
    """A package as the ZIP archive that medigan downloads."""
    folder = package_folder(parent, code, **execution)
    path = parent / f"{NAME}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"{NAME}/{file.name}")
    return path
