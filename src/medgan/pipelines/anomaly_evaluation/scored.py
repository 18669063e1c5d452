"""Images of the store through a published detector, where this machine computes, with a progress bar."""

from __future__ import annotations

import numpy as np
import pandas as pd

from medgan.evaluation.scoring import Scored, score_images
from medgan.images.loading import StoredImages
from medgan.images.store import ImageStore
from medgan.models import PublishedModel
from medgan.tracking.progress import progress_bar
from medgan.training.runtime import Runtime


def scored(published: PublishedModel, images: ImageStore, chosen: pd.DataFrame, batch_size: int, seed: int, title: str) -> Scored:
    """What the detector says of the images of `chosen` (image_id, row), in their order. Raises `Refusal` where that is not finite."""
    device = Runtime.detect().device
    with progress_bar(title, "image", len(chosen)) as bar:
        return score_images(
            published.build().to(device),  # type: ignore[arg-type]  # the registry lists detectors only
            StoredImages(images),
            chosen["row"].to_numpy(dtype=np.int64),
            batch_size=batch_size,
            seed=seed,
            device=str(device),
            names=chosen["image_id"].astype(str).tolist(),
            on_progress=bar.update,
        )
