"""Pictures of what a generator draws; nothing in them is selected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medgan.contracts import LatentSynthesizer
from medgan.evaluation.results import LeftOut
from medgan.evaluation.spaces import DOMAIN
from medgan.images.labels import class_labels
from medgan.images.loading import StoredImages
from medgan.images.store import ImageStore
from medgan.images.transforms import as_uint8, crop_padding
from medgan.models import PublishedModel
from medgan.pipelines.drawing import image_size
from medgan.pipelines.outputs import Arrays, RealImages
from medgan.pipelines.synthesis.quality import RealData
from medgan.plots.grids import image_grid
from medgan.training.runtime import generator

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

COLUMNS, ROWS = 8, 3


def interpolations(published: PublishedModel, seed: int) -> Figure | None:
    """Draw the images between pairs of latents, one pair a row; the rows take the classes in turn.

    Latents are interpolated on the sphere on which normal ones of many dimensions lie (White 2016,
    arXiv 1609.04468).
    """
    import torch

    model: Any = published.build()
    if not isinstance(model, LatentSynthesizer):
        return None
    rng = generator(seed, "interpolations", published.name)
    ends = torch.randn(2, ROWS, model.config.latent_dim, generator=rng)
    latents = torch.stack([_between(*pair) for pair in ends.transpose(0, 1)]).flatten(0, 1)
    classes = published.drawable
    labels = torch.arange(ROWS).remainder(len(classes)).repeat_interleave(COLUMNS)
    names = [classes[label] for label in labels] if len(classes) > 1 else None
    return image_grid(_pixels(published, model.decode(latents, labels)), names, COLUMNS)


def _between(first: Tensor, second: Tensor) -> Tensor:
    """Interpolate two latents (D,) in COLUMNS steps: (COLUMNS, D)."""
    import torch

    cosine = (first @ second) / (first.norm() * second.norm())
    angle = torch.arccos(cosine.clamp(-1 + 1e-6, 1 - 1e-6))
    share = torch.linspace(0, 1, COLUMNS)[:, None]
    return (torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * second) / torch.sin(
        angle
    )


def class_rows(published: PublishedModel, seed: int) -> Figure | None:
    """Draw the same latents as each class, one class a row."""
    import torch

    model: Any = published.build()
    classes = published.drawable
    if not isinstance(model, LatentSynthesizer) or len(classes) < 2:
        return None
    rng = generator(seed, "class rows", published.name)
    latents = torch.randn(COLUMNS, model.config.latent_dim, generator=rng)
    labels = torch.arange(len(classes)).repeat_interleave(COLUMNS)
    drawn = model.decode(latents.repeat(len(classes), 1), labels)
    return image_grid(_pixels(published, drawn), [classes[label] for label in labels], COLUMNS)


def beside_real(synthetic: Arrays, data: RealData, real: RealImages) -> Figure | None:
    """Draw held-out real images, synthetic ones, and the training image nearest to each of these,
    in domain features: three rows for each of the first classes.

    The distance is a multiple of the median distance of held-out images to theirs.
    """
    from medgan.evaluation.real_images import features_in
    from medgan.metrics.memorisation import nearest_training

    if isinstance(data.features, LeftOut):
        return None
    images, network = data.images, data.features.model.build()
    labels, classes = np.asarray(synthetic["labels"]), images.spec.classes
    read, others, learned = StoredImages(images), data.held_out, data.training.rows
    known, kinds = real.statistics["training/features"], class_labels(others, classes)
    usual = np.median(nearest_training(real.statistics[f"{DOMAIN}/features"], known))
    shown, titles = [], []
    for label in np.unique(labels)[:ROWS]:
        drawn = np.asarray(synthetic["images"])[labels == label][:COLUMNS]
        ours = others["row"].to_numpy()[kinds == label][: len(drawn)]
        if len(ours) < len(drawn):
            continue
        seen = features_in(network.features, data.padded(drawn))  # type: ignore[arg-type]
        distances = np.linalg.norm(seen[:, None] - known[None], axis=2)
        nearest = learned[distances.argmin(1)]
        shown += [_stored(images, read(ours)), drawn, _stored(images, read(nearest))]
        titles += [f"real, {classes[label]}"] * len(drawn) + ["synthetic"] * len(drawn)
        titles += [f"nearest, {one / usual:.1f}" for one in distances.min(1)]
    return image_grid(np.concatenate(shown), titles, len(drawn)) if shown else None


def _pixels(published: PublishedModel, drawn: Tensor) -> NDArray[np.uint8]:
    return as_uint8(crop_padding(drawn, *image_size(published)))


def _stored(images: ImageStore, padded: Tensor) -> NDArray[np.uint8]:
    return as_uint8(crop_padding(padded, images.info.height, images.info.width))
