"""Checkpoints: safetensors files, written atomically and verified by their hash."""

from __future__ import annotations

import enum
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medgan.files.atomic import new_file, write_text
from medgan.files.digest import file_digest

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)
KEPT = 3
"""Checkpoints of a training that are kept."""
MODEL, AVERAGE, SELECTED, OPTIMIZER = "model.", "ema.", "chosen.", "optimizer."
UPDATES = "__updates__"
"""Prefixes of the tensors in a checkpoint, and the name of the number of averaged updates. They
stay, so that earlier checkpoints can be loaded."""


class Unchanged(enum.Enum):
    """Output of a training node that has nothing new to save."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED


@dataclass(frozen=True)
class TrainingState:
    """Everything that a training needs to resume exactly."""

    key: str
    """Hash of the configuration and the data, which names the folder."""
    step: int
    """Completed steps of all stages."""
    finished: bool
    tensors: Mapping[str, Tensor]
    """Prefixed tensors: the model, the averaged weights and the selected weights where there are
    any, and the optimizers of the current stage, `optimizer.<player>.*`."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """JSON values: the validations and their selection, the number of threads."""

    def weights(self) -> dict[str, Tensor]:
        """Return the weights to publish: the selected, else the averaged, else the last ones."""
        averaged = self.part(AVERAGE)
        averaged.pop(UPDATES, None)
        return self.part(SELECTED) or averaged or self.part(MODEL)

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors with a prefix, without it."""
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
        """Read the newest intact checkpoint of a training; None if there is none.

        A damaged checkpoint is skipped with a warning.
        """
        for path in sorted((self.root / key).glob("step-*.safetensors"), reverse=True):
            state = _read(path, key)
            if state is not None:
                return state
            logger.warning("Checkpoint %s is damaged: falling back to the one before it.", path)
        return None

    def write(self, state: TrainingState) -> Path:
        """Write a checkpoint and delete all but the newest KEPT ones."""
        from safetensors.torch import save_file

        path = self.root / state.key / f"step-{state.step:08d}.safetensors"
        tensors = {name: value.detach().cpu().contiguous() for name, value in state.tensors.items()}
        with new_file(path) as temporary:
            save_file(tensors, temporary)
            note = {
                "step": state.step,
                "finished": state.finished,
                "sha256": file_digest(temporary),
                "notes": dict(state.notes),
            }
            write_text(path.with_suffix(".json"), json.dumps(note, indent=1, default=str))
        for old in sorted(path.parent.glob("step-*.safetensors"))[:-KEPT]:
            old.unlink()
            old.with_suffix(".json").unlink(missing_ok=True)
        return path


def _read(path: Path, key: str) -> TrainingState | None:
    from safetensors.torch import load_file

    try:
        note = json.loads(path.with_suffix(".json").read_text())
        if note["sha256"] != file_digest(path):
            return None
        return TrainingState(key, note["step"], note["finished"], load_file(path), note["notes"])
    except (OSError, ValueError, KeyError):
        return None
