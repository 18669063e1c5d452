"""The cards of trained models and of sets of synthetic images, as pages in Markdown."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from notebooks.gallery.pictures import small

from medgan import models
from medgan.datasets.model_page import page_of
from medgan.inference.data_card import page as page_of_set
from medgan.inference.generation import Request, judged_generator
from medgan.inference.sets import generate_set
from medgan.pipelines.arms import BY_DEFAULT
from medgan.project.artifacts import Project
from medgan.report.tables import Table

WIDTH, COUNT = 600, 300
"""Most columns of a picture; images of a set."""
PREVIEW = (320, 240)
"""Most columns and rows of a picture in the overview."""
INTRODUCTION = """A published model carries its card, `card.json` and `README.md`, and so does every set that
`medgan generate` writes. These are the cards of one run on the embedded phantoms, as they are: they
say nothing about patients."""


@dataclass(frozen=True)
class Card:
    """A page with its picture."""

    name: str
    text: str
    picture: bytes
    alt: str

    @property
    def title(self) -> str:
        """The heading of the page."""
        return self.text.partition("\n")[0].removeprefix("# ")

    @property
    def preview(self) -> str:
        """Path of the upper part of the picture, for the overview."""
        return f"images/{self.name}-preview.webp"

    @property
    def image(self) -> str:
        """Path of the picture from the page."""
        return f"images/{self.name}.webp"

    def files(self, about: str) -> dict[str, bytes]:
        """The page, with how it was made and its picture below the title, and the picture."""
        head, _, rest = self.text.partition("\n\n")
        page = "\n\n".join([head, about, f"![{self.alt}]({self.image})", rest])
        return {
            f"{self.name}.md": page.encode(),
            self.image: small(self.picture, WIDTH),
            self.preview: small(self.picture, *PREVIEW),
        }


def pages(project: Project, dataset: str, about: str) -> dict[str, bytes]:
    """Write all cards; return the files of docs/cards by name."""
    of_models = list(model_cards(project, dataset))
    of_sets = list(set_cards(project, dataset))
    files = {
        name: content
        for card in (*of_models, *of_sets)
        for name, content in card.files(about).items()
    }
    parts = [
        "# Model cards and data cards",
        INTRODUCTION,
        about,
        "## Models",
        _overview(of_models),
        "## Sets of synthetic images",
        f"{COUNT} images each. A generator that is not released writes a set only with "
        "`--unreleased`, and the card says so first.",
        _overview(of_sets),
    ]
    return files | {"README.md": ("\n\n".join(parts) + "\n").encode()}


def model_cards(project: Project, dataset: str) -> Iterator[Card]:
    """Yield the cards of the detectors and generators, then those of the classifier arms."""
    for name in project.trained(dataset, (*models.by_default(), *BY_DEFAULT)):
        text = page_of(project.published(dataset, name))
        yield Card(name, text, *_picture(project, dataset, name))


def _picture(project: Project, dataset: str, name: str) -> tuple[bytes, str]:
    """What shows best what a model does, with a text."""
    shown = models.display_name(name)
    if name in models.detectors():
        found = project.read(dataset, f"{name}.illustrations")
        return found.heatmaps, f"Heat maps of {shown}: its most confident decisions on test images"
    if name in models.synthesizers():
        found = project.read(dataset, f"{name}.synthetic")
        return found.samples, f"Synthetic images of {shown}, not selected"
    found = project.read(dataset, f"{name}.classification")
    return found.confusion, f"Confusion matrix of the classifier {shown} on the test images"


def set_cards(project: Project, dataset: str) -> Iterator[Card]:
    """Draw a set of each generator, and yield its card."""
    for name in project.trained(dataset, models.synthesizers()):
        using = judged_generator(project, project.environment(dataset), name)
        with tempfile.TemporaryDirectory() as folder:
            _, card = generate_set(using, Request(COUNT), Path(folder), unreleased=True)
        found = project.read(dataset, f"{name}.synthetic")
        alt = f"Synthetic images of {models.display_name(name)}, not selected"
        yield Card(f"set-{name}", page_of_set(card), found.samples, alt)


def _overview(cards: list[Card]) -> str:
    rows = [[f"[{card.title}]({card.name}.md)", f"![{card.alt}]({card.preview})"] for card in cards]
    return Table(("Card", "Picture"), rows).markdown()
