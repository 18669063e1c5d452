"""Score images with a detector, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medgan.contracts import AnomalyDetector
from medgan.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Images: TypeAlias = "Callable[[NDArray[np.int64]], Tensor]"
"""Rows of the store (n,) to images (n, C, H, W) in [-1, 1]."""


class Scored(NamedTuple):
    """What a detector makes of n images."""

    scores: NDArray[np.float32]
    """(n,)"""
    maps: NDArray[np.float16]
    """(n, H, W)"""
    components: Mapping[str, NDArray[np.float32]]
    """(n,) each; empty for a detector without components."""


@dataclass(frozen=True)
class Batches:
    """How images pass a detector."""

    size: int = 64
    """Images at a time."""
    seed: int = 0
    """Of whatever the detector draws."""
    device: str = "cpu"
    """Where the detector is."""

    def of(self, rows: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], torch.Generator]]:
        """The rows of each batch, and a generator: each gets one with the same seed, so that
        neither the size nor the order of the batches changes a score.
        """
        import torch

        for start in range(0, len(rows), self.size):
            yield rows[start : start + self.size], torch.Generator().manual_seed(self.seed)


BATCHES = Batches()


def batches_on_device_of(detector: nn.Module, size: int, seed: int) -> Batches:
    """Batches for a detector on whatever device it is."""
    import torch

    return Batches(size, seed, str(next(detector.parameters(), torch.empty(0)).device))


def score_images(
    detector: AnomalyDetector,
    images: Images,
    rows: NDArray[np.int64],
    batches: Batches = BATCHES,
    names: Sequence[str] | None = None,
    on_progress: Callable[[int], Any] = lambda done: None,
) -> Scored:
    """Score images: their scores, anomaly maps, and the components of the scores.

    Args:
        detector: in eval mode.
        images: rows of the store to images.
        rows: (n,) of the store.
        batches: how they pass the detector.
        names: what to call the images in an error (n,); their rows if left out.
        on_progress: called with the number of images of each batch that is done.

    Raises:
        UserError: a score, component or map is not finite; it names the images, none is dropped.
    """
    scores, components, maps = [], dict[str, list[NDArray[np.float32]]](), []
    for batch, rng in batches.of(rows):
        found = detector.score(images(batch).to(batches.device), rng)
        scores.append(found.image_scores.float().cpu().numpy())
        maps.append(found.anomaly_maps[:, 0].float().cpu().numpy().astype(np.float16))
        for name, values in found.components.items():
            components.setdefault(name, []).append(values.float().cpu().numpy())
        on_progress(len(batch))
    if not scores:
        return Scored(np.zeros(0, np.float32), np.zeros((0, 0, 0), np.float16), {})
    joined = {name: np.concatenate(parts) for name, parts in components.items()}
    result = Scored(np.concatenate(scores), np.concatenate(maps), joined)
    finite = np.isfinite(np.stack([result.scores, *joined.values()])).all(0)
    finite = np.logical_and(finite, np.isfinite(result.maps).all((1, 2)))
    require_finite(finite, names if names is not None else [f"row {row}" for row in rows])
    return result


def require_finite(finite: NDArray[np.bool_], names: Sequence[str]) -> None:
    """Check that all are finite.

    Raises:
        UserError: names the images (up to five) whose score is not a finite number.
    """
    bad = [str(names[index]) for index in np.flatnonzero(~finite).tolist()]
    if bad:
        shown = ", ".join(bad[:5]) + (", …" if len(bad) > 5 else "")
        raise UserError(
            f"{len(bad)} of {len(finite)} images have a score that is not a finite number "
            f"({shown}): train the detector again."
        )
