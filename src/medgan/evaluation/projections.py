"""Features of many numbers on a plane: PCA, t-SNE (van der Maaten & Hinton 2008), UMAP (McInnes 2018).

A picture to look at, not a measurement. PCA keeps large distances as well as two directions can; t-SNE and UMAP keep neighbours, and the
distance between their clusters, their size and their density mean little. How well neighbours are kept is the trustworthiness (Venna &
Kaski 2001): 1 where the 15 nearest images on the plane are the 15 nearest by their features, less the further down the list those stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]
NEIGHBOURS = 15
PERPLEXITY = 30.0
FEWEST = 10
KEPT_DIRECTIONS = 50
"""t-SNE and UMAP begin with so many principal components, as van der Maaten does."""
NO_UMAP = "UMAP not run: pip install 'medgan[umap]'"
TOO_FEW = f"not run: fewer than {FEWEST} images"
CONSTANT = "not run: fewer than two features differ between images"


def pca(features: Plane, seed: int) -> tuple[Plane, dict[str, Any]]:
    """The first two principal components, and the shares of the variance that they hold."""
    from sklearn.decomposition import PCA  # 1 s that other commands need not wait for

    fitted = PCA(2, random_state=seed)
    plane = fitted.fit_transform(features)
    return plane, {"explained_variance": [float(share) for share in fitted.explained_variance_ratio_]}


def tsne(features: Plane, seed: int) -> tuple[Plane, dict[str, Any]]:
    """t-SNE, begun at the principal components."""
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    plane = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(_few(features, seed))
    return plane.astype(np.float64), {"perplexity": perplexity}


def umap(features: Plane, seed: int) -> tuple[Plane, dict[str, Any]]:
    """UMAP, seeded and so on one thread. Raises ImportError where umap-learn is not installed."""
    import umap as umap_learn  # an extra; seconds to import

    neighbours = min(NEIGHBOURS, len(features) - 1)
    plane = umap_learn.UMAP(n_components=2, n_neighbors=neighbours, random_state=seed, n_jobs=1).fit_transform(_few(features, seed))
    return np.asarray(plane, dtype=np.float64), {"n_neighbors": neighbours}


METHODS: Mapping[str, Callable[[Plane, int], tuple[Plane, dict[str, Any]]]] = {"pca": pca, "tsne": tsne, "umap": umap}
SHOWN_AS: Mapping[str, str] = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}


def project(features: NDArray[Any], seed: int = 0) -> tuple[dict[str, Plane], dict[str, Any]]:
    """Features by every method that can be run.

    Args:
        features: (n, D); each is brought to zero mean and unit spread first.
        seed: of the methods.

    Returns:
        (n, 2) for each method that ran; and for each method what is to be known of it: `trustworthiness` and its settings, or value None
        and the reason.
    """
    values = np.asarray(features, dtype=np.float64)
    spread = values.std(0)
    reason = TOO_FEW if len(values) < FEWEST else CONSTANT if (spread > 0).sum() < 2 else ""
    if reason:
        return {}, {name: {"value": None, "reason": f"{SHOWN_AS[name]} {reason}"} for name in METHODS}
    values = (values - values.mean(0)) / np.where(spread > 0, spread, 1)
    planes, facts = dict[str, Plane](), dict[str, Any]()
    for name, method in METHODS.items():
        try:
            planes[name], about = method(values, seed)
        except ImportError:
            facts[name] = {"value": None, "reason": NO_UMAP}
            continue
        facts[name] = {"trustworthiness": _trustworthiness(values, planes[name]), **about}
    return planes, facts


def _few(features: Plane, seed: int) -> Plane:
    if features.shape[1] <= KEPT_DIRECTIONS:
        return features
    from sklearn.decomposition import PCA

    reduced: Plane = PCA(min(KEPT_DIRECTIONS, len(features)), random_state=seed).fit_transform(features)
    return reduced


def _trustworthiness(features: Plane, plane: Plane) -> float:
    from sklearn.manifold import trustworthiness

    return float(trustworthiness(features, plane, n_neighbors=min(NEIGHBOURS, (len(features) - 1) // 2)))
