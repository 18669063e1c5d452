"""What lies in a project folder: which models are trained, and what their pipelines have left
beside them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from medgan.datasets.documents import read_document
from medgan.datasets.images import Arrays, ArraysDataset
from medgan.errors import UserError
from medgan.images.resizing import Crop
from medgan.images.store import ImageStore, StoreInfo
from medgan.models import CARD, WEIGHTS, PublishedModel
from medgan.project.environment import Environment
from medgan.project.loader import environment_of

ROOT_VARIABLE = "MEDGAN_PROJECT"
"""Environment variable that names the project folder; without it, the working directory is the
project.
"""


def project_root() -> Path:
    """The folder that holds conf/ and data/."""
    return Path(os.environ.get(ROOT_VARIABLE) or Path.cwd()).resolve()


@dataclass(frozen=True)
class Project:
    """The files of a project, read and never written."""

    root: Path

    def data_sets(self, names: Sequence[str]) -> list[str]:
        """Data sets with at least one trained model among `names`, in alphabetical order."""
        folders = sorted(path.name for path in self._layer("06_models").glob("*") if path.is_dir())
        return [folder for folder in folders if self.trained(folder, names)]

    def trained(self, dataset: str, names: Sequence[str]) -> list[str]:
        """Those of `names` that are published, in the order of `names`."""
        return [name for name in names if self._versions(dataset, name)]

    def version(self, dataset: str, name: str) -> str:
        """The newest version of a published model: the name of its folder, a time.

        Raises:
            UserError: it is not published.
        """
        versions = self._versions(dataset, name)
        if not versions:
            raise UserError(
                f"{name} is not trained on {dataset}: `{self.run_command(dataset)} --pipeline gan_training` trains it."
            )
        return versions[-1]

    def published(self, dataset: str, name: str) -> PublishedModel:
        """The newest version of a published model. Raises `UserError` where it is not published, or
        damaged.
        """
        return PublishedModel.read(
            self._published(dataset, name) / self.version(dataset, name) / "published"
        )

    def trainings(self, dataset: str, name: str) -> set[str]:
        """The keys of the trainings of a model that were begun here."""
        return {
            path.parent.name
            for path in (self._layer("06_models") / dataset / name).glob("*/step-*.safetensors")
        }

    def store(self, dataset: str) -> ImageStore:
        """The image store, which says how images are prepared. Raises `UserError` where it is
        missing or damaged.
        """
        return ImageStore.open(self._layer("05_model_input") / dataset / "images")

    def environment(self, dataset: str) -> Environment:
        """The configuration of a data set. Raises `UserError` where there is none."""
        found = environment_of(self.root / "conf", dataset)
        if found is None:
            raise UserError(
                f"No folder of conf/ is about {dataset}, so it is not known how its images are prepared: add one."
            )
        return Environment(self.root / "conf", *found)

    def crop(self, dataset: str, info: StoreInfo) -> Crop | None:
        """What the configuration of the data set cuts off before resizing.

        Raises:
            UserError: there is no configuration, or it is not the one that the image store was made
                with.
        """
        return self.environment(dataset).preprocessing(info).crop

    def manifest(self, dataset: str) -> pd.DataFrame | None:
        """image_id and pixel_hash of every image of the store, or None."""
        path = self._layer("02_intermediate") / dataset / "manifest.parquet"
        return pd.read_parquet(path, columns=["image_id", "pixel_hash"]) if path.exists() else None

    def splits(self, dataset: str) -> pd.DataFrame | None:
        """The splits table, or None."""
        return _table(self._layer("05_model_input") / dataset / "splits.parquet")

    def scores(self, dataset: str, name: str) -> pd.DataFrame | None:
        """image_id, split, score of the validation and test images, or None."""
        return _table(self._output(dataset, name) / "scores.parquet")

    def shortcut_scores(self, dataset: str) -> pd.DataFrame | None:
        """image_id, split and one column `<kind>/<shortcut>` for each, of the test images, or
        None.
        """
        return _table(self._layer("07_model_output") / dataset / "shortcut_scores.parquet")

    def anomaly_maps(self, dataset: str, name: str) -> Arrays | None:
        """image_id (n,) and maps (n, H, W) of the validation and test images, or None."""
        path = self._output(dataset, name) / "anomaly_maps.npz"
        return ArraysDataset(filepath=path.as_posix()).load() if path.exists() else None

    def evaluation(self, dataset: str, name: str) -> dict[str, Any] | None:
        """What the evaluation of a detector has written, or None. Raises `UserError` for a damaged
        file.
        """
        path = self._layer("08_reporting") / dataset / name / "evaluation.json"
        try:
            row: dict[str, Any] | None = (
                json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
            )
        except ValueError as error:
            raise UserError(
                f"{path} is not JSON ({error}): delete it, then `{self.run_command(dataset)}` writes it again."
            ) from error
        return row

    def detector_row(self, dataset: str, name: str, data: str) -> dict[str, Any] | None:
        """The row of a detector in results.json, or None where there is none for these images and
        splits (`pipelines.jobs.data_hash`).
        """
        document = read_document(self._results(dataset))
        if document is None or document["provenance"].get("data_hash") != data:
            return None
        row: dict[str, Any] | None = document["detectors"].get(name)
        return row

    def evaluation_files(self, dataset: str, name: str) -> tuple[Path, ...]:
        """The files that an evaluation of a detector writes anew."""
        return (self._output(dataset, name) / "scores.parquet", self._results(dataset))

    def run_command(self, dataset: str) -> str:
        """The `kedro run` of a data set."""
        return Environment(
            self.root / "conf", *(environment_of(self.root / "conf", dataset) or ())
        ).command()

    def _layer(self, name: str) -> Path:
        return self.root / "data" / name

    def _output(self, dataset: str, name: str) -> Path:
        return self._layer("07_model_output") / dataset / name

    def _results(self, dataset: str) -> Path:
        return self._layer("08_reporting") / dataset / "results.json"

    def _published(self, dataset: str, name: str) -> Path:
        return self._layer("06_models") / dataset / name / "published"

    def _versions(self, dataset: str, name: str) -> list[str]:
        cards = self._published(dataset, name).glob(f"*/published/{CARD}")
        return sorted(card.parents[1].name for card in cards if (card.parent / WEIGHTS).exists())


def _table(path: Path) -> pd.DataFrame | None:
    return pd.read_parquet(path) if path.exists() else None
