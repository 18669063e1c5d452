"""Feature spaces: the networks, and the files of their weights."""

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import get_model

from medgan.errors import UserError
from medgan.evaluation.real_images import (
    LabelledImages,
    Networks,
    QualitySettings,
    describe_real,
)
from medgan.evaluation.spaces import LAYOUTS, load_space
from medgan.evaluation.synthesis import quality_by_class
from medgan.metrics.lpips import Unavailable
from tests.conftest import ROOT

CAFFE = ROOT.parent / "shared" / "data" / "weights" / "squeezenet1_1_caffe_features.pt"


@pytest.fixture(autouse=True)
def no_weights_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))


@pytest.fixture(scope="module")
def xray(tmp_path_factory):
    """A file of the layout of TorchXRayVision, and its network."""
    torch.manual_seed(0)
    network = get_model("densenet121", weights=None).eval()
    network.features.conv0 = torch.nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    path = tmp_path_factory.mktemp("weights") / "xray.safetensors"
    save_file(network.state_dict(), path)
    return network, path


def images(n, channels=1, size=32, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(n, channels, size, size, generator=rng) * 2 - 1


def test_a_radiology_network_sees_gray_images_from_minus_1024_to_1024(xray):
    network, path = xray
    space = load_space("densenet121_xray", str(path), 1)
    shown = images(2, size=224)
    with torch.inference_mode():
        maps = network.features(1024 * shown)
        expected = torch.relu(maps).mean((2, 3))
        assert torch.allclose(space.features(shown), expected, rtol=1e-3, atol=1e-4)
    assert space.backbone.startswith("DenseNet-121 (chest X-rays), weights ")


def test_gray_networks_leave_color_images_alone(xray):
    space = load_space("densenet121_xray", str(xray[1]), 3)
    assert space.features.reason == "not available: DenseNet-121 (chest X-rays) takes gray images"


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_missing_file_is_a_reason_that_names_it_and_the_parameter(name):
    space = load_space(name, None, 1)
    assert isinstance(space.features, Unavailable)
    assert LAYOUTS[name].file in space.features.reason
    assert f"--params synthesis.spaces.{name}=PATH" in space.features.reason


def test_a_given_file_has_to_be_there_and_to_fit(tmp_path, xray):
    with pytest.raises(UserError, match="no weights at"):
        load_space("resnet50", str(tmp_path / "nothing.pth"), 1)
    with pytest.raises(UserError, match="does not fit the backbone"):
        load_space("resnet50", str(xray[1]), 1)
    path = tmp_path / "text.pth"
    path.write_text("no weights")
    with pytest.raises(UserError, match="no file of weights"):
        load_space("squeezenet1_1", str(path), 1)


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    path = tmp_path / "code.pth"
    torch.save({"run": print}, path)
    for name in ("inception", "squeezenet1_1"):
        with pytest.raises(UserError, match="no file of weights"):
            load_space(name, str(path), 1)


def test_the_network_of_the_fid_is_that_of_torch_fidelity(tmp_path, monkeypatch):
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    torch.manual_seed(0)
    with monkeypatch.context() as patched:
        patched.setattr(module, "load_state_dict_from_url", lambda *_, **__: {})
        patched.setattr(torch.nn.Module, "load_state_dict", lambda *_: None)
        network = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    path = tmp_path / "inception.pth"
    torch.save(network.state_dict(), path)
    pixels = torch.randint(0, 256, (2, 1, 32, 32), dtype=torch.uint8)
    found = load_space("inception", str(path), 1).features(pixels.float() / 127.5 - 1)
    assert torch.equal(found, network(pixels.expand(-1, 3, -1, -1))[0])
    assert found.shape == (2, 2048)


def test_without_torch_fidelity_the_space_says_so(tmp_path, monkeypatch):
    path = tmp_path / "inception.pth"
    torch.save({}, path)
    monkeypatch.setitem(
        __import__("sys").modules, "torch_fidelity.feature_extractor_inceptionv3", None
    )
    space = load_space("inception", str(path), 1)
    assert "pip install 'medgan[fidelity]'" in space.features.reason


@pytest.mark.skipif(not CAFFE.exists(), reason="the SqueezeNet weights are not on this machine")
def test_a_space_of_imagenet_has_all_metrics_and_a_missing_one_a_row():
    spaces = [load_space("squeezenet1_1", str(CAFFE), 1), load_space("inception", None, 1)]
    networks = Networks(Unavailable("lpips", "no weights"), spaces)
    labels = torch.zeros(24, dtype=torch.int64).numpy()
    real = LabelledImages(images(24, seed=1), labels)
    described = describe_real(real, networks, QualitySettings())
    synthetic = LabelledImages(images(24, seed=2), labels)
    found = quality_by_class(synthetic, described, ("normal",), networks, QualitySettings()).overall
    named = {key for key in found if key.endswith("_squeezenet1_1")}
    kinds = ("fid", "kid", "precision", "recall", "density", "coverage")
    assert named == {f"{kind}_squeezenet1_1" for kind in kinds}
    assert found["fid_squeezenet1_1"].backbone == "SqueezeNet (ImageNet), weights 22954858"
    assert found["fid_squeezenet1_1"].features == 512
    assert found["fid_squeezenet1_1"].real_vs_real > 0
    missing = [key for key in found if key.endswith("_inception")]
    assert missing == ["fid_inception"]
    assert found["fid_inception"].reason.startswith("not available: the weights of Inception")
