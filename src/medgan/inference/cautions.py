"""What has to be known of a model before what it says is believed."""

from __future__ import annotations

from collections.abc import Iterator

from medgan.evaluation.results import DetectorResult
from medgan.models import PublishedModel
from medgan.stats.bootstrap import Estimate
from medgan.training.collapse import collapse_of
from medgan.words import SMOKE, SMOKE_SCALE

FEW_NORMALS = 20
"""Normal validation images; fewer cannot support a false-positive rate of 5 %."""


def of_model(model: PublishedModel) -> Iterator[str]:
    """Say whether a model was trained at scale=smoke, and whether its generator has collapsed."""
    if model.card.get("scale") == SMOKE_SCALE:
        yield SMOKE
    collapsed = collapse_of(model.card.get("figures", {}))
    if collapsed is not None:
        yield f"mode collapse: {collapsed}"


def of_evaluation(found: DetectorResult, n_normals: int, spread: float) -> Iterator[str]:
    """Say how weak an evaluation is whose threshold rests on `n_normals` normal validation images or
    volumes, and whose normal images, of validation and test, have scores within `spread`.
    """
    if n_normals < FEW_NORMALS:
        images = f"{found.scored_unit}{'' if n_normals == 1 else 's'}"
        yield f"its threshold rests on {n_normals} normal validation {images} only"
    if spread == 0:
        yield "collapsed: it gives all normal images the same score"
    if found.failed:
        yield "not significantly better than chance on the validation images"
    yield from of_skill(found.auroc, "not shown to detect any anomaly")


def of_skill(area: Estimate, unknown: str) -> Iterator[str]:
    """Say whether an AUROC on the test images is missing, which is called `unknown`, or at chance."""
    if area.value is None:
        yield f"{unknown}: no AUROC on the test images"
    elif area.low is None or area.low <= 0.5:
        yield f"not significantly better than chance on the test images (AUROC {area.value:.2f})"
