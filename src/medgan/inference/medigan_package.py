"""Images of a generator that medgan has trained; `medgan export` wrote this package.

`generate` has the arguments that medigan gives to every package. It needs PyTorch and NumPy alone.
"""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

CARD = "generator.json"


def generate(
    model_file: str,
    num_samples: int,
    output_path: str,
    save_images: bool,
    label: int | str | None = None,
    seed: int | None = None,
) -> list[Any] | None:
    """Generate images.

    Args:
        model_file: generator.pt2 of this package.
        num_samples: number of images.
        output_path: folder for PNG files, which `save_images` asks for.
        save_images: whether to write files instead of returning arrays.
        label: a class, by name or number; None lets the classes alternate.
        seed: the same one gives the same images; None draws new ones.

    Returns:
        Images uint8 (H, W), or (H, W, 3) in color; None where they were saved.
    """
    if num_samples < 1:  # medigan asks for the rest of a division into batches
        return None if save_images else []
    card = json.loads((Path(model_file).parent / CARD).read_text(encoding="utf-8"))
    rng = torch.Generator()
    rng.seed() if seed is None else rng.manual_seed(seed)
    latents = torch.randn(num_samples, card["latent_dim"], generator=rng)
    images = draw(model_file, latents, _labels(card, num_samples, label))
    pixels = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    drawn = [one.squeeze(-1).numpy() for one in pixels.permute(0, 2, 3, 1)]
    if not save_images:
        return drawn
    for index, image in enumerate(drawn):
        Path(output_path).mkdir(parents=True, exist_ok=True)
        (Path(output_path) / f"{index:05d}.png").write_bytes(png(image))
    return None


def draw(model_file: str, latents: Any, labels: Any | None) -> Any:
    """Generate images (N, C, H, W) in [-1, 1] of latents (N, D) and labels (N,)."""
    network = torch.export.load(str(model_file)).module()
    with torch.inference_mode():
        return network(latents) if labels is None else network(latents, labels)


def _labels(card: dict[str, Any], count: int, label: int | str | None) -> Any | None:
    """Return labels (N,), or None for a generator without labels."""
    classes = card["classes"]
    if label is not None and label not in (*classes, *range(len(classes))):
        raise ValueError(f"label is {label!r}: use one of {', '.join(classes)}")
    if not card["conditional"]:
        return None
    if label is None:
        return torch.arange(count) % len(classes)
    return torch.full((count,), classes.index(label) if isinstance(label, str) else label)


def png(image: Any) -> bytes:
    """Encode uint8 (H, W) or (H, W, 3) as a PNG file (ISO 15948), 8 bits a channel, no filter."""
    height, width = image.shape[:2]
    rows = np.asarray(image).reshape(height, -1)
    filtered = np.hstack([np.zeros((height, 1), np.uint8), rows]).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if image.ndim == 3 else 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered)), (b"IEND", b""))
    body = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)
