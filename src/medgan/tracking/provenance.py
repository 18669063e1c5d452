"""Provenance of a result: code, locked packages, machine."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("medgan", "torch", "torchvision", "numpy", "scikit-learn", "kedro", "mlflow")


def provenance(root: Path) -> dict[str, Any]:
    """The keys `time` (UTC), `hardware`, `git`, `lock_hash` and `versions`."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(),
        "git": git_revision(root),
        "lock_hash": lock_hash(root),
        "versions": versions(),
    }


def git_revision(root: Path) -> str | None:
    """The commit, with `+changes` if there are uncommitted ones; None outside git."""
    command = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+changes"]
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=root, capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def lock_hash(root: Path) -> str | None:
    """SHA-256 of requirements.lock, or None if there is none."""
    lock = root / "requirements.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else None


def hardware() -> dict[str, Any]:
    """Processor, cores, and accelerator of this machine."""
    import torch

    cuda = torch.cuda.is_available()
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name(0) if cuda else None,
    }


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Versions of Python and of the installed packages."""
    found = {"python": platform.python_version()}
    for name in packages:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
