"""Checkpoints: safetensors written whole or not at all, checked by their hash, the last three
kept.
"""

from __future__ import annotations

import enum
import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

logger = logging.getLogger(__name__)
KEPT = 3


class Unchanged(enum.Enum):
    """What a training node yields for its checkpoint when there is nothing new to save."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED


@dataclass(frozen=True)
class TrainingState:
    """Everything that a training needs to go on as if it had never stopped."""

    key: str
    """Hash of the configuration and the data; names the folder."""
    step: int
    """Steps done over all stages."""
    finished: bool
    tensors: Mapping[str, Tensor]
    """`model.*`, `ema.*` where averaged, `chosen.*` where a criterion chose, `optimizer.<player>.*`
    of the running stage.
    """
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Anything JSON that should stand beside the weights: the looks and their choice, the thread
    count.
    """

    def weights(self) -> dict[str, Tensor]:
        """The weights to publish: those that a criterion chose, else the averaged ones, else the
        last.
        """
        averaged = self.part("ema.")
        averaged.pop("__updates__", None)
        return self.part("chosen.") or averaged or self.part("model.")

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors below a prefix, the prefix taken off."""
        return {
            name.removeprefix(prefix): value
            for name, value in self.tensors.items()
            if name.startswith(prefix)
        }


@dataclass(frozen=True)
class CheckpointFolder:
    """`<root>/<key>/step-<number>.safetensors`, each with a `.json` of its hash and notes."""

    root: Path

    def latest(self, key: str) -> TrainingState | None:
        """The newest intact checkpoint of a training, or None; a damaged one is passed over with a
        warning.
        """
        for path in sorted((self.root / key).glob("step-*.safetensors"), reverse=True):
            state = _read(path, key)
            if state is not None:
                return state
            logger.warning("Checkpoint %s is damaged: falling back to the one before it.", path)
        return None

    def write(self, state: TrainingState) -> Path:
        """Writes a checkpoint and drops all but the newest three."""
        folder = self.root / state.key
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"step-{state.step:08d}.safetensors"
        temporary = path.with_suffix(".partial")
        save_file(
            {name: value.detach().cpu().contiguous() for name, value in state.tensors.items()},
            temporary,
        )
        note = {
            "step": state.step,
            "finished": state.finished,
            "sha256": _sha256(temporary),
            "notes": dict(state.notes),
        }
        _replace_text(path.with_suffix(".json"), json.dumps(note, indent=1, default=str))
        _sync(temporary)
        temporary.replace(path)
        for old in sorted(folder.glob("step-*.safetensors"))[:-KEPT]:
            old.unlink()
            old.with_suffix(".json").unlink(missing_ok=True)
        return path


def _read(path: Path, key: str) -> TrainingState | None:
    try:
        note = json.loads(path.with_suffix(".json").read_text())
        if note["sha256"] != _sha256(path):
            return None
        return TrainingState(key, note["step"], note["finished"], load_file(path), note["notes"])
    except (OSError, ValueError, KeyError):
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _replace_text(path: Path, text: str) -> None:
    temporary = path.with_suffix(".json.partial")
    temporary.write_text(text)
    _sync(temporary)
    temporary.replace(path)
