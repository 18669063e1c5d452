"""Settings of a generator, judged on validation images at equal processor time.

    kedro run --env pneumoniamnist --params source=PATH,seed=10 --to-outputs splits
    kedro run --env pneumoniamnist --params source=PATH,seed=10 --pipeline synthesis --to-outputs domain_features.trained
    python benchmarks/generators.py pneumoniamnist acgan 60 120 180
    python benchmarks/generators.py pneumoniamnist acgan 60 120 180 --params acgan.model.lr=5e-4

Trains with the settings of conf/ and `--params` until the processor seconds are spent, validation
apart, and judges the weights that would be published then. Generated images have the class shares of
the training images; they are compared with the validation images in domain features, as synthesis
does with held-out ones (docs/methods.md). Test images are never read. One line of JSON for each
number of seconds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from medgan import models
from medgan.images.labels import class_labels, one_finding
from medgan.images.loading import StoredImages
from medgan.images.transforms import as_tensor, as_uint8, crop_padding, pad_square
from medgan.metrics.features import FeatureSets
from medgan.metrics.fid import feature_fid
from medgan.metrics.kid import feature_kid
from medgan.metrics.precision_recall import feature_overlap
from medgan.pipelines.gan_training.nodes import plan_model
from medgan.project.artifacts import Project, project_root
from medgan.project.environment import Environment
from medgan.project.given import given_parameters
from medgan.training.job import TrainingJob
from medgan.training.loop import Progress, train
from medgan.training.runtime import generator, seeded

DRAWN = 1000
AT_ONCE = 128
NEVER = 10**6
"""Steps that no budget of seconds reaches."""


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    root = project_root()
    environment = Environment(root / "conf", arguments.env, given_parameters(arguments.params))
    found, project, dataset = environment.parameters(), Project(root), environment.dataset()
    images, splits = project.store(dataset), project.splits(dataset)
    names = ("gan_training", "augmentation")
    settings = found[arguments.model]
    steps = (
        settings.training.steps
        if arguments.steps
        else dict.fromkeys(settings.training.steps, NEVER)
    )
    training = replace(settings.training, steps=steps, inspect_every=0, report_every=10)
    settings = replace(settings, training=training)
    inputs = (settings, *(found[name] for name in names), arguments.seed)
    job = plan_model(arguments.model, images, splits, *inputs)
    judge = Judge(
        StoredImages(images),
        splits,
        images.spec.classes,
        job,
        project.published(dataset, "domain_features"),
    )
    with seeded(job.seed, job.initial):
        model = models.load(job.model).build(job.config, job.spec)
    about = {
        "env": arguments.env,
        "model": arguments.model,
        "params": arguments.params,
        "seed": arguments.seed,
    }
    for seconds, progress in _until(model, job, arguments.seconds):
        with seeded(0):
            quality = judge(progress)
        print(
            json.dumps({**about, "seconds": round(seconds), "step": progress.step, **quality}),
            flush=True,
        )


def _until(model: Any, job: TrainingJob, marks: Sequence[float]) -> Any:
    """Yield the seconds and the checkpoint as each number of processor seconds is reached."""
    due, judging, started = list(marks), 0.0, time.process_time()
    config = replace(job.training, checkpoint_every=job.training.report_every)
    for progress in train(model, job.batches, config):
        spent = time.process_time() - started - judging
        if spent >= due[0] or progress.step == progress.total:
            before = time.process_time()
            yield spent, progress
            judging += time.process_time() - before
            due = due[1:]
            if not due:
                return


class Judge:
    """Compare what a checkpoint draws with the validation images."""

    def __init__(
        self,
        stored: StoredImages,
        splits: pd.DataFrame,
        classes: Sequence[str],
        job: TrainingJob,
        features: Any,
    ) -> None:
        self.job, self.network, self.size = job, features.build(), stored.store.spec.size
        self.shape = stored.store.info.height, stored.store.info.width
        validation = one_finding(splits[splits["split"] == "val"])
        self.drawn = classes if job.batches.labels is not None else classes[:1]
        self.labels = class_labels(validation, classes)
        self.groups = validation["group_id"].astype(str).to_numpy()
        self.real = self.features(stored(validation["row"].to_numpy()))

    @torch.inference_mode()
    def features(self, images: Tensor) -> np.ndarray:
        return np.concatenate(
            [self.network.features(part).numpy() for part in images.split(AT_ONCE)]
        )

    def __call__(self, progress: Progress) -> Mapping[str, Any]:
        model = models.load(self.job.model).build(self.job.config, self.job.spec)
        model.load_state_dict(progress.state.weights())
        model.eval()
        labels = np.zeros(DRAWN, int)
        if self.job.batches.labels is not None:
            rng = np.random.default_rng(0)
            labels = rng.choice(self.job.batches.labels, DRAWN)
        rng = generator("trial", self.job.seed)
        parts = torch.from_numpy(labels).split(AT_ONCE)
        pixels = as_uint8(
            crop_padding(
                torch.cat([model.sample(len(part), part, rng) for part in parts]), *self.shape
            )
        )
        synthetic = self.features(pad_square(as_tensor(pixels), self.size))
        found = {"all": self.compare(synthetic, labels, list(range(len(self.drawn))))}
        if len(self.drawn) > 1:
            found |= {"normal": self.compare(synthetic, labels, [0])}
        return found

    def compare(
        self, synthetic: np.ndarray, labels: np.ndarray, classes: Sequence[int]
    ) -> Mapping[str, Any]:
        own, real = np.isin(labels, classes), np.isin(self.labels, classes)
        sets = FeatureSets(synthetic[own], self.real[real], self.groups[real])
        fid, kid = feature_fid(sets, "domain"), feature_kid(sets, "domain")
        overlap = feature_overlap(sets, "domain")
        found = {"fid": fid, "kid": kid} | {
            name: overlap[name] for name in ("precision", "recall", "coverage")
        }
        return {"n": fid.n} | {
            name: [round(metric.value, 3), round(metric.real_vs_real, 3)]
            for name, metric in found.items()
        }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("env")
    parser.add_argument("model", choices=models.synthesizers())
    parser.add_argument("seconds", nargs="+", type=float, help="processor seconds of training")
    parser.add_argument("--params", default="", help="as of kedro run")
    parser.add_argument("--seed", type=int, default=10)
    parser.add_argument(
        "--steps",
        action="store_true",
        help="end after the steps of conf/ at the latest, as a schedule needs",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
