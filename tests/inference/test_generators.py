"""Generators as packages of medigan and as MONAI bundles: the same images, or nothing written."""

import importlib.util
import json
import shutil
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from medgan import models
from medgan.cli.main import main
from medgan.contracts import ImageSpec
from medgan.errors import UserError
from medgan.evaluation.results import SynthesisResult
from medgan.images.transforms import as_uint8, crop_padding
from medgan.inference import generators, medigan_package
from medgan.inference.formats import FORMATS
from medgan.metrics.quality import QualityMetric
from medgan.models import PublishedModel
from medgan.pipelines.outputs import Synthetic
from medgan.project.artifacts import Project
from medgan.sources.medigan.drawing import Request, draw
from tests.conftest import ROOT
from tests.inference.artifacts import leave, leave_trained, picture
from tests.models.tiny import SPEC, tiny

DRAWN = {"images": np.zeros((2, 28, 28, 1), np.uint8), "labels": np.zeros(2, np.int64)}
FOLDERS = ("medigan", "monai")
NETWORK = {"medigan": "generator.pt2", "monai": "models/generator.pt2"}


def published(name, spec=SPEC):
    """A generator whose images differ from each other, with an image size that is not its side."""
    model = tiny(name, spec)
    weights = {
        key: value * 12 if key.startswith("generator") and value.ndim > 1 else value
        for key, value in model.state_dict().items()
    }
    return PublishedModel(name, asdict(model.config), spec, weights, {"image_size": [28, 28]})


@pytest.fixture
def project(trained):
    """A project with every generator."""
    for name in models.synthesizers():
        leave_trained(trained, "phantoms", published(name))
    return trained


def test_the_command_has_the_formats_of_the_registry():
    option = next(one for one in main.commands["export"].params if one.name == "form")
    assert tuple(option.type.choices) == tuple(FORMATS)
    assert option.default == "onnx"


@pytest.mark.parametrize(
    ("name", "form"),
    [
        *((name, "medigan") for name in models.synthesizers() if name != "per_class"),
        ("acgan", "monai"),
        ("sngan", "monai"),
    ],
)
def test_the_same_latents_give_the_same_images_at_any_batch_size(project, tmp_path, name, form):
    said = FORMATS[form](project, "phantoms", name, tmp_path / "out")
    assert "(N = 8)" in said
    model = published(name).build()
    network = torch.export.load(str(tmp_path / "out" / NETWORK[form])).module()
    rng = torch.Generator().manual_seed(11)
    for count in (1, 4, 9):
        latents = torch.randn(count, 8, generator=rng)
        labels = torch.arange(count) % 3
        inputs = (latents, labels) if name == "acgan" else (latents,)
        with torch.inference_mode():
            wanted = crop_padding(model.generator(*inputs), 28, 28)
        found = network(*inputs)
        assert found.shape == (count, 1, 28, 28)
        assert wanted.std() > 0.01
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


def test_a_package_draws_what_the_trained_model_samples(project, tmp_path):
    FORMATS["medigan"](project, "phantoms", "acgan", tmp_path / "out")
    file = str(tmp_path / "out" / "generator.pt2")
    found = medigan_package.generate(file, 7, "", False, label="viral", seed=5)
    model = published("acgan").build()
    rng = torch.Generator().manual_seed(5)
    wanted = as_uint8(crop_padding(model.sample(7, torch.full((7,), 2), rng), 28, 28))
    np.testing.assert_allclose(np.stack(found), wanted[:, :, :, 0], atol=1)
    mixed = medigan_package.generate(file, 7, "", False, seed=5)
    one = medigan_package.generate(file, 7, "", False, label=2, seed=5)
    np.testing.assert_array_equal(mixed[2], one[2])
    assert any((a != b).any() for a, b in zip(mixed, one, strict=True))
    assert medigan_package.generate(file, 0, "", False) == []
    with pytest.raises(ValueError, match="use one of normal, bacterial, viral"):
        medigan_package.generate(file, 1, "", False, label="fracture")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_package_writes_png_files(trained, tmp_path, channels):
    leave_trained(
        trained, "phantoms", published("sngan", ImageSpec(32, channels, ("normal", "viral")))
    )
    FORMATS["medigan"](trained, "phantoms", "sngan", tmp_path / "out")
    file = str(tmp_path / "out" / "generator.pt2")
    images = medigan_package.generate(file, 3, "", False, seed=1)
    assert medigan_package.generate(file, 3, str(tmp_path / "png"), True, seed=1) is None
    written = sorted((tmp_path / "png").iterdir())
    assert [path.name for path in written] == ["00000.png", "00001.png", "00002.png"]
    for path, image in zip(written, images, strict=True):
        with Image.open(path) as opened:
            opened.load()
            assert opened.mode == ("L" if channels == 1 else "RGB")
            np.testing.assert_array_equal(np.asarray(opened), image)


def test_a_package_comes_back_through_the_data_flow(project, tmp_path):
    """Out and in again: `synthesis.source=medigan:PATH` of an exported generator."""
    FORMATS["medigan"](project, "phantoms", "dcgan", tmp_path / "out")
    request = Request(f"medigan:{tmp_path / 'out'}", 3, 4, True, sys.executable, {"seed": 4})
    drawn = draw(Project(project).medigan(), request)
    file = str(tmp_path / "out" / "generator.pt2")
    wanted = medigan_package.generate(file, 3, "", False, seed=4)
    np.testing.assert_allclose(drawn.images[..., 0].astype(int), np.stack(wanted), atol=1)
    assert drawn.card.title == "DCGAN, trained on phantoms, draws normal"


def test_a_package_needs_nothing_but_torch_and_numpy():
    code = (
        "import sys, importlib.util as u; s = u.spec_from_file_location('p', sys.argv[1]); "
        "m = u.module_from_spec(s); before = set(sys.modules); s.loader.exec_module(m); "
        "new = {n.partition('.')[0] for n in set(sys.modules) - before}; "
        "print(sorted(new & {'medgan', 'PIL', 'pydantic', 'kedro', 'pandas', 'cv2'}))"
    )
    path = ROOT / "src" / "medgan" / "inference" / "medigan_package.py"
    ended = subprocess.run(
        [sys.executable, "-I", "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"


def test_the_metadata_are_those_that_medigan_requires(project, tmp_path):
    """Keys of medigan's templates/template.json; the id has five digits and 13 to 30 characters."""
    FORMATS["medigan"](project, "phantoms", "acgan", tmp_path / "out")
    document = json.loads((tmp_path / "out" / "metadata.json").read_text())
    ((identifier, about),) = document.items()
    assert 13 <= len(identifier) <= 30
    assert identifier[:5].isdecimal()
    run = about["execution"]
    assert (tmp_path / "out" / f"{run['model_name']}{run['extension']}").is_file()
    assert run["generate_method"]["args"]["base"] == [
        "model_file",
        "num_samples",
        "output_path",
        "save_images",
    ]
    assert about["selection"]["performance"]["FID"] is None
    assert about["selection"]["condition"] == ["normal", "bacterial", "viral"]
    assert "do not treat them as anonymous" in about["description"]["comment"]


def test_quality_is_that_of_the_exported_version_or_missing(project):
    """Images that an earlier version has drawn say nothing about this one."""
    assert generators.exportable(project, "phantoms", "dcgan").quality is None
    metrics = {"psnr_random": QualityMetric(value=12.5, n=8)}
    made = Synthetic(DRAWN, SynthesisResult(metrics), picture())
    leave(project, "phantoms", "dcgan.synthetic", made)
    measured = generators.exportable(project, "phantoms", "dcgan").quality
    assert measured["overall"]["psnr_random"] == {"value": 12.5, "n": 8}
    changed = replace(published("dcgan"), card={"image_size": [32, 32]})
    leave_trained(project, "phantoms", changed)
    assert generators.exportable(project, "phantoms", "dcgan").quality is None


@pytest.mark.parametrize("form", FOLDERS)
def test_what_cannot_be_written_is_refused(project, tmp_path, monkeypatch, form):
    before = set(tmp_path.iterdir())
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    with pytest.raises(UserError, match="is in use"):
        FORMATS[form](project, "phantoms", "acgan", tmp_path / "used")
    with pytest.raises(UserError, match=r"padim draws no images: use one of acgan, .*onnx"):
        FORMATS[form](project, "phantoms", "padim", tmp_path / "out")
    with pytest.raises(UserError, match="per_class is several generators"):
        FORMATS[form](project, "phantoms", "per_class", tmp_path / "out")
    with pytest.raises(UserError, match="not trained"):
        FORMATS[form](project, "elsewhere", "acgan", tmp_path / "out")
    monkeypatch.setattr(generators, "TOLERANCE", -1.0)
    with pytest.raises(UserError, match="nothing was written"):
        FORMATS[form](project, "phantoms", "acgan", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir() if path not in before) == ["used"]


def test_the_command_writes_a_package(project, tmp_path, monkeypatch):
    monkeypatch.chdir(project)
    monkeypatch.setattr("medgan.cli.generate.project_root_here", lambda: project)
    monkeypatch.setattr("medgan.cli.options.project_root_here", lambda: project)
    arguments = ["export", "--model", "sngan", "--format", "medigan"]
    shown = CliRunner().invoke(main, [*arguments, "--output", str(tmp_path / "out")])
    assert shown.exit_code == 0, shown.output
    assert "for medigan. Images of the same latents differ" in shown.output
    again = CliRunner().invoke(main, [*arguments, "--output", str(tmp_path / "out")])
    assert (again.exit_code, "is in use" in again.output) == (1, True)


@pytest.mark.skipif(importlib.util.find_spec("medigan") is None, reason="medigan is not installed")
def test_medigan_itself_loads_and_samples_a_package(project, tmp_path, monkeypatch):
    FORMATS["medigan"](project, "phantoms", "acgan", tmp_path / "out")
    metadata = tmp_path / "out" / "metadata.json"
    identifier = next(iter(json.loads(metadata.read_text())))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "config").mkdir()
    listed = ROOT / "src" / "medgan" / "sources" / "medigan" / "models.json"
    shutil.copy(listed, tmp_path / "config" / "global.json")
    from medigan.generators import Generators

    library = Generators()
    library.add_model_contributor(identifier, str(tmp_path / "out" / "__init__.py"))
    library.add_metadata_from_file(identifier, str(metadata))
    library.test_model(identifier, num_samples=3)
    found = library.generate(identifier, num_samples=4, save_images=False, seed=2, label=1)
    file = str(tmp_path / "out" / "generator.pt2")
    np.testing.assert_array_equal(
        found, medigan_package.generate(file, 4, "", False, label=1, seed=2)
    )
    library.generate(
        identifier, num_samples=32, output_path=str(tmp_path / "png"), save_images=True
    )
    assert len(list((tmp_path / "png").glob("*.png"))) == 32


@pytest.mark.skipif(importlib.util.find_spec("monai") is None, reason="MONAI is not installed")
@pytest.mark.parametrize("name", ["acgan", "sngan"])
def test_monai_itself_loads_and_runs_a_bundle(project, tmp_path, monkeypatch, name):
    import monai.bundle

    FORMATS["monai"](project, "phantoms", name, tmp_path / "bundle")
    monkeypatch.chdir(tmp_path / "bundle")
    configs = {"config_file": "configs/inference.json"}
    monai.bundle.run(**configs, count=5, seed=3)
    found = torch.from_numpy(np.load("output/images.npy"))
    latents = torch.randn(5, 8, generator=torch.Generator().manual_seed(3))
    inputs = (latents, torch.zeros(5, dtype=torch.long)) if name == "acgan" else (latents,)
    with torch.inference_mode():
        wanted = crop_padding(published(name).build().generator(*inputs), 28, 28)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
    loaded = monai.bundle.load(
        "bundle", bundle_dir=tmp_path, workflow_type="inference", device="cpu"
    )
    torch.testing.assert_close(loaded(*inputs), wanted, rtol=0, atol=1e-5)
    if name == "sngan":  # MONAI's check knows networks of one input alone
        metadata = {"meta_file": "configs/metadata.json", "device": "cpu"}
        monai.bundle.verify_net_in_out(net_id="network_def", **metadata, **configs)
