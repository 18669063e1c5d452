"""Distances by hand."""

import torch

from medgan.losses.reconstruction import l1_per_image, mse_per_image, residual_map


def test_by_hand() -> None:
    a, b = torch.zeros(2, 2, 1, 2), torch.tensor([[[[1.0, -1.0]], [[0.0, 2.0]]], [[[0.0, 0.0]], [[0.0, 0.0]]]])
    assert l1_per_image(a, b).tolist() == [4.0, 0.0]
    assert mse_per_image(a, b).tolist() == [1.5, 0.0]
    assert residual_map(a, b)[0].tolist() == [[[0.5, 1.5]]]
