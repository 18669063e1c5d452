"""Heat map pages of a detector. Test labels and masks are read here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan import __version__
from medgan.contracts import Reconstructs
from medgan.evaluation.examples import (
    KINDS,
    as_seen,
    case_name,
    closest_examples,
    counterparts,
    most_confident_examples,
    random_errors,
    share_below,
    windowed,
    with_kinds,
)
from medgan.evaluation.localisation import NO_MASKS, map_quantile
from medgan.evaluation.score_table import units_in
from medgan.evaluation.scores import Batches
from medgan.evaluation.volumes import scored_unit
from medgan.files.digest import digest
from medgan.images.loading import StoredImages
from medgan.images.store import ImageStore
from medgan.models import PublishedModel, display_name
from medgan.pipelines.anomaly_evaluation.scoring.localisation import (
    Bools,
    maps_of,
    marked_rows,
    require_same_images,
    rows_of,
)
from medgan.pipelines.outputs import Arrays, Evaluation, Scores
from medgan.pipelines.shared import FORM, EvaluationData, of_images
from medgan.plots.anomaly_maps import Case, MapScale, case_pairs, case_rows, no_cases, normal_scale
from medgan.training.runtime import Runtime
from medgan.words import capital

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REFERENCES = 8
"""Normal validation images whose differences from their counterparts set the scale of all
differences.
"""
OUTLINED = "Outline: the mask of the anomaly."
COLORS = (
    "Map on image: clear up to the 75th percentile of the pixels of the normal validation images, last color from the 99th; "
    "one scale for all images of this detector."
)
OF_VOLUMES = "Of a volume its highest slice is shown, with its place among those that were scored; score: {} of its slices."
DIFFERENCE = "Difference: image minus counterpart; its scale ends at the 99th percentile of normal validation images."


def heat_maps(
    data: EvaluationData,
    model: PublishedModel,
    results: tuple[Scores, Evaluation],
    masks: ImageStore | None,
    earlier: Arrays | None,
) -> tuple[Figure, Figure, Figure, Arrays]:
    """Show the most confident decisions, the closest ones, and a random draw of the errors; return
    these pages and the counterparts.

    The scales of all three come from the normal validation images.
    """
    scores, evaluation = results
    require_same_images(masks, data.images)
    row = evaluation.evaluation
    cut, name, count = row.threshold.frozen, display_name(model.name), data.config.heatmap_examples
    test, validation = (units_in(evaluation.scores, part, row) for part in ("test", "val"))
    about = [OF_VOLUMES.format(row.aggregate)] if scored_unit(test) == "volume" else []
    normals = validation[validation["label"] == 0]
    most_confident = most_confident_examples(test, cut, count)
    closest = closest_examples(test, cut, count)
    wanted = pd.concat([_references(normals), most_confident, closest]).drop_duplicates("image_id")
    shown = with_counterparts(model, data, wanted, earlier)
    album = _Album(shown, scores.maps, masks, normals, cut, data.seed, about)
    errors = random_errors(test, cut, data.config.random_errors, data.seed)
    totals = Counter(with_kinds(test, cut)["kind"])
    return (
        album.rows(most_confident, "most confident", f"{name}: the most confident decisions"),
        album.rows(closest, "closest to the threshold", f"{name}: the closest decisions"),
        album.pairs(errors, totals, f"{name}: errors drawn at random"),
        shown.kept,
    )


@dataclass(frozen=True)
class Shown:
    """The images of a store and the counterparts of those that are to be shown."""

    images: ImageStore
    counterpart: str
    """What a counterpart is, in two or three words; empty for a detector that compares with no
    image.
    """
    kept: Arrays
    """image_id (n,), counterparts (n, C, H, W) in [-1, 1], key."""

    def seen(self, table: pd.DataFrame) -> NDArray[np.float32]:
        """The images of these rows (n, C, H, W) in [-1, 1], as the network sees them."""
        return as_seen(StoredImages(self.images), rows_of(table), _side(self.images))

    def held_against(self, table: pd.DataFrame) -> NDArray[np.float32] | None:
        """The counterparts of these rows (n, C, H, W) in [-1, 1]; None for a detector without
        any.
        """
        if not self.counterpart:
            return None
        return of_images(self.kept, "counterparts", table["image_id"])


def with_counterparts(
    model: PublishedModel, data: EvaluationData, wanted: pd.DataFrame, earlier: Arrays | None
) -> Shown:
    """The images, with the counterparts of `wanted` (image_id, row); stored ones where nothing that
    decides them has changed.
    """
    device, detector, images = str(Runtime.detect().device), model.build(), data.images
    key = np.array(digest([FORM, model.key, images.key, data.seed, __version__]))
    names = wanted["image_id"].astype(str).to_numpy(dtype=str)
    if not isinstance(detector, Reconstructs):
        return Shown(images, "", {"image_id": names[:0], "key": key})
    same = earlier is not None and str(earlier["key"]) == str(key)
    known: Arrays = earlier if earlier is not None and same else {"image_id": names[:0]}
    fresh = ~np.isin(names, known["image_id"])
    parts, stored = [names[fresh]], []
    if fresh.any():
        rows, on_device = rows_of(wanted[fresh]), detector.to(device)
        batches = Batches(data.config.batch_size, data.seed, device)
        stored.append(counterparts(on_device, StoredImages(images), rows, _side(images), batches))
    if not fresh.all():
        parts.append(known["image_id"])
        stored.append(known["counterparts"])
    kept = {"image_id": np.concatenate(parts), "counterparts": np.concatenate(stored), "key": key}
    return Shown(images, detector.COUNTERPART, kept)


def _side(images: ImageStore) -> tuple[int, int]:
    return images.info.height, images.info.width


def _references(normals: pd.DataFrame) -> pd.DataFrame:
    """Those of the normal validation images whose differences are looked at, spread evenly."""
    return normals.iloc[
        np.linspace(0, len(normals) - 1, min(REFERENCES, len(normals))).astype(np.int64)
    ]


@dataclass(frozen=True)
class _Album:
    """Settings that all heat maps of a detector share."""

    shown: Shown
    arrays: Arrays
    masks: ImageStore | None
    normals: pd.DataFrame
    """The normal validation images with their scores."""
    cut: float
    seed: int
    about: Sequence[str]
    """What is to be known of volumes, where there are any."""

    @cached_property
    def scale(self) -> MapScale:
        """From the normal validation images alone."""
        maps = maps_of(self.arrays, self.normals)
        chosen = _references(self.normals)
        seen, found = self.shown.seen(chosen), self.shown.held_against(chosen)
        limit = 1.0 if found is None else max(map_quantile(np.abs((seen - found).mean(1))), 1e-6)
        return normal_scale(maps, limit)

    def rows(self, table: pd.DataFrame, which: str, title: str) -> Figure:
        """A row for each image, with its counterpart."""

        def told(row: Mapping[Any, Any]) -> tuple[str, tuple[str, ...]]:
            above = f"above {self._below(row['score'])} of {len(self.normals)} normals"
            score = f"score {row['score']:.4g}, threshold {self.cut:.4g}; {above}"
            heading = f"{row['kind'].capitalize()}s, {which}"
            return heading, (f"{case_name(row)} · {row['category']}", score)

        masks = self._masks_of(table)
        cases = self._cases(table, masks, told, self.shown.held_against(table))
        absent = [f"{kind}s" for kind in KINDS if kind not in set(table["kind"])]
        missing = [f"At this threshold there are no {' and no '.join(absent)}."] if absent else []
        difference = [DIFFERENCE] if self.shown.counterpart else []
        about = [*self.about, *missing, *self._claim(table, masks)]
        notes = [*about, self._normals, COLORS, *difference]
        counterpart = self.shown.counterpart
        return case_rows(cases, self.scale, title=title, counterpart=counterpart, notes=notes)

    def pairs(self, table: pd.DataFrame, totals: Mapping[str, int], title: str) -> Figure:
        """Two images a row, without counterparts."""
        if table.empty:
            return no_cases(title, "No errors: every test image is classified correctly.")
        drawn, masks = table["kind"].value_counts(), self._masks_of(table)

        def told(row: Mapping[Any, Any]) -> tuple[str, tuple[str, ...]]:
            kind, below = row["kind"], self._below(row["score"])
            score = f"score {row['score']:.4g}, above {below} of normals"
            heading = f"{kind.capitalize()}s: {drawn[kind]} of {totals[kind]}"
            return heading, (f"{case_name(row, 22)} · {row['category']}", score)

        about = f"Threshold {self.cut:.4g}. {self._normals} Drawn with seed {self.seed}."
        notes = [about, *self.about, *self._claim(table, masks), COLORS]
        return case_pairs(self._cases(table, masks, told), self.scale, title=title, notes=notes)

    def _cases(
        self,
        table: pd.DataFrame,
        masks: Sequence[Bools | None],
        told: Callable[[Mapping[Any, Any]], tuple[str, tuple[str, ...]]],
        found: NDArray[np.float32] | None = None,
    ) -> list[Case]:
        """The images of a table, with the counterparts `found`; `told` gives heading and lines."""
        seen, maps = self.shown.seen(table), maps_of(self.arrays, table)
        shown = windowed(seen, seen)
        counterparts = None if found is None else windowed(found, seen)
        differences = None if found is None else (seen - found).mean(1)
        return [
            Case(
                *told(row),
                image=shown[number],
                anomaly_map=maps[number],
                counterpart=None if counterparts is None else counterparts[number],
                residual=None if differences is None else differences[number],
                mask=masks[number],
            )
            for number, row in enumerate(table.to_dict("records"))
        ]

    @property
    def _normals(self) -> str:
        return f"Normals: the {len(self.normals)} normal validation {scored_unit(self.normals)}s."

    def _below(self, score: float) -> str:
        return share_below(score, self.normals["score"].to_numpy(dtype=np.float64))

    def _masks_of(self, table: pd.DataFrame) -> list[Bools | None]:
        """The mask of each image; None where it is not known."""
        if self.masks is None:
            return [None] * len(table)
        found, known = marked_rows(table, self.masks)
        return [mask if there else None for mask, there in zip(found, known, strict=True)]

    def _claim(self, table: pd.DataFrame, masks: Sequence[Bools | None]) -> list[str]:
        """What the outlines are, or that no claim about places is made."""
        anomalous = [mask for mask, label in zip(masks, table["label"], strict=True) if label == 1]
        unmarked = sum(mask is None for mask in anomalous)
        if unmarked == len(anomalous):
            return [f"{capital(NO_MASKS)}."] if anomalous or self.masks is None else []
        without = f"Not a localisation claim for the {unmarked} anomalous images without one."
        return [OUTLINED, without] if unmarked else [OUTLINED]
