"""What an image costs, and how much memory grows, at 1,000, 10,000 and 100,000 images.

Run `PYTHONPATH=src python benchmarks/growth.py --out build/growth.json`. Every value is of a
process of its own with one thread: seconds per image, and the peak of the memory of the process
itself (anonymous pages, which no file backs) above that at its start. Images are noise of 64 px.
The detector is the autoencoder at width 4: what grows is asked, not how fast it is.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from medgan import models
from medgan.evaluation.detector import evaluate_detector
from medgan.evaluation.protocol import Protocol
from medgan.evaluation.scores import Batches, score_images
from medgan.images.loading import BatchStream, StoredImages
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.metrics.fid import statistics

SIDE, BATCH = 64, 64


def store(count: int, folder: Path) -> None:
    """Write the images of a store (preprocessing, without decoding)."""
    rng = np.random.default_rng(0)
    images = (rng.integers(0, 256, (SIDE, SIDE, 1), dtype=np.uint8) for _ in range(count))
    info = StoreInfo(count, SIDE, SIDE, 1, "standardised", ("normal", "abnormal"))
    write_store(folder / "store", images, info)


def training_input(count: int, folder: Path) -> None:
    """Draw as many images as there are, in batches, rows in random order, augmented."""
    images = StoredImages(ImageStore.open(folder / "store"))
    stream = BatchStream(images, np.arange(count), 0, augment=("rotation",))
    for index in range(count // BATCH):
        stream.draw("stage", index, BATCH)


def scoring(count: int, folder: Path, maps: bool = True) -> None:
    """Score all images."""
    images = StoredImages(ImageStore.open(folder / "store"))
    detector = models.create("autoencoder", SIDE, width=4).eval()
    score_images(detector, images, np.arange(count), Batches(BATCH, maps=maps))


def scoring_without_maps(count: int, folder: Path) -> None:
    """Score all images, and keep no maps."""
    scoring(count, folder, maps=False)


def evaluation(count: int, folder: Path) -> None:
    """Evaluate the scores of a detector: 1,000 resamples of patients with two images each."""
    rng = np.random.default_rng(0)
    names = [f"i{number}" for number in range(count)]
    label = rng.integers(0, 2, count)
    splits = pd.DataFrame(
        {
            "image_id": names,
            "group_id": [f"p{number // 2}" for number in range(count)],
            "group_known": True,
            "split": np.where(np.arange(count) % 4 < 2, "val", "test"),
            "label": label,
            "category": np.where(label, "abnormal", "normal"),
        }
    )
    scores = pd.DataFrame({"image_id": names, "score": rng.normal(label, 1.0)})
    evaluate_detector(scores, splits, Protocol(n_resamples=1000))


def fid_statistics(count: int, folder: Path) -> None:
    """Mean and covariance of as many features of 256 numbers."""
    statistics(np.random.default_rng(0).standard_normal((count, 256)).astype(np.float32))


WORK: dict[str, Callable[[int, Path], None]] = {
    "writing the store": store,
    "training input": training_input,
    "scoring": scoring,
    "scoring without maps": scoring_without_maps,
    "evaluation": evaluation,
    "FID statistics": fid_statistics,
}


def memory() -> float:
    """Anonymous memory of this process in MB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def measured(name: str, count: int, folder: Path) -> dict[str, float]:
    """Run one piece of work after a small one, which imports and warms up."""
    torch.set_num_threads(1)
    small = folder / "small"
    small.mkdir()
    store(256, small)
    WORK[name](256, small)
    base, peak, done = memory(), [memory()], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            peak.append(memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.process_time()
    WORK[name](count, folder)
    seconds = time.process_time() - started
    peak.append(memory())
    done.set()
    watcher.join()
    return {"ms": 1000 * seconds / count, "mb": max(peak) - base}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--work", nargs="+", choices=WORK, default=list(WORK))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=3, metavar=("WORK", "COUNT", "FOLDER"))
    given = parser.parse_args()
    if given.one:
        name, count, folder = given.one
        print(json.dumps(measured(name, int(count), Path(folder))))
        return
    found: dict[str, dict[str, dict[str, float]]] = {}
    for count in given.sizes:
        with tempfile.TemporaryDirectory() as folder:
            store(count, Path(folder))
            for name in given.work:
                with tempfile.TemporaryDirectory() as own:
                    (Path(own) / "store").symlink_to(Path(folder) / "store")
                    command = [sys.executable, __file__, "--one", name, str(count), own]
                    text = subprocess.run(
                        command, check=True, capture_output=True, text=True
                    ).stdout
                row = found.setdefault(name, {})[str(count)] = json.loads(text)
                print(
                    f"{name:22} {count:8,} {row['ms']:9.4f} ms/image {row['mb']:9.1f} MB",
                    flush=True,
                )
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
