"""Features of a network on a plane; the projections color points by test labels and measure
nothing.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from medgan.evaluation.details import Projection, ProjectionsResult
from medgan.evaluation.embeddings import METHODS, SHOWN_AS, project, shown_images
from medgan.files.documents import from_json, to_json
from medgan.models import display_name
from medgan.pipelines.outputs import Arrays, Features, Trained
from medgan.pipelines.shared import Earlier, EvaluationData, embed, of_images, reused
from medgan.plots.projections import Projection as Plane
from medgan.plots.projections import projections
from medgan.plots.style import notice
from medgan.words import readable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REFERENCE = "domain_features"
"""The supervised network whose features stand beside those of the detectors."""
NO_REFERENCE = (
    "The supervised feature network is not trained here: "
    "`kedro run --pipeline synthesis` trains it."
)


def describe_reference_network(
    data: EvaluationData, trained: Trained | None, earlier: Earlier
) -> Features:
    """Describe the images by the supervised feature network, as the detectors describe them."""
    if trained is None:
        methods = {method: Projection(reason=NO_REFERENCE) for method in METHODS}
        facts = ProjectionsResult(0, 0, methods)
        nothing = {"image_id": np.array([], dtype=str), "key": np.array("")}
        return Features(nothing, facts, notice(readable(REFERENCE), NO_REFERENCE))
    old: Features | None = earlier("features", REFERENCE)
    embeddings = embed(trained.model, data, old.embeddings if old else None)
    return project_features(REFERENCE, embeddings, data, old.plane if old else None)


def project_features(
    name: str,
    embeddings: Arrays,
    data: EvaluationData,
    earlier: Arrays | None,
    scores: pd.DataFrame | None = None,
) -> Features:
    """Project features by PCA, t-SNE and UMAP, colored by labels and by the scores of a detector;
    the planes of an earlier run where nothing that decides them has changed.
    """
    shown = shown_images(
        data.splits, data.config.category_images, data.config.projected_images, data.seed
    )
    names = shown["image_id"].astype(str).tolist()
    there = importlib.util.find_spec("umap") is not None

    def make() -> dict[str, Any]:
        planes, methods = project(of_images(embeddings, "features", names), data.seed)
        facts = np.array(json.dumps(to_json(methods)))
        return {"image_id": np.array(names), **planes, "facts": facts}

    plane = reused(earlier, ["plane", str(embeddings["key"]), names, data.seed, there], make)
    facts = ProjectionsResult(len(names), int(embeddings["features"].shape[1]), methods_of(plane))
    title = f"{display_name(name)}: {facts.n_features} features of {len(names)} images"
    figure = _multiples(plane, facts, _colored(shown, scores), title)
    return Features(plane, facts, figure, embeddings)


def _colored(shown: pd.DataFrame, scores: pd.DataFrame | None) -> pd.DataFrame:
    """The shown images with their scores where all have one: training images are not scored."""
    table = shown[["image_id", "label", "category", "split"]].reset_index(drop=True)
    if scores is None:
        return table
    return table.merge(scores[["image_id", "score"]], on="image_id", how="left")


def _multiples(arrays: Arrays, facts: ProjectionsResult, table: pd.DataFrame, title: str) -> Figure:
    methods = facts.methods
    planes = [
        Plane(SHOWN_AS[method], arrays[method], told(methods[method]))
        for method in METHODS
        if method in arrays
    ]
    notes = ["t-SNE and UMAP keep neighbours; distances between their clusters mean little."]
    notes += [about.reason for about in methods.values() if about.reason]
    return projections(planes, table, title, notes)


def methods_of(plane: Arrays) -> dict[str, Projection]:
    """What is known of each method, as it is stored beside the planes."""
    return from_json(dict[str, Projection], json.loads(str(plane["facts"])))


def told(about: Projection) -> str:
    """The trustworthiness of a projection, and the variance that it holds."""
    explained = about.explained_variance
    shares = f"\n{explained[0]:.0%} + {explained[1]:.0%} of the variance" if explained else ""
    return f"trustworthiness {about.trustworthiness:.2f}{shares}"


def note_of(methods: Mapping[str, Projection]) -> str:
    """A sentence for each method."""
    said = [about.reason or f"{SHOWN_AS[name]}: {told(about)}" for name, about in methods.items()]
    return " ".join(f"{sentence}." for sentence in said).replace("\n", ", ")
