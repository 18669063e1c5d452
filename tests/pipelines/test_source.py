"""Synthetic images of others in the data flow of the generators."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from medgan.cli.run import _with_source
from medgan.errors import UserError
from medgan.evaluation.results import LeftOut, Section
from medgan.images.loading import StoredImages
from medgan.images.splits import data_hash
from medgan.images.store import ImageStore, StoreInfo, write_store
from medgan.images.transforms import as_tensor, pad_square
from medgan.pipelines.outputs import SampleGrids
from medgan.pipelines.synthesis.config import SynthesisConfig
from medgan.pipelines.synthesis.foreign import add_source, as_stored, synthesize_from_source
from medgan.pipelines.synthesis.quality import RealData
from medgan.project.given import given_parameters
from medgan.sources.medigan.packages import Home
from tests.pipelines.conftest import SIDE, earlier, nothing
from tests.sources.medigan.making import package_archive


@pytest.fixture
def synthetic(tmp_path, images, splits):
    path = package_archive(tmp_path / "package")
    config = SynthesisConfig(
        images_per_class=12,
        grid_per_class=4,
        paired_images=8,
        source=f"medigan:{path}",
        source_class="viral",
        source_python=sys.executable,
        run_foreign_code=True,
    )
    missing = LeftOut("nothing to learn from")
    home = Home(tmp_path / "home")
    return synthesize_from_source(home, RealData(images, splits, config, 3, missing))


def test_images_of_a_package_are_judged_as_those_of_a_generator(synthetic):
    drawn = synthetic.synthetic
    assert drawn["images"].shape == (12, SIDE, SIDE, 1)
    assert (drawn["images"].dtype, drawn["labels"].tolist()) == (np.uint8, [1] * 12)
    assert set(synthetic.quality.by_class) == {"viral"}
    psnr = synthetic.quality.overall["psnr_random"]
    assert psnr.value is not None
    assert 5 < psnr.value < 30
    assert "nothing to learn from" in synthetic.quality.overall["fid_domain"].reason
    assert synthetic.source.name == "medigan-90001"
    assert len(synthetic.source.sha256) == 64


@pytest.mark.parametrize("intensity", ["standardised", "unit", "local"])
def test_foreign_images_become_what_the_same_stored_images_are(tmp_path, intensity):
    """An image of the store that comes back from a package is the input that it has here."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 1), dtype=np.uint8)
    window = 0.5 if intensity == "local" else None
    info = StoreInfo(4, SIDE, SIDE, 1, intensity, ("normal",), window=window)
    write_store(tmp_path / "images", iter(pixels), info)
    store = ImageStore.open(tmp_path / "images")
    found = pad_square(as_tensor(as_stored(pixels, store)), store.spec.size)
    wanted = StoredImages(store)(np.arange(4))
    assert np.abs((found - wanted).numpy()).max() <= 1 / 255 + 1e-6  # of 256 gray levels


def test_color_and_size_are_those_of_the_store(tmp_path):
    write_store(
        tmp_path / "images",
        iter(np.zeros((2, 28, 28, 3), np.uint8)),
        StoreInfo(2, 28, 28, 3, "unit", ("normal",)),
    )
    gray = np.full((2, 100, 50, 1), 80, np.uint8)
    np.testing.assert_array_equal(
        as_stored(gray, ImageStore.open(tmp_path / "images")), np.full((2, 28, 28, 3), 80)
    )


def test_the_row_of_a_source_stands_beside_those_of_the_same_data(synthetic, images, splits):
    alone, grids = add_source(images, splits, synthetic, nothing)
    assert (list(alone.rows), list(grids.figures)) == (["medigan-90001"],) * 2
    data = data_hash(images, splits)
    assert alone.data == data
    before = Section(data, {"acgan": synthetic.quality, "medigan-90001": "old"}, {"sngan": "few"})
    pictures = SampleGrids({"acgan": b"png", "gone": b"png"})
    found, grids = add_source(
        images, splits, synthetic, earlier(quality=before, sample_grids=pictures)
    )
    assert found.rows == {"acgan": synthetic.quality, "medigan-90001": synthetic.quality}
    assert found.left_out == {"sngan": "few"}
    assert set(grids.figures) == {"acgan", "medigan-90001"}
    other = replace(before, data="of other images")
    assert list(add_source(images, splits, synthetic, earlier(quality=other))[0].rows) == [
        "medigan-90001"
    ]


def test_a_source_needs_a_class_and_consent():
    with pytest.raises(UserError, match=r"not said which class its .*source_class=NAME"):
        SynthesisConfig(source="medigan:00004", run_foreign_code=True)
    with pytest.raises(UserError, match="run_foreign_code=true"):
        SynthesisConfig(source="medigan:00004", source_class="normal")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source": None}, "medgan medigan list"),
        ({"source_class": "fracture"}, r"source_class is fracture: .* one of normal, viral\."),
    ],
)
def test_a_source_that_does_not_fit_is_refused(tmp_path, images, splits, changes, said):
    given = {"source": "medigan:00004", "source_class": "viral", "run_foreign_code": True}
    config = SynthesisConfig(**{**given, **changes})
    with pytest.raises(UserError, match=said):
        synthesize_from_source(Home(tmp_path), RealData(images, splits, config, 3))
    assert not (tmp_path / "packages").exists()


def test_a_source_takes_the_place_of_synthesis_alone():
    assert _with_source(["ingestion", "synthesis"], "medigan:1") == ["ingestion", "medigan"]
    assert _with_source(["all_models.synthesis"], "medigan:1") == ["medigan"]
    both = ["synthesis", "classifier_training"]
    assert _with_source(both, "medigan:1") == ["medigan", "medigan.classifier_training"]
    for names in ([], ["__default__"], ["all_models"]):
        with pytest.raises(UserError, match="give --pipeline synthesis"):
            _with_source(names, "medigan:1")


def test_the_parameters_of_a_source_are_text():
    given = given_parameters("synthesis.source=medigan:00004,synthesis.source_class=1")
    assert given == {"synthesis": {"source": "medigan:00004", "source_class": "1"}}
    nested = given_parameters("synthesis.source_arguments={gpu_id: -1}")
    assert nested == {"synthesis": {"source_arguments": {"gpu_id": -1}}}
