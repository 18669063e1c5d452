"""Draw sets of synthetic images from a published generator, without suspected copies.

`medgan generate` and the app draw here. What may be handed out is decided by the release gate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from medgan import models
from medgan.audits.release import CopyCheck, ReleaseVerdict
from medgan.errors import UserError, unknown
from medgan.evaluation.results import SynthesisResult
from medgan.images.transforms import as_tensor
from medgan.models import PublishedModel
from medgan.pipelines.drawing import Drawing, Pixels, Truncation
from medgan.pipelines.outputs import Release, Synthetic
from medgan.project.artifacts import Project
from medgan.project.environment import Environment
from medgan.ranges import Count, Range, Seed, require_ranges

SPARE = 100
"""Flagged images of a class, beyond as many as were asked for, after which drawing ends."""


@dataclass(frozen=True)
class Request:
    """Images to draw.

    Raises:
        UserError: a value is outside its range.
    """

    count: Count = 1000
    classes: Mapping[str, float] = field(default_factory=dict)
    """Class -> weight: a number of images, a share or any other; without classes, all that the
    generator draws, equally.
    """
    seed: Seed = 0
    truncation: Truncation | None = None
    """See `Drawing`."""
    batch_size: Annotated[int, Range(1, 100_000)] = 256
    """Images that are in memory at once. The images do not depend on it."""

    def __post_init__(self) -> None:
        require_ranges("generate", self)
        weights = self.classes.values()
        if not all(0 <= weight < math.inf for weight in weights) or (weights and not sum(weights)):
            raise UserError(
                "The weights of the classes are counts or shares such as normal:300,bacterial:700: "
                "give numbers from 0 on, not all of them 0."
            )

    def wanted(self, published: PublishedModel) -> dict[str, int]:
        """Divide the count among the classes, by largest remainders; a class of no image is left
        out.

        Raises:
            UserError: the generator does not draw a class.
        """
        weights = self.classes or dict.fromkeys(published.drawable, 1.0)
        for name in weights:
            if name not in published.drawable:
                raise unknown(f"class that {published.name} draws", name, published.drawable)
        exact = {name: self.count * w / sum(weights.values()) for name, w in weights.items()}
        numbers = {name: int(value) for name, value in exact.items()}
        by_remainder = sorted(exact, key=lambda name: numbers[name] - exact[name])
        for name in by_remainder[: self.count - sum(numbers.values())]:
            numbers[name] += 1
        return {name: number for name, number in numbers.items() if number}


@dataclass(frozen=True)
class JudgedGenerator:
    """A published generator with what the pipeline `synthesis` says of this version of it."""

    dataset: str
    version: str
    """Name of its folder, a time."""
    published: PublishedModel
    command: str
    """Judges it."""
    license: str
    """Of the data that it learned from."""
    verdict: ReleaseVerdict | None = None
    """None where it was not judged."""
    check: CopyCheck | None = None
    quality: SynthesisResult | None = None

    @property
    def refusal(self) -> str:
        """Why its images are not handed out, as a clause; empty where they are."""
        if self.verdict is None:
            return f"this version of it was not judged (`{self.command}` judges it)"
        failed = self.verdict.first_failed
        if self.verdict.released:
            return ""
        return f"rule {failed.rule}: {failed.sentence.rstrip('.')}" if failed else "it was refused"


def judged_generator(project: Project, environment: Environment, name: str) -> JudgedGenerator:
    """Load the newest version of a generator, its verdict and the quality of its images.

    Raises:
        UserError: the generator is unknown, not trained or damaged.
    """
    if name not in models.synthesizers():
        raise models.not_among(models.synthesizers(), "generator", name)
    dataset = environment.dataset()
    published = project.published(dataset, name)
    found = JudgedGenerator(
        dataset,
        project.version(dataset, name),
        published,
        environment.command("synthesis"),
        environment.license(),
    )
    release: Release | None = project.read(dataset, f"{name}.release")
    if release is None or release.verdict.generator_key != published.key:
        return found
    synthetic: Synthetic | None = project.read(dataset, f"{name}.synthetic")
    return replace(
        found,
        verdict=release.verdict,
        check=None if release.check is None else CopyCheck.of(release.check),
        quality=synthetic.quality if synthetic else None,
    )


@dataclass(frozen=True)
class Drawn:
    """Images of one class, as they were drawn."""

    label: str
    first: int
    """Index of the first of them in the sequence of the class."""
    pixels: Pixels
    """(n, H, W, C)."""
    flagged: NDArray[np.bool_] | None
    """(n,): suspected copies, which no set holds; None where nothing was checked."""

    @property
    def n_flagged(self) -> int:
        """How many are not in the set."""
        return 0 if self.flagged is None else int(self.flagged.sum())

    def kept(self) -> Iterator[tuple[int, Pixels]]:
        """Yield index and image (H, W, C) of those that a set holds."""
        for place, image in enumerate(self.pixels):
            if self.flagged is None or not self.flagged[place]:
                yield self.first + place, image


def draw(using: JudgedGenerator, request: Request) -> Iterator[Drawn]:
    """Draw images class by class until as many as wanted are not flagged.

    Which images these are follows from the generator, the seed and the truncation; a larger count
    adds images, and other classes or batch sizes change none.

    Raises:
        UserError: a class cannot be drawn, or too many of its images are flagged.
    """
    wanted = request.wanted(using.published)
    drawing = Drawing(using.published, request.seed, request.truncation)
    for label, number in wanted.items():
        images, kept, first = drawing.images(label), 0, 0
        while kept < number:
            pixels = np.stack(list(islice(images, min(request.batch_size, number - kept))))
            flagged = using.check.flags(as_tensor(pixels)) if using.check else None
            drawn = Drawn(label, first, pixels, flagged)
            kept, first = kept + len(pixels) - drawn.n_flagged, first + len(pixels)
            if first - kept > number + SPARE:
                raise UserError(
                    f"{first - kept:,} of {first:,} images of class {label} are suspected copies "
                    "of training images: nothing was written; train the generator on more images."
                )
            yield drawn


def between(using: JudgedGenerator, label: str, seeds: tuple[int, int], steps: int) -> list[Pixels]:
    """Draw the way between the first images of two seeds, see `Drawing.between`.

    Suspected copies are left out, so there may be fewer than `steps` images (H, W, C).
    """
    first, second = (Drawing(using.published, seed) for seed in seeds)
    pixels = first.between(label, second, steps)
    flagged = using.check.flags(as_tensor(pixels)) if using.check else None
    return [image for _, image in Drawn(label, 0, pixels, flagged).kept()]
