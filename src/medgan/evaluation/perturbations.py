"""What happens to images on their way: noise, blur, another exposure, JPEG, a small turn. On stored uint8 pixels, before intensity.

Each is a function of (image, severity, generator) for one image (H, W, C). The generator belongs to the image and the perturbation, so
that a perturbed image does not depend on its batch. Severities are constants, set once: from barely visible to clearly worse than what
a reader would accept.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
VERSION = 1
"""Part of the key of cached scores; raise it when a perturbation changes."""


@dataclass(frozen=True)
class Perturbation:
    """A way to make images worse, and how much."""

    apply: Callable[[Pixels, float, np.random.Generator], Pixels]
    severities: tuple[float, ...]
    unit: str
    """What a severity is, with its unit."""


def _rounded(values: NDArray[np.floating]) -> Pixels:
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)


def _sign(rng: np.random.Generator) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0


def noise(image: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Adds Gaussian noise; `severity` is its standard deviation in grey levels of 255."""
    return _rounded(image + rng.normal(0.0, severity, image.shape))


def blur(image: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Gaussian blur; `severity` is its standard deviation as a share of the longer side."""
    from scipy import ndimage

    width = severity * max(image.shape[:2])
    return _rounded(ndimage.gaussian_filter(image.astype(np.float64), (width, width, 0.0), mode="nearest"))


def brightness(image: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Adds `severity` grey levels to half of the images and takes them away from the others; what leaves 0 to 255 is lost."""
    return _rounded(image + severity * _sign(rng))


def contrast(image: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Stretches about the mean of the image by the share `severity`, or shrinks, each for half of the images."""
    mean = image.mean()
    return _rounded((image - mean) * (1.0 + severity * _sign(rng)) + mean)


def jpeg(image: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Saves and reads as JPEG of quality `severity`."""
    grey = image.shape[2] == 1
    buffer = io.BytesIO()
    Image.fromarray(image[:, :, 0] if grey else image).save(buffer, "JPEG", quality=int(severity))
    return np.asarray(Image.open(buffer)).reshape(image.shape)


def rotation(image: Pixels, severity: float, rng: np.random.Generator) -> Pixels:
    """Turns by `severity` degrees, to either side for half of the images; corners repeat the border."""
    from scipy import ndimage

    turned = ndimage.rotate(image.astype(np.float64), severity * _sign(rng), reshape=False, order=1, mode="nearest")
    return _rounded(turned)


PERTURBATIONS: Mapping[str, Perturbation] = {
    "noise": Perturbation(noise, (4.0, 8.0, 16.0), "standard deviation, grey levels"),
    "blur": Perturbation(blur, (0.01, 0.02, 0.04), "standard deviation, share of the side"),
    "brightness": Perturbation(brightness, (10.0, 20.0, 40.0), "± grey levels"),
    "contrast": Perturbation(contrast, (0.1, 0.2, 0.4), "± share"),
    "jpeg": Perturbation(jpeg, (80.0, 50.0, 20.0), "quality"),
    "rotation": Perturbation(rotation, (2.0, 5.0, 10.0), "± degrees"),
}
"""Name to perturbation, severities from mild to strong."""


def perturbed(images: Pixels, rows: NDArray[np.int64], name: str, severity: float, seed: int) -> Pixels:
    """Images (n, H, W, C) of these rows of the store, perturbed; the same rows give the same pixels in any batch."""
    apply = PERTURBATIONS[name].apply
    generators = (np.random.default_rng([seed, crc32(name.encode()), int(row)]) for row in rows)
    changed = [apply(image, severity, rng) for image, rng in zip(images, generators, strict=True)]
    return np.stack(changed) if changed else images
