"""The embedded data set: procedural chest radiographs of a few hundred patients, drawn on demand.

Anatomy, exposure and opacity come from separate random streams. So site, exposure, sex and age are
independent of the label, and with `effect` 0 anomalous images are drawn exactly like normal ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from medgan.contracts import NORMAL
from medgan.errors import UserError
from medgan.sources import phantom_rendering as draw
from medgan.sources.raw import Bools, Ints, Picture, Pixels

EFFECT = 1.0
"""Density of the opacities, the difficulty of the data set. Set once, before any detector was
tuned, by a 1-nearest-neighbour detector on standardised 32 px images: AUROC .86 (focal .91, diffuse
.81) with the default seed, .89 and .80 with others, .50 at effect 0.
tests/integration/test_phantom_effect.py holds it there."""
OPACITIES = {"bacterial": (draw.focal, 0.42), "viral": (draw.diffuse, 0.27)}
"""Category -> how its opacity is drawn, and its density at effect 1."""
SHARES = {NORMAL: 0.56, "bacterial": 0.22, "viral": 0.22}  # shares of the patients by category
SITES = ("north", "south", "west")
SITE_SHARES = (0.45, 0.35, 0.20)
SITE_EXPOSURES: dict[str, dict[str, float]] = {
    "north": {"gain": 1.0, "gamma": 1.0, "noise": 0.012, "bone": 1.0},
    "south": {"gain": 1.12, "gamma": 0.85, "noise": 0.018, "bone": 0.8},
    "west": {"gain": 0.90, "gamma": 1.15, "noise": 0.024, "bone": 1.2},
}
"""What the exposures of a site have in common."""
ANATOMY, CATEGORY, EXPOSURE, OPACITY, NOISE, COUNTS = range(6)  # streams of randomness


@dataclass(frozen=True)
class Patient:
    """One patient; all images of a patient have one category."""

    number: int
    sex: str
    age: int
    site: str
    anatomy: draw.Anatomy


@dataclass(frozen=True)
class Phantom:
    """One image, uint8 (size, size), with the mask of its opacity, empty for normal images."""

    image: Pixels
    mask: Bools
    category: str
    patient: Patient


@dataclass(frozen=True)
class PhantomSource:
    """Settings of the phantoms."""

    path: str | None = None
    """Must be empty: a given path is refused, so that nobody takes phantoms for their own data."""
    images: int = 800
    patients: int = 300
    size: int = 64
    seed: int = 2024
    effect: float = EFFECT

    def open(self) -> PhantomImages:
        """Open the source. Raises `UserError` for settings that cannot be drawn."""
        if self.path:
            raise UserError(
                f"the embedded phantoms read no files, so source={self.path} is not used; "
                "choose a data set with --env, or drop it"
            )
        enough = self.images >= self.patients >= 12 and self.size >= 32
        if not enough or min(self.effect, self.seed) < 0:
            raise UserError(
                "phantoms need at least 12 patients, an image each, 32 px, and a seed and effect "
                "that are not negative; correct `source`"
            )
        return PhantomImages(self)


class PhantomImages:
    """An `ImageSource` that draws each image once."""

    name = "phantoms"

    def __init__(self, config: PhantomSource) -> None:
        self.config = config
        self._drawn: dict[str, Phantom] = {}

    def rows(self) -> pd.DataFrame:
        """See `phantom_table`."""
        return phantom_table(self.config)

    def read(self, path: str) -> Picture:
        """Draw an image: (size, size, 1)."""
        return Picture(self._phantom(path).image[:, :, None])

    def fingerprint(self, path: str) -> str:
        """Name the settings and the image."""
        return f"{self.config!r}/{path}"

    def mask(self, path: str) -> Bools:
        """Return where the opacity of an image lies: (size, size)."""
        return self._phantom(path).mask

    def _phantom(self, path: str) -> Phantom:
        if path not in self._drawn:
            self._drawn[path] = phantom(int(path), self.config)
        return self._drawn[path]


def phantom_table(config: PhantomSource) -> pd.DataFrame:
    """List the phantoms: image_id, path (index), category_raw, group_id, sex, age, site, view."""
    owners, categories = _layout(config)
    people = [patient(int(owner), config) for owner in owners]
    return pd.DataFrame(
        {
            "image_id": [f"phantom-{index:05d}" for index in range(config.images)],
            "path": [str(index) for index in range(config.images)],
            "category_raw": [categories[person.number] for person in people],
            "group_id": [f"patient-{person.number:04d}" for person in people],
            **{name: [getattr(one, name) for one in people] for name in ("sex", "age", "site")},
            "view": "PA",
        }
    )


def phantom(index: int, config: PhantomSource) -> Phantom:
    """Draw an image: a pure function of the settings and the index."""
    owners, categories = _layout(config)
    person = patient(int(owners[index]), config)
    category = categories[person.number]
    exposure = _exposure(person.site, _rng(config, EXPOSURE, index))
    x, y = draw.place(*draw.grid(config.size * draw.OVERSAMPLING), exposure)
    density, left, right = draw.thorax(x, y, person.anatomy, exposure)
    mask = np.zeros(x.shape, dtype=bool)
    if category in OPACITIES:
        shape, strength = OPACITIES[category]
        opacity, mask = shape(_rng(config, OPACITY, index), x, y, left, right)
        density = density + np.float32(config.effect * strength) * opacity
    image = draw.expose(density, exposure, _rng(config, NOISE, index))
    return Phantom(image, draw.shrink(mask) >= 0.5, category, person)


@lru_cache(maxsize=4096)
def patient(number: int, config: PhantomSource) -> Patient:
    """Draw a patient: a pure function of the seed and the number."""
    rng = _rng(config, ANATOMY, number)
    sex = ("F", "M")[int(rng.random() < 0.5)]
    age = int(np.clip(rng.normal(46, 19), 3, 92))
    site = SITES[int(rng.choice(3, p=SITE_SHARES))]
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
def _layout(config: PhantomSource) -> tuple[Ints, tuple[str, ...]]:
    """Return the patient of every image, and the category of every patient."""
    rng = _rng(config, COUNTS)
    weights = rng.dirichlet(np.full(config.patients, 2.0))
    counts = 1 + rng.multinomial(config.images - config.patients, weights)
    last = [round(share * config.patients) for share in np.cumsum(list(SHARES.values()))]
    categories = _rng(config, CATEGORY).permutation(np.repeat(list(SHARES), np.diff([0, *last])))
    return np.repeat(np.arange(config.patients), counts), tuple(map(str, categories))


def _exposure(site: str, rng: np.random.Generator) -> draw.Exposure:
    typical = SITE_EXPOSURES[site]
    return draw.Exposure(
        gain=typical["gain"] * float(np.exp(rng.normal(0, 0.07))),
        gamma=typical["gamma"] * float(np.exp(rng.normal(0, 0.08))),
        noise=typical["noise"],
        blur=float(rng.uniform(0.006, 0.014)),
        turn=float(rng.normal(0, 0.025)),
        shift=(float(rng.normal(0, 0.025)), float(rng.normal(0, 0.03))),
        zoom=float(np.exp(rng.normal(0, 0.03))),
        breath=float(rng.normal(0, 0.035)),
        marker=SITES.index(site) % 2,
        bone=typical["bone"],
    )


def _rng(config: PhantomSource, stream: int, number: int = 0) -> np.random.Generator:
    return np.random.default_rng([config.seed, stream, number])
