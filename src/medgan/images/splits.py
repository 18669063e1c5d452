"""Which images train, validate and test: whole patients at a time, and what a model may see of the
training part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medgan.contracts import NORMAL, TrainingSet
from medgan.errors import UserError
from medgan.files.digest import digest
from medgan.images.config import AUTO, FOLDS, PARTS, REPEATS, PreprocessingConfig, check_fractions
from medgan.images.labels import SEVERAL, class_labels, shows
from medgan.images.store import ImageStore

SMALL_COHORT = 300
"""Patients; under it a single test part is too small to say much, and every image is tested in
turn.
"""
CARVED_VALIDATION = {"train": 0.875, "val": 0.125}
"""Shares of an official training part from which a missing validation part is taken."""


def leak_groups(manifest: pd.DataFrame, pairs: pd.DataFrame | None = None) -> NDArray[np.int64]:
    """(n,) the number of each image's connected component of (same patient, same volume, same
    pixels or near-duplicate).

    `pairs` lists near-duplicates (`image_id_a`, `image_id_b`); pairs of which an image is not in
    the manifest are passed over.
    """
    columns = [column for column in ("group_id", "volume", "pixel_hash") if column in manifest]
    links = [_equal(manifest[column]) for column in columns] + (
        [] if pairs is None else [_near(manifest, pairs)]
    )
    ends = np.concatenate(links, axis=1)
    graph = coo_array(
        (np.ones(ends.shape[1], dtype=bool), (ends[0], ends[1])),
        shape=(len(manifest), len(manifest)),
    )
    components: NDArray[np.int64] = pd.factorize(connected_components(graph, directed=False)[1])[
        0
    ].astype(np.int64)
    return components


def _equal(column: pd.Series[Any]) -> NDArray[np.int64]:
    """(2, k) the place of each known value, and the first place where it stands."""
    known = np.flatnonzero(column.notna())
    _, first, which = np.unique(
        column.iloc[known].to_numpy(dtype=str), return_index=True, return_inverse=True
    )
    return np.stack([known, known[first[which]]]).astype(np.int64)


def _near(manifest: pd.DataFrame, pairs: pd.DataFrame) -> NDArray[np.int64]:
    """(2, k) places of the images of each pair."""
    places = pd.Index(manifest["image_id"])
    ends = np.stack(
        [places.get_indexer(pairs[column]) for column in ("image_id_a", "image_id_b")]
    ).astype(np.int64)
    return ends[:, (ends >= 0).all(axis=0)]


def _table(manifest: pd.DataFrame, parts: Sequence[str] | NDArray[Any]) -> pd.DataFrame:
    """The splits table without roles. `row` is the place in the manifest, which is that in the
    image store.
    """
    splits = manifest.reset_index(drop=True).copy()
    splits["official_split"] = splits["split"].astype(object).where(splits["split"].notna(), None)
    splits["split"] = np.asarray(parts, dtype=object)
    splits["role"] = None
    splits["row"] = np.arange(len(splits), dtype=np.int64)
    return splits


def _dealt(
    manifest: pd.DataFrame, fractions: Mapping[str, float], seed: int, pairs: pd.DataFrame | None
) -> NDArray[np.object_]:
    """Deals leak groups out to the parts, large ones first, each to the part that lacks most of its
    categories.
    """
    groups = leak_groups(manifest, pairs)
    counts = _counted(groups, manifest)
    names, shares = list(fractions), np.array(list(fractions.values()))
    targets = shares[:, None] * counts.sum(axis=0)[None]
    _check_groups(counts, sorted(manifest["category"].unique()), len(names))
    filled = np.zeros_like(targets)
    owner = np.zeros(len(counts), dtype=np.int64)
    shuffled = np.random.default_rng(seed).permutation(len(counts))
    for group in shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]:
        lack = ((targets - filled) / targets) @ counts[group]
        owner[group] = int(np.argmax(lack))
        filled[owner[group]] += counts[group]
    return np.asarray(names, dtype=object)[owner][groups]


def _counted(groups: NDArray[np.int64], manifest: pd.DataFrame) -> NDArray[np.float64]:
    """(groups, categories) the images of each category in each group."""
    return pd.crosstab(groups, manifest["category"]).to_numpy().astype(np.float64)


def _check_groups(counts: NDArray[np.float64], categories: Sequence[str], parts: int) -> None:
    for category, available in zip(categories, (counts > 0).sum(axis=0), strict=True):
        if available < parts and category != SEVERAL:
            raise UserError(
                f"category `{category}` has images of {available} patient(s) only, too few for {parts} parts of a split; "
                "add patients, merge it with another category in ingestion.labels, or leave it out"
            )


def split_by_patient(
    manifest: pd.DataFrame,
    fractions: Mapping[str, float],
    seed: int,
    pairs: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Splits whole leak groups into train, val and test, near `fractions` of every category; the
    same seed gives the same split.

    `pairs` are the near-duplicates, which stay together.
    """
    check_fractions(fractions)
    return _table(manifest, _dealt(manifest, fractions, seed, pairs))


def split_official(
    manifest: pd.DataFrame, seed: int = 0, pairs: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Keeps the split that came with the data; a missing val is taken from train, an eighth of it,
    by leak group.
    """
    split = manifest["split"].astype(object).where(manifest["split"].notna(), "")
    strange = manifest[~split.isin(PARTS)]
    if len(strange):
        raise UserError(
            f"{len(strange)} images belong to no official train, val or test part (for example {strange['image_id'].iloc[0]}); "
            "set preprocessing.split to by_patient, or give the source a `split` field"
        )
    for part in ("train", "test"):
        if not (split == part).any():
            raise UserError(
                f"the official split has no {part} part; set preprocessing.split to by_patient"
            )
    parts = split.to_numpy(dtype=object).copy()
    if not (split == "val").any():
        training = np.flatnonzero(parts == "train")
        parts[training] = _dealt(manifest.iloc[training], CARVED_VALIDATION, seed, pairs)
    return _table(manifest, parts)


def split_folds(
    manifest: pd.DataFrame, fold: int, seed: int, pairs: pd.DataFrame | None = None
) -> pd.DataFrame:
    """One of 25 splits of a small cohort: stratified group k-fold, FOLDS folds in each of REPEATS
    repeats, whole leak groups at a time.

    The test part is fold `fold % FOLDS` of repeat `fold // FOLDS`; the validation part is a fold of
    the same size of what remains, so that weights and thresholds are chosen without the test part.
    Over the folds of a repeat every image is tested once.
    """
    repeat, number = divmod(fold, FOLDS)
    groups = leak_groups(manifest, pairs)
    categories = manifest["category"].to_numpy()
    _check_groups(_counted(groups, manifest), sorted(manifest["category"].unique()), FOLDS)
    parts = np.full(len(manifest), "train", dtype=object)
    rest, test = _fold(categories, groups, number, FOLDS, [seed, repeat])
    _, val = _fold(categories[rest], groups[rest], 0, FOLDS - 1, [seed, repeat, number])
    parts[test], parts[rest[val]] = "test", "val"
    return _table(manifest, parts).assign(fold=f"{fold} of {FOLDS * REPEATS}")


def _fold(
    categories: NDArray[Any],
    groups: NDArray[np.int64],
    number: int,
    folds: int,
    seed: Sequence[int],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(the other images, the images of fold `number`)."""
    from sklearn.model_selection import StratifiedGroupKFold

    state = int(np.random.SeedSequence(seed).generate_state(1)[0])
    dealt = StratifiedGroupKFold(folds, shuffle=True, random_state=state).split(
        categories, categories, groups
    )
    others, chosen = list(dealt)[number]
    return others, chosen


def chosen_split(manifest: pd.DataFrame, wanted: str) -> str:
    """The key of SPLITTERS that `preprocessing.split` means: `auto` is k-fold for a cohort under
    SMALL_COHORT patients.
    """
    if wanted != AUTO:
        return wanted
    return "repeated_k_fold" if manifest["group_id"].nunique() < SMALL_COHORT else "by_patient"


def _by_patient(
    manifest: pd.DataFrame,
    config: PreprocessingConfig,
    seed: int,
    pairs: pd.DataFrame | None = None,
) -> pd.DataFrame:
    return split_by_patient(manifest, config.fractions, seed, pairs)


def _official(
    manifest: pd.DataFrame,
    config: PreprocessingConfig,
    seed: int,
    pairs: pd.DataFrame | None = None,
) -> pd.DataFrame:
    return split_official(manifest, seed, pairs)


def _repeated_k_fold(
    manifest: pd.DataFrame,
    config: PreprocessingConfig,
    seed: int,
    pairs: pd.DataFrame | None = None,
) -> pd.DataFrame:
    return split_folds(manifest, config.fold, seed, pairs)


SPLITTERS: dict[
    str, Callable[[pd.DataFrame, PreprocessingConfig, int, pd.DataFrame | None], pd.DataFrame]
] = {
    "by_patient": _by_patient,
    "official": _official,
    "repeated_k_fold": _repeated_k_fold,
}
"""`preprocessing.split` -> splitter."""


def _take(groups: NDArray[np.int64], wanted: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Randomly ordered groups, as many as hold at most `wanted` of the items."""
    names, sizes = np.unique(groups, return_counts=True)
    order = rng.permutation(len(names))
    chosen, taken = [], 0
    for index in order:
        if taken + sizes[index] <= wanted:
            chosen.append(names[index])
            taken += int(sizes[index])
    return np.asarray(chosen, dtype=np.int64)


def assign_roles(
    splits: pd.DataFrame,
    contamination: float = 0.5,
    seed: int = 0,
    pairs: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Sets `role` of the training images: the unlabelled mix, and the normals outside it.

    Half of the training normals, by leak group, go into the mix, with training anomalies up to the
    share `contamination` of the mix. No patient stands on both sides. Anomalies outside the mix,
    and all other parts, have no role.
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


@dataclass(frozen=True)
class TrainingRows:
    """Rows of the image store that a model trains on."""

    rows: NDArray[np.int64]
    labels: NDArray[Any] | None = None
    """Of `rows`, as `findings.class_labels` gives them, for `TrainingSet.LABELLED`."""
    unlabelled_rows: NDArray[np.int64] | None = None
    """The mix, for `TrainingSet.MIX`."""


def _rows(splits: pd.DataFrame, what: str) -> NDArray[np.int64]:
    if not len(splits):
        raise UserError(
            f"the training split has no {what}; look at preprocessing.fractions and preprocessing.contamination"
        )
    return splits["row"].to_numpy(dtype=np.int64)


def _normal_rows(train: pd.DataFrame, classes: Sequence[str]) -> TrainingRows:
    return TrainingRows(_rows(train[train["label"] == 0], f"image of the category `{NORMAL}`"))


def _labelled_rows(train: pd.DataFrame, classes: Sequence[str]) -> TrainingRows:
    for name in classes:
        _rows(train[shows(train, name)], f"image of the category `{name}`")
    return TrainingRows(_rows(train, "image"), labels=class_labels(train, classes))


def _mix_rows(train: pd.DataFrame, classes: Sequence[str]) -> TrainingRows:
    outside = _rows(train[train["role"] == "normal"], "normal image outside the mix")
    return TrainingRows(
        outside, unlabelled_rows=_rows(train[train["role"] == "mix"], "unlabelled mix")
    )


_TRAINING_ROWS: dict[TrainingSet, Callable[[pd.DataFrame, Sequence[str]], TrainingRows]] = {
    TrainingSet.NORMAL: _normal_rows,
    TrainingSet.LABELLED: _labelled_rows,
    TrainingSet.MIX: _mix_rows,
}


def training_rows(
    splits: pd.DataFrame, training_set: TrainingSet, classes: Sequence[str] = (NORMAL,)
) -> TrainingRows:
    """What a model that asks for `training_set` may see of the training split; `classes` are those
    of the image store.
    """
    return _TRAINING_ROWS[training_set](splits[splits["split"] == "train"], classes)


LEARNED_FROM = ("row", "split", "role", "category", "findings")


def data_hash(images: ImageStore, splits: pd.DataFrame, *others: Any) -> str:
    """Names what a job learns from."""
    return digest(
        [images.key, splits.reindex(columns=LEARNED_FROM).astype(str).to_numpy().tolist(), *others]
    )
