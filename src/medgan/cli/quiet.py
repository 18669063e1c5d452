"""Silence other libraries while a command of the project runs, and only then."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medgan.cli.starting import is_command

VARIABLES = {
    "DO_NOT_TRACK": "1",
    "KEDRO_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""No telemetry, and no log lines that a user cannot act on."""
MESSAGES = (
    ".*pkg_resources.*",
    "ORJSONResponse is deprecated",
    "Full backward hook is firing",  # Opacus: images need no gradient
    "Optimal order is the",  # Opacus: of a first, rough bound
)
"""Warnings of other categories that a user cannot act on."""


LOGGING = Path("conf/logging.yml")


@contextmanager
def quiet() -> Iterator[None]:
    """Set `VARIABLES` for this process and ignore warnings, unless `python -W` asks for them."""
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)
    if is_command():
        _log_as_the_project_says()
    with warnings.catch_warnings():
        if not sys.warnoptions:
            for category in (DeprecationWarning, FutureWarning):
                warnings.simplefilter("ignore", category)
            for message in MESSAGES:
                warnings.filterwarnings("ignore", message)
        yield


def _log_as_the_project_says() -> None:
    """Name the project's logging to Kedro, which looks in the working directory alone: in a folder
    below the project it would print what it does on the standard output.
    """
    with suppress(FileNotFoundError):  # the working directory is gone
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / LOGGING).is_file():
                os.environ.setdefault("KEDRO_LOGGING_CONFIG", str(folder / LOGGING))
                return
