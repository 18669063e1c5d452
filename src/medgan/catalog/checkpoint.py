"""Checkpoints of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kedro.io import AbstractDataset

from medgan.catalog.files import LocalPath
from medgan.training.checkpoints import CheckpointFolder, TrainingState, Unchanged


class CheckpointDataset(LocalPath, AbstractDataset["TrainingState | Unchanged", CheckpointFolder]):
    """The checkpoints of one model, in folders named by the hash of configuration and data.

    It loads as a handle, from which a training asks for the state that fits it; nothing has to exist for that.
    """

    def __init__(self, *, filepath: str, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(filepath, {"optional": True, **(metadata or {})})

    def load(self) -> CheckpointFolder:
        """The folder; reading a state is left to the training that knows its key."""
        return CheckpointFolder(self.path)

    def save(self, data: TrainingState | Unchanged) -> None:
        """Writes a state, the last three kept; UNCHANGED writes nothing."""
        if isinstance(data, TrainingState):
            CheckpointFolder(self.path).write(data)

    def _exists(self) -> bool:
        return any(self.path.glob("*/step-*.safetensors"))
