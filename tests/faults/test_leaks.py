"""F20, F21, F22, F46: what must not stand in two parts of a split, and what must not be tested
on.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance

from medgan.errors import UserError
from medgan.files.documents import to_json
from medgan.images import duplicate_calibration
from medgan.images.config import PreprocessingConfig
from medgan.images.leakage import leakage_audit
from medgan.images.near_duplicates import NearDuplicates, find_near_duplicates
from medgan.pipelines.preprocessing.nodes import split_images
from medgan.sources.readers.decoding import read_picture
from tests.images.planting import Pictures, described, phantoms

FILMS = 60
OFFICIAL = {"split": "official"}


def official(source: Pictures, groups: dict[str, str | None] | None = None) -> pd.DataFrame:
    """A manifest whose official parts are train (the first films) and test (the last, and all
    copies); val is carved from train.
    """
    table = described(source, groups)
    number = table["image_id"].str.extract(r"^film-(\d+)$")[0].astype(float)
    table["category"] = np.where(np.arange(len(table)) % 3 == 0, "bacterial", "normal")
    table["label"] = (table["category"] != "normal").astype(int)
    return table.assign(split=np.where(number < 45, "train", np.where(number < 50, "val", "test")))


def jpeg(film: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    film.save(buffer, "JPEG", quality=60)
    return Image.open(buffer)


TWINS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "jpeg": jpeg,
    "resized": lambda film: film.resize((128, 128), Image.Resampling.BICUBIC),
    "brighter": lambda film: ImageEnhance.Brightness(film).enhance(1.2),
    "darker jpeg": lambda film: jpeg(ImageEnhance.Brightness(film).enhance(0.8)),
}


def with_twins() -> Pictures:
    films = phantoms(FILMS)
    copies = {
        f"{name} of film-{number}": np.asarray(
            twin(Image.fromarray(films[f"film-{number}"][:, :, 0]))
        )[:, :, None]
        for number, (name, twin) in enumerate(TWINS.items())
    }
    return Pictures(films | copies)


@pytest.fixture(scope="module")
def twins() -> tuple[pd.DataFrame, NearDuplicates]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(duplicate_calibration, "TWINS", 200)
        source = with_twins()
        manifest = official(source)
        return manifest, find_near_duplicates(source, manifest, seed=0)


def test_f20_the_same_image_in_two_splits_ends_the_run(tmp_path: Path) -> None:
    films = phantoms(FILMS)
    Image.fromarray(films["film-3"][:, :, 0]).save(tmp_path / "fast.png", compress_level=1)
    Image.fromarray(np.repeat(films["film-3"], 3, axis=2)).save(
        tmp_path / "small.png", compress_level=9, optimize=True
    )
    assert (tmp_path / "fast.png").read_bytes() != (tmp_path / "small.png").read_bytes()
    source = Pictures(
        films
        | {
            "film-3": read_picture(tmp_path / "fast.png").pixels,
            "copy": read_picture(tmp_path / "small.png").pixels,
        }
    )
    with pytest.raises(
        UserError,
        match=r"1 equal pictures stand in more than one part of the split, for example film-3 \(\w+\) and copy \(test\)",
    ):
        split_images(official(source), PreprocessingConfig(**OFFICIAL), 0)


def test_f21_near_duplicates_across_splits_end_the_run(
    twins: tuple[pd.DataFrame, NearDuplicates],
) -> None:
    manifest, found = twins
    assert set(found.pairs["image_id_b"]) | set(found.pairs["image_id_a"]) == {
        *(f"film-{number}" for number in range(len(TWINS))),
        *(f"{name} of film-{number}" for number, name in enumerate(TWINS)),
    }
    with pytest.raises(
        UserError,
        match=r"4 pairs of near-duplicates stand in more than one part of the split, for example .*drop_from_train",
    ):
        split_images(manifest, PreprocessingConfig(**OFFICIAL), 0, found)


def test_f21_near_duplicates_leave_train_or_are_reported(
    twins: tuple[pd.DataFrame, NearDuplicates],
) -> None:
    manifest, found = twins
    kept, audit = split_images(
        manifest,
        PreprocessingConfig(**OFFICIAL, on_leak="drop_from_train"),
        0,
        found,
    )
    assert audit.dropped == audit.shared["near_duplicates"].count == 4
    assert audit.near_duplicates.calibration["radius"] == found.summary["calibration"]["radius"]
    assert set(manifest["image_id"]) - set(kept["image_id"]) == {
        f"film-{number}" for number in range(4)
    }
    assert leakage_audit(kept, found.pairs).verdict == "no leak"
    everything, audit = split_images(
        manifest, PreprocessingConfig(**OFFICIAL, on_leak="report"), 0, found
    )
    assert (audit.verdict, len(everything)) == ("leak", len(manifest))


@pytest.mark.parametrize("seed", range(4))
def test_f21_a_split_of_ours_keeps_near_duplicates_together(
    seed: int, twins: tuple[pd.DataFrame, NearDuplicates]
) -> None:
    manifest, found = twins
    splits, audit = split_images(manifest, PreprocessingConfig(), seed, found)
    assert audit.verdict == "no leak"
    assert audit.official_folders["near_duplicates"].count == 4
    part, role = (splits.set_index("image_id")[column] for column in ("split", "role"))
    for pair in found.pairs.itertuples():
        assert part[pair.image_id_a] == part[pair.image_id_b]
        assert {role[pair.image_id_a], role[pair.image_id_b]} != {"mix", "normal"}


def test_f21_without_the_search_the_same_twins_are_overlooked(
    twins: tuple[pd.DataFrame, NearDuplicates],
) -> None:
    manifest, _ = twins
    _, audit = split_images(manifest, PreprocessingConfig(**OFFICIAL), 0)
    assert audit.verdict == "no leak"
    assert audit.near_duplicates is None


def test_f22_a_patient_in_two_splits_ends_the_run() -> None:
    source = Pictures(phantoms(FILMS))
    manifest = official(source, {"film-2": "patient-7", "film-55": "patient-7"})
    with pytest.raises(
        UserError,
        match=r"1 patients stand in more than one part of the split, for example film-2 .* and film-55 \(test\)",
    ):
        split_images(manifest, PreprocessingConfig(**OFFICIAL), 0)


@pytest.mark.parametrize("split", ["by_patient", "repeated_k_fold", "official", "auto"])
def test_f22_one_patient_in_all_files_is_said_with_what_to_do(split: str) -> None:
    source = Pictures(phantoms(FILMS))
    manifest = official(source, dict.fromkeys(source.pictures, "anonymous"))
    with pytest.raises(UserError, match=r"all \d+ images are of one patient.*field group_id"):
        split_images(manifest, PreprocessingConfig(split=split), 0)


def test_f22_without_patients_leakage_is_unknown() -> None:
    source = Pictures(phantoms(FILMS))
    _, audit = split_images(
        official(source, dict.fromkeys(source.pictures)), PreprocessingConfig(**OFFICIAL), 0
    )
    assert "leakage of patients unknown" in audit.verdict
    assert audit.images_without_patient == FILMS


@pytest.mark.parametrize("on_leak", ["fail", "drop_from_train", "report"])
@pytest.mark.parametrize("part", ["val", "test"])
def test_f46_a_synthetic_image_in_val_or_test_always_ends_the_run(part: str, on_leak: str) -> None:
    manifest = official(Pictures(phantoms(FILMS)))
    manifest.loc[manifest.index[manifest["split"] == part][0], "provenance"] = "synthetic:dcgan@3"
    with pytest.raises(
        UserError,
        match=rf"1 synthetic images stand in val or test, for example film-\d+ \({part}, synthetic:dcgan@3\)",
    ):
        split_images(manifest, PreprocessingConfig(**OFFICIAL, on_leak=on_leak), 0)


def test_f46_synthetic_images_may_train() -> None:
    manifest = official(Pictures(phantoms(FILMS)))
    manifest.loc[manifest["split"] == "train", "provenance"] = "synthetic:dcgan@3"
    _, audit = split_images(manifest, PreprocessingConfig(**OFFICIAL), 0)
    assert to_json(audit.synthetic) == {"count": 0, "images": 0, "examples": []}
