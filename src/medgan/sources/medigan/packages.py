"""Packages of medigan: downloaded or local, pinned by their SHA-256, laid out as medigan does."""

from __future__ import annotations

import hashlib
import json
import shutil
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from medgan.errors import UserError
from medgan.files.atomic import new_file, write_text
from medgan.files.digest import file_digest
from medgan.progress import progress_bar
from medgan.sources.medigan.catalogue import Model, find, is_listed, read_metadata

PREFIX = "medigan:"
METADATA = "metadata.json"
PINS = "checksums.json"
CHUNK = 2**20
TIMEOUT = 30.0
"""Seconds without an answer after which a download is given up."""
LEFT_BEHIND = frozenset({"__pycache__", ".git"})


@dataclass(frozen=True)
class Package:
    """A package that lies on this machine."""

    model: Model
    path: Path
    """A ZIP archive, or the folder that holds `__init__.py`."""
    pin: str
    """Under which its checksum is kept: the id of a listed model, or the path of a local one."""


@dataclass(frozen=True)
class Home:
    """The folder for downloaded packages, the checksums of all that were used, and their
    environment.
    """

    folder: Path

    @property
    def environment(self) -> Path:
        """The virtual environment in which packages run."""
        return self.folder / "medigan-env"

    def package(self, source: str) -> Package:
        """Find the package of `medigan:ID` or `medigan:PATH`; download it where it is missing.

        Raises:
            UserError: there is no such model or package, or no network.
        """
        name = source.removeprefix(PREFIX)
        if name == source or not name:
            raise UserError(
                f"synthesis.source is `{source}`: give {PREFIX}ID, as `medgan medigan list` shows "
                f"it, or {PREFIX}PATH of a package."
            )
        local = Path(name).expanduser()
        if not is_listed(name) and local.exists():
            return _local(local.resolve())
        if len(local.parts) > 1:
            raise UserError(f"There is no package at {local}: give a folder or a ZIP archive.")
        model = find(name)
        path = self.folder / "packages" / f"{model.id}.zip"
        if not path.exists():
            download(model.metadata.execution.package_link, path)
        return Package(model, path, model.id)

    def pin(self, package: Package, checksum: str) -> None:
        """Compare the checksum of a package with that of its first use; keep it at the first.

        Raises:
            UserError: it has changed.
        """
        pins = self._pins()
        known = pins.get(package.pin)
        if known is None:
            today = datetime.now(UTC).date().isoformat()
            pins[package.pin] = {"sha256": checksum, "first_used": today}
            write_text(self.folder / PINS, json.dumps(pins, indent=1, sort_keys=True) + "\n")
        elif known["sha256"] != checksum:
            raise UserError(
                f"The package {package.path} has changed since its first use on "
                f"{known['first_used']} (SHA-256 {known['sha256'][:12]}..., now {checksum[:12]}...): "
                f"find out why, and remove its entry from {self.folder / PINS} only if you trust "
                "the new one."
            )

    def _pins(self) -> dict[str, dict[str, str]]:
        path = self.folder / PINS
        if not path.exists():
            return {}
        try:
            pins: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise UserError(
                f"{path} is damaged, so packages cannot be compared with their first use: put it "
                "back from a copy, or delete it if you trust the packages."
            ) from None
        return pins


def _local(path: Path) -> Package:
    """Describe a package on this machine by its metadata.json."""
    try:
        metadata = _metadata(path)
    except zipfile.BadZipFile:
        raise UserError(f"{path} is no package: give a folder or a ZIP archive.") from None
    if metadata is None:
        raise UserError(
            f"{path} has no {METADATA}, so it is not known how to run it: add one in medigan's "
            "format (docs/medigan.md)."
        )
    models = read_metadata(metadata, f"{METADATA} of {path}")
    if len(models) != 1:
        raise UserError(f"{METADATA} of {path} describes {len(models)} models: describe one.")
    return Package(models[0], path, str(path))


def _metadata(path: Path) -> bytes | None:
    """Read the metadata.json of a package, of several in an archive the topmost; None for none."""
    if path.is_dir():
        file = path / METADATA
        return file.read_bytes() if file.exists() else None
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.split("/")[-1] == METADATA]
        return archive.read(min(names, key=len)) if names else None


def download(link: str, path: Path) -> None:
    """Download a file over HTTPS, whole or not at all.

    Raises:
        UserError: the link is not HTTPS, or it cannot be reached.
    """
    if not link.startswith("https://"):
        raise UserError(f"The package is at {link}, which is not HTTPS: download it yourself.")
    try:
        with urllib.request.urlopen(link, timeout=TIMEOUT) as answer, new_file(path) as temporary:  # noqa: S310
            size = int(answer.headers.get("Content-Length") or 0) or None
            with (
                temporary.open("wb") as file,
                progress_bar(path.name, "B", size, unit_scale=True) as progress,
            ):
                while chunk := answer.read(CHUNK):
                    file.write(chunk)
                    progress.update(len(chunk))
            if size is not None and temporary.stat().st_size != size:
                raise UserError(f"The download of {link} was cut short: run the command again.")
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(
            f"{link} cannot be reached ({reason}): download it where there is a network, and put it "
            f"at {path}."
        ) from error


def laid_out(package: Package, folder: Path) -> tuple[str, Path, str]:
    """Copy or unpack a package into models/<id>/ of a folder.

    Returns:
        The name of its module, the path of its weights relative to the folder, and the SHA-256 of
        the archive, or of all files of a folder.

    Raises:
        UserError: it has no `__init__.py`, or is larger than the disk.
    """
    execution = package.model.metadata.execution
    place = folder / "models" / package.model.id
    inner = place / execution.package_name
    if not inner.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{METADATA} of {package.path} names a folder outside of the package.")
    if package.path.is_dir():
        shutil.copytree(package.path, inner, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
        checksum = _folder_digest(inner)
    else:
        checksum = file_digest(package.path)
        _unpack(package.path, place)
    if not (inner / "__init__.py").is_file():
        inner = place
    if not (inner / "__init__.py").is_file():
        raise UserError(f"{package.path} has no __init__.py: it is no package of medigan.")
    module = ".".join(inner.relative_to(folder).parts)
    weights = inner / f"{execution.model_name}{execution.extension}"
    return module, weights.relative_to(folder), checksum


def _folder_digest(folder: Path) -> str:
    """Compute the SHA-256 of the names and contents of all files."""
    checksum = hashlib.sha256()
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        name = path.relative_to(folder).as_posix()
        checksum.update(f"{file_digest(path)}  {name}\n".encode())
    return checksum.hexdigest()


def _unpack(archive: Path, place: Path) -> None:
    place.mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as packed:
            needed = sum(one.file_size for one in packed.infolist())
            if needed > shutil.disk_usage(place).free:
                raise UserError(
                    f"{archive} needs {needed / 1e9:.1f} GB unpacked, more than is free: free some "
                    "space, then run the same command again."
                )
            packed.extractall(place)  # it removes `..` and absolute paths
    except zipfile.BadZipFile:
        raise UserError(
            f"{archive} is no ZIP archive or damaged: delete it, and it is downloaded again."
        ) from None
