"""What a file declares is compared with a limit before memory is taken for it."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from medgan import models
from medgan.contracts import ImageSpec
from medgan.errors import UserError
from medgan.inference.upload import MAX_PIXELS, SIZE_CAP, Upload, uploaded
from medgan.models import PublishedModel
from medgan.sources.arrays import NpzSource
from medgan.sources.raw import ImageRefused
from medgan.sources.readers.config import ReadingConfig
from tests.conftest import environment

MOST = 500  # MB
SIDE = int(MAX_PIXELS**0.5)
PEAK = """
import resource, sys
from pathlib import Path
from medgan.inference.upload import Upload, uploaded
from medgan.sources.raw import ImageRefused
from medgan.sources.readers.config import ReadingConfig

def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def read(path):
    try:
        with uploaded([Upload("a", Path(path).read_bytes())], ReadingConfig()) as images:
            print(images.source.read("a").pixels.shape)
    except ImageRefused as refused:
        print(refused.code)

read(sys.argv[1])
before = megabytes()
read(sys.argv[2])
print(megabytes() - before)
"""
MODES = ("L", "RGB", "RGBA", "P", "CMYK", "I;16", "F")


def picture(mode: str, side: int) -> bytes:
    """A compressed file of nearly one color."""
    array = np.zeros((side, side), dtype={"I;16": np.uint16, "F": np.float32}.get(mode, np.uint8))
    array[0, 0] = 9
    image = Image.fromarray(array)
    image = image if mode in ("L", "I;16", "F") else image.convert(mode)
    buffer = io.BytesIO()
    if mode in ("CMYK", "F"):
        image.save(buffer, "TIFF", compression="tiff_lzw")
    else:
        image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.long
@pytest.mark.parametrize("mode", MODES)
def test_f52_the_largest_upload_takes_little_memory(tmp_path: Path, mode: str) -> None:
    (tmp_path / "small").write_bytes(picture(mode, 9))
    (tmp_path / "large").write_bytes(picture(mode, SIDE))
    assert (tmp_path / "large").stat().st_size < SIZE_CAP
    ended = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path / "small"), str(tmp_path / "large")],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    *_, shape, more = ended.stdout.splitlines()
    assert str(SIDE) in shape
    assert float(more) < MOST


def test_f52_an_upload_of_more_pixels_is_refused_by_its_header() -> None:
    files = [Upload("a", picture("L", SIDE + 1))]
    with (
        uploaded(files, ReadingConfig()) as images,
        pytest.raises(ImageRefused, match="more than") as refused,
    ):
        images.source.read("a")
    assert refused.value.code == "TOO_LARGE"


def test_f50_an_npz_file_that_would_fill_the_memory_is_not_loaded(tmp_path: Path) -> None:
    images = np.zeros((200, 1000, 1000), dtype=np.uint8)
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, train_images=images, train_labels=np.zeros((200, 1), dtype=np.uint8))
    assert path.stat().st_size < 2**20
    with pytest.raises(UserError, match="times its size"):
        NpzSource(str(path)).open()


@pytest.mark.parametrize("name", [*models.names()])
def test_a_card_that_describes_other_weights_is_refused_before_they_are_made(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = models.load(name)
    spec = ImageSpec(32, 1, ("normal", "lesion"))
    built = module.build(module.Config(), spec)
    published = PublishedModel(name, {}, spec, built.state_dict())
    assert set(published.build().state_dict()) == set(built.state_dict())
    filled = {
        key: torch.zeros(3, *value.shape[1:]) if value.shape[:1] == (0,) else value
        for key, value in built.state_dict().items()
    }
    assert replace(published, tensors=filled).build(), "memorized images are weights too"
    large = replace(published, spec=ImageSpec(512, 3, spec.classes))
    if name in models.pretrained():  # their weights do not depend on the images
        large = replace(published, configuration={"backbone": "resnet50", "layers": ["layer4"]})
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", lambda *_: pytest.fail("too late"))
    with pytest.raises(UserError, match="describes other weights"):
        large.build()
