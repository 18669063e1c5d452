"""The plain side of the benchmarks does the same work, and every row can be made."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.plain import players, resampling
from benchmarks.plain.loading import endless
from benchmarks.plain.residual import Critic, Generator
from benchmarks.rows import films, first_pass, steps
from benchmarks.rows.near_duplicates import _hashes, _loop, _square
from benchmarks.rows.parity import sngan_bf16
from benchmarks.rows.scoring import bigan_scores, fanogan_scores
from benchmarks.rows.steps import operations
from benchmarks.rows.wgan_gp import copy_weights
from benchmarks.scale import Scale

from benchmarks import gpu, machine, paired, rows
from medgan.images.hashing import close_pairs
from medgan.networks.resnet import ResNetEncoder, ResNetGenerator, layer_norm


@pytest.mark.parametrize("row", rows.NAMES)
def test_every_row_has_described_cases(row):
    """Packages of others are imported when a case is made, so this needs none."""
    cases = rows.cases_of(row)
    assert cases
    assert all(make.__doc__ for make in cases)


def test_plain_networks_compute_what_ours_do():
    size, width = 32, 4
    widths = [width, 2 * width, 4 * width]
    latents = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    ours, theirs = ResNetGenerator(8, width, size, 1), Generator(8, [*widths[::-1], width], 1)
    copy_weights(ours, theirs)
    images = ours(latents)
    torch.testing.assert_close(theirs(latents), images, rtol=1e-4, atol=1e-5)
    ours, theirs = (
        ResNetEncoder(1, width, size, 1, layer_norm),
        Critic([width, *widths], 1, layer_norm),
    )
    copy_weights(ours, theirs)
    torch.testing.assert_close(theirs(images), ours(images), rtol=1e-4, atol=1e-5)


def test_a_resample_repeats_images():
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.5, 0.9])
    weights = np.array([[1, 1, 1, 1], [2, 0, 1, 1], [0, 1, 2, 1]])
    assert resampling.aurocs(labels, scores, weights) == pytest.approx([0.75, 1.0, 1 / 3])


class Bits:
    """A hash as imagehash has it."""

    def __init__(self, bits: np.ndarray) -> None:
        self.bits = bits

    def __sub__(self, other: Bits) -> int:
        return int((self.bits != other.bits).sum())


def test_made_hashes_have_close_pairs_that_a_double_loop_finds_too():
    words = _hashes(300)
    found = close_pairs(words, 40, np.arange(300), 300**2)
    slow = _loop([Bits(bits) for bits in _square(words)])
    assert set(zip(found.first.tolist(), found.second.tolist(), strict=True)) == slow
    assert slow


def test_operations_are_those_of_products_also_in_inference_mode():
    first, second = torch.rand(4, 5), torch.rand(5, 6)
    assert operations(lambda: first @ second) == 2 * 4 * 5 * 6
    kernel = torch.nn.Conv2d(1, 2, 3)
    image = torch.rand(1, 1, 8, 8)
    with torch.inference_mode():
        assert operations(lambda: kernel(image)) == 2 * 2 * 9 * 36


def test_models_of_both_precisions_are_trained_from_the_same_weights():
    case = sngan_bf16(Scale(quick=True))
    fp32, bf16 = case.plain(0), case.faster(0)
    assert fp32 == case.plain(0)
    assert fp32 != case.plain(1)
    assert bf16 != fp32
    assert bf16 == pytest.approx(fp32, rel=0.2)


def test_the_first_pass_on_one_core_stores_the_same_and_gives_the_others_back(
    tmp_path, monkeypatch
):
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system does not tie processes to cores")
    monkeypatch.setattr(films, "FOLDER", tmp_path)
    monkeypatch.setattr(first_pass, "FOLDER", tmp_path)
    paths = films.films.__wrapped__(6, 64)
    monkeypatch.setattr(first_pass, "_films", lambda scale: paths)
    case, cores = first_pass.against_one_core(Scale(quick=True)), os.sched_getaffinity(0)
    assert paired.agreement(case.outputs, case.ours(), case.other()).startswith("gray levels: 0")
    assert os.sched_getaffinity(0) == cores


@pytest.mark.parametrize("make", [bigan_scores, fanogan_scores])
def test_one_image_at_a_time_has_the_same_scores(make):
    case = make(Scale(quick=True))
    torch.testing.assert_close(case.ours(), case.other(), rtol=1e-4, atol=1e-4)


def test_endless_batches_begin_again():
    batches = endless(torch.arange(5.0), 2)
    drawn = torch.cat([next(batches) for _ in range(4)])
    assert len(drawn) == 8
    assert len(drawn[:4].unique()) == 4


def test_the_gpu_benchmark_runs_at_toy_size(monkeypatch, capsys):
    monkeypatch.setattr(paired, "BLOCK_SECONDS", 0)
    monkeypatch.setattr(gpu, "TRAININGS", gpu.TRAININGS[:1])
    gpu.main(["--toy"])
    fp32, bf16 = capsys.readouterr().out.splitlines()[-2:]
    assert fp32.startswith("| sngan, 32 px, batch 4 | ours, fp32, channels_last |")
    assert bf16.startswith("| sngan, 32 px, batch 4 | ours, bf16, channels_last |")


def test_the_gpu_benchmark_needs_neither_kedro_nor_mlflow():
    allowed = {"torch", "numpy", "benchmarks", "medgan", *sys.stdlib_module_names}
    for module in (gpu, paired, machine, players, steps):
        tree = ast.parse(Path(module.__file__).read_text())
        for statement in ast.walk(tree):
            if isinstance(statement, ast.ImportFrom):
                assert statement.module.partition(".")[0] in allowed
            elif isinstance(statement, ast.Import):
                assert {name.name.partition(".")[0] for name in statement.names} <= allowed
