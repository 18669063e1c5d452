"""Sample grids of a training."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medgan.datasets.models import Snapshots, TrainingDataset
from medgan.datasets.parts import tiled_png
from medgan.training.checkpoints import UNCHANGED
from medgan.training.job import SampleGrid, TrainingStep


def grid(step: int, side: int = 28, channels: int = 1, count: int = 64) -> SampleGrid:
    return SampleGrid(step, np.zeros((count, side, side, channels), dtype=np.uint8))


def test_one_file_for_each_look_and_none_for_unchanged(tmp_path: Path) -> None:
    dataset = TrainingDataset(filepath=str(tmp_path), of="medgan.pipelines.outputs.Training")
    blank = dataset.preview()
    dataset.save(TrainingStep(UNCHANGED, [], UNCHANGED))
    assert dataset.load().samples is None
    for step in (100, 200, 300):
        dataset.save(TrainingStep(UNCHANGED, [], grid(step)))
    assert [path.name for path in dataset.snapshots.files()] == [
        "step-00000100.png",
        "step-00000200.png",
        "step-00000300.png",
    ]
    assert dataset.load().samples == (tmp_path / "snapshots/step-00000300.png").read_bytes()
    assert blank
    assert dataset.preview() != blank
    logged = list(dataset.mlflow_parts(TrainingStep(UNCHANGED, [{"step": 1}], grid(300))))
    assert [(kind, path.name) for kind, _, path in logged] == [
        ("curves", "curves.csv"),
        ("snapshot", "step-00000300.png"),
    ]


def test_a_training_that_starts_anew_drops_the_later_grids_of_the_old_one(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    for step in (100, 200, 300, 150):
        snapshots.add(grid(step))
    assert [path.stem[-3:] for path in snapshots.files()] == ["100", "150"]


@pytest.mark.parametrize(
    ("side", "channels", "count", "size"),
    [(28, 1, 64, (462, 462)), (128, 3, 64, (1031, 1031)), (64, 1, 3, (129, 129))],
)
def test_a_grid_shows_every_image_in_its_place(
    side: int, channels: int, count: int, size: tuple[int, int]
) -> None:
    images = np.zeros((count, side, side, channels), dtype=np.uint8)
    images[1] = 200
    picture = Image.open(io.BytesIO(tiled_png(images)))
    assert picture.size == size
    pixels = np.asarray(picture)
    factor = 64 // side if side < 64 else 1
    assert pixels[2, (side + 2) * factor].max() == 200
    assert pixels[2, 2].max() == 0
