"""The view of medigan's generators: nothing runs unasked, and images leave with their source."""

import io
import json
import shutil
import sys
import zipfile
from pathlib import Path

from medgan.app import pretrained
from medgan.inference.formats import FORMATS
from medgan.sources.medigan.catalogue import listed
from tests.app.conftest import ROOT
from tests.app.test_page import opened, texts


def test_a_package_draws_after_the_user_agrees(trained: Path, monkeypatch):
    package = trained / "package"
    FORMATS["medigan"](trained, "phantoms", "dcgan", package)
    app = opened(trained, monkeypatch, "medigan")
    assert not app.exception
    assert listed()[0].short in app.selectbox(key="medigan").options[0]
    app.number_input(key="medigan_count").set_value(3)
    app.text_input(key="medigan_path").set_value(str(package))
    app.text_input(key="medigan_python").set_value(sys.executable)
    app.button[0].click().run()
    assert "Nothing runs before you agree" in texts(app)
    assert not app.get("download_button")
    app.checkbox(key="medigan_agreed").check()
    app.button[0].click().run()
    assert not app.exception, app.exception
    assert not app.error, [one.value for one in app.error]
    assert len(app.image) == 3
    assert "3 images of" in texts(app)
    assert "Not judged by the release gate" in texts(app)
    with zipfile.ZipFile(
        io.BytesIO(pretrained.packed(app.session_state["foreign"], "set"))
    ) as made:
        assert made.namelist() == [*(f"set/0000{n}.png" for n in range(3)), "set/source.json"]
        assert json.loads(made.read("set/source.json"))["count"] == 3


def test_the_view_needs_nothing_trained(tmp_path: Path, monkeypatch):
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    app = opened(tmp_path, monkeypatch, "medigan")
    assert not app.exception
    assert not app.error
    app.checkbox(key="medigan_agreed").check()
    app.text_input(key="medigan_path").set_value("/nowhere/package")
    app.button[0].click().run()
    assert "There is no package at /nowhere/package" in app.error[0].value
