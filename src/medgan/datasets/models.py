"""The resumable state of a training, and models of other data sets."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kedro.io import AbstractDataset
from kedro.utils import load_obj
from kedro_datasets._typing import ImagePreview

from medgan.datasets.base import LocalPath
from medgan.datasets.parts import preview_of, tiled_png
from medgan.files.atomic import remove, write_bytes, write_text
from medgan.files.integrity import DamagedFile, reading, require_intact
from medgan.training.checkpoints import CheckpointFolder, TrainingState, Unchanged
from medgan.training.job import SampleGrid, TrainingStep

logger = logging.getLogger(__name__)
Row = Mapping[str, Any]


class TrainingDataset(LocalPath, AbstractDataset[TrainingStep, Any]):
    """The folder of a training: checkpoints, curves.csv, and the sample grids in snapshots/.

    Each save adds to it; a training that is resumed, or starts anew, drops the rows and grids from
    its first step on.

    Args:
        filepath: a folder on this machine.
        of: the dataclass that it loads as: fields checkpoints, curves, samples.
        fresh: train anew where a half-done training has other settings.
        metadata: of the entry.
    """

    def __init__(
        self,
        *,
        filepath: str,
        of: str,
        fresh: bool = False,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(filepath, {"optional": True, **(metadata or {})})
        self.of = of
        self.checkpoints = CheckpointFolder(self.path, fresh)
        self.curves = Curves(self.path / "curves.csv")
        self.snapshots = Snapshots(self.path / "snapshots")

    def load(self) -> Any:
        """Load the folder; a state is read by the training that knows its key."""
        return load_obj(self.of)(self.checkpoints, self.curves.load(), self.snapshots.newest())

    def save(self, data: TrainingStep) -> None:
        """Write a state, the last three kept, rows of the curves and a grid; UNCHANGED writes
        nothing.
        """
        self.curves.add(data.rows)
        if not isinstance(data.grid, Unchanged):
            self.snapshots.add(data.grid)
        if isinstance(data.state, TrainingState):
            self.checkpoints.write(data.state)

    def mlflow_parts(self, data: TrainingStep) -> Iterator[tuple[str, Any, Path]]:
        """Yield what MLflow is to keep of a save: what it is, its value, its file."""
        yield "curves", data.rows, self.curves.path
        if not isinstance(data.grid, Unchanged):
            yield "snapshot", data.grid, self.snapshots.file(data.grid.step)

    def preview(self) -> ImagePreview:
        """Show the newest grid in kedro-viz, blank for a model that draws nothing."""
        blank = np.full((1, 8, 8, 1), 255, dtype=np.uint8)
        return preview_of(self.snapshots.newest() or tiled_png(blank))

    def _exists(self) -> bool:
        """Whether the newest training is finished."""
        return self.checkpoints.finished()


@dataclass(frozen=True)
class Curves:
    """A CSV file with a column `step`.

    A training that resumes repeats steps, and one that starts anew begins before all of them: so
    rows from the first new step on are dropped before the new ones are added.
    """

    path: Path

    def load(self) -> pd.DataFrame:
        """Load all rows; an empty table where there are none yet, or they are damaged."""
        return self._read()

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows in the order of their steps; no rows, no change."""
        if rows:
            stored = self._read(dtype=str)  # numbers stay as they were written
            kept = stored[stored["step"].astype(int) < int(rows[0]["step"])]
            curves = pd.concat([kept, pd.DataFrame(rows, dtype=object)])
            write_text(self.path, curves.to_csv(index=False), sealed=True)

    def _read(self, **settings: Any) -> pd.DataFrame:
        if self.path.exists():
            try:
                with reading(self.path):
                    curves: pd.DataFrame = pd.read_csv(self.path, **settings)
                    return curves
            except DamagedFile as error:
                logger.warning("%s", error.told("the curves begin anew"))
        return pd.DataFrame(columns=["step"])


def _shown(picture: Path) -> bool:
    """Whether a picture fits its checksum; one that does not is reported."""
    try:
        require_intact(picture)
    except DamagedFile as error:
        logger.warning("%s", error.told("it is not shown"))
        return False
    return True


@dataclass(frozen=True)
class Snapshots:
    """A folder of `step-<number>.png`: what a generator draws from the same latents, step by
    step.
    """

    path: Path

    def files(self) -> list[Path]:
        """The files, in the order of their steps."""
        return sorted(self.path.glob("step-*.png"))

    def newest(self) -> bytes | None:
        """The last intact grid, or None."""
        last = next(filter(_shown, reversed(self.files())), None)
        return last.read_bytes() if last else None

    def add(self, grid: SampleGrid) -> None:
        """Write a grid, and drop those of later steps: a new training begins before them."""
        new = self.file(grid.step)
        for later in [path for path in self.files() if path >= new]:
            remove(later)
        write_bytes(new, tiled_png(grid.images), sealed=True)

    def file(self, step: int) -> Path:
        """Where the grid of a step lies."""
        return self.path / f"step-{step:08d}.png"
