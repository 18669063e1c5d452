"""Mode collapse of a generator in training: how varied its samples are, what of the data they cover.

Diversity is a distance, so noise on a few images raises it. Recall and coverage (`metrics.
precision_recall` has the definitions, k = 3 and 5) tell how many real images have samples around
them. They are computed on pixels averaged over an 8 x 8 grid, which no network has to be trained
for, with as many samples as real training images; so they compare the validations of a training,
and are not the metrics of the same name in the results, which see domain features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

DIVERSITY, RECALL, COVERAGE = "diversity", "sample_recall", "sample_coverage"
"""Diversity: mean distance of two samples over that of two real images, within a class: about 1 for
a generator that is as varied as its data."""
DIVERSITY_BELOW, RECALL_BELOW, COVERAGE_BELOW = 0.3, 0.1, 0.3
"""A generator counts as collapsed if it is less diverse, or has less recall and less coverage."""
SETTLED_AFTER = 0.5
"""Share of a training before which no warning is given: an untrained generator draws one image, and
recall grows for long."""
GRID = 8
RECALL_NEIGHBOURS, COVERAGE_NEIGHBOURS = 3, 5


def mean_distance(images: Tensor, labels: Tensor | None = None) -> float:
    """Compute the mean Euclidean distance of two images (N, C, H, W), of the same class if there
    are labels (N, ...); 0 if there is no pair.
    """
    import torch

    distances = torch.cdist(images.flatten(1).float(), images.flatten(1).float())
    pairs = ~torch.eye(len(images), dtype=torch.bool, device=images.device)
    if labels is not None:
        rows = labels.reshape(len(labels), -1)
        pairs &= (rows[:, None] == rows[None]).all(2)
    return float(distances[pairs].mean()) if pairs.any() else 0.0


def pooled(images: Tensor) -> Tensor:
    """Average pixels (N, C, H, W) over a grid: (N, C * GRID * GRID)."""
    from torch.nn.functional import adaptive_avg_pool2d

    return adaptive_avg_pool2d(images.float(), GRID).flatten(1)


def overlap(real: Tensor, samples: Tensor) -> dict[str, float]:
    """Compute recall and coverage of features (n, D) and (m, D); none of fewer than 6 each."""
    import torch

    if min(len(real), len(samples)) <= COVERAGE_NEIGHBOURS:
        return {}
    # The nearest neighbor of an image is itself, so place k is its k-th other.
    radii = torch.cdist(real, real).sort(1).values[:, COVERAGE_NEIGHBOURS]
    sample_radii = torch.cdist(samples, samples).sort(1).values[:, RECALL_NEIGHBOURS]
    distances = torch.cdist(real, samples)
    return {
        RECALL: float((distances <= sample_radii).any(1).float().mean()),
        COVERAGE: float((distances.amin(1) <= radii).float().mean()),
    }


def collapse_of(metrics: Mapping[str, float]) -> str | None:
    """Say how the samples of a generator show mode collapse; None if they do not."""
    diversity = metrics.get(DIVERSITY, 1.0)
    if diversity < DIVERSITY_BELOW:
        return (
            f"two samples differ {diversity:.2f} times as much as two real images do (warning "
            f"below {DIVERSITY_BELOW})"
        )
    recall, coverage = metrics.get(RECALL, 1.0), metrics.get(COVERAGE, 1.0)
    if recall < RECALL_BELOW and coverage < COVERAGE_BELOW:
        return (
            f"the samples have a recall of {recall:.2f} and a coverage of {coverage:.2f} (warning "
            f"below {RECALL_BELOW} and {COVERAGE_BELOW}): they are like few of the real images"
        )
    return None


def collapse_warning(metrics: Mapping[str, float], step: int, total: int) -> str | None:
    """Return a sentence if a validation indicates mode collapse, else None."""
    found = collapse_of(metrics)
    if found is None or step < SETTLED_AFTER * total:
        return None
    return (
        f"mode collapse? At step {step} {found}; check the sample grids, then try a lower learning "
        "rate, a larger latent or another adversarial loss."
    )
