"""Checkpoints survive what happens to files."""

from pathlib import Path

import pytest
import torch

from medgan.training.checkpoints import KEPT, CheckpointFolder, TrainingState


def state(step: int, value: float = 0.0) -> TrainingState:
    return TrainingState(
        "key",
        step,
        False,
        {"model.weight": torch.full((3, 2), value or float(step))},
        {"threads": 1},
    )


def test_round_trip(tmp_path: Path) -> None:
    CheckpointFolder(tmp_path).write(state(7))
    found = CheckpointFolder(tmp_path).latest("key")
    assert found is not None
    assert (found.step, found.finished, found.notes) == (7, False, {"threads": 1})
    assert torch.equal(found.tensors["model.weight"], torch.full((3, 2), 7.0))


def test_nothing_there(tmp_path: Path) -> None:
    assert CheckpointFolder(tmp_path / "absent").latest("key") is None


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    for step in range(6):
        folder.write(state(step))
    assert len(list(tmp_path.glob("key/*.safetensors"))) == KEPT
    assert len(list(tmp_path.glob("key/*"))) == 3 * KEPT
    assert folder.latest("key").step == 5  # type: ignore[union-attr]


@pytest.mark.parametrize("position", [10, 60, -1])
def test_f30_a_flipped_bit_falls_back_to_the_previous_checkpoint(
    tmp_path: Path, position: int
) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.write(state(1))
    path = folder.write(state(2))
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    assert folder.latest("key").step == 1  # type: ignore[union-attr]


def test_f31_a_truncated_checkpoint_falls_back_and_says_which(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.write(state(1))
    path = folder.write(state(2))
    path.write_bytes(path.read_bytes()[:-5])
    assert folder.latest("key").step == 1  # type: ignore[union-attr]
    assert path.name in caplog.text


def test_a_partial_write_is_never_a_checkpoint(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.write(state(1))
    (tmp_path / "key" / "step-00000002.partial").write_bytes(b"half")
    assert folder.latest("key").step == 1  # type: ignore[union-attr]
