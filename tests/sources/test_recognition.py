"""Folders as people have them: what is recognized of labels, patients, parts, sizes, problems."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medgan.errors import UserError
from medgan.sources.folder import FolderSource
from medgan.sources.recognition import Corrections, recognize
from medgan.sources.rows import exclusions
from medgan.sources.table import CsvSource


def picture(path: Path, side: int = 40, color: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    place = int.from_bytes(str(path).encode()[-4:], "big")
    pixels = np.random.default_rng(place).integers(0, 255, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels if color else pixels[:, :, 0]).save(path)


def table(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def patients_of(root: Path) -> dict[str, str]:
    rows = recognize(root).source.open().named_rows()
    used = rows[exclusions(rows).isna()]
    return dict(zip(used["path"], used["group_id"], strict=True))


def test_class_folders_and_patients_in_names(tmp_path: Path) -> None:
    for number in range(12):
        picture(tmp_path / f"healthy/patient{number // 2:03d}_{number}.png")
    for number in range(6):
        picture(tmp_path / f"tumour/patient{90 + number:03d}.png")
    found = recognize(tmp_path)
    assert isinstance(found.source, FolderSource)
    assert found.labels == {"healthy": 12, "tumour": 6}
    assert found.meaning == {"healthy": "normal", "tumour": "tumour"}
    assert (found.n_images, found.n_patients) == (18, 12)
    assert found.formats == {".png": 18}
    assert found.sample.sides == (40, 40)
    assert (found.channels, found.size) == (1, 32)
    assert patients_of(tmp_path)["healthy/patient003_7.png"] == "patient003"
    assert found.problems == ("There are 12 normal images only: figures from so few mean little.",)


def test_folders_of_parts_are_a_split_and_no_label(tmp_path: Path) -> None:
    for part, count in (("training", 8), ("valid", 3), ("test", 4)):
        for label in ("NORMAL", "PNEUMONIA"):
            for number in range(count):
                picture(tmp_path / f"xrays/{part}/{label}/{part}_{label}_{number}.png")
    found = recognize(tmp_path)
    assert found.labels == {"NORMAL": 15, "PNEUMONIA": 15}
    assert found.parts == {"train": 16, "val": 6, "test": 8}
    assert found.meaning == {"NORMAL": "normal", "PNEUMONIA": "pneumonia"}
    assert found.n_patients is None
    assert any(problem.startswith("Patients are not known") for problem in found.problems)


@pytest.mark.parametrize("layout", ["good/{patient}/{n}.png", "{patient}/good/{n}.png"])
def test_a_folder_beside_the_label_is_the_patient(tmp_path: Path, layout: str) -> None:
    for number in range(24):
        patient = f"AB{number // 3}x"
        picture(tmp_path / layout.format(patient=patient, n=number))
        picture(tmp_path / layout.replace("good", "bad").format(patient=patient, n=number))
    found = recognize(tmp_path)
    assert found.labels == {"good": 24, "bad": 24}
    assert found.n_patients == 8
    assert any("8 of 8 patients have images under several" in one for one in found.problems)


def test_numbers_that_files_share_are_patients(tmp_path: Path) -> None:
    for number in range(10):
        for side in ("left", "right"):
            picture(tmp_path / f"normal/{number:04d}_{side}.png")
    assert patients_of(tmp_path)["normal/0007_left.png"] == "0007"
    assert recognize(tmp_path).n_patients == 10


def test_numbers_of_files_are_no_patients(tmp_path: Path) -> None:
    for number in range(30):
        picture(tmp_path / f"normal/scan_{number:04d}.png")
    assert recognize(tmp_path).n_patients is None


def test_labels_in_names(tmp_path: Path) -> None:
    for number in range(6):
        picture(tmp_path / f"normal_{number}.png")
        picture(tmp_path / f"cyst {number}.png")
    assert recognize(tmp_path).meaning == {"normal": "normal", "cyst": "cyst"}


@pytest.mark.parametrize("normal", [None, "normal"])
def test_spellings_of_a_label_are_one_category_and_named(
    tmp_path: Path, normal: str | None
) -> None:
    for label, count in {"Normal": 4, "normal": 3, "NORMAL ": 2, "p 1": 3, "p1": 2}.items():
        for number in range(count):
            picture(tmp_path / label / f"{number}.png")
    found = recognize(tmp_path, Corrections(normal=normal))
    assert [found.meaning[label] for label in ("Normal", "normal", "NORMAL ")] == ["normal"] * 3
    assert found.meaning["p 1"] == found.meaning["p1"] == "p_1"
    named = [text for text in found.problems if "differ only" in text]
    assert len(named) == 2
    assert "`Normal` (4) and `normal` (3) and `NORMAL ` (2)" in named[0]


def test_a_workbook_beside_the_images_is_named(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    for name in ("labels.xlsx", "~$labels.xlsx"):
        (tmp_path / name).write_bytes(b"PK\x03\x04")
    told = [text for text in recognize(tmp_path).problems if "labels.xlsx" in text]
    assert told == ["The table labels.xlsx is not used: save it as CSV (UTF-8)."]


def test_a_table_beside_flat_images(tmp_path: Path) -> None:
    rows = []
    for number in range(20):
        picture(tmp_path / f"films/{number:04d}.png", color=True)
        label = "cyst" if number % 4 == 0 else "No finding"
        person = {"Patient ID": f"P{number // 2}", "Sex": "FM"[number % 2], "Age": 30 + number}
        rows.append({"Image": f"{number:04d}", "Diagnosis": label, "Note": f"n{number}", **person})
    table(tmp_path / "labels.csv", [*rows, {**rows[0], "Image": "9999"}])
    found = recognize(tmp_path)
    assert isinstance(found.source, CsvSource)
    assert found.source.columns == {
        "image_id": "Image",
        "category": "Diagnosis",
        "group_id": "Patient ID",
        "sex": "Sex",
        "age": "Age",
    }
    assert found.source.on_missing == "leave_out"
    assert found.meaning == {"No finding": "normal", "cyst": "cyst"}
    assert (found.n_images, found.n_patients, found.channels) == (20, 10, 3)
    assert any(problem.startswith("1 listed files are not there") for problem in found.problems)


@pytest.mark.parametrize(
    ("column", "meaning"),
    [
        ("No Finding", {"1.0": "normal", "0.0": "anomalous", "": None}),
        ("healthy", {"yes": "normal", "no": "anomalous"}),
        ("Normal", {"True": "normal", "False": "anomalous"}),
        ("abnormal", {"1.0": "anomalous", "0.0": "normal"}),
        ("cancer", {"True": "anomalous", "False": "normal"}),
        ("label", {"ok": "normal", "?": None, "NaN": None, "cyst": "cyst", "-": None}),
    ],
)
def test_yes_means_what_the_column_is_called_and_blanks_no_label(
    tmp_path: Path, column: str, meaning: dict[str, str | None]
) -> None:
    rows = []
    for number in range(4 * len(meaning)):
        picture(tmp_path / f"{number}.png")
        rows.append({"image": f"{number}.png", column: list(meaning)[number % len(meaning)]})
    table(tmp_path / "truth.csv", rows)
    found = recognize(tmp_path)
    assert found.meaning == meaning
    blank = [label for label, category in meaning.items() if category is None]
    told = [text for text in found.problems if "have no label" in text]
    assert len(told) == bool(blank)
    assert all(f"{4 * len(blank)} images" in text for text in told)


def test_one_hot_columns_are_findings(tmp_path: Path) -> None:
    rows = []
    for number in range(8):
        picture(tmp_path / f"{number}.png")
        marks = {"MEL": int(number < 2), "NV": int(number >= 2)}
        rows.append({"image": f"{number}.png", **marks})
    table(tmp_path / "truth.csv", rows)
    found = recognize(tmp_path, Corrections(normal="NV"))
    assert found.labels == {"NV": 6, "MEL": 2}
    assert found.meaning == {"NV": "normal", "MEL": "mel"}
    assert found.separator == "|"


def test_a_table_for_each_part(tmp_path: Path) -> None:
    for part, count in (("train", 8), ("test", 4)):
        rows = []
        for number in range(count):
            picture(tmp_path / f"images/{part}{number}.png")
            rows.append({"file": f"{part}{number}.png", "label": number % 2})
        table(tmp_path / f"{part}.csv", rows)
    found = recognize(tmp_path)
    assert found.parts == {"train": 8, "test": 4}
    assert found.meaning == {"0": "normal", "1": "anomalous"}


def test_images_alone_are_normal_and_that_is_said(tmp_path: Path) -> None:
    for number in range(4):
        picture(tmp_path / f"{number}.png")
    (tmp_path / "readme.txt").write_text("Films of 2019, all healthy")
    (tmp_path / "numbers.csv").write_text("a,b\n1,2,3\n")
    found = recognize(tmp_path)
    assert found.meaning == {"": "normal"}
    assert found.left_out == {"text or a table": 2}
    assert found.problems[0].startswith("The table numbers.csv is not used: 1 of 1 rows")
    assert found.problems[1].startswith("No labels were found")


def test_a_normal_label_that_is_not_known_is_asked_for(tmp_path: Path) -> None:
    for number in range(4):
        picture(tmp_path / f"nv/{number}.png")
        picture(tmp_path / f"mel/{number}.png")
    with pytest.raises(UserError, match="name one of mel, nv"):
        recognize(tmp_path).require_normal()
    corrected = Corrections("nv", {"mel": "melanoma"})
    assert recognize(tmp_path, corrected).meaning == {"nv": "normal", "mel": "melanoma"}
    with pytest.raises(UserError, match="There is no label 'nw': use one of mel, nv"):
        recognize(tmp_path, Corrections("nw"))


def test_patients_as_corrected(tmp_path: Path) -> None:
    for number in range(9):
        picture(tmp_path / f"normal/ward{number % 3}x{number}.png")
    assert recognize(tmp_path, Corrections(patients=r"(ward\d)")).n_patients == 3
    with pytest.raises(UserError, match="no regular expression"):
        recognize(tmp_path, Corrections(patients="(ward"))


def test_volumes_become_slices(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    for label in ("healthy", "migraine"):
        for number in range(3):
            path = tmp_path / f"{label}/sub-{label[0]}{number}.nii.gz"
            path.parent.mkdir(exist_ok=True)
            values = np.random.default_rng(number).integers(0, 900, (20, 20, 30)).astype(np.int16)
            nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
    found = recognize(tmp_path)
    assert found.source.reading.slices is not None
    assert found.labels == {"healthy": 24, "migraine": 24}
    assert found.formats == {".nii.gz": 48}
    assert found.n_patients == 6
    assert not found.sample.refused


def test_what_cannot_be_read_is_counted(tmp_path: Path) -> None:
    for number in range(5):
        picture(tmp_path / f"normal/{number}.png")
    (tmp_path / "normal/broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(50))
    found = recognize(tmp_path)
    assert any("1 of 6 sampled images cannot be read (UNREADABLE" in one for one in found.problems)


def test_no_folder_and_no_images_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", "~nobody-of-this-name", "a\0b"):
        with pytest.raises(UserError, match="does not exist; give the path to the folder"):
            recognize(path)
    (tmp_path / "file").write_text("text")
    with pytest.raises(UserError, match="file is a file; give the folder that holds"):
        recognize(tmp_path / "file")
    with pytest.raises(UserError, match="holds no images"):
        recognize(tmp_path)
