from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from medgan.errors import UserError
from medgan.images.config import AugmentationConfig, IngestionConfig, PreprocessingConfig
from medgan.images.manifest import COLUMNS
from medgan.images.metadata import pixel_hash
from medgan.images.profile import profile
from medgan.sources.raw import ImageRefused, Picture
from tests.images.known import Remembered, tables

LABELS: dict[str, str | None] = {"NORMAL": "normal", "PNEUMONIA": "viral"}


class Pictures:
    """A source of random pictures; some are damaged, and some repeat another."""

    name = "pictures"

    def __init__(
        self,
        count: int = 20,
        damaged: tuple[int, ...] = (),
        copies: dict[int, int] | None = None,
        **columns: object,
    ) -> None:
        self.damaged, self.copies = damaged, copies or {}
        names = [str(number) for number in range(count)]
        raw = ["NORMAL", "PNEUMONIA"] * (count // 2)
        self.metadata: dict[str, str] = {}
        self.decoded: list[str] = []
        self.changed: set[str] = set()
        self.table = pd.DataFrame({"image_id": names, "path": names, "category_raw": raw}).assign(
            **columns
        )

    def rows(self) -> pd.DataFrame:
        return self.table.copy()

    def read(self, path: str) -> Picture:
        self.decoded.append(path)
        number = self.copies.get(int(path), int(path))
        if number in self.damaged:
            raise ImageRefused("UNREADABLE", "it is damaged")
        if number == 19:
            return Picture(np.full((8, 8, 1), 7, np.uint8))
        return Picture(
            np.random.default_rng(number).integers(0, 256, (8, 9, 1), dtype=np.uint8), self.metadata
        )

    def fingerprint(self, path: str) -> str:
        return f"{path}/{path in self.changed}"


def config(
    labels: dict[str, str | None] | None = LABELS, max_quarantined: float = 0.09, **others: Any
) -> IngestionConfig:
    return IngestionConfig(labels, max_quarantined=max_quarantined, **others)


def test_every_image_is_a_row_of_the_manifest_or_of_the_quarantine() -> None:
    manifest, quarantine, _ = tables(Pictures(damaged=(4,)), config(max_quarantined=0.2))
    assert tuple(manifest.columns) == COLUMNS
    assert quarantine.set_index("path")["code"].to_dict() == {"4": "UNREADABLE", "19": "CONSTANT"}
    assert sorted([*manifest["path"], *quarantine["path"]], key=int) == [
        str(number) for number in range(20)
    ]
    assert (manifest["label"] == (manifest["category"] == "viral")).all()
    assert (manifest["width"] == 9).all()
    assert (manifest["provenance"] == "real").all()


def test_too_many_bad_images_end_the_run() -> None:
    with pytest.raises(
        UserError,
        match=r"2 of 20 images of pictures cannot be used \(for example .*max_quarantined = 0\.09",
    ):
        tables(Pictures(damaged=(4,)), config())


def test_an_undeclared_label_is_named_with_its_count_and_an_example() -> None:
    with pytest.raises(
        UserError,
        match=r"10 of 20 images of pictures have the label `PNEUMONIA`.*example 1\); add it to ingestion\.labels",
    ):
        tables(Pictures(), config({"NORMAL": "normal"}))
    with pytest.raises(UserError, match=r"20 of 20 images of pictures have no label"):
        tables(Pictures(category_raw=None), config())


def test_a_declared_category_without_images_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"no image of the category `fungal`.*the images are normal, viral"
    ):
        tables(Pictures(), config({**LABELS, "MOULD": "fungal"}))


def test_repeated_ids_are_refused() -> None:
    with pytest.raises(UserError, match="19 image ids come twice"):
        tables(Pictures(image_id="same"), config())


def test_an_unknown_patient_is_its_own_picture() -> None:
    owners = ["p1", None] * 10
    manifest, _, _ = tables(Pictures(group_id=owners), config())
    known = manifest["path"].astype(int) % 2 == 0
    assert (manifest["group_known"] == known).all()
    assert (manifest.loc[~known, "group_id"] == manifest.loc[~known, "pixel_hash"]).all()


def test_the_hash_is_that_of_the_picture() -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 1), dtype=np.uint8)
    assert pixel_hash(image) == pixel_hash(np.repeat(image, 3, axis=2))
    assert pixel_hash(image) != pixel_hash(image.reshape(8, 6, 1))
    assert pixel_hash(image) != pixel_hash(image ^ 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IngestionConfig({"a": "viral"}), r"ingestion\.labels maps nothing to `normal`"),
        (lambda: IngestionConfig(max_quarantined=5), r"ingestion\.max_quarantined is 5"),
        (lambda: PreprocessingConfig(size=0), r"preprocessing\.size is 0.*from 16 to 512"),
        (lambda: PreprocessingConfig(size=5000), r"preprocessing\.size is 5000"),
        (
            lambda: PreprocessingConfig(channels=2),
            r"preprocessing\.channels is `2`; choose from 1, 3",
        ),
        (
            lambda: PreprocessingConfig(intensity="raw"),
            r"preprocessing\.intensity is `raw`.*unit, standardised",
        ),
        (
            lambda: PreprocessingConfig(intensity="local", window=0.05),
            r"preprocessing\.window 0\.05 is one pixel of 32",
        ),
        (lambda: PreprocessingConfig(contamination=1.0), r"preprocessing\.contamination is 1\.0"),
        (lambda: AugmentationConfig(("spin",)), r"augmentation\.allowed names `spin`"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_key(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(UserError, match=message):
        make()


def test_classes_begin_with_normal_in_the_order_of_the_labels() -> None:
    manifest, _, _ = tables(Pictures(), config())
    declared = IngestionConfig(
        {"v": "viral", "N": "normal", "b": "bacterial", "w": "viral", "x": None}
    )
    assert declared.classes(manifest) == ("normal", "viral", "bacterial")
    assert config(None, normal="NORMAL").classes(
        tables(Pictures(), config(None, normal="NORMAL"))[0]
    ) == ("normal", "PNEUMONIA")


def test_with_normal_alone_every_other_label_keeps_its_name() -> None:
    manifest, _, _ = tables(Pictures(), config(None, normal="PNEUMONIA"))
    assert set(manifest["category"]) == {"normal", "NORMAL"}
    with pytest.raises(
        UserError,
        match=r"no image of the category `normal`; .*ingestion\.normal.*the images are NORMAL, PNEUMONIA",
    ):
        tables(Pictures(), config(None, normal="healthy"))


def test_unwanted_images_are_counted_and_never_read() -> None:
    reasons = ["view AP"] * 3 + [None] * 17
    raw = ["NORMAL", "PNEUMONIA"] * 9 + ["unclear", "PNEUMONIA"]
    source = Pictures(damaged=(0, 1, 2, 18), excluded=reasons, category_raw=raw)
    manifest, quarantine, exclusions = tables(source, config({**LABELS, "unclear": None}))
    assert exclusions["reason"].value_counts().to_dict() == {"view AP": 3, "label unclear": 1}
    assert quarantine["code"].tolist() == ["CONSTANT"]
    assert len(manifest) == 15
    flow = profile(manifest, quarantine, exclusions).flow
    assert flow.left_out == {"label unclear": 1, "view AP": 3}


def test_an_image_may_show_several_findings() -> None:
    raw = ["No Finding", "Mass|Effusion"] * 9 + ["Mass", "Effusion"]
    labels: dict[str, str | None] = {"No Finding": "normal", "Mass": "mass", "Effusion": "effusion"}
    manifest, _, _ = tables(Pictures(category_raw=raw), config(labels, separator="|"))
    assert manifest["category"].value_counts().to_dict() == {
        "several findings": 9,
        "normal": 9,
        "mass": 1,
    }
    assert set(manifest["findings"]) == {"normal", "mass", "mass|effusion"}
    with pytest.raises(
        UserError,
        match=r"9 of 20 images of pictures have the label `No Finding\|Mass`, normal and a finding at once",
    ):
        contradictory = [name.replace("Mass|Effusion", "No Finding|Mass") for name in raw]
        tables(Pictures(category_raw=contradictory), config(labels, separator="|"))
    with pytest.raises(UserError, match=r"have the label `Mass\|Effusion`, which nobody declared"):
        tables(Pictures(category_raw=raw), config(labels))


def test_ages_get_their_band() -> None:
    ages = [0, 1.9, 2, 5, 6, 17, 18, 39, 40, 64, 65, 120, 121, -1, None, "old", 7, 8, 9, 10]
    manifest, _, _ = tables(Pictures(age=ages), config())
    bands = manifest.assign(number=manifest["path"].astype(int)).set_index("number")["age_band"]
    expected = [
        "0-1",
        "0-1",
        "2-5",
        "2-5",
        "6-17",
        "6-17",
        "18-39",
        "18-39",
        "40-64",
        "40-64",
        "65+",
        "65+",
        *["unknown"] * 4,
    ]
    assert bands.sort_index().tolist()[:16] == expected


def test_a_patient_of_the_source_and_of_a_header_is_one() -> None:
    """A table that names the patients of some DICOM files leaves the others to their headers."""

    class Films(Pictures):
        def read(self, path: str) -> Picture:
            header = {"group_id": f"header {int(path) // 4}"} if int(path) < 16 else {}
            return Picture(super().read(path).pixels, header)

    told = [f"table {number // 4}" if number % 4 == 0 else None for number in range(20)]
    told[12] = None
    manifest, _, _ = tables(Films(group_id=told), config())
    found = dict(zip(manifest["path"], manifest["group_id"], strict=True))
    assert [found[str(number)] for number in (0, 1, 3, 4, 7, 12, 13, 16)] == [
        *("table 0", "table 0", "table 0", "table 1", "table 1", "header 3", "header 3", "table 4")
    ]


def test_what_the_source_says_beats_what_the_file_says() -> None:
    source = Pictures(sex=["F", None] * 10, group_id=None)
    source.metadata = {"sex": "M", "group_id": "p7", "scanner": "Acme", "view": "PA"}
    manifest, _, _ = tables(source, config())
    assert dict(zip(manifest["path"].astype(int) % 2, manifest["sex"], strict=True)) == {
        0: "F",
        1: "M",
    }
    assert set(manifest["scanner"]) == {"Acme"}
    assert manifest["group_known"].all()


def test_slices_of_a_volume_of_an_unknown_patient_stay_together() -> None:
    manifest, _, _ = tables(Pictures(volume=["a.nii", "b.nii"] * 10, slice="3"), config())
    assert set(manifest["group_id"]) == {"a.nii", "b.nii"}
    assert not manifest["group_known"].any()


def test_only_new_content_is_decoded_again() -> None:
    source, known = Pictures(damaged=(4,)), Remembered()
    tables(source, config(max_quarantined=0.2), known)
    assert len(source.decoded) == 20
    tables(source, config(max_quarantined=0.2), known)
    assert len(source.decoded) == 20
    source.changed = {"3", "4"}
    manifest, _, _ = tables(source, config(max_quarantined=0.2), known)
    assert sorted(source.decoded[20:]) == ["3", "4"]
    assert len(manifest) == 18


RAW = ["normal", "Normal", "NORMAL ", "no_rmal", "Pneumonia"] * 4


@pytest.mark.parametrize(
    ("raw", "settings", "words"),
    [
        (RAW, {"labels": None}, r"labels `NORMAL ` \(4\) and `Normal` \(4\) .*differ only in how"),
        (["normal", "a b", "a_b", "c"] * 5, {"labels": None}, r"`a b` \(5\) and `a_b` \(5\) of"),
        (
            ["normal", "b|c", "B"] * 6 + ["b", "c"],
            {"labels": None, "separator": "|"},
            r"labels `b` \(7\) and `B` \(6\)",
        ),
        (
            ["Normal", "b"] * 10,
            {"labels": {"normal": "normal", "b": "b"}},
            r"10 of 20 .* label `Normal`, which nobody declared .*`normal` of ingestion.labels differs",
        ),
        (
            ["0.0", "1.0"] * 10,
            {"labels": {"0": "normal", "1": "b"}},
            r"label `0.0`.*`0` of ingestion.labels differs only in how .*in quotes",
        ),
        (
            ["0", "a|b"] * 10,
            {"labels": {"0": "normal", "a": "a", "b": "b"}},
            r"set ingestion.separator if these are several",
        ),
        (["0", ""] * 10, {"labels": {"0": "normal"}}, r"have no label .*with the key ''"),
        *(
            (["normal", blank] * 10, {"labels": None}, r"10 of 20 .*says that there is no label")
            for blank in ("?", "NaN", "unlabeled", "none", " - ")
        ),
    ],
)
def test_labels_that_differ_only_in_form_end_the_run(
    raw: list[str], settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        tables(Pictures(category_raw=raw), config(**settings))


def test_blank_labels_have_a_meaning_where_it_is_declared() -> None:
    raw = ["1.0", None] * 9 + ["1.0", ""]
    manifest, _, _ = tables(Pictures(category_raw=raw), config({"1.0": "normal", "": "abnormal"}))
    assert manifest["category"].value_counts().to_dict() == {"normal": 10, "abnormal": 9}


def test_a_label_that_reads_like_a_missing_one_may_be_that_of_healthy_images() -> None:
    manifest, _, _ = tables(Pictures(category_raw=["none", "b"] * 10), config(None, normal="none"))
    assert set(manifest["category"]) == {"normal", "b"}
    assert (manifest["label"] == (manifest["category"] == "b")).all()


def test_spellings_that_are_all_declared_are_read() -> None:
    declared = {"normal": "normal", "Normal": "normal", "NORMAL ": "normal", "no_rmal": "normal"}
    manifest, _, _ = tables(Pictures(category_raw=RAW), config({**declared, "Pneumonia": "b"}))
    assert (manifest["category"] == "normal").sum() == 16


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"a": "normal", "A": "b"}, "maps `A` to `b` and another spelling of it to `normal`"),
        ({"a": "normal", "b": "Cyst", "c": "cyst"}, "categories `Cyst` and `cyst` .*differ only"),
    ],
)
def test_labels_cannot_be_declared_in_two_ways(labels: dict[str, str | None], words: str) -> None:
    with pytest.raises(UserError, match=words):
        IngestionConfig(labels)
