"""Kedro's settings: https://docs.kedro.org/en/stable/configure/configuration_basics/"""

from __future__ import annotations

from medgan.project.context import MedganContext
from medgan.project.hooks import ProjectHooks
from medgan.project.loader import LOADER_SETTINGS, MedganConfigLoader
from medgan.tracking.hooks import MlflowHooks

HOOKS = (ProjectHooks(), MlflowHooks())
CONTEXT_CLASS = MedganContext
CONFIG_LOADER_CLASS = MedganConfigLoader
CONFIG_LOADER_ARGS = LOADER_SETTINGS
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry",)
