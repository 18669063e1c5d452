"""Splits by patient into train, val and test, and the training images that a model may use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import NORMAL, TrainingSet
from medgan.errors import NotEnoughData, UserError
from medgan.files.digest import digest
from medgan.images.config import AUTO, FOLDS, REPEATS, PreprocessingConfig, check_fractions
from medgan.images.duplicates import linked_groups
from medgan.images.labels import SEVERAL, class_labels, shows
from medgan.images.store import ImageStore
from medgan.sources.raw import Floats, Ints
from medgan.sources.rows import PARTS

Pairs = pd.DataFrame | None
"""Near-duplicates (`image_id_a`, `image_id_b`), which stay together in a split."""
SMALL_COHORT = 300
"""Patients; a smaller cohort has too few for one test part, so folds test every image in turn."""
CARVED_VALIDATION = {"train": 0.875, "val": 0.125}
"""Shares of an official train part that a missing val part is taken from."""
LEARNED_FROM = ("row", "split", "role", "category", "findings")
"""Columns of the splits that determine what a model learns from."""


@dataclass(frozen=True)
class TrainingRows:
    """Rows of the image store that a model trains on."""

    rows: Ints
    labels: NDArray[Any] | None = None
    """`labels.class_labels` of `rows`, for `TrainingSet.LABELLED`."""
    unlabelled_rows: Ints | None = None  # the mix, for `TrainingSet.MIX`


def leak_groups(manifest: pd.DataFrame, pairs: Pairs = None) -> Ints:
    """Group images (n,) linked by patient, volume, pixels or near-duplication (`pairs`)."""
    links = []
    for column in ("group_id", "volume", "pixel_hash"):
        if column in manifest:
            known = np.flatnonzero(manifest[column].notna())
            values = manifest[column].iloc[known].to_numpy(dtype=str)
            _, first, which = np.unique(values, return_index=True, return_inverse=True)
            links.append(np.stack([known, known[first[which]]]))
    if pairs is not None:
        places = pd.Index(manifest["image_id"])
        ends = np.stack([places.get_indexer(pairs[f"image_id_{end}"]) for end in "ab"])
        links.append(ends[:, (ends >= 0).all(axis=0)])
    first, second = np.concatenate(links, axis=1)
    return linked_groups(first, second, len(manifest))


def split_by_patient(
    manifest: pd.DataFrame, fractions: Mapping[str, float], seed: int, pairs: Pairs = None
) -> pd.DataFrame:
    """Split whole leak groups into train, val and test, near `fractions` of every category."""
    check_fractions(fractions)
    return _table(manifest, _deal(manifest, fractions, seed, pairs))


def split_official(manifest: pd.DataFrame, seed: int = 0, pairs: Pairs = None) -> pd.DataFrame:
    """Keep the official split; take a missing val part from train, an eighth, by leak group."""
    split = manifest["split"].astype(object).where(manifest["split"].notna(), "")
    outside = manifest[~split.isin(PARTS)]
    if len(outside):
        raise UserError(
            f"{len(outside)} images belong to no official train, val or test part (for example "
            f"{outside['image_id'].iloc[0]}); set preprocessing.split to by_patient, "
            "or give the source a `split` field"
        )
    for part in ("train", "test"):
        if not (split == part).any():
            remedy = "set preprocessing.split to by_patient"
            raise UserError(f"the official split has no {part} part; {remedy}")
    parts = split.to_numpy(dtype=object).copy()
    if not (split == "val").any():
        training = np.flatnonzero(parts == "train")
        parts[training] = _deal(manifest.iloc[training], CARVED_VALIDATION, seed, pairs)
    return _table(manifest, parts)


def split_folds(manifest: pd.DataFrame, fold: int, seed: int, pairs: Pairs = None) -> pd.DataFrame:
    """Make one of 25 splits of a small cohort: stratified k-fold by leak group, repeated.

    The test part is fold `fold % FOLDS` of repeat `fold // FOLDS`, the val part a fold of the same
    size of the remaining images. The folds of a repeat test every image once.
    """
    repeat, number = divmod(fold, FOLDS)
    groups = leak_groups(manifest, pairs)
    categories = manifest["category"].to_numpy()
    _count_groups(groups, manifest, FOLDS)
    parts = np.full(len(manifest), "train", dtype=object)
    rest, test = _fold(categories, groups, number, FOLDS, [seed, repeat])
    _, val = _fold(categories[rest], groups[rest], 0, FOLDS - 1, [seed, repeat, number])
    parts[test], parts[rest[val]] = "test", "val"
    return _table(manifest, parts).assign(fold=f"{fold} of {FOLDS * REPEATS}")


Splitter = Callable[[pd.DataFrame, PreprocessingConfig, int, Pairs], pd.DataFrame]
SPLITTERS: dict[str, Splitter] = {
    "by_patient": lambda manifest, config, seed, pairs: split_by_patient(
        manifest, config.fractions, seed, pairs
    ),
    "official": lambda manifest, _, seed, pairs: split_official(manifest, seed, pairs),
    "repeated_k_fold": lambda manifest, config, seed, pairs: split_folds(
        manifest, config.fold, seed, pairs
    ),
}
"""`preprocessing.split` -> splitter."""


def chosen_split(manifest: pd.DataFrame, wanted: str) -> str:
    """Return the key of SPLITTERS for `preprocessing.split`; `auto` depends on SMALL_COHORT."""
    if wanted != AUTO:
        return wanted
    return "repeated_k_fold" if manifest["group_id"].nunique() < SMALL_COHORT else "by_patient"


def require_normals(splits: pd.DataFrame) -> None:
    """Raise `UserError` for a split that nothing can be trained, validated or tested on.

    Anomalies may be missing everywhere.
    """
    normal = splits["label"] == 0
    needs = {"train": "every detector learns from them", "val": "thresholds are taken from them"}
    for part, why in needs.items():
        if not (normal & (splits["split"] == part)).any():
            raise UserError(
                f"the {part} part of the split has no normal image, and {why}; choose another "
                "preprocessing.split, or larger preprocessing.fractions"
            )
    if not (splits["split"] == "test").any():
        raise UserError(
            "the test part of the split has no image; choose another preprocessing.split, or "
            "larger preprocessing.fractions"
        )


def _table(manifest: pd.DataFrame, parts: NDArray[np.object_]) -> pd.DataFrame:
    """Make the table of splits without roles; `row` is the place in manifest and image store."""
    official = manifest["split"].astype(object)
    splits = manifest.assign(
        official_split=official.where(official.notna(), None), split=parts, role=None
    )
    return splits.reset_index(drop=True).assign(row=np.arange(len(splits), dtype=np.int64))


def _deal(
    manifest: pd.DataFrame, fractions: Mapping[str, float], seed: int, pairs: Pairs
) -> NDArray[np.object_]:
    """Deal leak groups, large ones first, each to the part that lacks most of its categories."""
    groups = leak_groups(manifest, pairs)
    counts = _count_groups(groups, manifest, len(fractions))
    targets = np.array(list(fractions.values()))[:, None] * counts.sum(axis=0)
    filled = np.zeros_like(targets)
    owner = np.zeros(len(counts), dtype=np.int64)
    shuffled = np.random.default_rng(seed).permutation(len(counts))
    for group in shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]:
        owner[group] = np.argmax(((targets - filled) / targets) @ counts[group])
        filled[owner[group]] += counts[group]
    return np.asarray(list(fractions), dtype=object)[owner][groups]


def require_patients(images: pd.DataFrame) -> None:
    """Raise `UserError` where all images are of one patient, as some anonymizers write it."""
    if len(images) > 1 and images["group_id"].nunique() == 1:
        raise UserError(
            f"all {len(images)} images are of one patient, so they cannot be split; if an "
            "anonymizer wrote the same PatientID into all files, set the field group_id of the "
            "source to what tells the patients apart (docs/formats.md)"
        )


def _count_groups(groups: Ints, manifest: pd.DataFrame, parts: int) -> Floats:
    """Count images (groups, categories). Raises `UserError` for a category of too few groups."""
    require_patients(manifest)
    counts = pd.crosstab(groups, manifest["category"])
    for category, available in (counts > 0).sum().items():
        if available < parts and category != SEVERAL:
            raise UserError(
                f"category `{category}` has images of {available} patient(s) only, too few for "
                f"{parts} parts of a split; add patients, merge it with another category in "
                "ingestion.labels, leave it out, or set the field group_id of the source if the "
                "patients are not the real ones"
            )
    return counts.to_numpy().astype(np.float64)


def _fold(
    categories: NDArray[Any], groups: Ints, number: int, folds: int, seed: Sequence[int]
) -> tuple[Ints, Ints]:
    """Return the other images, and the images of fold `number`."""
    from sklearn.model_selection import StratifiedGroupKFold

    state = int(np.random.SeedSequence(seed).generate_state(1)[0])
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=state)
    others, chosen = list(splitter.split(categories, categories, groups))[number]
    return others, chosen


def with_share(
    splits: pd.DataFrame, share: float, seed: int = 0, pairs: Pairs = None
) -> pd.DataFrame:
    """Keep a share of the training split, and all of validation and test.

    Leak groups are taken in an order that the seed decides, of each category until the share of it
    is reached, so a smaller share is part of a larger one, and no category is lost.
    """
    groups, training = leak_groups(splits, pairs), (splits["split"] == "train").to_numpy()
    place = np.random.default_rng([seed, 5]).permutation(groups.max(initial=-1) + 1)[groups]
    kept = ~training
    for name in splits.loc[training, "category"].unique():
        own = training & (splits["category"] == name).to_numpy()
        order, counts = np.unique(place[own], return_counts=True)
        before = np.cumsum(counts) - counts
        kept |= training & np.isin(place, order[before < share * own.sum()])
    return splits[kept].reset_index(drop=True)


def assign_roles(
    splits: pd.DataFrame, contamination: float = 0.5, seed: int = 0, pairs: Pairs = None
) -> pd.DataFrame:
    """Set `role` of the training images: `mix` (unlabelled), or `normal` outside the mix.

    Half of the training normals, by leak group, go into the mix, with training anomalies up to the
    share `contamination` of it. No patient is on both sides. Other images have no role.
    """
    rng = np.random.default_rng([seed, 1])
    groups = leak_groups(splits, pairs)
    train, anomalous = (splits["split"] == "train").to_numpy(), (splits["label"] == 1).to_numpy()
    normals = train & ~anomalous
    mixed_normals = normals & np.isin(groups, _take(groups[normals], normals.sum() / 2, rng))
    outside = normals & ~mixed_normals
    eligible = train & anomalous & ~np.isin(groups, groups[outside])
    wanted = mixed_normals.sum() * contamination / (1.0 - contamination)
    mixed_anomalies = eligible & np.isin(groups, _take(groups[eligible], wanted, rng))
    roles = np.full(len(splits), None, dtype=object)
    roles[outside] = "normal"
    roles[mixed_normals | mixed_anomalies] = "mix"
    return splits.assign(role=roles)


def _take(groups: Ints, wanted: float, rng: np.random.Generator) -> list[int]:
    """Choose random groups that hold at most `wanted` of the items."""
    names, sizes = np.unique(groups, return_counts=True)
    chosen, taken = [], 0
    for index in rng.permutation(len(names)):
        if taken + sizes[index] <= wanted:
            chosen.append(int(names[index]))
            taken += int(sizes[index])
    return chosen


def training_rows(
    splits: pd.DataFrame, training_set: TrainingSet, classes: Sequence[str] = (NORMAL,)
) -> TrainingRows:
    """Return what a model may use of the training split.

    Raises:
        NotEnoughData: anomalous images are missing that this kind of training needs.
        UserError: there is no normal image.
    """
    train = splits[splits["split"] == "train"]
    if training_set is TrainingSet.NORMAL:
        return TrainingRows(_rows(train, train["label"] == 0, f"image of the category `{NORMAL}`"))
    if training_set is TrainingSet.MIX:
        return _mix_rows(train)
    if len(classes) < 2:
        raise NotEnoughData("it learns from labels, and all images are normal")
    for name in classes:
        if not shows(train, name).any():
            raise NotEnoughData(f"it learns every category, and no training image is `{name}`")
    every = np.ones(len(train), dtype=bool)
    return TrainingRows(_rows(train, every, "image"), labels=class_labels(train, classes))


def _mix_rows(train: pd.DataFrame) -> TrainingRows:
    mixed = train["role"] == "mix"
    # With `contamination: 0` the mix is of normal images alone, although there are anomalous ones.
    if not (train["label"] == 1).any():
        raise NotEnoughData("it learns from an unlabelled mix, and no anomalous image is in it")
    outside, mix = train[train["role"] == "normal"], train[mixed]
    if outside.empty or not (mix["label"] == 0).any():
        raise NotEnoughData("it learns from normal images in and outside the mix, and has too few")
    rows = (part["row"].to_numpy(dtype=np.int64) for part in (outside, mix))
    return TrainingRows(next(rows), unlabelled_rows=next(rows))


def _rows(train: pd.DataFrame, chosen: Any, what: str) -> Ints:
    rows: Ints = train.loc[chosen, "row"].to_numpy(dtype=np.int64)
    if not len(rows):
        raise UserError(
            f"the training split has no {what}; "
            "check preprocessing.fractions and preprocessing.contamination"
        )
    return rows


def training_digest(splits: pd.DataFrame) -> str:
    """Name the images of the training split."""
    return digest(sorted(splits.loc[splits["split"] == "train", "image_id"].astype(str)))


def data_hash(images: ImageStore, splits: pd.DataFrame, *others: Any) -> str:
    """Name what a job learns from."""
    learned = splits.reindex(columns=LEARNED_FROM).astype(str).to_numpy().tolist()
    return digest([images.key, learned, *others])
