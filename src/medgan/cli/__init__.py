"""The commands of `medgan`, and what the project adds to `kedro`."""

from medgan.cli.main import cli

__all__ = ["cli"]
