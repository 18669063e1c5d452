from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medgan.contracts import Refusal
from medgan.images.config import AugmentationConfig, IngestionConfig, PreprocessingConfig
from medgan.images.manifest import COLUMNS, build_manifest, pixel_hash
from medgan.images.picture import ImageRefused, Picture

LABELS = {"NORMAL": "normal", "PNEUMONIA": "viral"}


class Pictures:
    """A source of random pictures; some are damaged, and some repeat another."""

    name = "pictures"

    def __init__(self, count: int = 20, damaged: tuple[int, ...] = (), copies: dict[int, int] | None = None, **columns: object) -> None:
        self.damaged, self.copies = damaged, copies or {}
        names = [str(number) for number in range(count)]
        raw = ["NORMAL", "PNEUMONIA"] * (count // 2)
        self.table = pd.DataFrame({"image_id": names, "path": names, "category_raw": raw}).assign(**columns)

    def rows(self) -> pd.DataFrame:
        return self.table.copy()

    def read(self, path: str) -> Picture:
        number = self.copies.get(int(path), int(path))
        if number in self.damaged:
            raise ImageRefused("UNREADABLE", "it is damaged")
        if number == 19:
            return Picture(np.full((8, 8, 1), 7, np.uint8))
        return Picture(np.random.default_rng(number).integers(0, 256, (8, 9, 1), dtype=np.uint8))

    def fingerprint(self, path: str) -> str:
        return path


def test_every_image_is_a_row_of_the_manifest_or_of_the_quarantine() -> None:
    seen: list[tuple[int, int]] = []
    manifest, quarantine = build_manifest(Pictures(damaged=(4,)), LABELS, 0.2, lambda done, total: seen.append((done, total)))
    assert tuple(manifest.columns) == COLUMNS
    assert quarantine.set_index("path")["code"].to_dict() == {"4": "UNREADABLE", "19": "CONSTANT"}
    assert sorted([*manifest["path"], *quarantine["path"]], key=int) == [str(number) for number in range(20)]
    assert seen[-1] == (20, 20)
    assert (manifest["label"] == (manifest["category"] == "viral")).all()
    assert (manifest["width"] == 9).all()
    assert (manifest["provenance"] == "real").all()


def test_too_many_bad_images_end_the_run() -> None:
    with pytest.raises(Refusal, match=r"2 of 20 images of pictures cannot be used \(for example .*max_quarantined = 0\.05"):
        build_manifest(Pictures(damaged=(4,)), LABELS, 0.05)


def test_an_undeclared_label_is_named_with_its_count_and_an_example() -> None:
    with pytest.raises(Refusal, match=r"10 of 20 images of pictures have the label `PNEUMONIA`.*example 1\); add it to ingestion\.labels"):
        build_manifest(Pictures(), {"NORMAL": "normal"})
    with pytest.raises(Refusal, match=r"20 of 20 images of pictures have no label"):
        build_manifest(Pictures(category_raw=None), LABELS)


def test_a_declared_category_without_images_is_refused() -> None:
    with pytest.raises(Refusal, match="category `fungal`, of which there is no image"):
        build_manifest(Pictures(), {**LABELS, "MOULD": "fungal"}, 0.1)


def test_repeated_ids_are_refused() -> None:
    with pytest.raises(Refusal, match="19 image ids come twice"):
        build_manifest(Pictures(image_id="same"), LABELS)


def test_an_unknown_patient_is_its_own_picture() -> None:
    owners = ["p1", None] * 10
    manifest, _ = build_manifest(Pictures(group_id=owners), LABELS, 0.1)
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
        (lambda: PreprocessingConfig(channels=2), r"preprocessing\.channels is 2; choose 1"),
        (lambda: PreprocessingConfig(intensity="raw"), r"preprocessing\.intensity is `raw`.*unit, standardised"),
        (lambda: PreprocessingConfig(contamination=1.0), r"preprocessing\.contamination is 1\.0"),
        (lambda: AugmentationConfig(("spin",)), r"augmentation\.allowed names `spin`"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_key(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(Refusal, match=message):
        make()


def test_classes_begin_with_normal_in_the_order_of_the_labels() -> None:
    assert IngestionConfig({"v": "viral", "N": "normal", "b": "bacterial", "w": "viral"}).classes == ("normal", "viral", "bacterial")
