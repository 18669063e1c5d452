"""Draw images with a package of medigan in a process of its own, and check what comes back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from medgan.errors import UserError
from medgan.progress import progress_bar
from medgan.sources.medigan.catalogue import Model
from medgan.sources.medigan.environment import GIVE, clean_variables, given_python, python_of
from medgan.sources.medigan.packages import Home, Package, laid_out

WORKER = Path(__file__).with_name("worker.py")
AGREE = (
    "{source} is Python code of other people, which runs with your rights: read docs/medigan.md, "
    "and agree with --params synthesis.run_foreign_code=true"
)
LEAST_SIDE, MOST_SIDE = 8, 4096
"""Sides of an image in pixels."""
CHANNELS = (1, 3)


@dataclass(frozen=True)
class Request:
    """Images that a package shall draw."""

    source: str
    """`medigan:ID` or `medigan:PATH`."""
    count: int
    seed: int
    agreed: bool = False
    """Whether the user has agreed that code of others runs."""
    python: str | None = None
    """The interpreter that has what the package needs; None for the environment of `Home`."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Custom arguments of its `generate` function, in place of their defaults."""


@dataclass(frozen=True)
class SourceCard:
    """Where images of a package come from."""

    name: str
    """Of the row in results, such as `medigan-00004`."""
    model: str
    title: str
    license: str
    published_fid: str
    package: str
    """Its link, or its path on this machine."""
    sha256: str
    seed: int
    count: int
    arguments: Mapping[str, Any]
    versions: Mapping[str, str]
    """Of Python, PyTorch and NumPy that ran it."""
    drawn: str
    """Shape, type and range of the images as they came."""


@dataclass(frozen=True)
class Drawn:
    """Images of a package, and where they come from."""

    images: NDArray[np.uint8]
    """(n, H, W, 1 or 3)."""
    card: SourceCard


def draw(home: Home, request: Request) -> Drawn:
    """Draw images with a package. Its code runs in a process of its own, and only an array comes
    back.

    Raises:
        UserError: nobody has agreed, the package is not at hand or has changed, its code fails, or
            what it returns is not the requested number of images.
    """
    if not request.agreed:
        raise UserError(f"{AGREE.format(source=request.source)}.")
    package = home.package(request.source)
    with tempfile.TemporaryDirectory(prefix="medigan-") as scratch:
        folder = Path(scratch)
        module, weights, checksum = laid_out(package, folder)
        home.pin(package, checksum)
        arguments = _arguments(package.model, request.arguments)
        python = given_python(request.python) if request.python else python_of(home.environment)
        asked = {
            "module": module,
            "function": package.model.metadata.execution.generate_method.name,
            "model_file": weights.as_posix(),
            "arguments": arguments,
            "dependencies": package.model.metadata.execution.dependencies,
            "count": request.count,
            "seed": request.seed,
        }
        versions = _run(python, asked, folder, package, home.folder / "last-run.log")
        images, drawn = checked(folder / "images.npy", request.count, package.model.id)
    about = package.model.metadata
    card = SourceCard(
        name=f"medigan-{package.model.short}",
        model=package.model.id,
        title=about.description.title,
        license=about.selection.license or "unknown",
        published_fid=package.model.fid,
        package=about.execution.package_link
        if package.pin == package.model.id
        else str(package.path),
        sha256=checksum,
        seed=request.seed,
        count=request.count,
        arguments=arguments,
        versions=versions,
        drawn=drawn,
    )
    return Drawn(images, card)


def _arguments(model: Model, given: Mapping[str, Any]) -> dict[str, Any]:
    known = model.metadata.execution.generate_method.args.custom
    strange = sorted(set(given) - set(known))
    if strange:
        takes = ", ".join(known) or "none"
        raise UserError(
            f"synthesis.source_arguments names {strange[0]}, which {model.id} does not take: it "
            f"takes {takes}."
        )
    return {**known, **given}


@dataclass(frozen=True)
class Report:
    """A line that the worker writes."""

    drawn: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    """Given at the end of a run without an error."""
    error: str = ""
    missing: str | None = None
    """The module that could not be imported."""


def _run(
    python: Path, request: Mapping[str, Any], folder: Path, package: Package, log: Path
) -> dict[str, str]:
    """Run the worker; return the versions of what it ran on."""
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    (folder / "output").mkdir()
    report = Report()
    progress = progress_bar(package.model.short, "image", request["count"])
    with log.open("wb") as said, progress, _worker(python, folder, said) as process:
        for line in process.stdout or ():
            report = _report(line)
            progress.update(max(0, report.drawn - progress.n))
    if report.versions:
        return dict(report.versions)
    raise UserError(f"{_failure(report, process.returncode, python, package)} Its log is {log}.")


def _report(line: str) -> Report:
    """Read a line of the worker; an empty report for a line that the package has written."""
    try:
        return TypeAdapter(Report).validate_json(line)
    except ValidationError:
        return Report()


@contextmanager
def _worker(python: Path, folder: Path, log: Any) -> Iterator[subprocess.Popen[str]]:
    """Start the worker; end it, and what it has started, when the block ends."""
    command = [str(python), "-I", "-B", str(WORKER), "request.json"]
    process = subprocess.Popen(  # noqa: S603
        command,
        cwd=folder,
        env=clean_variables(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
        process.wait()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _failure(report: Report, code: int, python: Path, package: Package) -> str:
    about, name = package.model.metadata.execution, package.model.id
    if report.missing:
        needs = ", ".join(about.dependencies) or "packages that it does not list"
        return f"{name} needs {report.missing}, which {python} does not have (it lists {needs}): {GIVE}."
    said = (report.error or f"its process ended with code {code}").rstrip(".")
    return (
        f"{name} drew no images ({said}): other arguments may help, "
        "--params synthesis.source_arguments={NAME: VALUE}; `medgan medigan show` lists them."
    )


def checked(path: Path, count: int, name: str) -> tuple[NDArray[np.uint8], str]:
    """Read the images that a package has drawn; no pickle is read.

    Args:
        path: images.npy.
        count: how many there have to be.
        name: of the model, for messages.

    Returns:
        The images as uint8 (n, H, W, 1 or 3), and what they were. Numbers that are not uint8 are
        mapped linearly from [-1, 1] where one is negative, from [0, 1] where none is above 1, else
        from [0, 255].

    Raises:
        UserError: the file has not as many images, or other things than images.
    """
    try:
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        raise UserError(f"{name} returned no array of numbers: it cannot be used.") from None
    form = f"{stored.dtype} {tuple(stored.shape)}"
    shaped = _channels_last(stored)
    if shaped is None or len(shaped) != count:
        raise UserError(
            f"{name} returned {form} in place of {count} images (H, W), (H, W, C) or (C, H, W) "
            f"with {LEAST_SIDE} to {MOST_SIDE} pixels a side and 1 or 3 channels: it cannot be used."
        )
    if shaped.dtype.kind not in "uif":
        raise UserError(f"{name} returned {form}, which are no gray levels: it cannot be used.")
    low, high = float(np.min(shaped)), float(np.max(shaped))
    scale = _scale(shaped.dtype, low, high)
    if scale is None:
        raise UserError(
            f"{name} returned values from {low:g} to {high:g}, neither in [-1, 1], [0, 1] nor "
            "[0, 255]: it cannot be used."
        )
    if low == high:
        raise UserError(f"{name} returned images of one gray level alone: they cannot be used.")
    offset, factor = scale
    pixels = np.empty(shaped.shape, np.uint8)
    for place, image in enumerate(shaped):
        pixels[place] = np.rint((image.astype(np.float64) + offset) * factor)
    return pixels, f"{form}, values from {low:g} to {high:g}"


def _channels_last(stored: NDArray[Any]) -> NDArray[Any] | None:
    """Return (n, H, W, C), or None for another shape."""
    if stored.ndim == 3:
        stored = stored[..., None]
    if stored.ndim != 4:
        return None
    if stored.shape[3] not in CHANNELS and stored.shape[1] in CHANNELS:
        stored = np.moveaxis(stored, 1, 3)
    sides = stored.shape[1:3]
    fits = all(LEAST_SIDE <= side <= MOST_SIDE for side in sides)
    return stored if fits and stored.shape[3] in CHANNELS else None


def _scale(dtype: np.dtype[Any], low: float, high: float) -> tuple[float, float] | None:
    """Return what is added to values, and the factor after it; None outside of the known ranges."""
    if dtype == np.uint8:
        return 0.0, 1.0
    ranges = ((-1.0, 1.0), (0.0, 1.0), (0.0, 255.0))
    fits = ranges[0] if low < 0 else ranges[1] if high <= 1 else ranges[2]
    if not (fits[0] <= low and high <= fits[1]):  # also false for NaN
        return None
    return -fits[0], 255.0 / (fits[1] - fits[0])
