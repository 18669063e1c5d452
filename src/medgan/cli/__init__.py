"""The commands of `medgan`, and what the project adds to `kedro`."""

from medgan.cli.starting import end_quietly_while_starting

end_quietly_while_starting()

from medgan.cli.main import cli  # noqa: E402  # takes a second, in which Ctrl-C may come

__all__ = ["cli"]
