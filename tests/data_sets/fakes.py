"""Tiny data sets in the exact layouts of the real ones: names, columns, odd habits."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

_seeds = count()


def picture(path: Path, channels: int = 1, size: tuple[int, int] = (40, 32)) -> Path:
    """An image file of smooth noise, a new one each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (5, 4) if channels == 1 else (5, 4, channels)
    coarse = np.random.default_rng(next(_seeds)).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(coarse).resize((size[1], size[0])).save(path)
    return path


def covidx(root: Path, three_classes: bool = False) -> Path:
    """COVIDx: ids with spaces, file names with spaces, one number in two sources, files that no
    list has (competition_test).
    """
    lines = {
        "train": [
            "5 ARDSSevere.png negative cohen",
            "5 another-film.JPG negative cohen",
            "COVID 1 COVID(1).png positive sirm",
            "COVID 2 COVID-19 (2).png positive sirm",
            "5 five.png positive sirm",
            "ANON56 CR.1.2.840.113564.1722810170.20200317090830828260.1003000225002.png negative actmed",
            "f9e3c1b2-0000 f9e3c1b2-0000.png negative rsna",
            "419639-000918 MIDRC-RICORD-1C-419639-000918-78965-0.png positive ricord",
        ],
        "test": [
            "419639-003251 MIDRC-RICORD-1C-419639-003251-46647-0.png positive ricord",
            "419639-003251 MIDRC-RICORD-1C-419639-003251-46648-0.png positive ricord",
            "47c78742-4998 47c78742-4998.png negative rsna",
        ],
    }
    files = {
        "train": [
            *(
                "ARDSSevere.png",
                "another-film.JPG",
                "COVID(1).png",
                "COVID-19 (2).png",
                "five.png",
                "f9e3c1b2-0000.png",
            ),
            "CR.1.2.840.113564.1722810170.20200317090830828260.1003000225002.png",
            "MIDRC-RICORD-1C-419639-000918-78965-0.png",
        ],
        "test": [
            *(
                "MIDRC-RICORD-1C-419639-003251-46647-0.png",
                "MIDRC-RICORD-1C-419639-003251-46648-0.png",
                "47c78742-4998.png",
            ),
        ],
    }
    if three_classes:  # the oldest lists have no source, and other names
        lines = {part: [line.rsplit(" ", 1)[0] for line in text] for part, text in lines.items()}
        lines = {
            part: [
                line.replace("negative", "normal").replace("positive", "COVID-19") for line in text
            ]
            for part, text in lines.items()
        }
    for part, text in lines.items():
        root.mkdir(parents=True, exist_ok=True)
        (root / f"{part}.txt").write_text("\n".join(text) + "\n")
        for name in files[part]:
            picture(root / part / name)
    picture(root / "competition_test" / "1.png")
    return root


NIH_COLUMNS = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient {},View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
NIH_ROWS = (
    ("00000001_000.png", "Cardiomegaly", 1, "058Y", "M", "PA", "train"),
    ("00000001_001.png", "Cardiomegaly|Emphysema", 1, "058Y", "M", "PA", "train"),
    ("00000002_000.png", "No Finding", 2, "414Y", "M", "PA", "train"),
    ("00000003_000.png", "Hernia", 3, "006M", "F", "AP", "train"),
    ("00000003_001.png", "Hernia|Pleural_Thickening", 3, "013D", "F", "PA", "train"),
    ("00000004_000.png", "No Finding", 4, "81", "F", "PA", "test"),
    ("00000005_000.png", "Mass|Nodule", 5, "69", "F", "PA", "test"),
    ("00000006_000.png", "No Finding", 6, "", "F", "AP", "test"),
)


def chestxray14(root: Path, release: str = "2017") -> Path:
    """ChestX-ray14: 2017 with ages as 058Y and a comma at the end of every line, or v2020 with
    plain ages and `Patient Sex`.
    """
    ends, word = (",", "Gender") if release == "2017" else ("", "Sex")
    root.mkdir(parents=True)
    lines = [NIH_COLUMNS.format(word) + ends]
    parts: dict[str, list[str]] = {"train": [], "test": []}
    for number, (name, finding, patient, age, sex, view, part) in enumerate(NIH_ROWS):
        lines.append(
            f"{name},{finding},{number},{patient},{age},{sex},{view},2682,2749,0.143,0.143{ends}"
        )
        parts[part].append(name)
        picture(root / f"images_{1 + number % 2:03d}" / "images" / name)
    (
        root / ("Data_Entry_2017.csv" if release == "2017" else "Data_Entry_2017_v2020.csv")
    ).write_text("\n".join(lines) + "\n")
    (root / "train_val_list.txt").write_text("\n".join(parts["train"]) + "\n")
    (root / "test_list.txt").write_text("\n".join(parts["test"]))
    return root


def isic(root: Path) -> Path:
    """A download of the ISIC Archive: images beside the table, gaps everywhere, a clinical
    photograph, an image without a diagnosis.
    """
    table = pd.DataFrame(
        [
            (
                "ISIC_0015719",
                "CC-BY",
                45,
                "upper extremity",
                "Benign",
                "dermoscopic",
                "IL_4649854",
                "IP_3075186",
                "female",
            ),
            (
                "ISIC_0052212",
                "CC-BY-NC",
                50,
                "lower extremity",
                "Benign",
                "dermoscopic",
                "IL_9087444",
                "IP_3075186",
                "female",
            ),
            (
                "ISIC_0068279",
                "CC-BY-NC",
                None,
                None,
                "Malignant",
                "dermoscopic",
                "IL_0000001",
                None,
                None,
            ),
            (
                "ISIC_0068280",
                "CC-0",
                85,
                "head/neck",
                "Indeterminate",
                "dermoscopic",
                "IL_0000002",
                None,
                "male",
            ),
            (
                "ISIC_0068281",
                "CC-0",
                30,
                "head/neck",
                "Benign",
                "clinical: close-up",
                "IL_0000003",
                None,
                "male",
            ),
            ("ISIC_0068282", "CC-0", 30, "head/neck", None, "dermoscopic", None, None, "male"),
        ],
        columns=[
            *(
                "isic_id",
                "copyright_license",
                "age_approx",
                "anatom_site_general",
                "diagnosis_1",
                "image_type",
                "lesion_id",
                "patient_id",
            ),
            "sex",
        ],
    )
    for name in table["isic_id"]:
        picture(root / f"{name}.jpg", channels=3)
    table.insert(1, "attribution", "Hospital, Department of Dermatology")
    table.to_csv(root / "metadata.csv", index=False)
    return root


HAM_CLASSES = ("nv", "mel", "bkl", "bcc", "akiec", "vasc", "df")


def ham10000(root: Path, lesions: int = 1) -> Path:
    """HAM10000: two folders of images, and a second copy of the first as Kaggle's download has
    it.
    """
    rows = []
    for kind in HAM_CLASSES:
        for lesion in range(lesions):
            for look in range(2):
                name = f"ISIC_{len(rows):07d}"
                age, sex = ("", "unknown") if look else ("45.0", "female")
                rows.append(
                    (
                        f"HAM_{kind}{lesion:04d}",
                        name,
                        kind,
                        "histo",
                        age,
                        sex,
                        "trunk" if look else "unknown",
                    )
                )
                picture(root / f"HAM10000_images_part_{1 + look}" / f"{name}.jpg", channels=3)
    shutil.copytree(root / "HAM10000_images_part_1", root / "ham10000_images_part_1")
    columns = ["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization"]
    pd.DataFrame(rows, columns=columns).to_csv(root / "HAM10000_metadata.csv", index=False)
    return root


CT_CLASSES = {
    "adenocarcinoma": "adenocarcinoma_left.lower.lobe_T2_N0_M0_Ib",
    "large.cell.carcinoma": "large.cell.carcinoma_left.hilum_T2_N2_M0_IIIa",
    "squamous.cell.carcinoma": "squamous.cell.carcinoma_left.hilum_T1_N2_M0_IIIa",
    "normal": "normal",
}


def adenocarcinoma_ct(root: Path, images: int = 2) -> Path:
    """Chest CT-Scan images: long names in train and valid, short ones in test, RGBA files, copies
    that cross the folders.
    """
    for part in ("train", "valid", "test"):
        for short, long in CT_CLASSES.items():
            for number in range(images):
                picture(
                    root
                    / "Data"
                    / part
                    / (short if part == "test" else long)
                    / f"{number:06d} (3).png",
                    channels=4,
                )
    shutil.copy(
        root / "Data/test/normal/000000 (3).png", root / "Data/train/normal/2 - Copy (2) - Copy.png"
    )
    return root


def chest_xray(root: Path) -> Path:
    """Chest X-Ray Images (Pneumonia): everything again in chest_xray/, and what macOS leaves."""
    for number, part in enumerate(("train", "val", "test")):
        picture(root / part / "NORMAL" / f"IM-{number:04d}-0001.jpeg")
        for kind in ("bacteria", "virus"):
            picture(root / part / "PNEUMONIA" / f"person{number}_{kind}_1.jpeg")
    parts = [*root.iterdir()]
    for part in parts:
        shutil.copytree(part, root / "chest_xray" / part.name)
    for file in [*root.glob("t*/*/*.jpeg"), *root.glob("val/*/*.jpeg")]:
        beside = (
            root / "chest_xray" / "__MACOSX" / file.relative_to(root).with_name(f"._{file.name}")
        )
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(b"\0\5\26\7")
    for name in (".DS_Store", "Thumbs.db"):
        (root / "train" / name).write_bytes(b"x")
    return root


def bmad(root: Path, masks: bool = True) -> Path:
    """The brain set of BMAD: slices of volumes, masks below label/; without masks, the sets that
    have no folder img/.
    """
    for place, (part, folder) in enumerate(
        [
            ("train", "good"),
            ("valid", "good"),
            ("valid", "Ungood"),
            ("test", "good"),
            ("test", "Ungood"),
        ]
    ):
        for number in (60, 61, 62):
            name = f"{place:05}_{number}.png" if masks else f"{number}.png"
            where = root / part / folder / "img" if masks else root / part / folder
            picture(where / name)
            if masks and folder == "Ungood":
                mask = np.zeros((40, 32), dtype=np.uint8)
                mask[10:20, 10 : 10 + place] = 255
                path = root / part / folder / "label" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(mask).save(path)
    return root


def brain_mri(root: Path, images: int = 3) -> Path:
    """Brain MRI Images for Brain Tumor Detection: every image twice, in yes/ and no/ and again
    below brain_tumor_dataset/.
    """
    for number in range(images):
        picture(root / "yes" / f"Y{number}.jpg")
        picture(root / "no" / (f"{number} no.jpeg" if number else "N0.JPG"))
    for folder in ("yes", "no"):
        shutil.copytree(root / folder, root / "brain_tumor_dataset" / folder)
    return root


def migraine_mri(
    root: Path, subjects: Sequence[str] = ("sub-01_T1w", "sub-02_T1w", "H_03")
) -> Path:
    """NIfTI volumes of healthy and migraine subjects; numbering starts anew in each folder, one
    subject came twice.
    """
    import nibabel

    rng = np.random.default_rng(0)
    for folder in ("healthy", "migraine"):
        for name in (*subjects, "sub-01/ses-2/anat/sub-01_ses-2_T1w"):
            path = root / folder / f"{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            nibabel.save(
                nibabel.Nifti1Image(rng.integers(0, 1000, (16, 16, 24), dtype=np.int16), np.eye(4)),
                path,
            )
    return root


def medmnist(
    path: Path, labels: Sequence[int] | np.ndarray, channels: int = 1, size: int = 28
) -> Path:
    """An NPZ file in the layout of MedMNIST with these labels in every part."""
    rng, numbers = np.random.default_rng(0), np.asarray(labels, dtype=np.uint8)
    column = numbers.reshape(len(numbers), -1)
    shape = (len(numbers), size, size) if channels == 1 else (len(numbers), size, size, channels)
    arrays = {
        f"{part}_images": rng.integers(0, 256, shape, dtype=np.uint8)
        for part in ("train", "val", "test")
    }
    np.savez_compressed(
        path, **arrays, **{f"{part}_labels": column for part in ("train", "val", "test")}
    )
    return path
