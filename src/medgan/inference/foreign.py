"""Images of generators that others have trained, for the app."""

from __future__ import annotations

from medgan.project.artifacts import Project
from medgan.sources.medigan.drawing import Drawn, Request, draw


def draw_from_source(project: Project, dataset: str, request: Request) -> Drawn:
    """Draw images with a package of medigan: the images as they came, and their card.

    The packages, their checksums and their environment are those of the project's pipelines.

    Raises:
        UserError: as `medgan.sources.medigan.drawing.draw`.
    """
    return draw(project.read(dataset, "medigan_packages"), request)  # type: ignore[arg-type]
