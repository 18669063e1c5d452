"""`python -m medgan` runs the project as `kedro run` does."""

from __future__ import annotations

import sys

from kedro.framework.project import configure_project

from medgan.cli.main import cli


def main() -> None:
    """Runs the pipelines; options are those of `kedro run`."""
    configure_project("medgan")
    cli(["run", *sys.argv[1:]], prog_name="medgan")


if __name__ == "__main__":
    main()
