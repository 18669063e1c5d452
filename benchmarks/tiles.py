"""Whole images at 64 px against tiles of 64 px: is a lesion of 1 % of the area found?

Run `PYTHONPATH=src python benchmarks/tiles.py --out build/tiles.json`. Phantoms of 256 px are drawn
without opacity; half of the test images get a disc of `--share` of the area in a lung, as dense as the
focal opacities of the phantoms. The same autoencoder (width 16) is trained with the same steps, batches and
seeds on the whole images, resized to 64 px, and on their tiles of 64 px. Nothing is chosen by the
test images. The score of a whole image is that of the method; also given is the highest value of
its map, smoothed over 5 px, since a mean over the image dilutes what is small.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from medgan import models
from medgan.files.parallel import in_order
from medgan.images.resizing import fit_square
from medgan.images.tiles import cut, score_in_tiles
from medgan.images.transforms import Intensity, prepare
from medgan.sources import phantom_rendering as draw
from medgan.sources import phantoms
from medgan.training.fit import fit
from medgan.training.runtime import seeded

Pixels = NDArray[np.uint8]
LARGE, SMALL = 256, 64
CONFIG = phantoms.PhantomSource(images=1000, patients=1000, size=LARGE, seed=7)
STANDARDISED = Intensity("standardised")


def film(number: int, lesion: bool, share: float) -> Pixels:
    """Draw a healthy phantom, or one with a disc of a share of the area."""
    person = phantoms.patient(number, CONFIG)
    exposure = phantoms._exposure(person.site, phantoms._rng(CONFIG, phantoms.EXPOSURE, number))
    x, y = draw.place(*draw.grid(LARGE * draw.OVERSAMPLING), exposure)
    density, left, right = draw.thorax(x, y, person.anatomy, exposure)
    if lesion:
        rng = phantoms._rng(CONFIG, phantoms.OPACITY, number)
        inside = np.flatnonzero((left + right) > 0.7)
        row, column = divmod(int(rng.choice(inside)), len(x))
        radius = float(np.sqrt(4 * share / np.pi))  # the image has an area of 2 x 2
        distance = np.hypot(x - x[row, column], y - y[row, column]) - radius
        density = density + np.float32(phantoms.OPACITIES["bacterial"][1]) * draw.soft(
            distance, 0.02
        )
    return draw.expose(density, exposure, phantoms._rng(CONFIG, phantoms.NOISE, number))[..., None]


def network_input(pixels: list[Pixels]) -> torch.Tensor:
    return prepare(torch.from_numpy(np.stack(pixels)), STANDARDISED, SMALL)


def trained(pixels: list[Pixels], steps: int, seed: int) -> torch.nn.Module:
    with seeded(seed, "tiles"):
        model = models.create("autoencoder", SMALL, width=16)
    return fit(model, network_input(pixels), steps, seed=seed)


def scores(model: torch.nn.Module, pixels: Pixels) -> tuple[NDArray, NDArray]:
    found = model.score(network_input(list(pixels)), torch.Generator())
    return found.image_scores.numpy(), found.anomaly_maps[:, 0].numpy()


def highest(maps: NDArray) -> NDArray:
    smooth = torch.nn.functional.avg_pool2d(torch.from_numpy(maps)[:, None], 5, 1)
    return smooth.amax((1, 2, 3)).numpy()


def areas(
    train: list[Pixels], test: list[Pixels], labels: list[int], steps: int, seed: int
) -> dict:
    whole = trained([fit_square(one, SMALL, 1) for one in train], steps, seed)
    found, maps = scores(whole, np.stack([fit_square(one, SMALL, 1) for one in test]))
    parts = trained([tile for one in train for tile in cut(one, SMALL, 0.0)], steps, seed)
    tiled = [score_in_tiles(one, SMALL, 0.5, partial(scores, parts)) for one in test]
    return {
        "whole, score": roc_auc_score(labels, found),
        "whole, highest of the map": roc_auc_score(labels, highest(maps)),
        "tiles, highest score": roc_auc_score(labels, [one.highest_tile for one in tiled]),
        "tiles, highest of the blended map": roc_auc_score(labels, [one.score for one in tiled]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=300)
    parser.add_argument("--test", type=int, default=200)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.01, help="of the area, of a lesion")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    numbers = range(given.train + given.test)
    lesions = [number >= given.train and number % 2 == 1 for number in numbers]
    films = list(in_order(lambda number: film(number, lesions[number], given.share), numbers, 2))
    train, test = films[: given.train], films[given.train :]
    labels = [int(lesion) for lesion in lesions[given.train :]]
    rows = []
    for seed in range(given.seeds):
        rows.append(areas(train, test, labels, given.steps, seed))
        print({name: round(area, 3) for name, area in rows[-1].items()}, flush=True)
    for name in rows[0]:
        values = [row[name] for row in rows]
        print(f"{name:36} {np.mean(values):.3f}  ({min(values):.3f} to {max(values):.3f})")
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(
            json.dumps({"settings": vars(given), "auroc": rows}, default=str, indent=1)
        )


if __name__ == "__main__":
    main()
