"""Write docs/notebooks/ and docs/cards/ from the newest run on the embedded phantoms.

    make run
    make gallery

The notebooks run in a temporary copy of the project. Their interactive plots become pictures, which
takes an installed Chromium.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from notebooks.gallery import cards, notebooks

from medgan import models
from medgan.datasets.documents import read_document
from medgan.errors import UserError
from medgan.evaluation.results import Results
from medgan.project.artifacts import Project

DATASET = "phantoms"


def main() -> None:
    """Make all pages, then replace those that stand there."""
    project = Project(Path.cwd())
    found = read_document(project.results_file(DATASET))
    if found is None or not project.trained(DATASET, models.names()):
        raise UserError("There is no run on the embedded phantoms yet: `make run` makes one.")
    about = protocol(found)
    made = {
        "cards": cards.pages(project, DATASET, about),
        "notebooks": notebooks.pages(project.root, DATASET, about),
    }
    for name, files in made.items():
        replace_folder(project.root / "docs" / name, files)


def protocol(results: Results) -> str:
    """Say how and when a page was made."""
    known = results.provenance
    run = (
        f"the run of {str(known['time'])[:16].replace('T', ' ')} UTC on the embedded phantoms: "
        f"`scale={known['scale']}`, {known['hardware']['cores']} CPU cores, medgan "
        f"{known['versions']['medgan']}, revision {str(known['git'])[:12]}"
    )
    return f"*Made on {datetime.now(UTC):%Y-%m-%d} by `make gallery` from {run}.*"


def replace_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a folder, and leave no other there."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"Error: {error}")
