from medgan.cli import cli

__all__ = ["cli"]
