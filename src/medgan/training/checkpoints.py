"""Checkpoints: safetensors files, written atomically and verified by their hash."""

from __future__ import annotations

import enum
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medgan.errors import UserError
from medgan.files.atomic import new_file, remove, write_text
from medgan.files.digest import file_digest
from medgan.files.integrity import DamagedFile, reading
from medgan.nested import leaves

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
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the key is the hash of, as JSON values."""

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
    fresh: bool = False
    """Train anew where a half-done training has other settings."""

    def latest(self, key: str) -> TrainingState | None:
        """Read the newest intact checkpoint of a training; None if there is none.

        A damaged checkpoint is skipped with a warning.
        """
        for path in _states(self.root / key):
            try:
                return _read(path, key)
            except DamagedFile as error:
                logger.warning("%s", error.told("falling back to the checkpoint before it"))
        return None

    def finished(self) -> bool:
        """Whether the newest training is finished."""
        note = self._newest_note()
        return note is not None and note.finished

    def require_no_other(self, name: str, settings: Mapping[str, Any]) -> None:
        """Check that the newest training, if it is half done, is not one with other settings.

        Raises:
            UserError: it is; names the settings that differ, and how to go on.
        """
        note = self._newest_note()
        if self.fresh or note is None or note.finished:
            return
        raise UserError(
            f"The training of {name} is half done (step {note.step}) with other settings: "
            f"{_differences(note.settings, _plain(settings))}. Use those again to resume it, or "
            "give --params fresh=true to leave it and train anew."
        )

    def write(self, state: TrainingState) -> Path:
        """Write a checkpoint and delete all but the newest KEPT ones. The last one of a training
        deletes half-done trainings with other settings, and all but KEPT finished ones.
        """
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
                "settings": _plain(state.settings),
            }
            text = json.dumps(note, indent=1, default=str)
            write_text(path.with_suffix(".json"), text, sealed=True)
        for old in _states(path.parent)[KEPT:]:
            old.unlink(missing_ok=True)
            remove(old.with_suffix(".json"))
        if state.finished:
            self._tidy(state.key)
        return path

    def _newest_note(self) -> _Note | None:
        """The note of the newest checkpoint of all trainings; None where it is damaged."""
        states = sorted(self.root.glob("*/step-*.safetensors"), key=_written)
        return _intact_note(states[-1]) if states else None

    def _tidy(self, key: str) -> None:
        folders = [path for path in self.root.glob("*/") if path.name != key]
        others = [states[0] for path in folders if (states := _states(path))]
        kept = 1
        for state in sorted(others, key=_written, reverse=True):
            note = _intact_note(state)
            kept += note is not None and note.finished
            if note is None or not note.finished or kept > KEPT:
                shutil.rmtree(state.parent, ignore_errors=True)


@dataclass(frozen=True)
class _Note:
    """The file beside a checkpoint."""

    step: int
    finished: bool
    sha256: str
    notes: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)


def _states(folder: Path) -> list[Path]:
    """The checkpoints of a training, the newest first."""
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns


def _intact_note(path: Path) -> _Note | None:
    try:
        return _note(path)
    except DamagedFile:
        return None


def _note(path: Path) -> _Note:
    """The note of a checkpoint. Raises `DamagedFile`."""
    note = path.with_suffix(".json")
    if not note.exists():
        raise DamagedFile(note, "it is missing")
    with reading(note):
        return _Note(**json.loads(note.read_text(encoding="utf-8")))


def _read(path: Path, key: str) -> TrainingState:
    from safetensors.torch import load_file

    note = _note(path)
    with reading(path, local=False):
        if note.sha256 != file_digest(path):
            raise DamagedFile(path, "it does not fit its checksum")
        return TrainingState(
            key, note.step, note.finished, load_file(path), note.notes, note.settings
        )


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they are when they come back from JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(settings, default=str))
    return plain


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """`model.latent_dim was 16 and is 32`, for each setting that differs."""
    if not before:
        return "an earlier version of medgan did not store them"
    old, new = dict(leaves(before)), dict(leaves(now))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return ", ".join(f"{name} was {old.get(name)} and is {new.get(name)}" for name in names)
