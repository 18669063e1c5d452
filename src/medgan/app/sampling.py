"""Images drawn from a trained generator, and the archive that they are handed out in."""

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
from medgan.images.transforms import as_uint8, crop_padding
from medgan.models import PublishedModel
from medgan.training.runtime import generator

MOST = 64
"""Images drawn at once."""
NOTICE = "Synthetic image, not a medical device: drawn by a generator, not for diagnosis or any decision about a patient."
CARD = "data_card.json"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time stamp of the files in the archive, so that equal images make equal archives."""


@dataclass(frozen=True)
class Request:
    """What is to be drawn."""

    label: str
    """Name of the class."""
    count: int
    """1 to `MOST`."""
    seed: int
    """The same request to the same model gives the same images."""


def draw(
    model: PublishedModel, synthesizer: ImageSynthesizer, request: Request
) -> NDArray[np.uint8]:
    """uint8 (count, H, W, C).

    Args:
        model: the published model, for its name and classes.
        synthesizer: the same model, built.
        request: what is to be drawn.

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
    """(H, W) of the stored images that it learned from, without the padding around them."""
    height, width = model.card.get("image_size", (model.spec.size, model.spec.size))
    return height, width


def data_card(
    model: PublishedModel, dataset: str, version: str, request: Request
) -> dict[str, Any]:
    """Where drawn images come from, for those who find them later."""
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


def png(image: NDArray[np.uint8], description: str = "") -> bytes:
    """A uint8 (H, W, 1 or 3) image as a PNG file, with a description inside if one is given."""
    info = PngInfo()
    if description:
        info.add_text("Description", description)
    buffer = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(
        buffer, "PNG", pnginfo=info
    )
    return buffer.getvalue()


def archive(images: NDArray[np.uint8], card: Mapping[str, Any]) -> bytes:
    """A ZIP file with a PNG for each image (n, H, W, C) and the data card; equal images and cards
    give equal bytes.
    """
    description = f"{card['notice']} {card['model']} {card['key']}, class {card['class']}, seed {card['seed']}."
    files = {
        f"{card['class']}-{index:03d}.png": png(image, description)
        for index, image in enumerate(images)
    }
    files[CARD] = json.dumps(card, indent=1, default=str).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(zipfile.ZipInfo(name, EPOCH), content)
    return buffer.getvalue()
