"""Render images like chest radiographs: densities of body parts, summed and exposed with noise.

Coordinates run from -1 to 1, x to the right of the image (the patient's left) and y downwards.
Densities are in arbitrary units, 0 for air; dense parts are bright. Every function is pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.sources.raw import Bools, Floats, Pixels

Field = NDArray[np.floating[Any]]
"""(H, W) values or coordinates of the pixels, float32 where it matters for speed."""
Opacity = tuple[Field, Bools]  # density of an opacity, and its mask
Pair = tuple[float, float]
OVERSAMPLING = 2
LETTERS = (
    np.array([[1, 1, 0], [1, 0, 1], [1, 1, 0], [1, 0, 1], [1, 0, 1]], dtype=bool),
    np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 1, 1]], dtype=bool),
)
"""R and L."""


@dataclass(frozen=True)
class Anatomy:
    """What all images of a patient share."""

    width: float  # half width of the thorax
    lung_height: float
    heart: float  # half width of the heart
    diaphragm: float  # y of the right dome
    rib_spacing: float
    rib_contrast: float
    fat: float  # density of the chest wall
    breast: float  # density of the breast shadows; 0 in men and children
    vessels: int  # seed of the vessel tree


@dataclass(frozen=True)
class Exposure:
    """What differs between the images of a patient."""

    gain: float
    gamma: float
    noise: float
    blur: float
    turn: float  # radians
    shift: tuple[float, float]
    zoom: float
    breath: float  # how far the diaphragm is below the patient's mean
    marker: int  # corner of the side marker: 0 left, 1 right
    bone: float  # weight of bone, which falls with the tube voltage


@lru_cache(maxsize=4)
def grid(side: int) -> tuple[Field, Field]:
    """Return x and y of the pixel centers, each (side, side)."""
    line = (np.arange(side, dtype=np.float32) + 0.5) / side * 2.0 - 1.0
    x, y = np.meshgrid(line, line)
    return x, y


@lru_cache(maxsize=32)
def _spectrum(side: int, scale: float) -> Field:
    frequency = np.fft.fftfreq(side)[:, None] ** 2 + np.fft.rfftfreq(side)[None] ** 2
    return np.exp(-2.0 * (np.pi * scale * side / 2.0) ** 2 * frequency).astype(np.float32)


def blurred(field: Field, scale: float) -> Field:
    """Blur with a Gaussian of standard deviation `scale`, in coordinates; the borders wrap."""
    spectrum = np.fft.rfft2(field) * _spectrum(len(field), scale)
    return np.fft.irfft2(spectrum, s=field.shape).astype(np.float32)


def cloud(rng: np.random.Generator, side: int, scale: float) -> Field:
    """Draw a smooth random field, of mean 0 and variance 1, of structures of size `scale`."""
    field = blurred(rng.standard_normal((side, side), dtype=np.float32), scale)
    standard: Field = (field - field.mean()) / max(float(field.std()), 1e-6)
    return standard


def soft(distance: Field, width: float) -> Field:
    """Map signed distances to 1 inside (< 0) and 0 outside, over an edge of `width`."""
    inside = 1.0 / (1.0 + np.exp(np.clip(distance / width * 4.0, -30, 30)))
    return np.asarray(inside, dtype=np.float32)


def ellipse(
    x: Field, y: Field, center: Pair, radii: Pair, edge: float, power: float = 2.0
) -> Field:
    """Draw a soft superellipse."""
    u, v = np.abs(x - center[0]) / radii[0], np.abs(y - center[1]) / radii[1]
    return soft(((u**power + v**power) ** (1.0 / power) - 1.0) * min(radii), edge)


def place(x: Field, y: Field, exposure: Exposure) -> tuple[Field, Field]:
    """Convert image coordinates to body coordinates: rotated, shifted, scaled."""
    cosine, sine = np.cos(exposure.turn), np.sin(exposure.turn)
    u, v = (x - exposure.shift[0]) / exposure.zoom, (y - exposure.shift[1]) / exposure.zoom
    return (u * cosine + v * sine).astype(np.float32), (v * cosine - u * sine).astype(np.float32)


def lung_fields(x: Field, y: Field, anatomy: Anatomy, breath: float) -> tuple[Field, Field]:
    """Draw soft masks of the lung on the left and on the right of the image."""
    lungs = []
    for side in (-1.0, 1.0):
        across = x * side
        center, radius = 0.47 * anatomy.width + 0.10 * (y + 0.1), anatomy.width * (0.41 + 0.09 * y)
        u, v = np.abs((across - center) / radius), np.abs((y + 0.04) / anatomy.lung_height)
        rim = (u**2.2 + v**2.6) ** (1 / 2.4) - 1.0
        top = anatomy.diaphragm + breath + (0.06 if side > 0 else 0.0)
        dome = top + 1.3 * (across - 0.75 * center) ** 2
        inner = soft(0.15 + 0.05 * y - across, 0.05)
        lungs.append(soft(rim * radius, 0.05) * soft(y - dome, 0.035) * inner)
    return lungs[0], lungs[1]


def _ribs(x: Field, y: Field, anatomy: Anatomy) -> Field:
    """Draw posterior ribs, which slope gently, and thinner, fainter and steeper anterior ones."""
    across = np.abs(x) / anatomy.width
    inside = soft(across - 0.93, 0.06) * soft(np.abs(y + 0.08) - 0.78, 0.1)
    slope = y + 0.10 - 0.42 * (across - 0.45) ** 2 + 0.10 * across
    back = np.cos(slope * 2 * np.pi / anatomy.rib_spacing)
    front = np.cos((y - 0.30 * across + 0.12) * 2 * np.pi / (1.15 * anatomy.rib_spacing))
    anterior = 0.30 * np.clip(front - 0.45, 0, None) * soft(0.3 - across, 0.1)
    return inside * soft(0.12 - across, 0.08) * (0.75 * np.clip(back - 0.25, 0, None) + anterior)


def _clavicles(x: Field, y: Field, anatomy: Anatomy) -> Field:
    across = np.abs(x)
    line = -0.60 - 0.20 * (across - 0.1) + 0.14 * np.sin(across * 5.0)
    ends = soft(across - 0.85 * anatomy.width, 0.05)
    return soft(np.abs(y - line) - 0.032, 0.025) * soft(0.08 - across, 0.03) * ends


@lru_cache(maxsize=512)
def _vessel_tree(seed: int) -> Floats:
    """Draw the vessels that leave both hila: (n, 5) segments x0, y0, x1, y1, width."""
    rng = np.random.default_rng(seed)
    segments = []
    for side in (-1.0, 1.0):
        for angle in np.linspace(-1.25, 1.35, 7) + rng.normal(0, 0.08, 7):
            start, width = np.array([side * 0.17, -0.05]), 0.026
            for bend in np.cumsum(rng.normal(0, 0.22, 3)):
                direction = np.array([side * np.cos(angle + bend), np.sin(angle + bend)])
                end = start + rng.uniform(0.11, 0.19) * direction
                segments.append((*start, *end, width))
                start, width = end, width * 0.7
    return np.array(segments)


def _span(line: Field, low: float, high: float) -> slice:
    """Find the part of rising coordinates near low..high; the margin covers width and rotation."""
    return slice(int(np.searchsorted(line, low - 0.1)), int(np.searchsorted(line, high + 0.1)))


def _vessels(x: Field, y: Field, anatomy: Anatomy) -> Field:
    total = np.zeros_like(x)
    middle = len(x) // 2
    for x0, y0, x1, y1, width in _vessel_tree(anatomy.vessels):
        down = _span(y[:, middle], min(y0, y1), max(y0, y1))
        box = down, _span(x[middle], min(x0, x1), max(x0, x1))
        u, v, dx, dy = x[box] - x0, y[box] - y0, x1 - x0, y1 - y0
        along = np.clip((u * dx + v * dy) / (dx * dx + dy * dy), 0, 1)
        squared = (u - along * dx) ** 2 + (v - along * dy) ** 2
        vessel = width * 20 * np.exp(-squared / (2 * (0.6 * width) ** 2))
        np.maximum(total[box], vessel, out=total[box])
    hila = np.exp(-((np.abs(x) - 0.2) ** 2 / 0.006 + (y + 0.03) ** 2 / 0.025))
    return total + 0.8 * hila.astype(np.float32)


def thorax(x: Field, y: Field, anatomy: Anatomy, exposure: Exposure) -> tuple[Field, Field, Field]:
    """Draw the density of a healthy chest; return it with its left and right lung masks."""
    left, right = lung_fields(x, y, anatomy, exposure.breath)
    lungs = left + right
    trunk = ellipse(x, y, (0.0, 0.45), (1.10 * anatomy.width, 1.45), 0.06, 3.0)
    neck = ellipse(x, y, (0.0, -1.0), (0.26, 0.45), 0.06)
    shoulders = ellipse(np.abs(x), y, (0.72, -0.62), (0.42, 0.26), 0.08)
    arms = ellipse(np.abs(x), y, (1.28, 0.25), (0.22, 1.2), 0.06)
    wall = np.maximum.reduce([trunk, neck, shoulders, 0.8 * arms])
    density = (0.75 + anatomy.fat) * wall - 0.62 * lungs
    heart = ellipse(x - 0.35 * (y - 0.2), y, (0.14, 0.20), (anatomy.heart, 0.33), 0.06)
    aorta = ellipse(x, y, (0.10, -0.24), (0.11, 0.14), 0.05)
    mediastinum = 0.42 * np.maximum(heart, 0.6 * aorta) * (0.25 + 0.75 * lungs)
    density += mediastinum + 0.13 * soft(np.abs(x) - 0.14, 0.07) * wall
    density -= 0.10 * soft(np.abs(x) - 0.05, 0.03) * soft(y + 0.28, 0.06)
    spine = soft(np.abs(x) - 0.085, 0.03) * (0.75 + 0.25 * np.cos(y * np.float32(2 * np.pi / 0.17)))
    bones = anatomy.rib_contrast * _ribs(x, y, anatomy) + 0.16 * _clavicles(x, y, anatomy)
    density += exposure.bone * (bones + 0.09 * spine * wall)
    density += 0.16 * _vessels(x, y, anatomy) * lungs
    breasts = ellipse(np.abs(x), y, (0.5 * anatomy.width, 0.38), (0.34, 0.26), 0.08)
    density += anatomy.breast * breasts
    return density.astype(np.float32), left, right


def focal(rng: np.random.Generator, x: Field, y: Field, left: Field, right: Field) -> Opacity:
    """Draw a lobar consolidation: a dense region with a ragged edge in one lung."""
    side = len(x)
    lung = left if rng.random() < 0.5 else right
    inside = np.flatnonzero(lung > 0.7)
    row, column = divmod(int(rng.choice(inside)), side)
    radii = rng.uniform(0.20, 0.36), rng.uniform(0.20, 0.36)
    distance = np.hypot((x - x[row, column]) / radii[0], (y - y[row, column]) / radii[1]) - 1.0
    distance = distance + 0.20 * cloud(rng, side, 0.08)
    shape = soft(distance * min(radii), 0.10) * lung
    return shape * (1.0 + 0.15 * cloud(rng, side, 0.03)), _mask(shape)


def diffuse(rng: np.random.Generator, x: Field, y: Field, left: Field, right: Field) -> Opacity:
    """Draw patchy, reticular haze in both lungs, denser around the hila and in the lower zones."""
    side = len(x)
    lungs = left + right
    patches = np.clip(0.5 + 0.5 * cloud(rng, side, 0.13), 0, 1.5)
    net = np.abs(cloud(rng, side, 0.035))
    weight = 0.55 + 0.45 * np.exp(-((np.abs(x) - 0.3) ** 2 / 0.10 + (y - 0.1) ** 2 / 0.20))
    shape = (lungs * weight * patches).astype(np.float32)
    return shape * (0.9 + 0.35 * (net - 0.8)), _mask(shape)


def _mask(shape: Field) -> Bools:
    """Return where an opacity has over a third of its largest density: never empty."""
    mask: Bools = shape > 0.33 * shape.max()
    return mask


def shrink(field: NDArray[np.generic]) -> Field:
    """Average every square of OVERSAMPLING x OVERSAMPLING pixels."""
    side = len(field) // OVERSAMPLING
    squares = field.astype(np.float32).reshape(side, OVERSAMPLING, side, OVERSAMPLING)
    return np.asarray(squares.mean(axis=(1, 3)))


def _marker(picture: Field, exposure: Exposure) -> None:
    """Draw the letter of the patient's side in an upper corner: R on the left, L on the right."""
    side = len(picture)
    scale = max(side // 64, 1)
    letter = np.kron(LETTERS[exposure.marker], np.ones((scale, scale), dtype=bool))
    height, width = letter.shape
    row, column = side // 16, side // 16 if exposure.marker == 0 else side - side // 16 - width
    picture[row : row + height, column : column + width][letter] = 0.97


def expose(density: Field, exposure: Exposure, rng: np.random.Generator) -> Pixels:
    """Convert density to uint8 of half its side: bright where dense, with noise and a curve."""
    transmitted = shrink(np.exp(-2.1 * blurred(density, exposure.blur)))
    side = len(transmitted)
    spread = exposure.noise * np.sqrt(np.clip(transmitted, 0.02, None))
    noisy = transmitted + spread * rng.standard_normal((side, side), dtype=np.float32)
    picture = np.clip(-np.log(np.clip(noisy, 0.015, None)) / 2.1 * exposure.gain, 0, 1.45) / 1.45
    picture = np.clip(picture, 0, 1) ** exposure.gamma
    _marker(picture, exposure)
    return np.rint(picture * 255).astype(np.uint8)
