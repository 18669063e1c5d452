from medgan.cli.main import cli

__all__ = ["cli"]
