"""What the inside of a detector tells: the parts of its score, and its features on a plane.

Test labels are read in `evaluate_parts`, which measures, and by the projections, which color points
and measure nothing.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan import __version__, models
from medgan.evaluation.components import MAHALANOBIS, evaluate_components, mahalanobis
from medgan.evaluation.embeddings import METHODS, SHOWN_AS, project, shown_images
from medgan.evaluation.protocol import EvaluationConfig
from medgan.files.digest import digest
from medgan.images.splits import training_rows
from medgan.images.store import ImageStore
from medgan.models import PublishedModel
from medgan.plots.forest import forest
from medgan.plots.projections import Projection, projections
from medgan.plots.style import Drawing, drawing, notice, readable
from medgan.report.projections import projection_page

Arrays = Mapping[str, NDArray[Any]]
REFERENCE = "domain_features"
"""The supervised network whose features stand beside those of the detectors."""
NO_REFERENCE = "The supervised feature network is not trained here: `kedro run --pipeline synthesis` trains it."


def evaluate_parts(
    published: PublishedModel,
    scores: pd.DataFrame,
    evaluation: Mapping[str, Any],
    images: ImageStore,
    splits: pd.DataFrame,
    config: EvaluationConfig,
    seed: int,
    embeddings: Arrays | None = None,
) -> tuple[dict[str, Any], Drawing]:
    """A row for each part of a detector's score, and the picture of their AUROC.

    With embeddings there is one part more: the Mahalanobis distance of the features from those of
    the normals that it was trained on.
    """
    table = (
        scores
        if embeddings is None
        else scores.assign(
            **{f"score_{MAHALANOBIS}": _distances(published, scores, images, splits, embeddings)}
        )
    )
    weights = published.build().score_weights()  # type: ignore[operator]  # the registry lists those that have it
    document = evaluate_components(
        table,
        splits,
        evaluation,
        weights,
        threshold_rule=config.threshold_rule,
        n_resamples=config.n_resamples,
        seed=seed,
        volume_score=config.volume_score,
    )
    own, rows = document["own"], document["rows"]
    sum_of = " + ".join(f"{weight:g} {name}" for name, weight in weights.items())
    title = f"{readable(published.name)}: the parts of its score ({sum_of})"
    title += f"\nAUROC on test, 95 % intervals over {rows[own]['interval_unit']}s"
    return document, drawing(
        forest,
        {name: row["auroc"] for name, row in rows.items()},
        title,
        notes={own: "its own score"},
    )


def _distances(
    published: PublishedModel,
    scores: pd.DataFrame,
    images: ImageStore,
    splits: pd.DataFrame,
    embeddings: Arrays,
) -> NDArray[np.float64]:
    """(n,) for the images of `scores`."""
    normals = training_rows(
        splits, models.load(published.name).TRAINING_SET, images.spec.classes
    ).rows
    known = splits.loc[splits["row"].isin(normals), "image_id"].astype(str)
    features, order = embeddings["features"], _places(embeddings["image_id"])
    learned = features[order.reindex(known).dropna().astype(int).to_numpy()]
    return mahalanobis(learned, features[order.loc[scores["image_id"].astype(str)].to_numpy()])


def _places(image_ids: NDArray[Any]) -> pd.Series:
    return pd.Series(np.arange(len(image_ids)), index=image_ids.astype(str))


def project_features(
    name: str,
    embeddings: Arrays | None,
    splits: pd.DataFrame,
    config: EvaluationConfig,
    seed: int,
    cached: Arrays | None,
    scores: pd.DataFrame | None = None,
) -> tuple[dict[str, NDArray[Any]], dict[str, Any], Drawing]:
    """Features on a plane by PCA, t-SNE and UMAP; the stored planes where nothing that decides them
    has changed.

    Args:
        name: of the network.
        embeddings: its features; None where it is not trained.
        splits: labels color the points.
        config: `projected_images` at most are shown.
        seed: of the draw and of the methods.
        cached: what an earlier run returned.
        scores: its anomaly scores; None where it is no detector.

    Returns:
        image_id (n,), a plane (n, 2) for each method that ran, `facts` and `key`; what is to be
        known of the methods; small multiples.
    """
    if embeddings is None:
        facts = {
            "n_images": 0,
            "n_features": 0,
            "methods": {method: {"value": None, "reason": NO_REFERENCE} for method in METHODS},
        }
        return (
            {"image_id": np.array([], dtype=str), "key": np.array("")},
            facts,
            drawing(notice, readable(name), NO_REFERENCE),
        )
    shown = shown_images(splits, config.category_images, config.projected_images, seed)
    names = shown["image_id"].astype(str).tolist()
    there = importlib.util.find_spec("umap") is not None
    key = digest([str(embeddings["key"]), names, seed, there, __version__])
    if cached is not None and str(cached["key"]) == key:
        arrays = dict(cached)
    else:
        planes, methods = project(
            embeddings["features"][_places(embeddings["image_id"]).loc[names].to_numpy()], seed
        )
        arrays = {
            "image_id": np.array(names),
            **planes,
            "facts": np.array(json.dumps(methods)),
            "key": np.array(key),
        }
    facts = {
        "n_images": len(names),
        "n_features": int(embeddings["features"].shape[1]),
        "methods": json.loads(str(arrays["facts"])),
    }
    title = f"{readable(name)}: {facts['n_features']} features of {len(names)} images"
    return arrays, facts, _multiples(arrays, facts, _colored(shown, scores), title)


def _colored(shown: pd.DataFrame, scores: pd.DataFrame | None) -> pd.DataFrame:
    """The shown images with their scores where all have one: training images are not scored."""
    table = shown[["image_id", "label", "category", "split"]].reset_index(drop=True)
    return (
        table
        if scores is None
        else table.merge(scores[["image_id", "score"]], on="image_id", how="left")
    )


def _multiples(
    arrays: Arrays, facts: Mapping[str, Any], table: pd.DataFrame, title: str
) -> Drawing:
    methods = facts["methods"]
    planes = [
        Projection(SHOWN_AS[method], arrays[method], _told(methods[method]))
        for method in METHODS
        if method in arrays
    ]
    notes = ["t-SNE and UMAP keep neighbours; distances between their clusters mean little."]
    notes += [about["reason"] for about in methods.values() if "reason" in about]
    return drawing(projections, planes, table, title, notes)


def _told(about: Mapping[str, Any]) -> str:
    explained = about.get("explained_variance")
    shares = f"\n{explained[0]:.0%} + {explained[1]:.0%} of the variance" if explained else ""
    return f"trustworthiness {about['trustworthiness']:.2f}{shares}"


def projections_page(
    images: ImageStore,
    splits: pd.DataFrame,
    config: EvaluationConfig,
    seed: int,
    *projected_and_scores: Any,
) -> str:
    """All projections on one page where a point shows its image.

    Args:
        images: the store.
        splits: labels color the points.
        config: as `project_features` had it.
        seed: as `project_features` had it.
        projected_and_scores: the arrays of `project_features` for each of `models.encoders()` and
            the reference, then the scores of each
            of `models.encoders()`.
    """
    encoders = models.encoders()
    shown = shown_images(splits, config.category_images, config.projected_images, seed).reset_index(
        drop=True
    )
    names = shown["image_id"].astype(str)
    arrays = dict(zip((*encoders, REFERENCE), projected_and_scores, strict=False))
    tables = dict(zip(encoders, projected_and_scores[len(arrays) :], strict=True))
    planes = {
        name: {method: found[method] for method in METHODS if method in found}
        for name, found in arrays.items()
    }
    there = {name: each for name, each in planes.items() if each}
    scores = {
        name: tables[name].set_index("image_id")["score"].reindex(shown["image_id"]).to_numpy()
        for name in there
        if name in tables
    }
    notes = {name: _note(json.loads(str(arrays[name]["facts"]))) for name in there}
    if not there:
        return projection_page(
            images.read(np.array([], dtype=np.int64)),
            shown.iloc[:0],
            {},
            {},
            {},
            f"Image features, {config.dataset}",
        )
    pixels = images.read(shown["row"].to_numpy(dtype=np.int64))
    return projection_page(
        pixels,
        shown.assign(image_id=names),
        there,
        scores,
        notes,
        f"Image features, {config.dataset}",
    )


def _note(methods: Mapping[str, Any]) -> str:
    told = {
        name: about.get("reason") or f"{SHOWN_AS[name]}: {_told(about)}"
        for name, about in methods.items()
    }
    return " ".join(f"{sentence}." for sentence in told.values()).replace("\n", ", ")
