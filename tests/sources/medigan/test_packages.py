"""Packages: found, pinned by their SHA-256 on first use, and refused when they have changed."""

import hashlib
import http.client
import io
import json
import os
import urllib.error
import zipfile

import pytest

from medgan.errors import UserError
from medgan.sources.medigan import packages
from medgan.sources.medigan.packages import PINS, Home, download, laid_out
from tests.sources.medigan.making import ID, NAME, package_archive, package_folder


def used(home, source, folder):
    """What `draw` does before anything runs."""
    package = home.package(source)
    module, weights, checksum = laid_out(package, folder)
    home.pin(package, checksum)
    return module, weights, checksum


def test_the_first_use_of_an_archive_pins_its_sha256(tmp_path):
    path, home = package_archive(tmp_path / "a"), Home(tmp_path / "home")
    module, weights, checksum = used(home, f"medigan:{path}", tmp_path / "one")
    assert checksum == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (module, str(weights)) == (f"models.{ID}.{NAME}", f"models/{ID}/{NAME}/weights.npz")
    pins = json.loads((home.folder / PINS).read_text())
    assert pins[str(path)]["sha256"] == checksum
    assert used(home, f"medigan:{path}", tmp_path / "two")[2] == checksum


def test_an_archive_that_has_changed_is_refused_and_its_pin_stays(tmp_path):
    path, home = package_archive(tmp_path / "a"), Home(tmp_path / "home")
    *_, checksum = used(home, f"medigan:{path}", tmp_path / "one")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{NAME}/more.py", "")
    with pytest.raises(UserError, match=rf"has changed since its first use .*{checksum[:12]}"):
        used(home, f"medigan:{path}", tmp_path / "two")
    assert json.loads((home.folder / PINS).read_text())[str(path)]["sha256"] == checksum


@pytest.mark.parametrize("name", ["__init__.py", "weights.npz", "more.py", ".hidden.py"])
def test_a_folder_is_pinned_with_all_its_files(tmp_path, name):
    path, home = package_folder(tmp_path / "a"), Home(tmp_path / "home")
    used(home, f"medigan:{path}", tmp_path / "one")
    (path / "__pycache__").mkdir()
    (path / "__pycache__" / "a.pyc").touch()
    used(home, f"medigan:{path}", tmp_path / "two")
    assert not list((tmp_path / "two").rglob("*.pyc"))
    with (path / name).open("a") as file:
        file.write("\n")
    with pytest.raises(UserError, match="has changed"):
        used(home, f"medigan:{path}", tmp_path / "three")


def test_damaged_pins_are_not_taken_for_none(tmp_path):
    path, home = package_archive(tmp_path / "a"), Home(tmp_path / "home")
    used(home, f"medigan:{path}", tmp_path / "one")
    (home.folder / PINS).write_text("{")
    with pytest.raises(UserError, match=r"checksums\.json is damaged"):
        used(home, f"medigan:{path}", tmp_path / "two")


def test_an_archive_without_a_folder_is_run_too(tmp_path):
    folder = package_folder(tmp_path / "a")
    with zipfile.ZipFile(tmp_path / "flat.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    home = Home(tmp_path / "home")
    module, weights, _ = used(home, f"medigan:{tmp_path / 'flat.zip'}", tmp_path / "one")
    assert (module, str(weights)) == (f"models.{ID}", f"models/{ID}/weights.npz")


def test_a_package_that_names_a_folder_outside_is_refused(tmp_path):
    path = package_archive(tmp_path / "a", package_name="../../../../elsewhere")
    with pytest.raises(UserError, match="names a folder outside of the package"):
        laid_out(Home(tmp_path).package(f"medigan:{path}"), tmp_path / "one")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("00004", "give medigan:ID"),
        ("medigan:", "give medigan:ID"),
        ("medigan:00099", "There is no model of medigan '00099'"),
        ("medigan:no/such.zip", "There is no package at no/such.zip"),
        ("medigan:text.zip", "is no package"),
        ("medigan:empty", "has no metadata.json"),
    ],
)
def test_what_is_no_package_is_refused(tmp_path, monkeypatch, source, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.zip").write_text("text")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=said):
        Home(tmp_path / "home").package(source)


class Answer(io.BytesIO):
    """What `urlopen` returns."""

    def __init__(self, data, length):
        super().__init__(data)
        self.headers = http.client.HTTPMessage()
        self.headers["Content-Length"] = str(length)


def test_a_listed_model_is_downloaded_once_and_whole(tmp_path, monkeypatch):
    data, asked = package_archive(tmp_path / "a").read_bytes(), []

    def open_url(link, timeout):
        asked.append(link)
        return Answer(data, len(data))

    monkeypatch.setattr(packages.urllib.request, "urlopen", open_url)
    home = Home(tmp_path / "home")
    for _ in range(2):
        package = home.package("medigan:00004")
    assert package.path.read_bytes() == data
    assert package.pin == "00004_PIX2PIX_MMG_MASSES_W_MASKS"
    assert asked == [package.model.metadata.execution.package_link]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            urllib.error.URLError(OSError(101, "Network is unreachable")),
            r"cannot be reached .*put it at .*packages/00004_PIX2PIX_MMG_MASSES_W_MASKS\.zip",
        ),
        (TimeoutError("timed out"), "cannot be reached"),
        (None, "cut short"),
    ],
)
def test_without_a_network_nothing_is_left(tmp_path, monkeypatch, answer, said):
    def open_url(link, timeout):
        if answer is None:
            return Answer(b"half", 8)
        raise answer

    monkeypatch.setattr(packages.urllib.request, "urlopen", open_url)
    with pytest.raises(UserError, match=said):
        Home(tmp_path).package("medigan:00004")
    assert [name for _, _, files in os.walk(tmp_path) for name in files] == []


def test_only_https_is_asked(tmp_path):
    with pytest.raises(UserError, match="not HTTPS"):
        download("http://example.org/a.zip", tmp_path / "a.zip")
