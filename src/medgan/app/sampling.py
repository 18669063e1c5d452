"""Draw images from a trained generator, and pack them for download."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from medgan import __version__
from medgan.contracts import ImageSynthesizer
from medgan.errors import UserError
from medgan.files.names import slug
from medgan.images.transforms import as_uint8, crop_padding
from medgan.models import PublishedModel
from medgan.training.runtime import generator
from medgan.words import NOT_A_MEDICAL_DEVICE

MOST = 64
"""Images drawn at once."""
SIDE = 128
"""Least side of an enlarged image, in pixels."""
NOTICE = f"Synthetic image. {NOT_A_MEDICAL_DEVICE}"
CARD = "data_card.json"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time stamp of the files in the archive, so that equal images make equal archives."""


@dataclass(frozen=True)
class Request:
    """Images to draw."""

    label: str
    """Name of the class."""
    count: int
    """1 to `MOST`."""
    seed: int
    """The same request to the same model gives the same images."""


def draw(
    model: PublishedModel, synthesizer: ImageSynthesizer, request: Request
) -> NDArray[np.uint8]:
    """Draw images: uint8 (count, H, W, C).

    Args:
        model: the published model, for its name and classes.
        synthesizer: the same model, built.
        request: class, count and seed.

    Raises:
        UserError: a class that the generator cannot draw, or a count outside 1 to `MOST`.
    """
    known = model.drawable
    if request.label not in known:
        raise UserError(
            f"{model.name} cannot draw `{request.label}`: choose from {', '.join(known)}."
        )
    if not 1 <= request.count <= MOST:
        raise UserError(
            f"{request.count} images cannot be drawn at once: choose a number from 1 to {MOST}."
        )
    labels = torch.full((request.count,), model.spec.classes.index(request.label))
    drawn = synthesizer.sample(
        request.count, labels, generator(request.seed, "app", model.name, request.label)
    )
    return as_uint8(crop_padding(drawn, *image_size(model)))


def image_size(model: PublishedModel) -> tuple[int, int]:
    """Return (H, W) of the stored training images, without the padding around them."""
    height, width = model.card.get("image_size", (model.spec.size, model.spec.size))
    return height, width


def data_card(
    model: PublishedModel, dataset: str, version: str, request: Request
) -> dict[str, Any]:
    """Describe where drawn images come from."""
    return {
        "notice": NOTICE,
        "model": model.name,
        "version": version,
        "key": model.key,
        "dataset": dataset,
        "class": request.label,
        "count": request.count,
        "seed": request.seed,
        "medgan": __version__,
        "image": {"size": image_size(model), "channels": model.spec.channels},
        "configuration": dict(model.configuration),
        "training": dict(model.card),
    }


def enlarged(image: NDArray[np.uint8], side: int = SIDE) -> NDArray[np.uint8]:
    """Repeat the pixels of an image (H, W, 1 or 3) to (k H, k W, 3), at least `side` long, without
    smoothing.
    """
    factor = max(1, -(-side // max(image.shape[:2])))
    colors = np.repeat(image, 3 // image.shape[2], axis=2)
    return colors.repeat(factor, axis=0).repeat(factor, axis=1)


def png(image: NDArray[np.uint8], description: str) -> bytes:
    """Encode a uint8 image (H, W, 1 or 3) as a PNG file with a description."""
    info = PngInfo()
    info.add_text("Description", description)
    buffer = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(
        buffer, "PNG", pnginfo=info
    )
    return buffer.getvalue()


def archive(images: NDArray[np.uint8], card: Mapping[str, Any]) -> bytes:
    """Pack a PNG for each image (n, H, W, C) and the data card as a ZIP file.

    Equal images and cards give equal bytes.
    """
    drawn = f"{card['model']} {card['key']}, class {card['class']}, seed {card['seed']}"
    description = f"{card['notice']} {drawn}."
    files = {
        f"{slug(card['class'])}-{index:03d}.png": png(image, description)
        for index, image in enumerate(images)
    }
    files[CARD] = json.dumps(card, indent=1, default=str).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(zipfile.ZipInfo(name, EPOCH), content)
    return buffer.getvalue()
