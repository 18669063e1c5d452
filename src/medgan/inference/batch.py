"""New images through a published detector: scores.csv, heat maps, and what they were made with."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan import __version__
from medgan.errors import UserError, unknown
from medgan.images.store import StoreInfo
from medgan.inference.inputs import BRIGHTEST, NewImages, Seen, find_images, prepared, score_pixels
from medgan.inference.output import (
    CARD,
    COLUMNS,
    KEPT,
    NOT_KEPT,
    PICTURES,
    TABLE,
    check_output,
    image_rows,
    judged,
    picture_name,
    png,
    result_folder,
    with_volumes,
)
from medgan.inference.trained import Frozen, Trained, trained
from medgan.plots.grids import scored_image
from medgan.project.artifacts import Project, project_root
from medgan.project.environment import Environment, require_environment
from medgan.training.progress import progress_bar

Wanted = Callable[[Seen, float], bool]


class Spool:
    """A file without a name that vanishes with the command. Memory stays at one image."""

    def __init__(self, folder: Path, info: StoreInfo) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by __exit__
        self._info = info
        self._count = 0
        self.range = (np.inf, -np.inf)
        """Lowest value, and highest 99.5th percentile, of the maps in it."""

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, pixels: NDArray[np.uint8], anomaly_map: NDArray[np.float16]) -> int:
        """Keeps an image (h, w, C) with its map (h, w); returns its number."""
        self._file.seek(0, 2)
        self._file.write(pixels.tobytes() + anomaly_map.tobytes())
        low, high = (
            float(anomaly_map.min()),
            float(np.quantile(anomaly_map.astype(np.float64), BRIGHTEST)),
        )
        self.range = (min(self.range[0], low), max(self.range[1], high))
        self._count += 1
        return self._count - 1

    def read(self, number: int) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
        """An image with its map."""
        info = self._info
        map_bytes = 2 * info.height * info.width
        self._file.seek(number * (info.image_bytes + map_bytes))
        pixels = np.frombuffer(self._file.read(info.image_bytes), dtype=np.uint8).reshape(
            info.image_shape
        )
        return pixels, np.frombuffer(self._file.read(map_bytes), dtype=np.float16).reshape(
            info.height, info.width
        )


def keep_if(wanted: bool, spool: Spool, seen: Seen, anomaly_map: NDArray[np.float16]) -> int:
    """The number under which an image is kept, or NOT_KEPT."""
    return spool.add(seen.pixels, anomaly_map) if wanted and seen.pixels is not None else NOT_KEPT


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
"""What `--maps` may say -> which images may get a picture."""


NOTICE = "Research only; not a medical device. A score is no diagnosis: do not use it for any decision about a patient."
SHORT_NOTICE = "Research only; not a medical device."


@dataclass(frozen=True)
class Options:
    """What is to be written, and what may be replaced."""

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

    def __post_init__(self) -> None:
        if self.maps is not None and self.maps not in MAPS:
            raise unknown("choice of heat maps", self.maps, list(MAPS))
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
    project: Path | str | None = None,
) -> pd.DataFrame:
    """Scores a file, or all images below a folder, with the newest published version of a detector.

    Files are read, cropped, resized and scaled as the environment's own images are, and judged by
    the threshold that its evaluation froze.

    Args:
        path: a file or a folder; links to folders are not followed.
        model: a detector such as `healthygan`.
        output: folder for `scores.csv`, `scoring.json` and `heat_maps/`.
        env: the environment, a folder of conf/; the embedded phantoms without one.
        params: what `kedro run --params` was given, nested.
        options: heat maps, threshold, overwriting.
        project: the folder that holds conf/ and data/; the working directory, or what
            MEDGAN_PROJECT names, without one.

    Returns:
        scores.csv as a table.

    Raises:
        UserError: nothing can be scored, or the results cannot be written. Where every image was
            refused, scores.csv is there and says why.
    """
    path, output, options = Path(path).expanduser(), Path(output).expanduser(), options or Options()
    found = Project(Path(project).resolve() if project else project_root())
    environment = _environment(found.root / "conf", env, params or {})
    check_output(output, path, options.overwrite)
    images_of = environment.reading()
    images = find_images(path, images_of)
    using = trained(found, environment, model, options.threshold)
    with result_folder(output) as folder:
        table = _score_into(folder, images, using, options, str(path))
    if table["score"].isna().all():
        raise UserError(
            f"None of the {len(table)} images could be scored: {output / TABLE} says why."
        )
    return table


def _environment(conf: Path, name: str | None, params: Mapping[str, Any]) -> Environment:
    if not conf.is_dir():
        raise UserError(
            f"{conf.parent} is no medgan project: go to the folder that holds conf/ and data/."
        )
    if name is not None:
        require_environment(conf, name)
    return Environment(conf, name, params)


def _score_into(
    folder: Path, images: NewImages, using: Trained, options: Options, path: str
) -> pd.DataFrame:
    with Spool(folder, using.store.info) as spool:
        table = judged(
            with_volumes(_scored(images, using, options, spool), using.aggregate), using.frozen
        )
        scale = (using.frozen and using.frozen.map_range) or spool.range
        table = _pictured(folder, table, using, options, spool, scale)
    table = table[list(COLUMNS)]
    card = {
        "notice": NOTICE,
        "medgan": __version__,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "input": path,
        **using.card(),
    }
    shown = {
        "shown": options.shown,
        "scale": list(scale) if (table["heat_map"] != "").any() else None,
        "scale_is": _scale_is(using),
    }
    scored = {"volume_score": using.aggregate} if (table["unit"] == "volume").any() else {}
    (folder / CARD).write_text(
        json.dumps(
            {**card, **scored, "heat_maps": shown, "counts": counts(table)},
            indent=1,
            ensure_ascii=False,
        )
        + "\n",
        "utf-8",
    )
    table.to_csv(folder / TABLE, index=False)
    return table


def _scale_is(using: Trained) -> str:
    if using.frozen and using.frozen.map_range:
        return "lowest value and 99.5th percentile of the maps of normal validation images; the same in every picture"
    return "lowest value and highest 99.5th percentile of the maps that were kept; the same in every picture"


def counts(table: pd.DataFrame) -> dict[str, int]:
    """How many images (slices count), volumes, anomalous decisions and refusals a table of scores
    has.
    """
    single = table["unit"] != "volume"
    return {
        "images": int(single.sum()),
        "volumes": int((~single).sum()),
        "anomalous": int((table["decision"] == "anomalous").sum()),
        "refused": int((table.loc[single, "code"] != "").sum()),
    }


def _scored(images: NewImages, using: Trained, options: Options, spool: Spool) -> pd.DataFrame:
    """The rows of all entries; pixels and maps of those that may get a picture are in the spool."""
    wanted = MAPS[options.shown](using.frozen)
    seen, scores, kept = list[Seen](), list[float](), list[int]()
    with (
        warnings.catch_warnings(action="ignore"),
        progress_bar("scoring", "image", len(images.entries)) as bar,
    ):
        for batch in _batches(images, using):
            for one, score, anomaly_map in _scored_batch(batch, using):
                seen.append(replace(one, pixels=None))
                scores.append(score)
                kept.append(
                    keep_if(wanted(one, score), spool, one, anomaly_map)
                    if one.pixels is not None
                    else NOT_KEPT
                )
            bar.update(len(batch))
    return image_rows(seen, scores, kept)


def _batches(images: NewImages, using: Trained) -> Iterator[list[Seen]]:
    info, crop = using.store.info, using.preprocessing.crop
    entries = images.read(lambda image: prepared(image, info, crop))
    return iter(lambda: list(islice(entries, using.batch_size)), [])


def _scored_batch(batch: list[Seen], using: Trained) -> Iterator[tuple[Seen, float, Any]]:
    """Every image of a batch with its score and map; NaN and None for those that were refused."""
    good = [one for one in batch if one.pixels is not None]
    found: Iterator[tuple[Any, Any]] = iter(())
    if good:
        pixels = np.stack([one.pixels for one in good if one.pixels is not None])
        scores, maps = score_pixels(
            using.detector, pixels, using.store.info, using.seed, [one.entry.name for one in good]
        )
        found = iter(zip(scores.tolist(), maps, strict=True))
    for one in batch:
        yield (one, *(next(found) if one.pixels is not None else (float("nan"), None)))


def _pictured(
    folder: Path,
    table: pd.DataFrame,
    using: Trained,
    options: Options,
    spool: Spool,
    scale: tuple[float, float],
) -> pd.DataFrame:
    """The table with the names of the pictures that were drawn; a volume has that of its highest
    slice.
    """
    chosen = table[
        (table[KEPT] != NOT_KEPT) & ((table["decision"] == "anomalous") | (options.shown == "all"))
    ]
    own = table[(table["unit"] != "volume") & table[KEPT].isin(chosen[KEPT])]
    names = {
        int(row[KEPT]): picture_name(str(row["path"]), str(row["slice"]))
        for row in own.to_dict("records")
    }
    if names:
        _draw(folder / PICTURES, own, names, using, spool, scale)
    files = [f"{PICTURES}/{names[kept]}" if kept in names else "" for kept in table[KEPT]]
    return table.assign(heat_map=pd.Series(files, index=table.index, dtype=object))


def _draw(
    folder: Path,
    rows: pd.DataFrame,
    names: Mapping[int, str],
    using: Trained,
    spool: Spool,
    scale: tuple[float, float],
) -> None:
    folder.mkdir()
    with progress_bar("heat maps", "picture", len(names)) as bar:
        for row in rows.to_dict("records"):
            figure = scored_image(
                *spool.read(int(row[KEPT])), scale, _name(row), _words(row, using), SHORT_NOTICE
            )
            (folder / names[int(row[KEPT])]).write_bytes(png(figure, NOTICE))
            bar.update()


def _name(row: Mapping[Any, Any]) -> str:
    return f"{row['path']}, slice {int(row['slice'])}" if row["slice"] else str(row["path"])


def _words(row: Mapping[Any, Any], using: Trained) -> str:
    said = f"{using.published.name}: score {row['score']:.4g}"
    return (
        f"{said}, {row['decision']} (threshold {row['threshold']:.4g})" if row["decision"] else said
    )
