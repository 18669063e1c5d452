"""Each environment of conf/ on a tiny data set in the exact layout: the YAML itself is what is
tested.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError

from medgan.cli.errors import find_ending
from medgan.images.masks import MaskFolder
from medgan.sources.companions import MASK
from medgan.sources.listing import COPY, HIDDEN, SYSTEM
from medgan.sources.table import OWN_TABLE
from tests.data_sets import fakes
from tests.data_sets.environments import opened, parameters, ran, rows


def counts(column: pd.Series) -> dict[str, int]:
    return {str(name): int(count) for name, count in column.value_counts().items()}


def test_covidx_reads_its_lists_from_both_ends(tmp_path: Path) -> None:
    used, left_out = rows("covidx", fakes.covidx(tmp_path / "data"))
    assert counts(used["split"]) == {"train": 8, "test": 3}
    assert counts(used["category_raw"]) == {"positive": 6, "negative": 5}
    assert counts(used["site"]) == {"cohen": 2, "sirm": 3, "actmed": 1, "rsna": 2, "ricord": 3}
    assert used.loc["train/COVID(1).png", "group_id"] == "sirm COVID 1"
    assert used.loc["train/COVID-19 (2).png", "group_id"] == "sirm COVID 2"
    assert used.loc["train/five.png", "group_id"] != used.loc["train/ARDSSevere.png", "group_id"], (
        "5 is two patients, of two sources"
    )
    assert used["group_id"].nunique() == 9
    assert counts(left_out["excluded"]) == {"not listed": 1, OWN_TABLE: 2}


def test_covidx_reads_its_oldest_lists_without_a_source(tmp_path: Path) -> None:
    used, _ = rows("covidx", fakes.covidx(tmp_path / "data", three_classes=True))
    assert counts(used["category_raw"]) == {"COVID-19": 6, "normal": 5}
    assert used["site"].isna().all()
    assert used.loc["train/COVID-19 (2).png", "group_id"] == "COVID 2"


@pytest.mark.parametrize("release", ["2017", "v2020"])
def test_chestxray14_keeps_its_official_lists_and_posterior_anterior_films(
    tmp_path: Path, release: str
) -> None:
    used, left_out = rows("chestxray14", fakes.chestxray14(tmp_path / "data", release))
    assert used.index.tolist() == [
        f"0000000{name}.png" for name in ("1_000", "1_001", "2_000", "3_001", "4_000", "5_000")
    ]
    assert counts(used["split"]) == {"train": 4, "test": 2}
    assert used["path"].iloc[0] == "images_001/images/00000001_000.png"
    assert used["group_id"].tolist() == ["1", "1", "2", "3", "4", "5"]
    assert used["category_raw"].tolist()[1] == "Cardiomegaly|Emphysema"
    assert used["sex"].tolist() == ["M", "M", "M", "F", "F", "F"]
    ages = used["age"].astype(float)
    assert ages.tolist()[:2] + ages.tolist()[4:] == [58, 58, 81, 69]
    assert pd.isna(ages.iloc[2]), "414 years are a mistake of the record"
    assert ages.iloc[3] == pytest.approx(13 / 365.25)
    assert counts(left_out["excluded"]) == {"view AP": 2, OWN_TABLE: 3}
    settings = parameters("chestxray14")
    assert settings["acgan"].model.class_loss == "bce"
    assert settings["classifier_training"].task == "findings"
    assert "horizontal_flip" not in settings["augmentation"].allowed
    labels = settings["ingestion"].labels
    assert len(labels) == 15
    assert {
        label
        for text in used["category_raw"]
        for label in text.split(settings["ingestion"].separator)
    } <= set(labels)


def test_isic_prefers_the_patient_and_counts_what_it_leaves_out(tmp_path: Path) -> None:
    used, left_out = rows("isic", fakes.isic(tmp_path / "data"))
    assert used["group_id"].tolist() == ["IP_3075186", "IP_3075186", "IL_0000001"]
    assert used["category_raw"].tolist() == ["Benign", "Benign", "Malignant"]
    assert used["sex"].tolist() == ["F", "F", None]
    assert used["age"].tolist()[:2] == [45.0, 50.0]
    assert counts(left_out["excluded"]) == {
        "category Indeterminate": 1,
        "image_type clinical: close-up": 1,
        "category missing": 1,
        OWN_TABLE: 1,
    }
    assert opened("isic", tmp_path / "data").read("ISIC_0015719.jpg").pixels.shape[2] == 3


def test_an_older_download_of_isic_has_its_diagnosis_elsewhere(tmp_path: Path) -> None:
    root = fakes.isic(tmp_path / "data")
    table = pd.read_csv(root / "metadata.csv").rename(columns={"diagnosis_1": "benign_malignant"})
    table["benign_malignant"] = table["benign_malignant"].str.lower()
    table.to_csv(root / "metadata.csv", index=False)
    assert counts(rows("isic", root)[0]["category_raw"]) == {"benign": 2, "malignant": 1}


def test_ham10000_finds_images_in_both_folders_and_leaves_out_the_second_copy(
    tmp_path: Path,
) -> None:
    used, left_out = rows("ham10000", fakes.ham10000(tmp_path / "data"))
    assert counts(used["category_raw"]) == dict.fromkeys(fakes.HAM_CLASSES, 2)
    assert used["group_id"].nunique() == 7
    assert counts(used["sex"].fillna("unknown")) == {"F": 7, "unknown": 7}
    assert used["age"].notna().sum() == 7
    assert used["site"].notna().sum() == 7
    assert counts(left_out["excluded"]) == {COPY: 7, OWN_TABLE: 1}
    assert parameters("ham10000")["preprocessing"].channels == 3


def test_adenocarcinoma_ct_has_one_name_for_each_class_and_part(tmp_path: Path) -> None:
    used, _ = rows("adenocarcinoma_ct", fakes.adenocarcinoma_ct(tmp_path / "data"))
    assert counts(used["split"]) == {"train": 9, "val": 8, "test": 8}
    assert counts(used["category_raw"]) == {**dict.fromkeys(fakes.CT_CLASSES, 6), "normal": 7}
    assert "group_id" not in used, "patients are unknown"


def test_chest_xray_is_read_once_though_the_download_holds_it_twice(tmp_path: Path) -> None:
    used, left_out = rows("chest_xray", fakes.chest_xray(tmp_path / "chest_xray"))
    assert counts(used["category_raw"]) == {"NORMAL": 3, "bacteria": 3, "virus": 3}
    assert counts(used["split"]) == {"train": 3, "val": 3, "test": 3}
    assert used["group_id"].nunique() == 9
    assert not used.index.str.startswith("chest_xray/").any()
    assert counts(left_out["excluded"]) == {COPY: 9, SYSTEM: 10, HIDDEN: 1}


def test_brain_mri_is_read_once_whichever_folder_is_given(tmp_path: Path) -> None:
    root = fakes.brain_mri(tmp_path / "data")
    used, left_out = rows("brain_mri", root)
    assert used.index.tolist() == [
        "no/1 no.jpeg",
        "no/2 no.jpeg",
        "no/N0.JPG",
        "yes/Y0.jpg",
        "yes/Y1.jpg",
        "yes/Y2.jpg",
    ]
    assert counts(left_out["excluded"]) == {COPY: 6}
    used, left_out = rows("brain_mri", root / "brain_tumor_dataset")
    assert counts(used["category_raw"]) == {"no": 3, "yes": 3}
    assert not len(left_out)
    assert set(parameters("brain_mri")["ingestion"].labels) == {"no", "yes"}, (
        "YAML must not read them as false and true"
    )


def test_bmad_has_normal_training_images_and_masks_beside_the_others(tmp_path: Path) -> None:
    root = fakes.bmad(tmp_path / "Brain")
    used, left_out = rows("bmad", root, set="brain")
    parts = pd.crosstab(used["split"], used["category_raw"])
    assert parts.loc["train"].to_dict() == {"Ungood": 0, "good": 3}
    assert parts.loc[["test", "val"], "Ungood"].tolist() == [3, 3]
    assert used["group_id"].nunique() == 5
    assert counts(left_out["excluded"]) == {MASK: 6}
    masks = MaskFolder(root)
    for name in used.index:
        mask = masks.mask(name)
        assert (mask is not None and mask.any()) == ("Ungood" in name)
    used, left_out = rows("bmad", fakes.bmad(tmp_path / "Chest", masks=False))
    assert (len(used), len(left_out)) == (15, 0)
    assert parameters("bmad", set="histopathology")["preprocessing"].channels == 3


def subjects(paths: list[str]) -> list[str | None]:
    """What the environment reads from these paths."""
    from medgan.sources.folder import compile_fields, first_match
    from tests.data_sets.environments import loaded

    patterns = compile_fields(loaded("migraine_mri")["catalog"]["source"]["fields"])["group_id"]
    return [first_match(patterns, path) for path in paths]


def test_migraine_mri_reads_the_subject_from_the_name_of_the_volume() -> None:
    assert subjects(["healthy/sub-01_T1w.nii.gz", "migraine/sub-01_T1w.nii.gz/012"]) == [
        "healthy/sub-01",
        "migraine/sub-01",
    ]
    sessions = [
        "migraine/sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",
        "migraine/sub-01/ses-2/anat/sub-01_ses-2_T1w.nii",
    ]
    assert subjects(sessions) == ["migraine/sub-01"] * 2
    assert subjects(["healthy/H_03.nii.gz", "healthy/H_04.nii"]) == ["healthy/H_03", "healthy/H_04"]


def test_migraine_mri_volumes_become_slices_that_know_their_subject(tmp_path: Path) -> None:
    used, _ = rows("migraine_mri", fakes.migraine_mri(tmp_path / "data"))
    assert used["volume"].nunique() == 8
    assert used["group_id"].nunique() == 6
    assert counts(used["category_raw"]) == {"healthy": len(used) // 2, "migraine": len(used) // 2}
    assert used.groupby("volume").size().nunique() == 1, "the same range in every volume"
    assert (
        opened("migraine_mri", tmp_path / "data").read(used["path"].iloc[0]).pixels.dtype == "uint8"
    )


def test_migraine_mri_keeps_a_subject_in_one_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fakes.migraine_mri(
        tmp_path / "data", [f"sub-{number:02d}_T1w" for number in range(1, 7)]
    )
    splits = ran("migraine_mri", root, tmp_path, monkeypatch).load("splits")
    assert splits["group_id"].nunique() == 12
    assert (splits.groupby("group_id")["split"].nunique() == 1).all()
    assert splits["volume"].nunique() == 14, "one subject of each kind came twice"


@pytest.mark.parametrize(
    "env",
    [
        "covidx",
        "chestxray14",
        "isic",
        "ham10000",
        "adenocarcinoma_ct",
        "brain_mri",
        "migraine_mri",
        "medmnist",
        "bmad",
    ],
)
def test_an_environment_without_its_data_says_how_to_give_it(env: str) -> None:
    with pytest.raises(DatasetError) as caught:
        opened(env, None)
    ending = find_ending(caught.value)
    assert ending is not None
    assert (
        "--params flag=NAME" in ending.message
        if env == "medmnist"
        else "--params source=PATH" in ending.message
    )


def test_ham10000_goes_through_to_the_image_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = ran("ham10000", fakes.ham10000(tmp_path / "data", lesions=5), tmp_path, monkeypatch)
    assert catalog.load("images").info.channels == 3
    manifest, splits = catalog.load("manifest"), catalog.load("splits")
    assert len(manifest) == 70
    assert (splits.groupby("group_id")["split"].nunique() == 1).all()


def test_the_copies_of_adenocarcinoma_ct_leave_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = ran(
        "adenocarcinoma_ct", fakes.adenocarcinoma_ct(tmp_path / "data"), tmp_path, monkeypatch
    )
    audit, splits = catalog.load("leakage_audit"), catalog.load("splits")
    assert audit.dropped == 1
    manifest = catalog.load("manifest").set_index("image_id")
    assert not manifest.loc[splits["image_id"], "path"].str.contains("Copy").any()
    assert counts(splits["split"]) == {"train": 8, "val": 8, "test": 8}
