"""What a discriminator is asked about the classes of an image: one of them, each of them, or which images are alike.

Labels are (N,) int64, one class for each image, or (N, K) multi-hot float32, any number of them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from medgan.contracts import Refusal


def multi_hot(labels: Tensor, classes: int) -> Tensor:
    """(N, K) float32: 1 for each class of an image."""
    return F.one_hot(labels, classes).float() if labels.ndim == 1 else labels.float()


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-E[log softmax(logits)_y]: an image has one class (Odena 2017, eq. 3).

    Raises:
        Refusal: labels that allow several.
    """
    if labels.ndim != 1:
        raise Refusal("Cross-entropy needs images of one class each, these may have several: use class_loss: bce or d2d_ce.")
    return F.cross_entropy(logits, labels)


def binary_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """One yes or no for each class, -E[y log s + (1 - y) log(1 - s)] with s = sigmoid(logit), averaged over images and classes."""
    return F.binary_cross_entropy_with_logits(logits.float(), multi_hot(labels, logits.shape[1]))


def data_to_data_cross_entropy(
    features: Tensor, proxies: Tensor, labels: Tensor, positive_margin: float, negative_margin: float, temperature: float
) -> Tensor:
    """D2D-CE (Kang 2021), the mean over i of

        -log[p_i / (p_i + sum over j with y_j != y_i of exp(max(f_i.f_j - m_n, 0) / tau))],   p_i = exp(min(f_i.v_i - m_p, 0) / tau).

    An image is drawn to the proxy of its class and pushed from the images of other classes, until m_p and m_n; beyond them it feels
    nothing. All exponents of an image, p_i's with them, go through one log-sum-exp: a shift of the negatives alone would change the loss.

    Args:
        features: (N, D) of unit norm, f.
        proxies: (K, D) of unit norm, one for each class; v_i is the sum over the classes of image i, scaled to unit norm.
        labels: (N,) or (N, K). Two images count as different where their label rows differ.
        positive_margin: m_p, the similarity to its proxy that is enough.
        negative_margin: m_n, the similarity to another class that is no trouble.
        temperature: tau.
    """
    rows = multi_hot(labels, len(proxies))
    own = F.normalize(rows @ proxies, dim=1)
    different = (rows[:, None] != rows[None]).any(2)
    attraction = ((features * own).sum(1, keepdim=True) - positive_margin).clamp(max=0) / temperature
    repulsion = (features @ features.T - negative_margin).clamp(min=0) / temperature
    exponents = torch.cat([attraction, repulsion.masked_fill(~different, -torch.inf)], dim=1)
    return (exponents.logsumexp(1) - attraction.squeeze(1)).mean()
