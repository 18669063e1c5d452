"""Scores of a detector, in batches as evaluation computes them."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.paired import Case, Within
from benchmarks.plain import scoring as plain
from benchmarks.rows.steps import images, operations
from benchmarks.scale import Scale
from medgan.contracts import ImageSpec
from medgan.models import bigan, dcgan, fanogan
from medgan.networks.dcgan import normal_latents

SIZE, WIDTH, LATENTS, BATCH = 64, 32, 64, 32
SPEC = ImageSpec(SIZE, 1)


def fanogan_scores(scale: Scale) -> Case:
    """f-AnoGAN one image at a time, as the paper's code."""
    data, model = _images(scale.of(96, 16)), fanogan.build(_fanogan(), SPEC).eval()
    return _case(
        f"f-AnoGAN's scores and maps of {len(data)} images of {SIZE} px, width {WIDTH}",
        4.0,
        model,
        data,
        partial(plain.fanogan, _as_in_tutorials(model), data),
    )


def bigan_scores(scale: Scale) -> Case:
    """EGBAD (BiGAN) one image at a time, as the paper's code."""
    data = _images(scale.of(96, 16))
    model = bigan.build(bigan.Config(LATENTS, WIDTH, cycle=False), SPEC).eval()
    return _case(
        f"EGBAD's scores and maps of {len(data)} images of {SIZE} px, width {WIDTH}",
        4.0,
        model,
        data,
        lambda: plain.egbad(model, data),
    )


def anogan_search(scale: Scale) -> Case:
    """AnoGAN one image at a time, as the paper's code."""
    data, steps = _images(scale.of(32, 6)), scale.of(25, 5)
    config = dcgan.Config(LATENTS, WIDTH, search_steps=steps, warm_start=1)
    model = dcgan.build(config, SPEC).eval().requires_grad_(False)
    start = normal_latents(1, LATENTS, _noise(), torch.device("cpu"))
    return _case(
        f"AnoGAN's search of {len(data)} images of {SIZE} px, width {WIDTH}, {steps} steps",
        10.0,
        model,
        data,
        lambda: plain.anogan(model, data, start, steps),
    )


def _case(work: str, goal: float, model: Any, data: Tensor, other: Any) -> Case:
    def mine() -> Tensor:
        parts = [model.score(batch, _noise()).image_scores for batch in data.split(BATCH)]
        return torch.cat(parts)

    return Case(
        work,
        "one image at a time",
        goal,
        mine,
        other,
        Within(1e-3, _rank_difference, "1 - Spearman's correlation of the scores"),
        operations=operations(mine),
    )


def _as_in_tutorials(model: Any) -> Any:
    """Copy a model; its weights are in the order that PyTorch has by default."""
    return deepcopy(model).to(memory_format=torch.contiguous_format)


def _rank_difference(mine: Tensor, theirs: Tensor) -> float:
    from scipy.stats import spearmanr

    return float(1 - spearmanr(mine.numpy(), theirs.numpy()).statistic)


def _images(count: int) -> Tensor:
    """Choose images of different contrast, as equal ones have no ranks."""
    return images(SIZE, 1)[:count] * torch.linspace(0.2, 1, count)[:, None, None, None]


def _fanogan() -> fanogan.Config:
    return fanogan.Config(LATENTS, WIDTH)


def _noise() -> torch.Generator:
    return torch.Generator().manual_seed(0)


CASES = (fanogan_scores, bigan_scores, anogan_search)
