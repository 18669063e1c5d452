"""Images of a package: drawn in a process of its own, and checked."""

import os
import re
import signal
import sys
import threading
import time

import numpy as np
import pytest

from medgan.errors import UserError
from medgan.files.processes import ProcessIdentity
from medgan.sources.medigan import environment
from medgan.sources.medigan.drawing import Request, checked, draw
from medgan.sources.medigan.environment import clean_variables, given_python, python_of
from medgan.sources.medigan.packages import Home
from tests.sources.medigan.making import CODE, ID, package_archive, package_folder


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return package_archive(tmp_path_factory.mktemp("package"))


def drawn(package, home, count=5, seed=3, **arguments):
    request = Request(f"medigan:{package}", count, seed, True, sys.executable, arguments)
    return draw(Home(home), request)


def test_nothing_runs_before_somebody_agrees(package, tmp_path):
    with pytest.raises(UserError, match=r"run_foreign_code=true\.$"):
        draw(Home(tmp_path), Request(f"medigan:{package}", 5, 3, python=sys.executable))
    assert list(tmp_path.iterdir()) == []


def test_one_seed_gives_the_same_images_in_batches_and_nothing_is_imported_here(package, tmp_path):
    first, again = (drawn(package, tmp_path, count=40) for _ in range(2))
    assert first.images.shape == (40, 24, 24, 1)
    assert first.images.dtype == np.uint8
    np.testing.assert_array_equal(first.images, again.images)
    assert (first.images[:32] != drawn(package, tmp_path, count=32, seed=4).images).any()
    assert not [name for name in sys.modules if name.startswith("models")]
    card = first.card
    assert (card.name, card.model, card.count) == ("medigan-90001", ID, 40)
    assert (card.license, card.published_fid) == ("MIT", "12.5 (N = 300)")
    assert card.arguments == {"level": None, "side": 24, "mode": "uint8"}
    assert card.versions["numpy"] == np.__version__
    # numpy.random.seed(3) is what the package draws from
    np.random.seed(3)  # noqa: NPY002
    wanted = (np.random.rand(32, 24, 24) * 40 + 100).astype(np.uint8)  # noqa: NPY002
    np.testing.assert_array_equal(first.images[:32, :, :, 0], wanted)


@pytest.mark.parametrize("mode", ["unit", "signed"])
def test_floats_are_mapped_from_their_range(package, tmp_path, mode):
    plain = drawn(package, tmp_path).images.astype(int)
    found = drawn(package, tmp_path, mode=mode).images.astype(int)
    assert np.abs(found - plain).max() <= 1  # rounded, not cut off


def test_masks_are_dropped_channels_are_put_last_and_more_images_are_left(package, tmp_path):
    plain = drawn(package, tmp_path).images
    np.testing.assert_array_equal(drawn(package, tmp_path, mode="masks").images, plain)
    first = drawn(package, tmp_path, mode="first").images
    np.testing.assert_array_equal(first, np.repeat(plain, 3, axis=3))
    assert len(drawn(package, tmp_path, mode="more").images) == 5


def test_a_package_sees_no_secrets(package, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x" * 100)
    dark = drawn(package, tmp_path, mode="variables").images  # its mean is the token's length
    assert dark.max() < 40
    assert "SECRET_TOKEN" not in clean_variables(tmp_path)


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("raises", r"drew no images \(RuntimeError: no such GPU\): other arguments may help"),
        ("imports", r"needs a_module_that_nobody_has, which .* does not have \(it lists numpy\)"),
        ("kills", r"its process ended with code 7"),
        ("nothing", "returned no images"),
        ("wild", r"values from 1\d+ to 1\d+, neither in"),
        ("objects", "Python objects"),
        ("text", "no gray levels"),
        ("flat", "one gray level alone"),
        ("four", r"uint8 \(5, 24, 24, 4\) in place of 5 images"),
        ("nan", "values from nan to nan"),
    ],
)
def test_what_are_no_images_is_refused(package, tmp_path, mode, said):
    with pytest.raises(UserError, match=said):
        drawn(package, tmp_path, mode=mode)


def test_images_that_are_too_small_are_refused(package, tmp_path):
    with pytest.raises(UserError, match="8 to 4096 pixels a side"):
        drawn(package, tmp_path, side=7)


def test_a_pickle_is_not_read(tmp_path):
    np.save(tmp_path / "images.npy", np.array([{"a": 1}] * 100), allow_pickle=True)
    with pytest.raises(UserError, match="no array of numbers"):
        checked(tmp_path / "images.npy", 100, "a model")


def test_unknown_arguments_are_refused_with_those_that_there_are(package, tmp_path):
    with pytest.raises(UserError, match=r"names gpu, .* takes level, side, mode"):
        drawn(package, tmp_path, gpu=1)


def test_a_python_that_is_none_is_refused(tmp_path):
    with pytest.raises(UserError, match="which is no file"):
        given_python(str(tmp_path / "python"))


SLEEPS = CODE.replace(
    "    assert not save_images",
    "    Path(__file__).parents[3].joinpath('pid').write_text(str(os.getpid()))\n"
    "    import time\n    time.sleep(600)\n    assert not save_images",
)


def test_an_interrupted_run_leaves_no_process_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    package = package_folder(tmp_path / "a", SLEEPS)
    seen: list[ProcessIdentity] = []

    def interrupt():
        while not (found := [one for one in tmp_path.glob("medigan-*/pid") if one.read_text()]):
            time.sleep(0.05)
        seen.append(ProcessIdentity(os.uname().nodename, int(found[0].read_text()), ""))
        os.kill(os.getpid(), signal.SIGINT)  # a real one ends the wait for the report

    watcher = threading.Thread(target=interrupt, daemon=True)
    watcher.start()
    with pytest.raises(KeyboardInterrupt):
        drawn(package, tmp_path / "home")
    watcher.join(5)
    assert len(seen) == 1
    assert seen[0].is_gone()
    assert not list(tmp_path.glob("medigan-*"))


@pytest.fixture
def commands(monkeypatch):
    """The commands that would make an environment; none is run."""
    found = []

    def note(command, folder):
        found.append(command[1:])
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        (folder / "bin" / "python").touch()

    monkeypatch.setattr(environment, "_run", note)
    return found


def test_the_environment_is_made_once_from_its_pinned_list(tmp_path, commands):
    listed, folder = tmp_path / "list.txt", tmp_path / "env"
    listed.write_text("# a list\n")
    assert python_of(folder, listed) == python_of(folder, listed) == folder / "bin" / "python"
    make, install = commands
    assert make == ["-m", "venv", str(folder)]
    assert {"--require-hashes", "--only-binary", str(listed)} <= set(install)
    listed.write_text("# another list\n")
    python_of(folder, listed)
    assert len(commands) == 4
    (folder / environment.COMPLETE).unlink()  # as a killed installation leaves it
    python_of(folder, listed)
    assert len(commands) == 6


def test_the_list_of_the_environment_is_pinned_by_hashes():
    text = environment.REQUIREMENTS.read_text()
    pins = re.findall(r"^([a-z0-9-]+)==\S+", text, re.MULTILINE)
    assert {"torch", "torchvision", "numpy", "setuptools", "pillow"} <= set(pins)
    blocks = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in block for block in blocks)
    version = re.search(r"^setuptools==(\d+)", text, re.MULTILINE)
    assert version is not None
    assert int(version[1]) < 81  # the last with pkg_resources


@pytest.mark.long
def test_an_environment_that_cannot_be_made_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    listed = tmp_path / "list.txt"
    listed.write_text(f"numpy==2.4.6 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(UserError, match=r"could not be made in .*numpy.*synthesis\.source_python"):
        python_of(tmp_path / "env", listed)
    assert not (tmp_path / "env").exists()
