"""Images through a detector, in batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medgan.contracts import AnomalyDetector
from medgan.errors import UserError

Images = Callable[[NDArray[np.int64]], Tensor]
"""Rows of the store (n,) to images (n, C, H, W) in [-1, 1]."""


class Scored(NamedTuple):
    """What a detector said of n images."""

    scores: NDArray[np.float32]
    """(n,)"""
    maps: NDArray[np.float16]
    """(n, H, W)"""
    components: Mapping[str, NDArray[np.float32]]
    """(n,) each; empty for a detector without components."""


def score_images(
    detector: AnomalyDetector,
    images: Images,
    rows: NDArray[np.int64],
    *,
    batch_size: int = 64,
    seed: int = 0,
    device: str = "cpu",
    names: Sequence[str] | None = None,
    on_progress: Callable[[int], Any] = lambda done: None,
) -> Scored:
    """Scores, anomaly maps, and what the scores are made of, of the images in `rows`.

    Every batch gets a CPU generator with the same seed, so that neither the size nor the order of
    the batches changes a score.

    Args:
        detector: in eval mode, on `device`.
        images: rows of the store to images.
        rows: (n,) of the store.
        batch_size: images at a time.
        seed: of whatever the detector draws.
        device: where the detector is.
        names: what to call the images in an error (n,); their rows if left out.
        on_progress: called with the number of images of each batch that is done.

    Raises:
        UserError: a score, component or map is not finite; it names the images, none is dropped.
    """
    scores, components = np.zeros(len(rows), dtype=np.float32), dict[str, NDArray[np.float32]]()
    maps = list[NDArray[np.float16]]()
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        found = detector.score(images(batch).to(device), torch.Generator().manual_seed(seed))
        scores[start : start + len(batch)] = found.image_scores.float().cpu().numpy()
        for name, values in found.components.items():
            components.setdefault(name, np.zeros_like(scores))[start : start + len(batch)] = (
                values.float().cpu().numpy()
            )
        maps.append(found.anomaly_maps[:, 0].float().cpu().numpy().astype(np.float16))
        on_progress(len(batch))
    stacked = np.concatenate(maps) if maps else np.zeros((0, 0, 0), dtype=np.float16)
    finite = (
        np.isfinite(scores)
        & np.isfinite(stacked).all((1, 2))
        & np.isfinite(np.array([scores, *components.values()])).all(0)
    )
    require_finite(finite, names if names is not None else [f"row {row}" for row in rows])
    return Scored(scores, stacked, components)


def require_finite(finite: NDArray[np.bool_], names: Sequence[str]) -> None:
    """Nothing where all are finite.

    Raises:
        UserError: names the images (up to five) whose score is not a finite number.
    """
    bad = [str(names[index]) for index in np.flatnonzero(~finite).tolist()]
    if bad:
        shown = ", ".join(bad[:5]) + (", …" if len(bad) > 5 else "")
        raise UserError(
            f"{len(bad)} of {len(finite)} images have a score that is not a finite number ({shown}): train the detector again."
        )
