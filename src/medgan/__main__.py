"""`python -m medgan` runs the project as `kedro run` does."""

from __future__ import annotations

import sys

from medgan.cli.starting import end_quietly_while_starting


def main() -> None:
    """Runs the pipelines; options are those of `kedro run`."""
    end_quietly_while_starting()

    from kedro.framework.project import configure_project

    from medgan.cli.main import cli

    configure_project("medgan")
    cli(["run", *sys.argv[1:]], prog_name="medgan")


if __name__ == "__main__":
    main()
