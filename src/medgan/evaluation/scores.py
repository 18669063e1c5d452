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

SCORE = "score"
Images: TypeAlias = "Callable[[NDArray[np.int64]], Tensor]"
"""Rows of the store (n,) to images (n, C, H, W) in [-1, 1]."""


class Scored(NamedTuple):
    """What a detector makes of n images."""

    scores: NDArray[np.float32]
    """(n,)"""
    maps: NDArray[np.float16]
    """(n, H, W); (0, 0, 0) where they are not kept."""
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
    maps: bool = True
    """Whether maps are kept: those of 100,000 images of 64 px are 0.8 GB."""

    def of(self, rows: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], torch.Generator]]:
        """The rows of each batch, and a generator: each gets one with the same seed, so that
        neither the size nor the order of the batches changes a score.
        """
        import torch

        for start in range(0, len(rows), self.size):
            yield rows[start : start + self.size], torch.Generator().manual_seed(self.seed)


BATCHES = Batches()


def batches_on_device_of(detector: nn.Module, size: int, seed: int) -> Batches:
    """Batches for a detector on whatever device it is; maps are not kept."""
    import torch

    device = str(next(detector.parameters(), torch.empty(0)).device)
    return Batches(size, seed, device, maps=False)


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
    values, finite = dict[str, NDArray[np.float32]](), np.ones(len(rows), dtype=bool)
    maps, done = np.zeros((0, 0, 0), np.float16), 0
    for batch, rng in batches.of(rows):
        found = detector.score(images(batch).to(batches.device), rng)
        part = slice(done, done := done + len(batch))
        shown = found.anomaly_maps[:, 0].float().cpu().numpy().astype(np.float16)
        finite[part] = np.isfinite(shown.sum((1, 2), dtype=np.float32))
        if batches.maps:
            if not part.start:
                maps = np.empty((len(rows), *shown.shape[1:]), np.float16)
            maps[part] = shown
        for name, value in {SCORE: found.image_scores, **found.components}.items():
            # Arrays of the whole: small ones of each batch would keep freed memory in pieces.
            kept = values.setdefault(name, np.empty(len(rows), np.float32))
            kept[part] = value.float().cpu().numpy()
            finite[part] &= np.isfinite(kept[part])
        on_progress(len(batch))
    require_finite(finite, names if names is not None else [f"row {row}" for row in rows])
    return Scored(values.pop(SCORE, np.zeros(0, np.float32)), maps, values)


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
