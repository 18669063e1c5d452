"""kedro-viz that neither asks nor loads anything from outside this machine: `make viz`.

As it comes, kedro-viz asks a package index for its newest version, and its page loads a font from
the web. Its server is a process of its own, which imports this module again, as the main module of
the process that started it; so the changes are made when this module is imported.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import kedro_viz
from kedro_viz.integrations import pypi
from packaging.version import Version, parse

PAGES = Path(".viz/html")
"""Copy of the pages of kedro-viz, below the project; Git ignores it."""
OUTSIDE = re.compile(r"<link\b[^>]*https?://[^>]*>\s*")


def installed_version() -> Version:
    """Stand in for the newest version on the package index."""
    return parse(kedro_viz.__version__)


def local_pages() -> Path:
    """Copy the pages of kedro-viz without links to other servers."""
    pages = PAGES.absolute()
    shutil.copytree(Path(kedro_viz.__file__).parent / "html", pages, dirs_exist_ok=True)
    for page in pages.glob("*.html"):
        page.write_text(OUTSIDE.sub("", page.read_text(encoding="utf-8")), encoding="utf-8")
    return pages


pypi.get_latest_version = installed_version
# Modules that keep what they import from `pypi`, so they come after it.
from kedro_viz.api import apps  # noqa: E402
from kedro_viz.integrations.deployment import base_deployer  # noqa: E402

apps._HTML_DIR = base_deployer._HTML_DIR = local_pages()


def main() -> None:
    """Run `kedro viz` with the arguments of the command line; it listens on this machine only."""
    from kedro.framework.cli.cli import main as kedro

    sys.argv[1:1] = ["viz"]
    try:
        kedro()
    except ValueError as error:
        if "TCP port" not in str(error):
            raise
        sys.exit("Error: kedro-viz takes no --port above 49151: choose a lower one.")


if __name__ == "__main__":
    main()
