"""Remember which environment and source made a data set; refuse others of the same name."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from kedro.io import DataCatalog, DatasetError

from medgan.errors import UserError
from medgan.files.digest import digest
from medgan.files.integrity import DamagedFile

if TYPE_CHECKING:
    import pandas as pd

    from medgan.datasets.images import ImageSourceDataset
    from medgan.sources.registry import ImageSource

logger = logging.getLogger(__name__)
ENTRY = "origin"
COMPARED = 16
"""Images of the manifest that are read again where the source has moved."""
ALIKE = 0.5
"""Share of them that have to be the same; a source may have been corrected since."""


@dataclass(frozen=True)
class Origin:
    """What made a data set (origin.json)."""

    environment: str
    source: str
    """Digest of the kind and the place of the source: its path stays on this machine."""


def origin_of(catalog: DataCatalog, run: Mapping[str, Any]) -> Origin | None:
    """Return the origin of what a run makes; None in a project without the entry ENTRY."""
    source: ImageSourceDataset | None = catalog.get("source")  # type: ignore[assignment]
    if source is None or ENTRY not in catalog:
        return None
    location = Path(source.location).expanduser().resolve() if source.location else None
    return Origin(run.get("env") or "base", digest([source.kind, location]))


def require_same_origin(catalog: DataCatalog, now: Origin, reads_source: bool) -> None:
    """Check that a run continues the data set of its name.

    Args:
        catalog: the data sets.
        now: the origin of the run.
        reads_source: whether the run reads images at their source.

    Raises:
        UserError: another environment made it, or other images.
    """
    try:
        before: Origin | None = catalog.load(ENTRY)
        manifest = catalog.load("manifest") if before and catalog.exists("manifest") else None
    except DatasetError as error:
        if not isinstance(error.__cause__, DamagedFile):
            raise
        logger.warning("%s Its origin is not compared.", error.__cause__)
        return
    if before is None or manifest is None:
        return
    folder = Path(catalog.get(ENTRY)._filepath).parent  # type: ignore[union-attr]
    anew = f"or delete {folder} to make it anew"
    own = f"give this one a `dataset` name of its own in conf/{now.environment}/globals.yml"
    if before.environment != now.environment:
        raise UserError(
            f"the data set `{folder.name}` was made in the environment {before.environment}, and "
            f"this run is in {now.environment}, which would overwrite it; {own}, {anew}"
        )
    moved = before.source != now.source and reads_source
    if moved and not same_images(catalog.load("source"), manifest):
        raise UserError(
            f"the data set `{folder.name}` was made from other images than those of the given "
            f"source, which would overwrite it; {own}, {anew}"
        )


def same_images(source: ImageSource, manifest: pd.DataFrame) -> bool:
    """Return whether a source holds the images of a manifest, possibly in a folder above."""
    import numpy as np

    paths = source.rows()["path"].astype(str)
    by_name = {PurePosixPath(path).name: path for path in paths}
    listed = set(paths)
    places = np.linspace(0, len(manifest) - 1, min(COMPARED, len(manifest))).astype(int)
    sample = manifest.iloc[np.unique(places)]

    from medgan.images.metadata import pixel_hash  # pandas takes a second
    from medgan.sources.raw import ImageRefused

    def alike(path: str, known: str) -> bool:
        found = path if path in listed else by_name.get(PurePosixPath(path).name)
        try:
            return found is not None and pixel_hash(source.read(found).pixels) == known
        except ImageRefused:
            return False

    same = [alike(*pair) for pair in zip(sample["path"], sample["pixel_hash"], strict=True)]
    return sum(same) >= ALIKE * len(same)
