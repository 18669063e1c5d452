from pathlib import Path

import pytest
import torch

from medgan.errors import UserError
from medgan.metrics import lpips as perceptual
from medgan.metrics.lpips import Unavailable, load_lpips
from medgan.metrics.pairs import paired_quality

WEIGHTS = Path(__file__).parents[2] / "../shared/data/weights/squeezenet1_1_caffe_features.pt"
needs_weights = pytest.mark.skipif(
    not WEIGHTS.exists(), reason="the SqueezeNet weights in ../shared/data are not on this machine"
)


@pytest.fixture(scope="module")
def lpips():
    return load_lpips("squeeze", WEIGHTS)


def images(n=4, seed=0, channels=1, size=32):
    return (
        torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    )


@needs_weights
def test_the_backbone_is_the_file(lpips):
    """Every feature equals that of torchvision's network with the same file."""
    from torchvision.models import squeezenet1_1

    reference = squeezenet1_1(weights=None).features.eval()
    tensors = torch.load(WEIGHTS, weights_only=True)
    reference.load_state_dict(
        {name.removeprefix("features."): tensor for name, tensor in tensors.items()}
    )
    network = perceptual._network("squeeze", WEIGHTS)
    batch = images(2, channels=3, size=64)
    with torch.no_grad():
        assert torch.equal(network.net(batch)[-1], reference(batch))
        assert torch.equal(network.net(batch)[0], reference[:2](batch))


@needs_weights
def test_the_caffe_weights_never_pass_for_plain_lpips(lpips):
    assert lpips.name == "lpips_squeeze-caffe"


@needs_weights
def test_it_is_the_packages_distance_and_embeddings_give_the_same(lpips):
    import lpips as package

    network = package.LPIPS(net="squeeze", pnet_rand=True, verbose=False)
    network.net.load_state_dict(perceptual._network("squeeze", WEIGHTS).net.state_dict())
    first, second = images(3, 0), images(3, 1)
    expected = (
        network.eval()(first.expand(-1, 3, -1, -1), second.expand(-1, 3, -1, -1))
        .detach()
        .reshape(-1)
    )
    assert lpips.pairs(first, second) == pytest.approx(expected, abs=1e-6)
    assert lpips.distances(first, second).diagonal() == pytest.approx(expected, abs=1e-5)
    assert lpips.pairs(first, first) == pytest.approx(torch.zeros(3), abs=1e-7)


@needs_weights
def test_nearest_and_small_images(lpips):
    real = images(5, 3, size=28)
    assert paired_quality(real[[2, 4]], real, lpips, "nearest", torch.Generator()) == pytest.approx(
        torch.zeros(2), abs=1e-6
    )


@needs_weights
def test_a_missing_tensor_is_refused_and_never_left_random(tmp_path):
    tensors = torch.load(WEIGHTS, weights_only=True)
    tensors.pop("features.12.expand3x3.bias")
    path = tmp_path / "cut.pt"
    torch.save(tensors, path)
    with pytest.raises(UserError, match=r"features\.12\.expand3x3\.bias"):
        perceptual._network("squeeze", path)
    with pytest.raises(UserError, match="no file of weights that we know"):
        load_lpips("squeeze", path)


@needs_weights
def test_loading_leaves_the_random_state_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    perceptual._network("squeeze", WEIGHTS)
    assert torch.equal(torch.rand(3), expected)


def test_f58_without_weights_there_is_a_reason_and_no_download(tmp_path, monkeypatch):
    import socket

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("opened a socket"))
    found = load_lpips("alex")
    assert isinstance(found, Unavailable)
    assert found.name == "lpips_alex"
    assert "--params lpips_weights=PATH" in found.reason


def test_a_wrong_path_or_name_is_refused(tmp_path):
    with pytest.raises(UserError, match="no LPIPS weights at"):
        load_lpips("squeeze", tmp_path / "nothing.pt")
    with pytest.raises(UserError, match="lpips_backbone"):
        load_lpips("resnet")
