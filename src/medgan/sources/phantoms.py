"""The embedded data set: procedural chest-film phantoms of a few hundred patients, made on the
spot.

What is random comes from separate streams: a patient's body, a film's exposure and the opacity know
nothing of each other.
So site, exposure, sex and age are independent of the label, and with `effect` 0 an anomalous image
is drawn exactly like a normal one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import NORMAL
from medgan.errors import UserError
from medgan.sources import phantom_rendering as draw
from medgan.sources.raw import Picture

EFFECT = 1.0
"""How dense opacities are: the difficulty of the data set. Set once, before any detector was tuned,
by what a 1-nearest-neighbour detector reaches on standardised 32 px images: AUROC .86 (focal .91,
diffuse .81) with the default seed, .89 and .80 with others, .50 at effect 0.
tests/images/test_phantoms.py holds it there."""
OPACITIES = {"bacterial": (draw.focal, 0.42), "viral": (draw.diffuse, 0.27)}
"""Category -> how its opacity is drawn, and its density at effect 1."""
SHARES = {NORMAL: 0.56, "bacterial": 0.22, "viral": 0.22}
"""Categories of the patients."""
SITES = ("north", "south", "west")
BODY, CATEGORY, FILM, OPACITY, NOISE, COUNTS = range(6)
"""Streams of randomness."""


@dataclass(frozen=True)
class Patient:
    """One of the patients; all images of a patient have one category."""

    number: int
    sex: str
    age: int
    site: str
    anatomy: draw.Anatomy


@dataclass(frozen=True)
class Phantom:
    """One image: uint8 (size, size), the mask of its opacity (bool, empty for normal images), and
    whose it is.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    category: str
    patient: Patient


@dataclass(frozen=True)
class PhantomSource:
    """The settings of the phantoms."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    path: str | None = None
    """Phantoms have none; a path given to them is refused, so that nobody takes them for their own
    data.
    """
    images: int = 800
    patients: int = 300
    size: int = 64
    seed: int = 2024
    effect: float = EFFECT

    def open(self) -> PhantomImages:
        """Raises `UserError` for settings that cannot be drawn."""
        if self.path:
            raise UserError(
                f"the embedded phantoms read no files, so source={self.path} is not used; choose a data set with --env, or drop it"
            )
        if not (
            self.images >= self.patients >= 12
            and self.size >= 32
            and self.effect >= 0
            and self.seed >= 0
        ):
            raise UserError(
                "phantoms need at least 12 patients, an image each, 32 px, and a seed and effect that are not negative; mend `source`"
            )
        return PhantomImages(self)


def _rng(config: PhantomSource, stream: int, number: int = 0) -> np.random.Generator:
    return np.random.default_rng([config.seed, stream, number])


def _age(rng: np.random.Generator) -> int:
    return int(np.clip(rng.normal(46, 19), 3, 92))


@lru_cache(maxsize=4096)
def patient(number: int, config: PhantomSource) -> Patient:
    """The body of a patient: a pure function of the seed and the number."""
    rng = _rng(config, BODY, number)
    sex, age, site = (
        ("F", "M")[int(rng.random() < 0.5)],
        _age(rng),
        SITES[int(rng.choice(3, p=(0.45, 0.35, 0.20)))],
    )
    grown = min(age, 18) / 18
    anatomy = draw.Anatomy(
        width=float(np.clip(rng.normal(0.84, 0.04), 0.74, 0.94)) * (0.94 if sex == "F" else 1.0),
        lung_height=float(rng.normal(0.66, 0.03)),
        heart=float(np.clip(rng.normal(0.29, 0.025), 0.22, 0.36)) + 0.02 * (1 - grown),
        diaphragm=float(rng.normal(0.42, 0.04)),
        rib_spacing=float(rng.normal(0.21, 0.012)),
        rib_contrast=float(rng.uniform(0.20, 0.34)),
        fat=float(np.clip(rng.normal(0.10, 0.06), 0, 0.25)),
        breast=float(rng.uniform(0.04, 0.14)) if sex == "F" and age > 14 else 0.0,
        vessels=int(rng.integers(2**31)),
    )
    return Patient(number, sex, age, site, anatomy)


@lru_cache(maxsize=8)
def _layout(config: PhantomSource) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The patient of every image, and the category of every patient."""
    rng = _rng(config, COUNTS)
    weights = rng.dirichlet(np.full(config.patients, 2.0))
    counts = 1 + rng.multinomial(config.images - config.patients, weights)
    last = [round(share * config.patients) for share in np.cumsum(list(SHARES.values()))]
    categories = np.repeat(list(SHARES), np.diff([0, *last]))
    return np.repeat(np.arange(config.patients), counts), tuple(
        map(str, _rng(config, CATEGORY).permutation(categories))
    )


SITE_FILMS: dict[str, dict[str, float]] = {
    "north": {"gain": 1.0, "gamma": 1.0, "noise": 0.012, "bone": 1.0},
    "south": {"gain": 1.12, "gamma": 0.85, "noise": 0.018, "bone": 0.8},
    "west": {"gain": 0.90, "gamma": 1.15, "noise": 0.024, "bone": 1.2},
}
"""What the films of a site have in common."""


def _exposure(site: str, rng: np.random.Generator) -> draw.Exposure:
    film = SITE_FILMS[site]
    return draw.Exposure(
        gain=film["gain"] * float(np.exp(rng.normal(0, 0.07))),
        gamma=film["gamma"] * float(np.exp(rng.normal(0, 0.08))),
        noise=film["noise"],
        blur=float(rng.uniform(0.006, 0.014)),
        turn=float(rng.normal(0, 0.025)),
        shift=(float(rng.normal(0, 0.025)), float(rng.normal(0, 0.03))),
        zoom=float(np.exp(rng.normal(0, 0.03))),
        breath=float(rng.normal(0, 0.035)),
        marker=SITES.index(site) % 2,
        bone=film["bone"],
    )


def phantom(index: int, config: PhantomSource) -> Phantom:
    """The `index`-th image: a pure function of the settings and the index."""
    owners, categories = _layout(config)
    who = patient(int(owners[index]), config)
    category = categories[who.number]
    exposure = _exposure(who.site, _rng(config, FILM, index))
    x, y = draw.place(*draw.grid(config.size * draw.OVERSAMPLING), exposure)
    density, left, right = draw.thorax(x, y, who.anatomy, exposure)
    mask = np.zeros(x.shape, dtype=bool)
    if category in OPACITIES:
        shape, strength = OPACITIES[category]
        opacity, mask = shape(_rng(config, OPACITY, index), x, y, left, right)
        density = density + np.float32(config.effect * strength) * opacity
    image = draw.expose(density, exposure, _rng(config, NOISE, index))
    return Phantom(image, draw.shrink(mask) >= 0.5, category, who)


def phantom_table(config: PhantomSource) -> pd.DataFrame:
    """One row for each phantom: image_id, path (its index), category_raw, group_id, sex, age,
    site.
    """
    owners, categories = _layout(config)
    people = [patient(int(owner), config) for owner in owners]
    return pd.DataFrame(
        {
            "image_id": [f"phantom-{index:05d}" for index in range(config.images)],
            "path": [str(index) for index in range(config.images)],
            "category_raw": [categories[who.number] for who in people],
            "group_id": [f"patient-{who.number:04d}" for who in people],
            **{name: [getattr(who, name) for who in people] for name in ("sex", "age", "site")},
            "view": "PA",
        }
    )


class PhantomImages:
    """An `ImageSource` that draws; each image once."""

    name = "phantoms"

    def __init__(self, config: PhantomSource) -> None:
        self.config = config
        self._drawn: dict[str, Phantom] = {}

    def rows(self) -> pd.DataFrame:
        """See `phantom_table`."""
        return phantom_table(self.config)

    def read(self, path: str) -> Picture:
        """(size, size, 1)."""
        return Picture(self._phantom(path).image[:, :, None])

    def fingerprint(self, path: str) -> str:
        """Names the settings and the image."""
        return f"{self.config!r}/{path}"

    def mask(self, path: str) -> NDArray[np.bool_]:
        """(size, size): where the opacity of an image lies."""
        return self._phantom(path).mask

    def _phantom(self, path: str) -> Phantom:
        if path not in self._drawn:
            self._drawn[path] = phantom(int(path), self.config)
        return self._drawn[path]
