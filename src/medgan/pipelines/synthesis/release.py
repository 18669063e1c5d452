"""Judging whether synthetic images of a generator may be released."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan import models
from medgan.audits.attributes import disclosures
from medgan.audits.gate import Evidence, judge
from medgan.audits.privacy import (
    BY_DISCRIMINATOR,
    BY_DISTANCE,
    LEAST_HELD_OUT,
    Attack,
    CheckedImages,
    Known,
    PrivacyResult,
    alike,
    attack,
    check_copies,
)
from medgan.audits.release import guarantee
from medgan.contracts import Discriminates
from medgan.errors import UserError
from medgan.images.leakage import LeakageAudit
from medgan.images.loading import StoredImages
from medgan.images.splits import training_rows
from medgan.images.store import ImageStore
from medgan.images.transforms import as_tensor, as_uint8, crop_padding
from medgan.metrics.copies import CopySearch, gray
from medgan.models import PublishedModel
from medgan.pipelines.outputs import Release, Synthetic, Trained
from medgan.pipelines.synthesis.quality import AT_ONCE, RealData
from medgan.plots.grids import Pair, side_by_side
from medgan.training.collapse import (
    COVERAGE,
    DIVERSITY,
    RECALL,
    collapse_of,
    mean_distance,
    overlap,
    pooled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

COMPARED = 400
"""Images that mode collapse is looked for in, at most: as many real as synthetic ones."""
SHOWN = 12


@dataclass(frozen=True)
class Origins:
    """The real images of a generator's classes: those that it has learned from, and others."""

    store: ImageStore
    training: pd.DataFrame
    """Rows of the splits."""
    held_out: pd.DataFrame

    @classmethod
    def of(cls, name: str, store: ImageStore, splits: pd.DataFrame) -> Origins:
        """Those of a generator.

        Held out are validation and test images; where the test part is the official one, which
        may come from elsewhere, validation images alone if there are enough.
        """
        chosen = training_rows(splits, models.load(name).TRAINING_SET, store.spec.classes).rows
        training = splits[splits["row"].isin(chosen)]
        others = splits[
            splits["split"].isin(["val", "test"]) & splits["category"].isin(training["category"])
        ]
        test, validation = (others[others["split"] == part] for part in ("test", "val"))
        official = len(test) > 0 and bool((test["official_split"] == "test").all())
        enough = len(validation) >= LEAST_HELD_OUT
        return cls(store, training, validation if official and enough else others)

    def pixels(self, table: pd.DataFrame) -> Tensor:
        """Images (n, C, H, W) in [-1, 1] as networks see them, with their padding."""
        return StoredImages(self.store)(table["row"].to_numpy(dtype=np.int64))

    def cropped(self, table: pd.DataFrame) -> Tensor:
        """The same without their padding."""
        return crop_padding(self.pixels(table), self.store.info.height, self.store.info.width)

    def known(self, table: pd.DataFrame) -> Known:
        """Gray images for comparisons, without padding."""
        return Known(gray_images(self.store.folder, self.store.key)[table["row"].to_numpy()], table)

    @property
    def n_patients(self) -> int | None:
        """Patients that are held out; None where one is unknown."""
        known = self.held_out["group_known"].all()
        return int(self.held_out["group_id"].nunique()) if known else None


@lru_cache(maxsize=1)
def gray_images(folder: Path, key: str) -> NDArray[np.uint8]:
    """Read all images of a store with this key as gray ones (n, h, w), of 4 KB at most, without
    padding: once for all generators of a run.
    """
    store = ImageStore.open(folder)
    size, read = (store.info.height, store.info.width), StoredImages(store)
    parts = np.array_split(np.arange(len(store)), range(AT_ONCE, len(store), AT_ONCE))
    return np.concatenate([gray(crop_padding(read(rows), *size)) for rows in parts])


def judge_release(
    trained: Trained, synthetic: Synthetic, leakage: LeakageAudit, data: RealData
) -> Release:
    """Judge the images of one generator: copies, membership, attributes, quality, data.

    A refusal is a result and no error: what hands images out refuses.
    """
    published = trained.model
    origins = Origins.of(published.name, data.images, data.splits)
    drawn = as_tensor(np.asarray(synthetic.synthetic["images"]))
    checked, privacy = assess_privacy(drawn, origins, published, data.seed)
    collapse = find_collapse(drawn, np.asarray(synthetic.synthetic["labels"]), origins)
    verdict = judge(
        Evidence(
            generator=published.name,
            key=published.key,
            scale=str(published.card.get("scale", "")),
            collapse=collapse,
            n_images=len(drawn),
            quality=synthetic.quality,
            privacy=privacy,
            leakage=leakage,
            n_held_out=len(origins.held_out),
            n_patients=origins.n_patients,
            differential_privacy=guarantee(published.card),
        ),
        data.config.release,
    )
    return Release(
        verdict,
        privacy,
        closest_pairs(drawn, checked, origins),
        None if checked is None else _table(checked, origins),
        None if checked is None else checked.check.arrays(),
    )


def assess_privacy(
    drawn: Tensor, origins: Origins, published: PublishedModel | None, seed: int
) -> tuple[CheckedImages | None, PrivacyResult]:
    """Search copies among synthetic images (n, C, H, W) in [-1, 1] without padding, and run the
    attacks, that by the discriminator only where their generator is given.
    """
    synthetic, checked, reason = gray(drawn), None, ""
    training, held_out = (origins.known(one) for one in (origins.training, origins.held_out))
    try:
        checked = check_copies(synthetic, training, held_out, seed)
    except UserError as error:
        reason = str(error)
    return checked, PrivacyResult(
        checked.result if checked else None,
        reason,
        _membership(synthetic, training, held_out, origins, published, seed),
        disclosures(synthetic, training, held_out, seed),
    )


def _membership(
    synthetic: Any,
    training: Known,
    held_out: Known,
    origins: Origins,
    published: PublishedModel | None,
    seed: int,
) -> dict[str, Attack]:
    """Attack through distances (Chen 2020, GAN-Leaks), and through the discriminator (Hayes 2019,
    LOGAN).
    """
    inside, outside = alike(training, held_out, seed)
    members, others = training.at(inside), held_out.at(outside)
    patients = np.concatenate([members.patients, others.patients])
    near = CopySearch(synthetic)
    similar = [near.nearest(known.images).similarity for known in (members, others)]
    about = f"similarity to the nearest of {len(synthetic):,} synthetic images"
    found = {BY_DISTANCE: attack(similar[0], similar[1], patients, seed, about)}
    model: Any = published.build() if published else None
    if isinstance(model, Discriminates):
        logits = [_realness(model, origins, known.table) for known in (members, others)]
        about = "output of the discriminator"
        found[BY_DISCRIMINATOR] = attack(logits[0], logits[1], patients, seed, about)
    return found


def _realness(model: Discriminates, origins: Origins, table: pd.DataFrame) -> Any:
    places = range(0, len(table), AT_ONCE)
    parts = (table.iloc[start : start + AT_ONCE] for start in places)
    found = [model.realness(origins.pixels(part)).numpy() for part in parts]
    return np.concatenate([*found, np.zeros(0)]).astype(np.float64)


def find_collapse(drawn: Tensor, labels: Any, origins: Origins) -> str | None:
    """Say how synthetic images show mode collapse beside as many held-out ones; None if they do
    not.
    """
    import torch

    table = origins.held_out.sample(min(COMPARED, len(origins.held_out)), random_state=0)
    real = origins.cropped(table)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(drawn))[: len(real)])
    samples, names = drawn[order], torch.from_numpy(np.asarray(labels))[order]
    categories = torch.from_numpy(pd.factorize(table["category"])[0])
    spread = mean_distance(real, categories)
    ratio = mean_distance(samples, names) / spread if spread else 1.0
    found = overlap(pooled(real), pooled(samples))
    return collapse_of(
        {DIVERSITY: ratio, **{key: found[key] for key in (RECALL, COVERAGE) if found}}
    )


def _table(checked: CheckedImages, origins: Origins) -> pd.DataFrame:
    """Each synthetic image with its nearest training image."""
    matches = checked.matches
    return pd.DataFrame(
        {
            "image": np.arange(len(matches.similarity)),
            "similarity": matches.similarity,
            "distance_ratio": checked.ratio,
            "nearest": origins.training["image_id"].to_numpy()[matches.place],
            "mirrored": matches.mirrored,
            "flagged": checked.flags,
        }
    )


def closest_pairs(drawn: Tensor, checked: CheckedImages | None, origins: Origins) -> Figure:
    """Draw the synthetic images that are nearest to a training image, beside it."""
    nothing = "No nearest training images are shown: copies were not searched."
    if checked is None:
        return side_by_side([], nothing=nothing)
    order, matches = np.argsort(-checked.matches.similarity)[:SHOWN], checked.matches
    nearest = origins.cropped(origins.training.iloc[matches.place[order]])
    pairs = [
        Pair(
            left,
            right[:, ::-1] if matches.mirrored[place] else right,
            f"similarity {matches.similarity[place]:.2f}"
            + (", suspected copy" if checked.flags[place] else ""),
            f"synthetic, no. {place}\ndistance ratio {checked.ratio[place]:.2f}",
            "nearest training image" + (",\nmirrored" if matches.mirrored[place] else ""),
        )
        for place, left, right in zip(order, as_uint8(drawn[order]), as_uint8(nearest), strict=True)
    ]
    limit = checked.check.limit
    return side_by_side(pairs, f"Closest pairs; flagged from a similarity of {limit:.2f}", nothing)
