"""Kedro's settings: https://docs.kedro.org/en/stable/configure/configuration_basics/"""

from __future__ import annotations

import os
import warnings

from medgan.project.context import MedganContext
from medgan.project.hooks import ProjectHooks
from medgan.project.loader import LOADER_SETTINGS, MedganConfigLoader
from medgan.tracking.hooks import MlflowHooks

QUIET = {
    "DO_NOT_TRACK": "1",
    "KEDRO_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "GIT_PYTHON_REFRESH": "quiet",
    "NO_ALBUMENTATIONS_UPDATE": "1",
}
"""Telemetry off, and no log lines that a user can do nothing about."""
for name, value in QUIET.items():
    os.environ.setdefault(name, value)
NOT_FOR_USERS = (
    r"Option '--pipeline' is deprecated",
    r".*pkg_resources.*",
    r"One or more dataset names contain .\.. characters",
    r"The node producing outputs .* is made from a .partial. function",
    r"ORJSONResponse is deprecated",
)
"""Warnings of libraries that nobody who runs medgan can act on."""
for category in (DeprecationWarning, FutureWarning):
    warnings.filterwarnings("ignore", category=category)
for message in NOT_FOR_USERS:
    warnings.filterwarnings("ignore", message=message)

HOOKS = (ProjectHooks(), MlflowHooks())
CONTEXT_CLASS = MedganContext
CONFIG_LOADER_CLASS = MedganConfigLoader
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry",)
CONFIG_LOADER_ARGS = LOADER_SETTINGS
