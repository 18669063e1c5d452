"""Classify new images with a published arm: classes.csv, saliency maps, and a description of both."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.evaluation.domain import OUTSIDE
from medgan.files.names import printable
from medgan.images.labels import SEPARATOR
from medgan.inference.batch import environment_of, project_at
from medgan.inference.classifier import TrainedClassifier, arm_named, trained_classifier
from medgan.inference.inputs import NewImages, Seen, find_images
from medgan.inference.output import (
    CLASSES,
    check_output,
    picture,
    picture_name,
    result_folder,
)
from medgan.inference.table import NO_IMAGE
from medgan.plots.anomaly_maps import own_scale
from medgan.progress import progress_bar

BATCH = 32
NO_FINDING = "no finding"
PROBABILITY = "p_"
"""Before the name of a class, the column of its calibrated probability."""
COLUMNS = ("path", "slice", "decision", "probability")


@dataclass(frozen=True)
class Classified:
    """The outcome of a classification."""

    table: pd.DataFrame
    """classes.csv."""
    using: TrainedClassifier


def classify_path(
    path: Path | str,
    arm: str,
    output: Path | str,
    *,
    env: str | None = None,
    params: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    with_saliency: bool = False,
    project: Path | str | None = None,
) -> Classified:
    """Classify a file, or all files below a folder.

    Files are read, cropped, resized and scaled as the environment's own images are. Probabilities are
    calibrated by the temperature that validation chose. Images outside the domain of the data set
    get no decision.

    Args:
        path: a file or a folder.
        arm: such as `gan_classical`; its newest published version.
        output: folder for `classes.csv`, `classification.json` and `saliency/`.
        env: the environment, a folder of conf/; without it, the only data set that the arm was
            trained on.
        params: what `kedro run --params` was given, nested.
        overwrite: whether the results of an earlier classification may be replaced.
        with_saliency: whether each image gets a Grad-CAM map of its most probable class.
        project: the folder that holds conf/ and data/.

    Raises:
        UserError: nothing can be classified, or the results cannot be written. Where every image was
            refused, classes.csv is there and says why.
    """
    path, output, arm = Path(path).expanduser(), Path(output).expanduser(), arm_named(arm)
    found = project_at(project)
    environment = environment_of(found, env, params or {}, arm)
    check_output(output, path, overwrite, CLASSES)
    images = find_images(path, environment.reading())
    using = trained_classifier(found, environment, arm)
    with result_folder(output, CLASSES) as folder:
        table = _written(folder, images, using, with_saliency, printable(str(path)))
    CLASSES.require_any(output, table, "decision")
    return Classified(table, using)


def _written(
    folder: Path, images: NewImages, using: TrainedClassifier, with_saliency: bool, path: str
) -> pd.DataFrame:
    """Write all results into a folder; return the table."""
    rows = list(_rows(folder, images, using, with_saliency))
    others = [
        {"path": name, "code": NO_IMAGE, "message": why} for name, why in images.left_out.items()
    ]
    probabilities = [f"{PROBABILITY}{name}" for name in using.classes]
    texts = ["slice", "decision", "code", "message", "saliency"]
    columns = [*COLUMNS, *probabilities, "code", "message", "saliency"]
    table = pd.DataFrame([*rows, *others]).reindex(columns=columns)
    table[texts] = table[texts].astype(object).fillna("")
    CLASSES.write(folder, table, {**using.card(), "counts": counts(table)}, path)
    return table


def counts(table: pd.DataFrame) -> dict[str, int]:
    """Count images of each decision, refused ones, and files that are no image."""
    decided = table.loc[table["decision"] != "", "decision"].value_counts()
    refused = (table["code"] != "") & (table["code"] != NO_IMAGE)
    found = {str(name): int(count) for name, count in decided.items()}
    return {
        **found,
        "refused": int(refused.sum()),
        "no_image": int((table["code"] == NO_IMAGE).sum()),
    }


def _rows(
    folder: Path, images: NewImages, using: TrainedClassifier, with_saliency: bool
) -> Iterator[dict[str, Any]]:
    """Yield a row for each entry, in order, with few images in memory."""
    with (
        warnings.catch_warnings(action="ignore"),
        progress_bar("classifying", "image", len(images.entries)) as bar,
    ):
        for batch in images.batches(BATCH, using.prepared, using.domain.outside):
            readable = [one.pixels for one in batch if one.pixels is not None]
            found = iter(using.probabilities(np.stack(readable)) if readable else ())
            maps = iter(using.saliency(np.stack(readable)) if with_saliency and readable else ())
            for one in batch:
                if one.pixels is None:
                    yield _row(one, {"code": one.code, "message": one.message})
                    continue
                row = _row(one, _decided(one, next(found), using))
                if with_saliency:
                    row["saliency"] = _picture(folder, one, next(maps), row, using)
                yield row
            bar.update(len(batch))


def _row(seen: Seen, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"path": seen.entry.shown, "slice": seen.entry.number, **facts}


def _decided(
    seen: Seen, probabilities: NDArray[np.float64], using: TrainedClassifier
) -> dict[str, Any]:
    """Name the most probable class, or all findings with a probability of 0.5 or more; an image
    outside the domain has no decision of a class.
    """
    named = list(zip(using.classes, probabilities.tolist(), strict=True))
    most = max(named, key=lambda one: one[1])
    findings = [name for name, value in named[1:] if value >= 0.5]
    told = (SEPARATOR.join(findings) or NO_FINDING) if using.several else most[0]
    return {
        "decision": OUTSIDE if seen.outside else told,
        "probability": float("nan") if seen.outside else most[1],
        **{f"{PROBABILITY}{name}": value for name, value in named},
        "message": seen.outside,
    }


def _picture(
    folder: Path,
    seen: Seen,
    found: NDArray[np.float64],
    row: Mapping[str, Any],
    using: TrainedClassifier,
) -> str:
    """Draw an image beside its map, scaled by itself; return the path of the picture."""
    (folder / CLASSES.pictures).mkdir(exist_ok=True)
    name = f"{CLASSES.pictures}/{picture_name(seen.entry.shown, seen.entry.number)}"
    found_with = "" if seen.outside else f", probability {row['probability']:.2f}"
    said = f"{using.arm}: {row['decision']}{found_with}"
    scale = own_scale(found.astype(np.float16), None)
    pixels, shown_as = np.asarray(seen.pixels), ("input of the classifier", "Grad-CAM over it")
    shown = picture(pixels, found, scale, printable(seen.entry.name), said, shown_as)
    (folder / name).write_bytes(shown)
    return name
