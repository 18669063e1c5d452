"""Models trained in bf16 beside models trained in fp32 with the same seeds and steps.

Generated phantoms are compared with phantoms that were not trained on. Features are the pixels,
averaged to 16 x 16, as no network has to be trained or downloaded for them.
"""

from __future__ import annotations

from collections import deque
from functools import partial

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.paired import Quality
from benchmarks.rows.steps import ADVERSARIAL, FOREVER
from benchmarks.scale import Scale
from medgan.contracts import ImageSpec
from medgan.images.loading import BatchStream, TensorImages
from medgan.images.transforms import as_tensor
from medgan.metrics.fid import FeatureStatistics, frechet_distance, statistics
from medgan.models import sngan
from medgan.sources.phantoms import PhantomSource
from medgan.training.loop import train
from medgan.training.runtime import generator, seeded
from medgan.training.settings import TrainingConfig

LATENTS, WIDTH, SIDE, SEEDS, AVERAGED = 64, 16, 16, 5, 0.995


def sngan_bf16(scale: Scale) -> Quality:
    """SNGAN in bf16."""
    size, count, steps, batch = scale.of((64, 800, 200, 16), (32, 40, 2, 4))
    training, held_out = _phantoms(count, size, 0), _phantoms(count, size, 1)
    known = statistics(_pixels(held_out))
    distance = partial(_distance, training, known, (steps, batch))
    return Quality(
        f"SNGAN at {size} px in bf16, width {WIDTH}, {steps} steps, {SEEDS} seeds",
        f"FID of {count} and {count} phantoms, {SIDE} x {SIDE} pixels",
        partial(distance, "fp32"),
        partial(distance, "bf16"),
        scale.of(SEEDS, 2),
    )


def _distance(
    training: Tensor,
    known: FeatureStatistics,
    budget: tuple[int, int],
    precision: str,
    seed: int,
) -> float:
    """Train with steps and batches of this size, and compare what the model draws."""
    steps, batch = budget
    with seeded(seed, "parity"):
        model = sngan.build(sngan.Config(LATENTS, WIDTH), ImageSpec(training.shape[-1], 1))
    config = TrainingConfig(
        {ADVERSARIAL: steps},
        batch,
        precision=precision,
        ema_decay=AVERAGED,
        report_every=FOREVER,
        checkpoint_every=FOREVER,
    )
    stream = BatchStream(TensorImages(training), np.arange(len(training)), seed)
    last = deque(train(model, stream, config), maxlen=1).pop()
    assert last.state is not None  # the last report has a checkpoint
    model.load_state_dict(last.state.weights())
    drawn = model.eval().sample(len(training), None, generator("parity", seed))
    return frechet_distance(known, statistics(_pixels(drawn)))


def _phantoms(count: int, size: int, seed: int) -> Tensor:
    """Draw phantoms of as many patients: (count, 1, size, size) in [-1, 1]."""
    source = PhantomSource(images=count, patients=count, size=size, seed=seed).open()
    return as_tensor(np.stack([source.read(path).pixels for path in source.rows()["path"]]))


def _pixels(images: Tensor) -> NDArray[np.float32]:
    """Average (N, 1, H, W) to (N, SIDE * SIDE)."""
    return F.adaptive_avg_pool2d(images, SIDE).flatten(1).numpy()


CASES = (sngan_bf16,)
