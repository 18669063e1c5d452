"""What a detector's anomaly maps look like, and whether they lie where the anomalies are. Test
labels and masks are read here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan import __version__
from medgan.contracts import Reconstructs
from medgan.errors import UserError
from medgan.evaluation.detector import joined
from medgan.evaluation.examples import (
    KINDS,
    PLURALS,
    as_seen,
    case_name,
    closest_examples,
    counterparts,
    random_errors,
    share_below,
    surest_examples,
    windowed,
    with_kinds,
)
from medgan.evaluation.localisation import (
    CHANCE,
    NO_MASKS,
    PixelThreshold,
    freeze_pixel_threshold,
    localisation_figures,
    map_quantile,
    mean_mask,
    missing_figures,
)
from medgan.evaluation.protocol import EvaluationConfig
from medgan.evaluation.volumes import aggregate_of, scored_unit
from medgan.files.digest import digest
from medgan.images.labels import findings_of, shows
from medgan.images.loading import StoredImages
from medgan.images.masks import belongs, marked
from medgan.images.store import ImageStore
from medgan.models import PublishedModel
from medgan.plots.anomaly_maps import Case, MapScale, case_pairs, case_rows, no_cases
from medgan.plots.style import Drawing, drawing, readable
from medgan.training.runtime import Runtime

FORM = 1
"""Raised with every change in what is stored of counterparts, so that older files are not
misread.
"""


@dataclass(frozen=True)
class Films:
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
        return as_seen(StoredImages(self.images), _rows(table), _side(self.images))

    def held_against(self, table: pd.DataFrame) -> NDArray[np.float32] | None:
        """The counterparts of these rows (n, C, H, W) in [-1, 1]; None for a detector without
        any.
        """
        if not self.counterpart:
            return None
        places = pd.Series(
            np.arange(len(self.kept["image_id"])), index=self.kept["image_id"].astype(str)
        )
        chosen: NDArray[np.float32] = self.kept["counterparts"][
            places.loc[table["image_id"].astype(str)].to_numpy()
        ]
        return chosen


def films(
    published: PublishedModel,
    images: ImageStore,
    shown: pd.DataFrame,
    batch_size: int,
    seed: int,
    cached: Arrays | None,
) -> Films:
    """The images, with the counterparts of `shown` (image_id, row); stored ones where nothing that
    decides them has changed.
    """
    device = Runtime.detect().device
    detector = published.build()
    key = digest([FORM, published.key, images.key, seed, __version__])
    names = shown["image_id"].astype(str).to_numpy(dtype=str)
    if not isinstance(detector, Reconstructs):
        return Films(images, "", {"image_id": names[:0], "key": np.array(key)})
    known = cached if cached is not None and str(cached["key"]) == key else {"image_id": names[:0]}
    fresh = ~np.isin(names, known["image_id"])
    parts, stored = [names[fresh]], []
    if fresh.any():
        made = counterparts(
            detector.to(device),
            StoredImages(images),
            _rows(shown[fresh]),
            _side(images),
            batch_size=batch_size,
            seed=seed,
            device=str(device),
        )
        stored.append(made)
    if not fresh.all():
        parts.append(known["image_id"])
        stored.append(known["counterparts"])
    return Films(
        images,
        detector.COUNTERPART,
        {
            "image_id": np.concatenate(parts),
            "counterparts": np.concatenate(stored),
            "key": np.array(key),
        },
    )


def _side(images: ImageStore) -> tuple[int, int]:
    return images.info.height, images.info.width


Arrays = Mapping[str, NDArray[Any]]
Bools = NDArray[np.bool_]
REFERENCES = 8
"""Normal validation images whose differences from their counterparts set the scale of all
differences.
"""
CLEAR = 0.75
"""The overlay is clear up to this quantile of the pixels of normal validation images."""
OUTLINED = "Outline: the mask of the anomaly."
COLORS = (
    "Map on image: clear up to the 75th percentile of the pixels of the normal validation images, last color from the 99th; "
    "one scale for all images of this detector."
)
NO_TEST_MASKS = f"{NO_MASKS} among the test images"
NO_VALIDATION_MASKS = "no validation image has a mask"
ALL = slice(None)
OF_VOLUMES = "Of a volume its highest slice is shown, with its place among those that were scored; score: {} of its slices."
DIFFERENCE = "Difference: image minus counterpart; its scale ends at the 99th percentile of normal validation images."


def illustrate(
    published: PublishedModel,
    scores: pd.DataFrame,
    anomaly_maps: Arrays,
    images: ImageStore,
    masks: ImageStore | None,
    splits: pd.DataFrame,
    evaluation: Mapping[str, Any],
    config: EvaluationConfig,
    seed: int,
    cached: Arrays | None,
) -> tuple[Drawing, Drawing, Drawing, Arrays]:
    """Heat maps of test images: the surest decisions, the closest ones, and a random draw of the
    errors.

    The scales of all three come from the normal validation images. `cached` are the counterparts
    that an earlier run returned, the fourth output: image_id, counterparts, key.
    """
    _require_same_images(masks, images)
    aggregate = aggregate_of(evaluation)
    test, validation = (
        joined(scores, splits, "test", aggregate),
        joined(scores, splits, "val", aggregate),
    )
    cut, name, count = (
        float(evaluation["threshold"]["value"]),
        readable(published.name),
        config.heatmap_examples,
    )
    about = [OF_VOLUMES.format(aggregate)] if scored_unit(test) == "volume" else []
    normals = validation[validation["label"] == 0]
    surest, closest, references = (
        surest_examples(test, cut, count),
        closest_examples(test, cut, count),
        _references(normals),
    )
    shown = pd.concat([references, surest, closest]).drop_duplicates("image_id")
    album = _Album(
        films(published, images, shown, config.batch_size, seed, cached),
        anomaly_maps,
        masks,
        normals,
        cut,
        seed,
        about,
    )
    totals = Counter(with_kinds(test, cut)["kind"])
    return (
        album.rows(surest, "surest", f"{name}: the surest decisions"),
        album.rows(closest, "closest to the threshold", f"{name}: the closest decisions"),
        album.pairs(
            random_errors(test, cut, config.random_errors, seed),
            totals,
            f"{name}: errors drawn at random",
        ),
        album.films.kept,
    )


def _references(normals: pd.DataFrame) -> pd.DataFrame:
    """Those of the normal validation images whose differences are looked at, spread evenly."""
    return normals.iloc[
        np.linspace(0, len(normals) - 1, min(REFERENCES, len(normals))).astype(np.int64)
    ]


@dataclass(frozen=True)
class _Album:
    """What all heat maps of a detector share."""

    films: Films
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
        maps = _maps_of(self.arrays, self.normals)
        chosen = _references(self.normals)
        seen, found = self.films.seen(chosen), self.films.held_against(chosen)
        limit = 1.0 if found is None else max(map_quantile(np.abs((seen - found).mean(1))), 1e-6)
        return MapScale(map_quantile(maps, CLEAR), map_quantile(maps), limit)

    def rows(self, table: pd.DataFrame, which: str, title: str) -> Drawing:
        """A row for each image, with its counterpart."""
        seen, found = self.films.seen(table), self.films.held_against(table)
        shown, maps, masks, normals = (
            windowed(seen, seen),
            _maps_of(self.arrays, table),
            self._masks_of(table),
            len(self.normals),
        )
        counterparts, differences = (
            (None, None) if found is None else (windowed(found, seen), (seen - found).mean(1))
        )
        cases = [
            Case(
                heading=f"{PLURALS[row['kind']].capitalize()}, {which}",
                lines=(
                    f"{case_name(row)} · {row['category']}",
                    f"score {row['score']:.4g}, threshold {self.cut:.4g}; above {self._below(row['score'])} of {normals} normals",
                ),
                image=shown[number],
                anomaly_map=maps[number],
                counterpart=None if counterparts is None else counterparts[number],
                residual=None if differences is None else differences[number],
                mask=masks[number],
            )
            for number, row in enumerate(table.to_dict("records"))
        ]
        absent = [PLURALS[kind] for kind in KINDS if kind not in set(table["kind"])]
        missing = [f"At this threshold there are no {' and no '.join(absent)}."] if absent else []
        notes = [
            *self.about,
            *missing,
            *self._claim(table, masks),
            self._normals,
            COLORS,
            *([DIFFERENCE] if self.films.counterpart else []),
        ]
        return drawing(
            case_rows,
            cases,
            self.scale,
            title=title,
            counterpart=self.films.counterpart,
            notes=notes,
        )

    def pairs(self, table: pd.DataFrame, totals: Mapping[str, int], title: str) -> Drawing:
        """Two images a row, without counterparts."""
        if table.empty:
            return drawing(no_cases, title, "There is none: every test image is decided rightly.")
        seen = self.films.seen(table)
        shown, maps, masks, drawn = (
            windowed(seen, seen),
            _maps_of(self.arrays, table),
            self._masks_of(table),
            table["kind"].value_counts(),
        )
        cases = [
            Case(
                heading=f"{PLURALS[row['kind']].capitalize()}: {drawn[row['kind']]} of {totals[row['kind']]}",
                lines=(
                    f"{case_name(row, 22)} · {row['category']}",
                    f"score {row['score']:.4g}, above {self._below(row['score'])} of normals",
                ),
                image=shown[number],
                anomaly_map=maps[number],
                mask=masks[number],
            )
            for number, row in enumerate(table.to_dict("records"))
        ]
        about = f"Threshold {self.cut:.4g}. {self._normals} Drawn with seed {self.seed}."
        notes = [about, *self.about, *self._claim(table, masks), COLORS]
        return drawing(case_pairs, cases, self.scale, title=title, notes=notes)

    @property
    def _normals(self) -> str:
        return f"Normals: the {len(self.normals)} normal validation {scored_unit(self.normals)}s."

    def _below(self, score: float) -> str:
        return share_below(score, self.normals["score"].to_numpy(dtype=np.float64))

    def _masks_of(self, table: pd.DataFrame) -> list[Bools | None]:
        """The mask of each image; None where it is not known."""
        if self.masks is None:
            return [None] * len(table)
        found, known = _marked(table, self.masks)
        return [mask if there else None for mask, there in zip(found, known, strict=True)]

    def _claim(self, table: pd.DataFrame, masks: Sequence[Bools | None]) -> list[str]:
        """What the outlines are, or that no claim about places is made."""
        anomalous = [mask for mask, label in zip(masks, table["label"], strict=True) if label == 1]
        unmarked = sum(mask is None for mask in anomalous)
        if unmarked == len(anomalous):
            return (
                [f"{NO_MASKS[0].upper()}{NO_MASKS[1:]}."] if anomalous or self.masks is None else []
            )
        return (
            [OUTLINED, f"Not a localisation claim for the {unmarked} anomalous images without one."]
            if unmarked
            else [OUTLINED]
        )


def localize(
    anomaly_maps: Arrays,
    images: ImageStore,
    masks: ImageStore | None,
    splits: pd.DataFrame,
    config: EvaluationConfig,
    seed: int,
) -> dict[str, Any]:
    """Pixel-level figures of a detector's maps on the marked test images; a reason instead of each
    where there are no masks.

    Slices of volumes count one by one. The cut for Dice comes from validation.
    """
    _require_same_images(masks, images)
    test, validation = (splits[splits["split"] == part] for part in ("test", "val"))
    facts = _facts(test)
    if masks is None:
        return {"claim": NO_MASKS, **facts, **missing_figures(NO_MASKS)}
    drawn, known = _marked(test, masks)
    if not drawn.any():
        return {"claim": NO_TEST_MASKS, **facts, **missing_figures(NO_TEST_MASKS)}
    table, drawn = test[known], drawn[known]
    learned, learned_known = _marked(validation, masks)
    cut = freeze_pixel_threshold(
        _maps_of(anomaly_maps, validation),
        learned,
        learned_known,
        (validation["label"] == 0).to_numpy(),
    )
    figures = partial(
        _figures, labels=table, masks=drawn, cut=cut, n_resamples=config.n_resamples, seed=seed
    )
    values, marked_images = _maps_of(anomaly_maps, table), int(drawn.any((1, 2)).sum())
    prior = mean_mask(learned, learned_known)
    location = (
        missing_figures(NO_VALIDATION_MASKS)
        if prior is None
        else figures(np.broadcast_to(prior, drawn.shape))
    )
    return {
        "claim": f"{marked_images} of {facts['n_anomalous']} anomalous test images have a mask",
        **facts,
        "n_marked": marked_images,
        "share_of_anomalous_pixels": float(drawn.mean()),
        "chance": {**CHANCE, "pixel_average_precision": float(drawn.mean())},
        "threshold": {
            "rule": cut.rule,
            "value": cut.value,
            "labels_used": "threshold" if cut.uses_labels else "none",
        },
        **figures(values),
        "location_alone": {name: figure for name, figure in location.items() if name != "dice"},
        "per_category": {
            finding: _of_finding(finding, table, values, figures) for finding in findings_of(table)
        },
    }


def _figures(
    values: NDArray[Any],
    labels: pd.DataFrame,
    masks: Bools,
    cut: PixelThreshold,
    n_resamples: int,
    seed: int,
    among: Bools | slice = ALL,
) -> dict[str, Any]:
    """The figures of some of the marked test images."""
    return localisation_figures(
        values[among], masks[among], labels["group_id"].to_numpy()[among], cut, n_resamples, seed
    )


def _of_finding(
    finding: str, table: pd.DataFrame, values: NDArray[Any], figures: Callable[..., dict[str, Any]]
) -> dict[str, Any]:
    """The figures of one finding's images and the normal ones."""
    chosen = shows(table, finding)
    return {
        "n_images": int(chosen.sum()),
        **figures(values, among=chosen | (table["label"] == 0).to_numpy()),
    }


def _facts(test: pd.DataFrame) -> dict[str, Any]:
    known = bool(test["group_known"].all())
    return {
        "n_images": len(test),
        "n_anomalous": int((test["label"] == 1).sum()),
        "n_patients": int(test["group_id"].nunique()) if known else None,
        "interval_unit": "patient" if known else "image",
    }


def _maps_of(arrays: Arrays, table: pd.DataFrame) -> NDArray[Any]:
    """The anomaly maps of these rows (n, H, W), at the size of the stored images."""
    places = pd.Series(np.arange(len(arrays["image_id"])), index=arrays["image_id"])
    chosen: NDArray[Any] = arrays["maps"][places.loc[table["image_id"]].to_numpy()]
    return chosen


def _marked(table: pd.DataFrame, masks: ImageStore) -> tuple[Bools, Bools]:
    """The masks (n, H, W), and whether they are known (n,)."""
    return marked(masks.read(_rows(table)), (table["label"] == 0).to_numpy())


def _require_same_images(masks: ImageStore | None, images: ImageStore) -> None:
    if masks is not None and not belongs(masks.info.source_key, images.key):
        raise UserError(
            "The stored masks are not those of the stored images: run 'kedro run --pipeline preprocessing' again."
        )


def _rows(table: pd.DataFrame) -> NDArray[np.int64]:
    return table["row"].to_numpy(dtype=np.int64)
