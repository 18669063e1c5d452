"""What the pipelines leave of one detector, saved through the catalog of a project."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from medgan.audits.privacy import PrivacyResult
from medgan.audits.release import CopyCheck, ReleaseVerdict, RuleOutcome
from medgan.evaluation.details import LocalisationResult
from medgan.evaluation.domain import freeze_domain
from medgan.evaluation.results import DetectorResult
from medgan.models import PublishedModel
from medgan.pipelines.outputs import Evaluation, Release, Scores, Trained
from medgan.project.artifacts import Project

CURVES = pd.DataFrame({"step": [1], "loss": [0.5]})
NO_CLAIM = LocalisationResult(
    claim="no mask", n_images=1, n_anomalous=1, n_patients=None, interval_unit="image"
)


def picture() -> bytes:
    """A PNG file."""
    buffer = io.BytesIO()
    Image.new("L", (4, 4)).save(buffer, "PNG")
    return buffer.getvalue()


def leave(root: Path, dataset: str, entry: str, value: Any) -> None:
    """Save an entry of the catalog."""
    Project(root).catalog(dataset).save(entry, value)


def leave_trained(root: Path, dataset: str, model: PublishedModel) -> None:
    """Save a published model."""
    leave(root, dataset, f"{model.name}.trained", Trained(model, CURVES, picture()))


def leave_scores(
    root: Path, dataset: str, name: str, table: pd.DataFrame, maps: dict[str, Any]
) -> None:
    """Save the scores (image_id, split, score) and maps of a detector."""
    perturbed = {"key": np.array("none")}
    leave(root, dataset, f"{name}.scores", Scores(table, maps, perturbed))


def leave_evaluation(
    root: Path, dataset: str, name: str, table: pd.DataFrame, result: DetectorResult
) -> None:
    """Save the evaluation of a detector, with the domain of its data set."""
    project = Project(root)
    splits = project.splits(dataset)
    assert splits is not None
    domain = freeze_domain(project.store(dataset), splits)
    found = Evaluation(
        result,
        NO_CLAIM,
        table,
        table,
        *(picture(), picture()),
        domain=domain.limits,
        domain_reference=domain.reference,
    )
    leave(root, dataset, f"{name}.evaluation", found)


def folder(root: Path, dataset: str, entry: str) -> Path:
    """The folder that would be loaded."""
    found: Any = Project(root).catalog(dataset).get(entry)
    newest: Path = found.newest()
    return newest


def leave_release(root: Path, model: PublishedModel, released: bool, dataset: str) -> None:
    """Save the verdict of the release gate for a generator, and its check of single images."""
    limit, rate = 0.02, 0.01 if released else 0.05
    sentence = f"At most {limit:.0%} of the images are copies; {rate:.0%} are."
    rule = RuleOutcome("copy_rate", sentence, rate, 0.0, 0.06, 200, limit, released)
    verdict = ReleaseVerdict(
        released=released,
        rules=(rule,),
        n_images=200,
        n_flagged=int(200 * rate),
        generator=model.name,
        generator_key=model.key,
        limits=("It was judged on few images.",),
    )
    training = np.random.default_rng(0).integers(0, 255, (2, 32, 32), dtype=np.uint8)
    check = CopyCheck(training, 0.5)
    release = Release(verdict, PrivacyResult(None), picture(), check=check.arrays())
    leave(root, dataset, f"{model.name}.release", release)


def odd(images: np.ndarray) -> np.ndarray:
    """Stand in for a check: flag a third of images (N, C, H, W), by their content."""
    levels = np.rint((images + 1) * 127.5).reshape(len(images), -1).sum(1)
    return levels.astype(int) % 3 == 0
