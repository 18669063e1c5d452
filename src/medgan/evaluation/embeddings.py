"""Choose images, compute their features in batches, and project features to the plane."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import FeatureExtractor
from medgan.evaluation.details import Projection
from medgan.evaluation.scores import Images, require_finite

NORMALS = 1000
"""Training normals that are described, at most."""


def described_images(splits: pd.DataFrame, per_category: int, seed: int) -> pd.DataFrame:
    """All validation and test images, up to 1,000 normal training images, and up to `per_category`
    of each other training category.

    Reads the categories of training images alone. The rows are those of `splits`, in its order.
    """
    train = splits[splits["split"] == "train"]
    rng = np.random.default_rng([seed, 3])
    chosen: list[Any] = splits.index[splits["split"].isin(("val", "test"))].tolist()
    for _, rows in sorted(train.groupby("category"), key=lambda item: str(item[0])):
        limit = NORMALS if bool((rows["label"] == 0).all()) else per_category
        chosen += rng.permutation(rows.index.to_numpy())[:limit].tolist()
    return splits[splits.index.isin(chosen)]


def shown_images(splits: pd.DataFrame, per_category: int, limit: int, seed: int) -> pd.DataFrame:
    """Those described images that a projection shows: normal training images, validation and test,
    a seeded draw of at most `limit`.

    Every model gets the same ones.
    """
    described = described_images(splits, per_category, seed)
    candidates = described[(described["split"] != "train") | (described["label"] == 0)]
    drawn = np.random.default_rng([seed, 4]).permutation(len(candidates))[:limit]
    return candidates.iloc[np.sort(drawn)]


def features_of(
    extractor: FeatureExtractor,
    images: Images,
    rows: NDArray[np.int64],
    names: list[str],
    batch_size: int,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """Compute features (n, D) of the images in `rows` (n,) of the store, n > 0, by an extractor in
    eval mode on `device`; `names` (n,) stand in errors.

    Raises:
        UserError: a feature is not finite; it names the images.
    """
    import torch

    with torch.inference_mode():
        parts = [
            extractor.features(images(some).to(device)).float().cpu()
            for some in np.split(rows, range(batch_size, len(rows), batch_size))
        ]
    features: NDArray[np.float32] = torch.cat(parts).numpy()
    require_finite(np.asarray(np.isfinite(features).all(1)), names)
    return features


Plane = NDArray[np.float64]
NEIGHBOURS = 15
PERPLEXITY = 30.0
FEWEST = 10
KEPT_DIRECTIONS = 50
"""t-SNE and UMAP begin with so many principal components, as van der Maaten does."""
NO_UMAP = "UMAP not run: pip install 'medgan[umap]'"
TOO_FEW = f"not run: fewer than {FEWEST} images"
CONSTANT = "not run: fewer than two features differ between images"


def pca(features: Plane, seed: int) -> tuple[Plane, Projection]:
    """The first two principal components, and the shares of the variance that they hold."""
    from sklearn.decomposition import PCA  # 1 s that other commands need not wait for

    fitted = PCA(2, random_state=seed)
    plane = fitted.fit_transform(features)
    return plane, Projection(explained_variance=tuple(fitted.explained_variance_ratio_.tolist()))


def tsne(features: Plane, seed: int) -> tuple[Plane, Projection]:
    """t-SNE, begun at the principal components."""
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    method = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
    plane = method.fit_transform(_few(features, seed))
    return plane.astype(np.float64), Projection(perplexity=perplexity)


def umap(features: Plane, seed: int) -> tuple[Plane, Projection]:
    """UMAP, seeded and so on one thread. Raises ImportError where umap-learn is not installed."""
    import umap as umap_learn  # an extra; seconds to import

    neighbours = min(NEIGHBOURS, len(features) - 1)
    plane = umap_learn.UMAP(
        n_components=2, n_neighbors=neighbours, random_state=seed, n_jobs=1
    ).fit_transform(_few(features, seed))
    return np.asarray(plane, dtype=np.float64), Projection(n_neighbors=neighbours)


METHODS: Mapping[str, Callable[[Plane, int], tuple[Plane, Projection]]] = {
    "pca": pca,
    "tsne": tsne,
    "umap": umap,
}
SHOWN_AS: Mapping[str, str] = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}


def project(
    features: NDArray[Any], seed: int = 0
) -> tuple[dict[str, Plane], dict[str, Projection]]:
    """Project features to the plane by every method that can be run.

    Args:
        features: (n, D); each is brought to zero mean and unit spread first.
        seed: of the methods.

    Returns:
        (n, 2) for each method that ran; and for each method its trustworthiness and settings, or
        why it did not run.
    """
    values = np.asarray(features, dtype=np.float64)
    spread = values.std(0)
    reason = TOO_FEW if len(values) < FEWEST else CONSTANT if (spread > 0).sum() < 2 else ""
    if reason:
        return {}, {name: Projection(reason=f"{SHOWN_AS[name]} {reason}") for name in METHODS}
    values = (values - values.mean(0)) / np.where(spread > 0, spread, 1)
    planes, facts = dict[str, Plane](), dict[str, Projection]()
    for name, method in METHODS.items():
        try:
            planes[name], settings = method(values, seed)
        except ImportError:
            facts[name] = Projection(reason=NO_UMAP)
            continue
        facts[name] = replace(settings, trustworthiness=_trustworthiness(values, planes[name]))
    return planes, facts


def _few(features: Plane, seed: int) -> Plane:
    if features.shape[1] <= KEPT_DIRECTIONS:
        return features
    from sklearn.decomposition import PCA

    reduction = PCA(min(KEPT_DIRECTIONS, len(features)), random_state=seed)
    return reduction.fit_transform(features)


def _trustworthiness(features: Plane, plane: Plane) -> float:
    from sklearn.manifold import trustworthiness

    neighbours = min(NEIGHBOURS, (len(features) - 1) // 2)
    return float(trustworthiness(features, plane, n_neighbors=neighbours))
