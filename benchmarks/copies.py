"""The search for copies, and the release gate, on planted copies of real images.

    python benchmarks/copies.py planted --env chest_xray
    python benchmarks/copies.py speed

`planted` needs `kedro run --env ENV --pipelines ingestion,preprocessing`, and for verdicts the
network of `--pipelines synthesis --tags domain_features`. The test images stand for what a
generator draws: they are genuine, and their patients are in no other part. The limit is taken from
one half of the validation patients. Copies of training images then replace 1 % of the test images,
of all kinds in turn. m3-score, if it can be imported, flags the same images in the same features;
its own network is downloaded, so its function of features is called.

`speed` searches 10,000 images among 100,000, both made up. One thread.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from medgan.audits.gate import Evidence, ReleaseConfig, judge
from medgan.audits.privacy import check_copies
from medgan.evaluation.results import LeftOut
from medgan.images.leakage import leakage_audit
from medgan.images.store import ImageStore
from medgan.images.transforms import as_tensor, as_uint8, pad_square
from medgan.metrics.copies import CopySearch, gray
from medgan.metrics.memorisation import CLOSER, QUANTILE, nearest_training
from medgan.metrics.planted import CHANGES, plant
from medgan.models import PublishedModel
from medgan.pipelines.outputs import Trained
from medgan.pipelines.synthesis.config import SynthesisConfig
from medgan.pipelines.synthesis.quality import RealData, assess
from medgan.pipelines.synthesis.release import Origins, assess_privacy, find_collapse

PLANTED = 0.01
DRAWS = 20
GENERATOR = "acgan"
"""A model that learns every category: all training images may be copied."""
CONFIG = SynthesisConfig(paired_images=1)
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Images:
    """Real images of a data set, uint8 (n, H, W, C) as a generator would draw them."""

    origins: Origins
    splits: pd.DataFrame
    features: Trained | LeftOut
    training: NDArray[np.uint8]
    validation: NDArray[np.uint8]
    genuine: NDArray[np.uint8]
    """Of the test part."""
    labels: NDArray[Any]
    """Class number of each genuine image."""

    @classmethod
    def of(cls, env: str) -> Images:
        """Read what preprocessing has stored."""
        folder = Path("data/05_model_input") / env
        store, splits = (
            ImageStore.open(folder / "images"),
            pd.read_parquet(folder / "splits.parquet"),
        )
        test, splits = splits[splits["split"] == "test"], splits[splits["split"] != "test"]
        origins = Origins.of(GENERATOR, store, splits)
        parts = (origins.training, origins.held_out, test)
        pixels = [as_uint8(origins.cropped(part)) for part in parts]
        found = sorted(Path("data/06_models", env, "domain_features").glob("trained/*/trained"))
        network: Trained | LeftOut = LeftOut("no network was trained")
        if found:
            network = Trained(PublishedModel.read(found[-1]), pd.DataFrame(), b"")
        labels = pd.Index(store.spec.classes).get_indexer(pd.Index(test["category"]))
        return cls(origins, splits, network, *pixels, labels)

    def described(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Domain features (n, D)."""
        network: Any = self.features.model.build()  # type: ignore[union-attr]
        padded = pad_square(as_tensor(pixels), self.origins.store.spec.size)
        with torch.inference_mode():
            return torch.cat([network.features(part) for part in padded.split(250)]).numpy()


def planted(env: str) -> None:
    """Print recall by kind, false flags, and verdicts."""
    images = Images.of(env)
    grays = {
        name: gray(as_tensor(getattr(images, name)))
        for name in ("training", "validation", "genuine")
    }
    rng = np.random.default_rng(7)
    originals = rng.permutation(len(images.training))[:400]
    copies = {
        name: made[..., None]
        for name, made in plant(images.training[originals, :, :, 0], 9).items()
    }
    print("| detector | genuine flagged | " + " | ".join(CHANGES) + " |")
    found_by = detectors(images, grays)
    for name, flags in found_by.items():
        false = flags(images.genuine)
        found = [f"{flags(made).mean():.1%}" for made in copies.values()]
        print(
            f"| {name} | {false.mean():.2%} of {len(false):,} | {' | '.join(found)} |", flush=True
        )
    mixed = np.stack([made[place::5][:80] for place, made in enumerate(copies.values())]).reshape(
        -1, *images.genuine.shape[1:]
    )
    flagged, n = found_by["medgan"](mixed), round(PLANTED * len(images.genuine))
    shares = [flagged[rng.permutation(len(mixed))[:n]].mean() for _ in range(DRAWS)]
    print(f"{n} copies in {len(images.genuine):,}: {np.mean(shares):.1%} found, {DRAWS} draws")
    spoiled = images.genuine.copy()
    spoiled[rng.permutation(len(spoiled))[:n]] = mixed[rng.permutation(len(mixed))[:n]]
    for title, drawn in (("without copies", images.genuine), ("with copies", spoiled)):
        print(f"\n{title}: {verdict(images, drawn)}", flush=True)


def detectors(
    images: Images, grays: dict[str, NDArray[np.uint8]]
) -> dict[str, Callable[[NDArray[np.uint8]], Flags]]:
    """Each way to flag copies."""
    origins = images.origins
    known = [origins.known(table) for table in (origins.training, origins.held_out)]
    check = check_copies(grays["genuine"][:1], *known, 0).check
    found: dict[str, Callable[[NDArray[np.uint8]], Flags]] = {
        "medgan": lambda pixels: check.flags(as_tensor(pixels))
    }
    if isinstance(images.features, LeftOut):
        return found
    training, validation = (
        images.described(pixels) for pixels in (images.training, images.validation)
    )
    limit = CLOSER * np.quantile(nearest_training(validation, training), QUANTILE)
    found["copied_share_domain"] = lambda pixels: (
        nearest_training(images.described(pixels), training) < limit
    )
    try:
        from m3score import stats
    except ImportError:
        print("m3-score is not installed")
        return found
    for name, describe in (
        ("m3-score, domain features", images.described),
        ("m3-score, pixels", lambda pixels: as_tensor(pixels).flatten(1).numpy()),
    ):
        real = torch.from_numpy(describe(images.training))

        def flags(
            pixels: NDArray[np.uint8],
            describe: Callable[[NDArray[np.uint8]], NDArray[np.float32]] = describe,
            real: torch.Tensor = real,
            limit: float = stats._kth_nn_dist_within(real, 1).median().item(),
        ) -> Flags:
            described = torch.from_numpy(describe(pixels))
            near = stats._kth_nn_dist(described, real, 1) < limit  # as stats.memorization has it
            assert float(near.float().mean()) == stats.memorization(real, described)[0]
            return near.numpy()

        found[name] = flags
    return found


def verdict(images: Images, drawn: NDArray[np.uint8]) -> str:
    """The verdict on a set, and what decided it."""
    origins, splits = images.origins, images.splits
    _, privacy = assess_privacy(as_tensor(drawn), origins, None, 0)
    arrays = {"images": drawn, "labels": images.labels}
    found = judge(
        Evidence(
            generator="real images",
            key="",
            scale="cpu",
            collapse=find_collapse(as_tensor(drawn), images.labels, origins),
            n_images=len(drawn),
            quality=assess(arrays, RealData(origins.store, splits, CONFIG, 0, images.features)),
            privacy=privacy,
            leakage=leakage_audit(splits),
            n_held_out=len(origins.held_out),
            n_patients=origins.n_patients,
        ),
        ReleaseConfig(),
    )
    lines = [f"  {rule.rule}: {rule.holds}; {rule.sentence}" for rule in found.rules]
    return "\n".join(["released" if found.released else "refused", *lines])


def speed() -> None:
    """Print the processor time of each search."""
    rng = np.random.default_rng(0)
    training = rng.integers(0, 256, (100_000, 64, 64), dtype=np.uint8)
    images = rng.integers(0, 256, (10_000, 64, 64), dtype=np.uint8)
    started = time.process_time()
    CopySearch(training).nearest(images)
    print(f"copies, 64 x 64 pixels: {time.process_time() - started:.0f} CPU s", flush=True)
    for dimensions in (64, 256):
        features = rng.normal(size=(110_000, dimensions))
        started = time.process_time()
        nearest_training(features[:10_000], features[10_000:])
        seconds = time.process_time() - started
        print(f"nearest training image, {dimensions} features: {seconds:.0f} CPU s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("planted", "speed"))
    parser.add_argument("--env", default="chest_xray")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    planted(arguments.env) if arguments.what == "planted" else speed()
