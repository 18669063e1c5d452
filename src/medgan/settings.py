"""Kedro's settings: https://docs.kedro.org/en/stable/configure/configuration_basics/"""

from __future__ import annotations

import os

from medgan.project.context import MedganContext
from medgan.project.hooks import ProjectHooks
from medgan.project.loader import LOADER_SETTINGS, MedganConfigLoader
from medgan.project.sessions import SessionHooks
from medgan.tracking.hooks import MlflowHooks

os.environ.setdefault("DO_NOT_TRACK", "1")
"""Kedro sends usage data unless it is told not to. Its plugin has a hook of the command line, which
DISABLE_HOOKS_FOR_PLUGINS does not reach, and a packaged project has no `.telemetry` file. Kedro
imports this module before either hook runs.
"""
HOOKS = (SessionHooks(ProjectHooks, MlflowHooks),)
CONTEXT_CLASS = MedganContext
CONFIG_LOADER_CLASS = MedganConfigLoader
CONFIG_LOADER_ARGS = LOADER_SETTINGS
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry",)
