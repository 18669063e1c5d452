"""The folder of medigan's packages."""

from __future__ import annotations

from kedro.io import AbstractDataset, DatasetError

from medgan.datasets.base import LocalPath
from medgan.sources.medigan.packages import Home


class MediganDataset(LocalPath, AbstractDataset[None, Home]):
    """Downloaded packages, their checksums, and the environment in which they run. Nothing has to
    exist: `medgan.sources.medigan.drawing.draw` fills it.
    """

    def load(self) -> Home:
        """Load the folder."""
        return Home(self.path)

    def save(self, data: None) -> None:
        """Refuse: packages are kept where they are used first."""
        raise DatasetError("packages of medigan are kept when they are used first")

    def _exists(self) -> bool:
        return True
