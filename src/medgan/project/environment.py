"""One data set's configuration as `kedro run --env NAME --params …` would have it, outside of a
run.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf

from medgan.errors import UserError
from medgan.images.config import PreprocessingConfig
from medgan.images.store import StoreInfo
from medgan.nested import leaves
from medgan.project.loader import LOADER_SETTINGS, MedganConfigLoader
from medgan.sources.readers.config import ReadingConfig


@dataclass(frozen=True)
class Environment:
    """A folder of conf/ and the parameters that were given beside it."""

    conf: Path
    name: str | None = None
    """None is what `kedro run` takes without `--env`: the embedded phantoms."""
    given: Mapping[str, Any] = field(default_factory=dict)

    def dataset(self) -> str:
        """The name of the data set, as globals.yml gives it."""
        return str(self._loader()["globals"]["dataset"])

    def parameters(self) -> dict[str, Any]:
        """The typed sections. Raises `UserError` for a wrong key or value."""
        from medgan.project.parameters import sections, typed

        return typed(self._loader()["parameters"], sections())

    def preprocessing(self, info: StoreInfo) -> PreprocessingConfig:
        """How images become those of the store.

        Raises:
            UserError: the configuration is not the one that the image store was made with.
        """
        config: PreprocessingConfig = self.parameters()["preprocessing"]
        if (config.size, config.channels, config.intensity) != (
            info.height,
            info.channels,
            info.intensity,
        ):
            raise self.changed()
        return config

    def changed(self) -> UserError:
        """What to say where the store was made with another configuration."""
        command = self.command("preprocessing")
        return UserError(
            f"The configuration of {self.dataset()} has changed since its images were stored: `{command}` stores them anew."
        )

    def reading(self) -> ReadingConfig:
        """How the files of the data set become pictures: the key `reading` of its source, the
        defaults where its source has none.
        """
        from medgan.datasets.images import ImageSourceDataset

        entry = {
            name: value
            for name, value in self._loader()["catalog"]["source"].items()
            if name != "type"
        }
        return cast(
            ReadingConfig, getattr(ImageSourceDataset(**entry).check(), "reading", ReadingConfig())
        )

    def command(self, pipeline: str = "") -> str:
        """The `kedro run` of this environment."""
        parameters = ",".join(f"{key}={value}" for key, value in leaves(self.given))
        options = {
            "--env": self.name if self.name != "base" else None,
            "--params": parameters,
            "--pipeline": pipeline,
        }
        return " ".join(
            [
                "kedro run",
                *(f"{option} {shlex.quote(value)}" for option, value in options.items() if value),
            ]
        )

    def _loader(self) -> MedganConfigLoader:
        """A new one each time: loaders share the resolver of `${given:…}`, which is that of the
        newest.
        """
        return MedganConfigLoader(self.conf, self.name, dict(self.given), **LOADER_SETTINGS)


def require_environment(conf: Path, name: str) -> None:
    """Refuses a name without a folder in conf/, and names the closest one."""
    from medgan.errors import unknown

    known = {folder.name for folder in conf.iterdir() if folder.is_dir()}
    if name not in known:
        raise unknown("environment", name, known - {"base", "local"} or known)


def given_parameters(text: str) -> dict[str, Any]:
    """`flag=bloodmnist,preprocessing.size=28` as nested parameters.

    Raises:
        UserError: a part of the text is no NAME=VALUE.
    """
    pairs = [pair.strip() for pair in text.split(",") if pair.strip()]
    wrong = next(
        (pair for pair in pairs if not pair.partition("=")[0].strip() or "=" not in pair), None
    )
    if wrong is not None:
        raise UserError(
            f"--params has `{wrong}`: give NAME=VALUE, several of them separated by commas."
        )
    return cast(dict[str, Any], OmegaConf.to_container(OmegaConf.from_dotlist(pairs)))
