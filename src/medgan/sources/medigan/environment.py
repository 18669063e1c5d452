"""The virtual environment in which packages of medigan run, apart from that of medgan.

`environment.txt` pins every package by its hashes; `uv pip compile` has made it from
`environment.in`. Packages use `pkg_resources`, which setuptools has up to version 80.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

from medgan.errors import UserError
from medgan.files.atomic import write_text
from medgan.files.digest import file_digest

logger = logging.getLogger(__name__)
REQUIREMENTS = Path(__file__).with_name("environment.txt")
COMPLETE = "complete.sha256"
"""File of the checksum of the requirements that an environment was made from."""
GIVE = "give a Python that has what the package needs: --params synthesis.source_python=PATH"
PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "SYSTEMROOT")
"""Variables that a package sees; no tokens, keys or addresses of servers are among them."""


def python_of(folder: Path, requirements: Path = REQUIREMENTS) -> Path:
    """Return the interpreter of the environment in a folder, which is made where it is missing.

    Raises:
        UserError: it could not be made.
    """
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted, marker = file_digest(requirements), folder / COMPLETE
    if marker.exists() and marker.read_text(encoding="utf-8") == wanted:
        return python
    logger.info("Making %s for packages of medigan, once: it downloads PyTorch.", folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", str(folder)], folder)
    pip = [str(python), "-m", "pip", "install", "--require-hashes", "--only-binary", ":all:"]
    pip += ["--no-input", "--disable-pip-version-check", "--retries", "1"]
    _run([*pip, "--requirement", str(requirements)], folder)
    write_text(marker, wanted)
    return python


def given_python(path: str) -> Path:
    """Return the interpreter that somebody has named.

    Raises:
        UserError: it is no file.
    """
    python = Path(path).expanduser()
    if not python.is_file():
        raise UserError(f"synthesis.source_python is {path}, which is no file: {GIVE}.")
    return python.absolute()  # not resolved: a virtual environment is known by the path of its link


def clean_variables(home: Path) -> dict[str, str]:
    """Return the environment variables of a package that has `home` as its home folder."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    places = dict.fromkeys(("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP"), str(home))
    # torch.load of older packages needs a pickle, which adds nothing to running their code
    return {**kept, **places, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1", "PYTHONUTF8": "1"}


def _run(command: list[str], folder: Path) -> None:
    # The steps of pip, which take minutes, are shown on the standard error
    ended = subprocess.run(command, stdout=2, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if ended.returncode == 0:
        return
    shutil.rmtree(folder, ignore_errors=True)
    lines = [line.strip() for line in ended.stderr.splitlines()]
    errors = [line for line in lines if line.startswith("ERROR: ")] or lines
    said = errors[-1].removeprefix("ERROR: ") if errors else f"exit code {ended.returncode}"
    raise UserError(
        f"The environment of medigan packages could not be made in {folder} ({said}): run the "
        f"command again where there is a network, or {GIVE}."
    )
