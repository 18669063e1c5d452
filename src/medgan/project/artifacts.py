"""Read trained models and evaluations of a project through the catalog."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset, DataCatalog, DatasetError

from medgan.datasets.folders import LEFT_OUT
from medgan.errors import UserError
from medgan.evaluation.results import LeftOut
from medgan.images.store import ImageStore
from medgan.models import PublishedModel
from medgan.pipelines.arms import pipeline_of
from medgan.pipelines.outputs import Arrays, Scores, Trained
from medgan.project.environment import Environment
from medgan.project.loader import environment_of
from medgan.sources.medigan.packages import Home

ROOT_VARIABLE = "MEDGAN_PROJECT"
"""Environment variable that names the project folder; without it, the working directory is the
project.
"""


def project_root() -> Path:
    """The folder that holds conf/ and data/."""
    return Path(os.environ.get(ROOT_VARIABLE) or Path.cwd()).resolve()


@dataclass(frozen=True)
class Project:
    """The outputs of a project, read and never written."""

    root: Path

    def data_sets(self, names: Sequence[str]) -> list[str]:
        """Data sets with at least one trained model among `names`, in alphabetical order."""
        models = _path(self._entry("-", "-.trained")).parents[2]
        folders = sorted(path.name for path in models.glob("*") if path.is_dir())
        return [folder for folder in folders if self.trained(folder, names)]

    def ingested(self) -> list[str]:
        """Data sets whose images have been read, in alphabetical order."""
        folder = _path(self._entry("-", "manifest"))
        return sorted(path.parent.name for path in folder.parents[1].glob(f"*/{folder.name}"))

    def trained(self, dataset: str, names: Sequence[str]) -> list[str]:
        """Those of `names` that are published, in the order of `names`."""
        catalog: Any = self.catalog(dataset)
        folders = {name: catalog.get(f"{name}.trained").newest() for name in names}
        return [
            name for name, folder in folders.items() if folder and not (folder / LEFT_OUT).exists()
        ]

    def version(self, dataset: str, name: str) -> str:
        """The newest version of a published model: the name of its folder, a time.

        Raises:
            UserError: it is not published.
        """
        entry: Any = self._entry(dataset, f"{name}.trained")
        if not entry.exists():
            training = pipeline_of(name, "gan_training")
            command = f"{self.run_command(dataset)} --pipeline {training}"
            raise UserError(f"{name} is not trained on {dataset}: `{command}` trains it.")
        return str(entry.resolve_load_version())

    def published(self, dataset: str, name: str) -> PublishedModel:
        """The newest version of a published model. Raises `UserError` where it is not published, or
        damaged.
        """
        self.version(dataset, name)
        found: Trained | LeftOut = _loaded(self._entry(dataset, f"{name}.trained"))
        if isinstance(found, LeftOut):
            raise UserError(f"{name} was left out of {dataset}: {found.reason}.")
        return found.model

    def trainings(self, dataset: str, name: str) -> set[str]:
        """The keys of the trainings of a model that were begun here."""
        states = _path(self._entry(dataset, f"{name}.training")).glob("*/step-*.safetensors")
        return {path.parent.name for path in states}

    def curves_file(self, dataset: str, name: str) -> Path:
        """Where a training writes its curves while it runs."""
        entry: Any = self._entry(dataset, f"{name}.training")
        path: Path = entry.curves.path
        return path

    def medigan(self) -> Home:
        """The folder of medigan's packages, their checksums and their environment."""
        home: Home = _loaded(self._entry("-", "medigan_packages"))
        return home

    def store(self, dataset: str) -> ImageStore:
        """The image store, which says how images are prepared. Raises `UserError` where it is
        missing or damaged.
        """
        store: ImageStore = _loaded(self._entry(dataset, "images"))
        return store

    def environment(self, dataset: str) -> Environment:
        """The configuration of a data set. Raises `UserError` where there is none."""
        found = environment_of(self.root / "conf", dataset)
        if found is None:
            raise UserError(
                f"No folder of conf/ is about {dataset}, so it is not known how its images are "
                "prepared: add one."
            )
        return Environment(self.root / "conf", *found)

    def manifest(self, dataset: str) -> pd.DataFrame | None:
        """The table of all images, or None."""
        return self.read(dataset, "manifest")

    def splits(self, dataset: str) -> pd.DataFrame | None:
        """The splits table, or None."""
        return self.read(dataset, "splits")

    def scores(self, dataset: str, name: str) -> pd.DataFrame | None:
        """image_id, split, score of the validation and test images, or None."""
        found: Scores | None = self.read(dataset, f"{name}.scores")
        return found.scores if found else None

    def anomaly_maps(self, dataset: str, name: str) -> Arrays | None:
        """image_id (n,) and maps (n, H, W) of the validation and test images, or None."""
        found: Scores | None = self.read(dataset, f"{name}.scores")
        return found.maps if found else None

    def stamp(self, dataset: str, *entries: str) -> tuple[int, ...]:
        """Return times that change when one of these entries is made anew, or deleted."""
        paths = (_path(self._entry(dataset, entry)) for entry in entries)
        return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in paths)

    def results_file(self, dataset: str) -> Path:
        """Where the document of all results lies; a folder of versions."""
        return _path(self._entry(dataset, "results.detectors"))

    def read(self, dataset: str, entry: str) -> Any | None:
        """Load an entry of the catalog; None where it has not been made.

        Raises:
            UserError: it is damaged, or of another version of medgan.
        """
        dataset_entry = self._entry(dataset, entry)
        found = _loaded(dataset_entry) if dataset_entry.exists() else None
        return None if isinstance(found, LeftOut) else found

    def catalog(self, dataset: str) -> DataCatalog:
        """The catalog of a data set."""
        return DataCatalog.from_config(deepcopy(_entries(self.root, dataset)))

    def run_command(self, dataset: str) -> str:
        """The `kedro run` of a data set."""
        found = environment_of(self.root / "conf", dataset)
        return Environment(self.root / "conf", *(found or ())).command()

    def _entry(self, dataset: str, name: str) -> AbstractDataset[Any, Any]:
        found: AbstractDataset[Any, Any] | None = self.catalog(dataset).get(name)
        if found is None:
            raise UserError(f"conf: the catalog of {dataset} has no entry '{name}': add one.")
        return found


@lru_cache(maxsize=16)
def _entries(root: Path, dataset: str) -> dict[str, Any]:
    """The catalog's configuration, read once in a process."""
    found = environment_of(root / "conf", dataset)
    return Environment(root / "conf", *(found or ("base",))).catalog(root, dataset)


def _path(dataset: AbstractDataset[Any, Any]) -> Path:
    """Where a data set lies."""
    path: Any = getattr(dataset, "path", None) or getattr(dataset, "_filepath", None)
    return Path(path)


def _loaded(dataset: AbstractDataset[Any, Any]) -> Any:
    """Load a data set; the sentence behind Kedro's error counts."""
    try:
        return dataset.load()
    except DatasetError as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from error
        raise
