"""Score new images with a published detector: scores.csv, heat maps, and a description of both."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medgan.errors import UserError, unknown
from medgan.files.names import printable
from medgan.inference.inputs import NewImages, Seen, find_images
from medgan.inference.output import (
    PICTURES,
    SCORES,
    Map,
    Spool,
    check_output,
    picture,
    picture_name,
    result_folder,
)
from medgan.inference.table import (
    COLUMNS,
    KEPT,
    NOT_KEPT,
    REASON,
    ScoredEntry,
    counts,
    image_rows,
    judged,
    with_others,
    with_volumes,
)
from medgan.inference.trained import (
    Frozen,
    InTiles,
    NotEvaluated,
    Trained,
    detector_named,
    trained,
    with_threshold,
)
from medgan.progress import progress_bar
from medgan.project.artifacts import Project, project_root
from medgan.project.environment import Environment, require_environment

Wanted = Callable[[Seen, float], bool]


def _none(frozen: Frozen | None) -> Wanted:
    return lambda seen, score: False


def _all(frozen: Frozen | None) -> Wanted:
    return lambda seen, score: True


def _anomalous(frozen: Frozen | None) -> Wanted:
    """Images at or above the threshold; of a volume that is judged as a whole, each slice that is
    the highest so far.
    """
    if frozen is None:
        return _none(frozen)
    highest: dict[str, float] = {}

    def wanted(seen: Seen, score: float) -> bool:
        if seen.outside:
            return False
        if frozen.unit == "image" or not seen.group:
            return score >= frozen.value
        before = highest.get(seen.group, -np.inf)
        highest[seen.group] = max(before, score)
        return score > before

    return wanted


MAPS: Mapping[str, Callable[[Frozen | None], Wanted]] = {
    "none": _none,
    "anomalous": _anomalous,
    "all": _all,
}
"""Value of `--maps` -> which images may get a picture."""


@dataclass(frozen=True)
class Options:
    """What is written, and what may be replaced."""

    maps: str | None = None
    """Which images get a heat map, a key of MAPS; by default the anomalous ones, and none without a
    threshold.
    """
    threshold: bool = True
    """Whether scores are judged by the frozen threshold; without it there are no decisions and no
    percentiles.
    """
    overwrite: bool = False
    """Whether the results of an earlier scoring may be replaced."""
    tiles: float | None = None
    """Least overlap of the tiles that an image is scored in, as a share of a tile; None resizes."""
    project: Path | str | None = None
    """The folder that holds conf/ and data/; by default the one that MEDGAN_PROJECT names, or the
    working directory.
    """

    def __post_init__(self) -> None:
        if self.maps is not None and self.maps not in MAPS:
            raise unknown("choice of heat maps", self.maps, list(MAPS))
        if self.tiles is not None and (self.threshold or not 0 <= self.tiles < 1):
            raise UserError(
                "A score of tiles is the highest of a map, which no threshold was frozen for: add "
                "--no-threshold to --tiles, and give an overlap from 0 to under 1."
            )
        if self.maps == "anomalous" and not self.threshold:
            raise UserError(
                "Without a threshold no image is anomalous: choose all or none as heat maps."
            )

    @property
    def shown(self) -> str:
        """A key of MAPS."""
        return self.maps or ("anomalous" if self.threshold else "none")


def score_path(
    path: Path | str,
    model: str,
    output: Path | str,
    *,
    env: str | None = None,
    params: Mapping[str, Any] | None = None,
    options: Options | None = None,
) -> pd.DataFrame:
    """Score a file, or all files below a folder, and return scores.csv as a table.

    The newest version of the detector is used. Files are read, cropped, resized and scaled as the
    environment's own images are, and judged by the threshold that its evaluation froze.

    Args:
        path: a file or a folder.
        model: a detector such as `healthygan`.
        output: folder for `scores.csv`, `scoring.json` and `heat_maps/`.
        env: the environment, a folder of conf/; without it, the only data set that the detector
            was trained on.
        params: what `kedro run --params` was given, nested.
        options: heat maps, threshold, overwriting, project.

    Raises:
        UserError: nothing can be scored, the data set is not clear, or the results cannot be
            written. Where every image was refused, scores.csv is there and says why.
    """
    return score_with_detector(path, model, output, env=env, params=params, options=options).table


@dataclass(frozen=True)
class Scoring:
    """The outcome of a scoring."""

    table: pd.DataFrame
    """scores.csv."""
    using: Trained
    """The detector."""
    hidden: int
    """Hidden files and files of the system, which have no row."""


def score_with_detector(
    path: Path | str,
    model: str,
    output: Path | str,
    *,
    env: str | None = None,
    params: Mapping[str, Any] | None = None,
    options: Options | None = None,
) -> Scoring:
    """Score as `score_path` does; return the detector with the table."""
    path, output, options = Path(path).expanduser(), Path(output).expanduser(), options or Options()
    project = project_at(options.project)
    environment = environment_of(project, env, params or {}, detector_named(model))
    check_output(output, path, options.overwrite)
    images = find_images(path, environment.reading())
    using = _detector(project, environment, model, options.threshold)
    using = using if options.tiles is None else InTiles.of(using, options.tiles)
    with result_folder(output) as folder:
        table = _written(folder, images, using, options, printable(str(path)))
    SCORES.require_any(output, table, "score")
    return Scoring(table, using, len(images.hidden))


def _detector(project: Project, environment: Environment, model: str, threshold: bool) -> Trained:
    using = trained(project, environment, model)
    if not threshold:
        return using
    try:
        return with_threshold(project, environment, using)
    except NotEvaluated as missing:
        raise UserError(f"{missing} --no-threshold gives scores without decisions.") from None


def _written(
    folder: Path, images: NewImages, using: Trained, options: Options, path: str
) -> pd.DataFrame:
    """Write all results into a folder; return the table."""
    with closing(Spool(folder)) as spool:
        rows = _scored(images, using, options, spool)
        table = with_others(judged(rows, using.frozen, using.cautions), images.left_out)
        table = table.assign(heat_map=_drawn(folder, table, using, options, spool))[list(COLUMNS)]
        card = {**using.card(), **_card(table, using, options, spool)}
        card["counts"] |= {"hidden": len(images.hidden)}
    SCORES.write(folder, table, card, path)
    return table


def project_at(path: Path | str | None) -> Project:
    """Return the project in a folder; None is the one that MEDGAN_PROJECT names, or that of the
    working directory.
    """
    return Project(Path(path).resolve() if path else project_root())


def environment_of(
    project: Project, name: str | None, params: Mapping[str, Any], model: str
) -> Environment:
    """Find the data set of a published model; without a name, the only one that it was trained on.

    Raises:
        UserError: there is no such data set, or several.
    """
    conf = project.root / "conf"
    if not conf.is_dir():
        raise UserError(
            f"{project.root} is not a medgan project: go to the folder that holds conf/ and data/."
        )
    if name is not None:
        require_environment(conf, name)
        return Environment(conf, name, params)
    data_sets = project.data_sets([model])
    if len(data_sets) > 1:
        named = {dataset: project.environment(dataset).name for dataset in data_sets}
        choices = ", ".join(f"--env {env} ({dataset})" for dataset, env in named.items())
        raise UserError(
            f"{model} is trained on {len(data_sets)} data sets: name the one that these images "
            f"are like: {choices}."
        )
    found = project.environment(data_sets[0]) if data_sets else Environment(conf)
    return replace(found, given={**found.given, **params})


def _scored(images: NewImages, using: Trained, options: Options, spool: Spool) -> pd.DataFrame:
    """Make the rows of all entries; images and maps that may be drawn are put in the spool."""
    wanted, rows = MAPS[options.shown](using.frozen), list[ScoredEntry]()
    with (
        warnings.catch_warnings(action="ignore"),
        progress_bar("scoring", "image", len(images.entries)) as bar,
    ):
        for one, score, anomaly_map in scored(images, using):
            number = NOT_KEPT
            if one.pixels is not None and anomaly_map is not None and wanted(one, score):
                number = spool.add(one.pixels, anomaly_map)
            rows.append((replace(one, pixels=None), score, number))
            bar.update()
    return with_volumes(image_rows(rows), using.aggregate)


def scored(images: NewImages, using: Trained) -> Iterator[tuple[Seen, float, Map | None]]:
    """Yield every image with its score and map; NaN and None for refused ones."""
    outside = using.frozen.domain.outside if using.frozen else None
    for batch in images.batches(using.batch_size, using.prepared, outside):
        readable = [(one.entry.name, one.pixels) for one in batch if one.pixels is not None]
        found: Iterator[tuple[float, Map]] = iter(())
        if readable:
            names, pixels = zip(*readable, strict=True)
            scores, maps = using.score(pixels, names)
            found = iter(zip(scores.tolist(), maps, strict=True))
        for one in batch:
            yield (one, *(next(found) if one.pixels is not None else (float("nan"), None)))


def _drawn(
    folder: Path, table: pd.DataFrame, using: Trained, options: Options, spool: Spool
) -> pd.Series[Any]:
    """Draw the pictures; return their paths, one for each row of the table, or an empty text.

    A volume has the picture of its highest slice.
    """
    chosen = (table["decision"] == "anomalous") | (options.shown == "all")
    kept = set(table.loc[chosen, KEPT]) - {NOT_KEPT}
    rows = table[(table["unit"] != "volume") & table[KEPT].isin(kept)]
    scale = (using.frozen and using.frozen.scale) or spool.scale
    files: dict[int, str] = {}
    if kept and scale is not None:
        (folder / PICTURES).mkdir()
        with progress_bar("heat maps", "picture", len(rows)) as bar:
            for number, path, part, score, unit, outside in rows[
                [KEPT, "path", "slice", "score", "unit", REASON]
            ].itertuples(index=False):
                files[number] = f"{PICTURES}/{picture_name(path, part)}"
                name = f"{path}, slice {int(part)}" if part else path
                words = using.verdict(score, unit, outside)
                shown = picture(*spool.read(number), scale, name, words)
                (folder / files[number]).write_bytes(shown)
                bar.update()
    return table[KEPT].map(lambda number: files.get(number, "")).astype(object)


def _card(table: pd.DataFrame, using: Trained, options: Options, spool: Spool) -> dict[str, Any]:
    """Describe the results as JSON."""
    frozen = using.frozen and using.frozen.scale
    scale, drawn = frozen or spool.scale, (table["heat_map"] != "").any()
    maps = "normal validation images" if frozen else "the maps that were kept"
    limits = "75th and 99th percentile" if frozen else "lowest value and highest 99th percentile"
    return {
        **({} if options.tiles is None else {"tiles_overlap": options.tiles}),
        **({"volume_score": using.aggregate} if (table["unit"] == "volume").any() else {}),
        "heat_maps": {
            "shown": options.shown,
            "scale": [scale.low, scale.high] if scale and drawn else None,
            "scale_is": f"{limits} of {maps}; the same in every picture",
        },
        "counts": counts(table),
    }
