from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from medgan.contracts import TrainingSet
from medgan.errors import NotEnoughData, UserError
from medgan.images.config import PreprocessingConfig
from medgan.images.labels import class_labels, findings_of, one_finding, shows
from medgan.images.splits import (
    SPLITTERS,
    Pairs,
    assign_roles,
    chosen_split,
    leak_groups,
    require_normals,
    require_patients,
    split_by_patient,
    split_folds,
    split_official,
    training_rows,
    with_share,
)

FRACTIONS = {"train": 0.7, "val": 0.1, "test": 0.2}


def official(manifest: pd.DataFrame, train: int, test: int) -> pd.DataFrame:
    return manifest.assign(split=np.repeat(["train", "test"], [train, test]))


def test_leak_groups_join_patients_and_pictures_in_chains() -> None:
    table = pd.DataFrame(
        {"group_id": ["a", "a", "b", "c", "d"], "pixel_hash": ["1", "2", "2", "3", "4"]}
    )
    groups = leak_groups(table)
    assert groups[0] == groups[1] == groups[2]
    assert len(set(groups.tolist())) == 3


@pytest.mark.parametrize("seed", range(5))
def test_no_patient_and_no_picture_crosses_a_split_by_patient(
    manifest: pd.DataFrame, seed: int
) -> None:
    splits = split_by_patient(manifest, FRACTIONS, seed)
    for key in ("group_id", "pixel_hash"):
        assert splits.groupby(key)["split"].nunique().max() == 1
    shares = pd.crosstab(splits["category"], splits["split"], normalize="index")
    for part, share in FRACTIONS.items():
        assert (shares[part] - share).abs().max() < 0.03


def test_a_split_follows_its_seed_and_keeps_rows(manifest: pd.DataFrame) -> None:
    first, again, other = (split_by_patient(manifest, FRACTIONS, seed) for seed in (0, 0, 1))
    assert (first["split"] == again["split"]).all()
    assert (first["split"] != other["split"]).any()
    assert first["row"].tolist() == list(range(600))
    assert first["image_id"].tolist() == manifest["image_id"].tolist()


def test_a_category_of_too_few_patients_is_refused(manifest: pd.DataFrame) -> None:
    rare = manifest[
        (manifest["category"] != "viral")
        | (
            manifest["group_id"]
            == manifest.loc[manifest["category"] == "viral", "group_id"].iloc[0]
        )
    ]
    with pytest.raises(UserError, match=r"`viral` has images of 1 patient"):
        split_by_patient(rare, FRACTIONS, 0)


@pytest.mark.parametrize(
    "fractions",
    [
        {"train": 0.5, "val": 0.5},
        {"train": 0.8, "val": 0.3, "test": 0.2},
        {"train": 1.0, "val": 0.0, "test": 0.0},
    ],
)
def test_fractions_that_make_no_sense_are_refused(
    manifest: pd.DataFrame, fractions: dict[str, float]
) -> None:
    with pytest.raises(UserError, match=r"preprocessing\.fractions"):
        split_by_patient(manifest, fractions, 0)


def test_the_official_split_is_kept_and_a_missing_val_comes_from_train(
    manifest: pd.DataFrame,
) -> None:
    splits = split_official(official(manifest, 450, 150), seed=0)
    assert (splits["split"] == "test").sum() == 150
    assert ((splits["official_split"] == "train") == splits["split"].isin(["train", "val"])).all()
    assert 40 <= (splits["split"] == "val").sum() <= 75
    train = splits[splits["official_split"] == "train"]
    assert train.groupby("group_id")["split"].nunique().max() == 1


@pytest.mark.parametrize(
    ("parts", "message"),
    [(["train", None], "belong to no official"), (["train", "val"], "no test part")],
)
def test_an_official_split_with_gaps_is_refused(
    manifest: pd.DataFrame, parts: list[str | None], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        split_official(manifest.assign(split=parts * 300))


@pytest.mark.parametrize("contamination", [0.0, 0.1, 0.25, 0.5])
def test_the_mix_holds_half_the_normals_and_its_share_of_anomalies(
    manifest: pd.DataFrame, contamination: float
) -> None:
    splits = assign_roles(split_by_patient(manifest, FRACTIONS, 0), contamination, seed=3)
    train, mix = splits[splits["split"] == "train"], splits[splits["role"] == "mix"]
    outside = splits[splits["role"] == "normal"]
    assert splits.loc[splits["split"] != "train", "role"].isna().all()
    assert (outside["label"] == 0).all()
    assert len(outside) + (mix["label"] == 0).sum() == (train["label"] == 0).sum()
    assert abs((mix["label"] == 0).sum() - len(outside)) <= 6
    assert contamination - 0.04 <= mix["label"].mean() <= contamination
    assert not set(leak_groups(splits)[mix.index]) & set(leak_groups(splits)[outside.index])


def test_a_patient_with_normal_and_anomalous_images_is_on_one_side_only(
    manifest: pd.DataFrame,
) -> None:
    mixed = manifest.assign(
        label=np.arange(600) % 2, category=np.where(np.arange(600) % 2, "viral", "normal")
    )
    splits = assign_roles(split_by_patient(mixed, FRACTIONS, 0), 0.5, seed=0)
    sides = splits[splits["role"].notna()].groupby("group_id")["role"].nunique()
    assert sides.max() == 1
    assert (splits["role"] == "mix").any()


def test_training_rows_hold_what_the_training_set_may_see(manifest: pd.DataFrame) -> None:
    splits = assign_roles(split_by_patient(manifest, FRACTIONS, 0), 0.5, seed=0)
    classes = ("normal", "bacterial", "viral")
    normal = training_rows(splits, TrainingSet.NORMAL)
    assert (splits.loc[normal.rows, ["label", "split"]] == [0, "train"]).all().all()
    assert normal.labels is None
    labelled = training_rows(splits, TrainingSet.LABELLED, classes)
    assert labelled.labels is not None
    assert [classes[label] for label in labelled.labels] == splits.loc[
        labelled.rows, "category"
    ].tolist()
    mix = training_rows(splits, TrainingSet.MIX, classes)
    assert mix.labels is None
    assert mix.unlabelled_rows is not None
    assert (splits.loc[mix.rows, "role"] == "normal").all()
    assert splits.loc[mix.unlabelled_rows, "role"].tolist() == ["mix"] * len(mix.unlabelled_rows)


def test_a_contamination_of_zero_mixes_normal_images_alone(manifest: pd.DataFrame) -> None:
    splits = assign_roles(split_by_patient(manifest, FRACTIONS, 0), contamination=0.0)
    found = training_rows(splits, TrainingSet.MIX)
    assert found.unlabelled_rows is not None
    assert not splits.loc[[*found.rows, *found.unlabelled_rows], "label"].any()
    assert abs(len(found.rows) - len(found.unlabelled_rows)) < 20


def test_what_a_training_lacks_is_named(manifest: pd.DataFrame) -> None:
    splits = assign_roles(split_by_patient(manifest, FRACTIONS, 0))
    with pytest.raises(NotEnoughData, match="no training image is `fungal`"):
        training_rows(splits, TrainingSet.LABELLED, ("normal", "fungal"))
    with pytest.raises(NotEnoughData, match="all images are normal"):
        training_rows(splits, TrainingSet.LABELLED, ("normal",))
    with pytest.raises(NotEnoughData, match="no anomalous image is in it"):
        training_rows(splits[splits["label"] == 0], TrainingSet.MIX)
    mixed = splits.assign(role=splits["role"].where(splits["label"] == 1))
    with pytest.raises(NotEnoughData, match="too few"):
        training_rows(mixed, TrainingSet.MIX)
    with pytest.raises(UserError, match="no image of the category `normal`"):
        training_rows(splits[splits["label"] == 1], TrainingSet.NORMAL)


@pytest.mark.parametrize("split", ["by_patient", "repeated_k_fold", "official"])
def test_normals_alone_are_split(manifest: pd.DataFrame, split: str) -> None:
    normals = manifest[manifest["label"] == 0].reset_index(drop=True)
    if split == "official":
        normals = official(normals, len(normals) - 50, 50)
    splits = assign_roles(SPLITTERS[split](normals, PreprocessingConfig(split=split), 0, None))
    assert set(splits["split"]) == {"train", "val", "test"}
    require_normals(splits)
    assert len(training_rows(splits, TrainingSet.NORMAL).rows) > 50


@pytest.mark.parametrize(("part", "why"), [("train", "learns from"), ("val", "thresholds")])
def test_a_part_without_normals_is_refused(manifest: pd.DataFrame, part: str, why: str) -> None:
    splits = split_by_patient(manifest, FRACTIONS, 0)
    lacking = splits[(splits["split"] != part) | (splits["label"] == 1)]
    with pytest.raises(UserError, match=f"the {part} part of the split has no normal.*{why}"):
        require_normals(lacking)
    require_normals(splits[(splits["split"] != "test") | (splits["label"] == 1)])
    with pytest.raises(UserError, match="the test part of the split has no image"):
        require_normals(splits[splits["split"] != "test"])


def test_class_labels_are_places_in_the_classes(manifest: pd.DataFrame) -> None:
    assert class_labels(manifest.iloc[:0], ("normal",)).tolist() == []
    assert set(
        class_labels(manifest, ("normal", "viral", "bacterial"))[manifest["category"] == "viral"]
    ) == {1}


def test_configuration_and_splitters_name_the_same_splits() -> None:
    for name in SPLITTERS:
        assert PreprocessingConfig(split=name).split == name
    with pytest.raises(UserError, match="by_patient, official"):
        PreprocessingConfig(split="random")


def test_several_findings_are_multi_hot(manifest: pd.DataFrame) -> None:
    both = manifest.assign(findings=manifest["category"])
    both.loc[both.index[:5], ["category", "findings"]] = ["several findings", "bacterial|viral"]
    labels = class_labels(both, ("normal", "viral", "bacterial"))
    assert labels.dtype == np.float32
    assert labels[:5].tolist() == [[0, 1, 1]] * 5
    assert (labels[5:].sum(axis=1) == 1).all()
    assert findings_of(both) == ["bacterial", "viral"]
    assert shows(both, "viral")[:5].all()
    assert not shows(both, "vir")[:5].any()
    assert len(one_finding(both)) == len(both) - 5
    with pytest.raises(UserError, match="the category `viral`"):
        class_labels(both, ("normal", "bacterial"))
    split = split_by_patient(both, FRACTIONS, 0)
    chosen = training_rows(split, TrainingSet.LABELLED, ("normal", "viral", "bacterial"))
    assert chosen.labels is not None
    assert chosen.labels.shape == (len(chosen.rows), 3)


def test_folds_test_every_image_once_in_each_repeat(manifest: pd.DataFrame) -> None:
    splits = [split_folds(manifest, fold, seed=0) for fold in range(10)]
    for repeat in (splits[:5], splits[5:]):
        tested = pd.concat([split.loc[split["split"] == "test", "image_id"] for split in repeat])
        assert sorted(tested) == sorted(manifest["image_id"])
    assert set(splits[0].loc[splits[0]["split"] == "test", "image_id"]) != set(
        splits[5].loc[splits[5]["split"] == "test", "image_id"]
    )
    assert set(splits[7]["fold"]) == {"7 of 25"}
    for split in splits:
        assert split.groupby("group_id")["split"].nunique().max() == 1
        assert split.groupby("pixel_hash")["split"].nunique().max() == 1
        shares = split["split"].value_counts(normalize=True)
        assert shares["test"] == pytest.approx(0.2, abs=0.05)
        assert shares["val"] == pytest.approx(0.2, abs=0.05)
        anomalous = split.groupby("split")["label"].mean()
        assert anomalous["test"] == pytest.approx(split["label"].mean(), abs=0.1)


def test_folds_are_functions_of_the_seed(manifest: pd.DataFrame) -> None:
    first, again, other = (split_folds(manifest, 7, seed)["split"].tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_a_small_cohort_gets_folds_by_default(manifest: pd.DataFrame) -> None:
    assert chosen_split(manifest, "auto") == "repeated_k_fold"
    assert chosen_split(manifest.assign(group_id=range(600)), "auto") == "by_patient"
    assert chosen_split(manifest, "official") == "official"
    with pytest.raises(
        UserError, match=r"`viral` has images of 1 patient\(s\) only, too few for 5 parts"
    ):
        split_folds(
            manifest.assign(category=np.where(manifest.index == 0, "viral", "normal")), 0, 0
        )


def test_leak_groups_join_near_duplicates_and_slices_of_a_volume() -> None:
    table = pd.DataFrame(
        {
            "image_id": list("abcdef"),
            "group_id": list("123456"),
            "pixel_hash": list("uvwxyz"),
            "volume": [None, None, "brain", "brain", None, None],
        }
    )
    pairs = pd.DataFrame({"image_id_a": ["a", "e", "f"], "image_id_b": ["c", "gone", "b"]})
    assert leak_groups(table).tolist() == [0, 1, 2, 2, 3, 4]
    assert leak_groups(table, pairs).tolist() == [0, 1, 0, 0, 2, 1]
    assert leak_groups(table, pairs[:0]).tolist() == leak_groups(table).tolist()


SPLITS: dict[str, Callable[[pd.DataFrame, Pairs], pd.DataFrame]] = {
    "by patient": lambda manifest, pairs: split_by_patient(manifest, FRACTIONS, 0, pairs),
    "folds": lambda manifest, pairs: split_folds(manifest, 3, 0, pairs),
    "official, with validation from train": lambda manifest, pairs: split_official(
        official(manifest, 599, 1), 0, pairs
    ),
}


@pytest.mark.parametrize("name", SPLITS)
def test_a_split_keeps_pairs_together(manifest: pd.DataFrame, name: str) -> None:
    rng = np.random.default_rng(3)
    ends = rng.choice(manifest["image_id"][:-1], (2, 40), replace=False)
    pairs = pd.DataFrame({"image_id_a": ends[0], "image_id_b": ends[1]})
    apart = SPLITS[name](manifest, None).set_index("image_id")["split"]
    together = SPLITS[name](manifest, pairs).set_index("image_id")["split"]
    assert (apart[ends[0]].to_numpy() != apart[ends[1]].to_numpy()).any()
    assert (together[ends[0]].to_numpy() == together[ends[1]].to_numpy()).all()


def test_the_mix_keeps_pairs_together(manifest: pd.DataFrame) -> None:
    splits = split_by_patient(manifest, FRACTIONS, 0)
    normals = splits.loc[(splits["split"] == "train") & (splits["label"] == 0), "image_id"]
    ends = np.random.default_rng(3).choice(normals, (2, 30), replace=False)
    pairs = pd.DataFrame({"image_id_a": ends[0], "image_id_b": ends[1]})
    apart = assign_roles(splits, seed=0).set_index("image_id")["role"]
    together = assign_roles(splits, seed=0, pairs=pairs).set_index("image_id")["role"]
    assert (apart[ends[0]].to_numpy() != apart[ends[1]].to_numpy()).any()
    assert (together[ends[0]].to_numpy() == together[ends[1]].to_numpy()).all()


def test_what_is_drawn_follows_the_seed(manifest: pd.DataFrame) -> None:
    splits, given = split_by_patient(manifest, FRACTIONS, 0), official(manifest, 450, 150)
    for drawn in (
        lambda seed: assign_roles(splits, seed=seed)["role"].fillna("").tolist(),
        lambda seed: split_official(given, seed)["split"].tolist(),
    ):
        assert drawn(0) == drawn(0)
        assert drawn(0) != drawn(1)


def test_an_official_validation_part_is_kept(manifest: pd.DataFrame) -> None:
    parts = np.repeat(["train", "val", "test"], [400, 50, 150])
    assert split_official(manifest.assign(split=parts))["split"].tolist() == parts.tolist()


def test_rows_are_places_whatever_the_index(manifest: pd.DataFrame) -> None:
    splits = split_by_patient(manifest.set_index(manifest.index + 7), FRACTIONS, 0)
    assert splits.index.tolist() == splits["row"].tolist() == list(range(600))
    assert splits["role"].isna().all()


def test_a_cohort_of_one_patient_is_refused_and_one_image_is_none() -> None:
    two = pd.DataFrame({"group_id": ["a", "a"]})
    with pytest.raises(UserError, match="all 2 images are of one patient"):
        require_patients(two)
    require_patients(two[:1])
    require_patients(two.assign(group_id=["a", "b"]))


def test_a_category_with_a_patient_for_each_part_is_split(manifest: pd.DataFrame) -> None:
    patients = manifest.loc[manifest["label"] == 0].drop_duplicates("group_id")["group_id"][:3]
    rare = manifest.assign(category="normal", label=0)
    rare.loc[rare["group_id"].isin(patients), ["category", "label"]] = ["viral", 1]
    found = split_by_patient(rare, FRACTIONS, 0)
    assert set(found.loc[found["category"] == "viral", "split"]) == {"train", "val", "test"}


def test_three_hundred_patients_are_no_small_cohort(manifest: pd.DataFrame) -> None:
    assert chosen_split(manifest.assign(group_id=np.arange(600) // 2), "auto") == "by_patient"


def test_a_mix_of_anomalies_alone_or_without_normals_beside_it_is_too_few(
    manifest: pd.DataFrame,
) -> None:
    splits = assign_roles(split_by_patient(manifest, FRACTIONS, 0))
    without_normals = splits[(splits["role"] != "mix") | (splits["label"] == 1)]
    for lacking in (without_normals, splits[splits["role"] != "normal"]):
        with pytest.raises(NotEnoughData, match=r"^it learns from normal images in and outside"):
            training_rows(lacking, TrainingSet.MIX)


def test_shares_of_the_training_split_are_nested_and_whole_patients(manifest: pd.DataFrame) -> None:
    splits = split_by_patient(manifest, FRACTIONS, 0)
    training = splits[splits["split"] == "train"]
    assert with_share(splits, 1.0).equals(splits)
    kept = {share: with_share(splits, share, seed=3) for share in (0.01, 0.05, 0.25, 0.5)}
    sets = [set(one.loc[one["split"] == "train", "image_id"]) for one in kept.values()]
    assert sets[0] < sets[1] < sets[2] < sets[3] < set(training["image_id"])
    groups = leak_groups(splits)
    for share, one in kept.items():
        rest = one[one["split"] != "train"]
        assert set(rest["image_id"]) == set(splits.loc[splits["split"] != "train", "image_id"])
        used = one.loc[one["split"] == "train", "row"].to_numpy()
        unused = np.setdiff1d(training["row"].to_numpy(), used)
        assert not set(groups[used]) & set(groups[unused])
        for name, count in training["category"].value_counts().items():
            own = (one["split"] == "train") & (one["category"] == name)
            assert share * count <= own.sum() <= share * count + 30
    other = with_share(splits, 0.25, seed=4)
    assert set(other["image_id"]) != set(kept[0.25]["image_id"])
