"""The configuration of one data set, outside of a run."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from medgan.errors import UserError, unknown
from medgan.project.given import written
from medgan.project.loader import LOCAL, MedganConfigLoader

if TYPE_CHECKING:
    from medgan.datasets.images import ImageSourceDataset
    from medgan.images.config import PreprocessingConfig
    from medgan.images.store import StoreInfo
    from medgan.sources.readers.config import ReadingConfig
    from medgan.training.settings import ComputeConfig


@dataclass(frozen=True)
class Environment:
    """The configuration as `kedro run --env NAME --params ...` reads it."""

    conf: Path
    name: str | None = None
    """None without `--env`: the embedded phantoms."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """The values of `--params`, nested."""

    def dataset(self) -> str:
        """The name of the data set, from globals.yml."""
        return str(self._loader()["globals"]["dataset"])

    def license(self) -> str:
        """The license of the source, from globals.yml."""
        return str(self._loader()["globals"].get("license", "not stated"))

    def parameters(self) -> dict[str, Any]:
        """The typed sections. Raises `UserError` for a wrong key or value."""
        from medgan.project.parameters import sections, typed

        return typed(self._parameters, sections())

    def synthesis_source(self) -> str | None:
        """The parameter `synthesis.source`, before anything is checked."""
        section = self._parameters.get("synthesis")
        return section.get("source") if isinstance(section, Mapping) else None

    def compute(self) -> ComputeConfig:
        """Who starts processes. Raises `UserError` for a wrong key or value."""
        from medgan.project.parameters import SCALES, typed
        from medgan.training.settings import ComputeConfig

        found = {"scale": SCALES[0], "compute": self._parameters.get("compute", {})}
        compute: ComputeConfig = typed(found, {"scale": str, "compute": ComputeConfig})["compute"]
        return compute

    def tracking(self) -> dict[str, Any]:
        """tracking.yml: `enabled`, `uri`, `experiment`. `MLFLOW_TRACKING_URI` overrides `uri`."""
        config = self._loader()["tracking"]
        return {**config, "uri": os.environ.get("MLFLOW_TRACKING_URI") or str(config["uri"])}

    def preprocessing(self, info: StoreInfo) -> PreprocessingConfig:
        """How images are prepared before they are stored.

        Raises:
            UserError: the image store was made with another configuration.
        """
        config: PreprocessingConfig = self.parameters()["preprocessing"]
        stored = (info.height, info.channels, info.scaling)
        if (config.size, config.channels, config.scaling) != stored:
            raise self.changed()
        return config

    def changed(self) -> UserError:
        """The error for a store that was made with another configuration."""
        return UserError(
            f"The configuration of {self.dataset()} has changed since its images were stored: "
            f"`{self.command('preprocessing')}` stores them anew."
        )

    def reading(self) -> ReadingConfig:
        """How files become images: the key `reading` of the source, or the defaults."""
        from medgan.sources.readers.config import ReadingConfig

        return cast(ReadingConfig, getattr(self.source().check(), "reading", ReadingConfig()))

    def source(self) -> ImageSourceDataset:
        """The source of the images, with relative paths as they are."""
        from medgan.datasets.images import ImageSourceDataset

        entry = {**self._loader()["catalog"]["source"]}
        del entry["type"]
        return ImageSourceDataset(**entry)

    def catalog(self, root: Path, dataset: str) -> dict[str, Any]:
        """The entries of the catalog for a data set, with paths below the project folder."""
        from kedro.framework.context.context import _convert_paths_to_absolute_posix

        loader = self._loader()
        loader["globals"] = {**loader["globals"], "dataset": dataset}
        entries: dict[str, Any] = _convert_paths_to_absolute_posix(root, loader["catalog"])
        return entries

    def command(self, *pipelines: str) -> str:
        """The `kedro run` of this environment."""
        names = ",".join(pipelines)
        options = {
            "--env": self.name if self.name != "base" else None,
            "--pipelines" if len(pipelines) > 1 else "--pipeline": names,
            "--params": written(self.given),
        }
        words = [f"{option} {shlex.quote(value)}" for option, value in options.items() if value]
        return " ".join(["kedro run", *words])

    @cached_property
    def _parameters(self) -> dict[str, Any]:
        """Before they are checked; to read them takes a quarter of a second."""
        found: dict[str, Any] = self._loader()["parameters"]
        return found

    def _loader(self) -> MedganConfigLoader:
        return MedganConfigLoader(self.conf, self.name, dict(self.given))


def require_environment(conf: Path, name: str) -> None:
    """Raise `UserError` for a name without a folder in conf/; names the closest one."""
    known = {folder.name for folder in conf.iterdir() if folder.is_dir()}
    if name not in known:
        raise unknown("environment", name, known - {"base", LOCAL} or known)
