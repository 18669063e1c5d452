"""Where the arms look, and real beside synthetic images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from medgan.evaluation.embeddings import METHODS, SHOWN_AS, features_of, project
from medgan.evaluation.realism import RealismResult, told_apart
from medgan.evaluation.regions import region_share
from medgan.evaluation.saliency import check_saliency
from medgan.images.labels import class_labels, one_finding
from medgan.images.loading import DrawnImages, StoredImages
from medgan.images.store import ImageStore
from medgan.images.transforms import crop_padding, pad_square
from medgan.models import display_name, load
from medgan.pipelines.arms import GENERATOR
from medgan.pipelines.outputs import ArmSaliency, ImagesTogether, Synthetic, Trained
from medgan.pipelines.shared import EvaluationData
from medgan.plots.classifiers import saliency_grid
from medgan.plots.projections import Projection, projections
from medgan.report.projections import projection_page
from medgan.training.runtime import Runtime, seeded

EXPLAINED = 12
"""Test images with a saliency map: half of them anomalous, those with a mask first."""
TOGETHER = 600
"""Real, and synthetic images in the projection, at most."""
AT_ONCE = 128
SYNTHETIC = "synthetic"


def explain_arm(data: EvaluationData, trained: Trained, masks: ImageStore | None) -> ArmSaliency:
    """Show where an arm looks on some test images, and check that it depends on what it learned."""
    import torch

    published, images, config = trained.model, data.images, data.config
    test = one_finding(data.splits[data.splits["split"] == "test"])
    chosen = _explained(test, masks, data.seed)
    rows, groups = chosen["row"].to_numpy(dtype=np.int64), chosen["group_id"].to_numpy()
    side = images.info.height, images.info.width
    marked = np.zeros((len(rows), 1, *side), dtype=bool)
    anomalous = (chosen["label"] == 1).to_numpy()
    if masks is not None:
        marked[anomalous, 0] = masks.read(rows[anomalous])[..., 0] > 0
    with seeded(data.seed, "random weights"):
        module = load("classifier")
        untrained = module.build(module.Config(**published.configuration), published.spec).eval()
    device = Runtime.detect().device
    networks = published.build().to(device), untrained.to(device)
    inputs = StoredImages(images)(rows).to(device)
    padded = pad_square(torch.from_numpy(marked), inputs.shape[-1])[:, 0].numpy()
    result, maps = check_saliency(*networks, inputs, groups, padded, config.n_resamples)
    shown = {name: crop_padding(found, *side) for name, found in maps.items()}
    if config.region is not None:
        box = (config.region, config.n_resamples, data.seed)
        inside = {
            name: replace(checks, inside_region=region_share(shown[name], chosen, *box))
            for name, checks in result.methods.items()
        }
        result = replace(result, methods=inside)
    result = replace(result, network=published.configuration["network"])
    titles = chosen["category"].tolist()
    figure = saliency_grid(images.read(rows), shown, titles, published.card["title"], result)
    return ArmSaliency(result, figure)


def _explained(test: pd.DataFrame, masks: ImageStore | None, seed: int) -> pd.DataFrame:
    """Draw the test images that are explained."""
    shuffled = test.sample(len(test), random_state=seed)
    anomalous = shuffled[shuffled["label"] == 1]
    if masks is not None and len(anomalous):
        seen = masks.read(anomalous["row"].to_numpy(dtype=np.int64)).any((1, 2, 3))
        anomalous = pd.concat([anomalous[seen], anomalous[~seen]])
    normal = shuffled[shuffled["label"] == 0]
    return pd.concat([anomalous.head(EXPLAINED // 2), normal]).head(EXPLAINED)


def project_images(data: EvaluationData, trained: Trained, synthetic: Synthetic) -> ImagesTogether:
    """Project real and synthetic images together, by the features of the arm `real`, and measure how
    well a regression tells them apart.

    The real images are of validation and test, which neither the generator nor the arm has seen.
    """
    images, seed = data.images, data.seed
    generator = synthetic.source.name if synthetic.source is not None else GENERATOR
    real = one_finding(data.splits[data.splits["split"] != "train"])
    real = real.sample(min(len(real), TOGETHER), random_state=seed)
    labels = np.asarray(synthetic.synthetic["labels"])
    drawn = np.sort(np.random.default_rng(seed).permutation(len(labels))[:TOGETHER])
    pixels = np.asarray(synthetic.synthetic["images"])[drawn]
    made = DrawnImages(pixels, images.info.scaling, images.spec.size)
    network: Any = trained.model.build()
    rows = real["row"].to_numpy(dtype=np.int64)
    names = [f"synthetic image {number}" for number in drawn]
    features = np.concatenate(
        [
            features_of(network, StoredImages(images), rows, real["image_id"].tolist(), AT_ONCE),
            features_of(network, made, np.arange(len(drawn)), names, AT_ONCE),
        ]
    )
    is_synthetic = np.arange(len(features)) >= len(rows)
    groups = np.concatenate([real["group_id"].astype(str), names])
    found = RealismResult(
        auroc=told_apart(features, is_synthetic, groups, data.config.n_resamples, seed),
        n_real=len(rows),
        n_synthetic=len(drawn),
        generator=generator,
        features=f"{trained.model.configuration['network']} classifier of real images",
    )
    classes = images.spec.classes
    shown_as = np.concatenate([class_labels(real, classes), labels[drawn]])
    table = pd.DataFrame(
        {
            "image_id": [*real["image_id"], *names],
            "category": np.array(classes)[shown_as],
            "split": np.where(is_synthetic, SYNTHETIC, "real"),
            "label": (shown_as != 0).astype(int),
        }
    )
    planes, facts = project(features, seed)
    shown = [Projection(SHOWN_AS[name], planes[name]) for name in METHODS if name in planes]
    notes = [one.reason for one in facts.values() if one.reason]
    title = f"Real and synthetic images ({display_name(generator)})"
    page = projection_page(
        np.concatenate([images.read(rows), pixels]),
        table,
        {found.features: planes} if planes else {},
        {},
        dict.fromkeys([found.features], "; ".join(notes)),
        title,
    )
    return ImagesTogether(found, projections(shown, table, title, notes), page)
