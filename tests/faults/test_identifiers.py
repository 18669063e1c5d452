"""Identifiers of patients (tags, file names, folders, columns of tables) stay on this machine: they
reach no output of a run but the manifest, the quarantine and the exclusions.
"""

from __future__ import annotations

import io
import re
import stat
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest

from medgan.datasets.images import ImageSourceDataset
from medgan.errors import UserError
from medgan.images.config import IngestionConfig
from medgan.images.manifest import listing
from medgan.sources.folder import FolderSource
from medgan.sources.neutral_ids import ORDER, VARIABLE, stored_key
from medgan.sources.readers.config import ReadingConfig, SlicePolicy
from medgan.sources.table import CsvSource
from tests.conftest import kedro_command
from tests.end_to_end.project import call, make_project
from tests.faults.making import dicom, nifti, noise, raster

KEY = "a secret of the tests"
NAMES = ("MUELLER_HANS_19470312", "O'Brien Mary 1966-02-28", "MRN0047113", "Übel, Jörg")
PATIENTS = [f"{name}{number:02d}" for name in NAMES for number in range(15)]


def folder_of(root: Path) -> FolderSource:
    for number, patient in enumerate(PATIENTS[::9]):
        (root / "normal" / patient).mkdir(parents=True)
        raster(root / "normal" / patient / f"{patient} a.png", noise(number, 9, 9))
        nifti(root / "normal" / patient / f"{patient}.nii.gz", noise(number, 9, 9, 4))
    fields = {"category": ["^([^/]+)/"], "group_id": ["/([^/]+)/"]}
    return FolderSource(str(root), fields, reading=ReadingConfig(None, slices=SlicePolicy()))


def table_of(root: Path) -> CsvSource:
    (root / "images").mkdir(parents=True)
    for number, patient in enumerate(PATIENTS[::9]):
        raster(root / "images" / f"{patient}.png", noise(number, 9, 9))
    table = pd.DataFrame({"file": PATIENTS[::9], "dx": "normal", "mrn": PATIENTS[::9]})
    table.to_csv(root / "metadata.csv", index=False)
    columns: dict[str, str | list[str]] = {"image_id": "file", "category": "dx", "group_id": "mrn"}
    return CsvSource(columns, str(root), file="{image_id}.png")


@pytest.mark.parametrize("make", [folder_of, table_of])
def test_ids_are_neutral_and_the_order_is_that_of_the_names(tmp_path: Path, make) -> None:
    source = make(tmp_path / "data").open()
    source.key = KEY
    rows = source.rows()
    shown = rows.drop(columns=["path", ORDER]).to_csv()
    assert not any(patient in shown for patient in PATIENTS)
    assert rows["group_id"].nunique() == len(PATIENTS[::9])
    wanted, _ = listing(source, IngestionConfig())
    assert wanted["path"].tolist() == sorted(rows["path"])
    again = make_again(source, KEY)
    assert again["image_id"].tolist() == rows["image_id"].tolist(), "one key gives one id"
    assert not set(make_again(source, KEY[::-1])["image_id"]) & set(rows["image_id"])
    assert not set(make_again(source, KEY[::-1])["group_id"]) & set(rows["group_id"])


def make_again(source, key: str) -> pd.DataFrame:
    source.key = key
    return source.rows()


def test_slices_keep_their_numbers_behind_the_id_of_their_file(tmp_path: Path) -> None:
    rows = folder_of(tmp_path / "data").open().rows()
    slices = rows[rows["volume"].notna()]
    assert len(slices)
    assert (slices["image_id"] == slices["volume"] + "/" + slices["slice"]).all()


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "local" / "pseudonym.key"
    key = stored_key(file)
    assert len(key) >= 32
    assert stored_key(file) == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name], "no draft is left"
    file.write_text("short")
    with pytest.raises(UserError, match="at least 16"):
        stored_key(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read or made"):
        stored_key(file)
    with pytest.raises(UserError, match="cannot be read or made"):
        stored_key(file / "below a file")


@pytest.mark.parametrize("given", [{}, {"pseudonym_key": KEY}])
def test_patients_of_dicom_files_are_known_by_the_stored_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    for number in range(3):
        (tmp_path / "data" / "normal").mkdir(parents=True, exist_ok=True)
        file = tmp_path / "data" / "normal" / f"{number}.dcm"
        dicom(file, noise(number, 9, 9), PatientID=f"MRN{number // 2}")

    def groups(key_file: Path) -> tuple[list[str], list[str]]:
        entry = ImageSourceDataset("folder", str(tmp_path / "data"), reading=given)
        entry.key_file = key_file
        source = entry.load()
        paths = source.rows()["path"].tolist()
        found = [source.read(path).metadata["group_id"] for path in paths]
        return found, [source.fingerprint(path) for path in paths]

    first, again, other = (groups(tmp_path / name) for name in ("key", "key", "another"))
    assert first == again, "pseudonyms and fingerprints are stable between runs"
    assert first[0][0] == first[0][1] != first[0][2]
    assert (first == other) == bool(given), "a key of `reading` comes first"
    assert (tmp_path / "key").exists() != bool(given)


# A whole run

CATALOG = """source:
  type: medgan.datasets.images.ImageSourceDataset
  kind: csv
  location: "${runtime_params:source}"
  file: "{dx}/{name}/{file}"
  images: .
  columns: {category: dx, group_id: mrn, sex: sex}
"""
TAGS = (
    *("PatientID", "PatientName", "OtherPatientNames", "PatientAddress", "PatientComments"),
    *("PatientMotherBirthName", "PatientTelephoneNumbers", "MilitaryRank", "EthnicGroup"),
    *("Occupation", "AdditionalPatientHistory", "AccessionNumber", "StudyID", "StudyDescription"),
    *("SeriesDescription", "ProtocolName", "InstitutionName", "InstitutionAddress"),
    *("InstitutionalDepartmentName", "ReferringPhysicianName", "PerformingPhysicianName"),
    *("OperatorsName", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy", "StationName"),
    *("DeviceSerialNumber", "RequestingPhysician", "RequestedProcedureDescription"),
    *("AdmissionID", "ImageComments", "FrameOfReferenceUID", "StudyInstanceUID"),
    *("SeriesInstanceUID", "DetectorID", "IssuerOfPatientID", "CountryOfResidence"),
    *("SequenceName", "SoftwareVersions", "Manufacturer", "ManufacturerModelName"),
)
UIDS = {"FrameOfReferenceUID", "StudyInstanceUID", "SeriesInstanceUID"}
ALLOWED = {
    *("manifest.parquet", "quarantine.csv", "exclusions.csv"),
    *("ingestion_summary.json", "data_summary.json"),
}
IMAGES = 90


PLANTED = re.compile(rb"Zqvwx|J\xc3\xb6rg|19470312|1\.2\.826\.4711")
"""What every planted identifier has in it."""


def plant(root: Path) -> None:
    """DICOM and PNG files of 30 patients and a table, with identifiers wherever there is room."""
    rows = []
    for number in range(IMAGES):
        patient, dx = f"Zqvwx{number // 3:02d}", ("normal", "lesion")[number // 3 % 2]
        name = f"{patient}, Jörg 1947"
        pixels = noise(number, 40, 40)
        if dx == "lesion":
            pixels[10:20, 10:20] = 255
        folder = root / dx / name
        folder.mkdir(parents=True, exist_ok=True)
        file = f"{patient}MRN{number:03d}" + (".png" if number % 3 else ".dcm")
        if number % 3:
            raster(folder / file, pixels)
        else:
            values = {tag: f"{patient}{tag}"[:16] for tag in TAGS}
            values |= dict.fromkeys(UIDS, f"1.2.826.4711{number:04d}")
            dicom(folder / file, pixels, PatientBirthDate="19470312", **values)
            add_private(folder / file, patient)
        if number == 4:
            (folder / file).write_bytes(b"damaged")
        rows.append((file, name, dx, f"{patient}GROUP", f"{patient}COLUMN", "FM"[number % 2]))
    table = pd.DataFrame(rows, columns=["file", "name", "dx", "mrn", "note", "sex"])
    table.to_csv(root / "metadata.csv", index=False)
    raster(root / "normal" / "Zqvwx77UNLISTED.png", noise(0, 9, 9))


def add_private(path: Path, patient: str) -> None:
    """Private tags, and names in a sequence."""
    file = pydicom.dcmread(path)
    block = file.private_block(0x0011, f"{patient}MAKER", create=True)
    block.add_new(0x01, "LO", f"{patient}PRIVATE")
    inner = pydicom.Dataset()
    inner.PatientName = inner.PatientID = f"{patient}INNER"
    file.OtherPatientIDsSequence = file.ReferencedPatientSequence = [inner]
    file.save_as(path)


def text_of(path: Path) -> bytes:
    """What a file says, unpacked."""
    content = path.read_bytes()
    if path.suffix == ".parquet":
        return pd.read_parquet(io.BytesIO(content)).to_csv().encode()
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            texts = [arrays[name] for name in arrays.files if arrays[name].dtype.kind in "US"]
        return "\n".join(str(text) for array in texts for text in array.ravel()).encode()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return b"\n".join(archive.read(name) for name in archive.namelist())
    return content


@pytest.mark.long
def test_no_planted_identifier_gets_into_an_output_of_a_run(tmp_path: Path) -> None:
    images = tmp_path / "Zqvwx the images of Jörg"
    plant(images)
    project = make_project(tmp_path / "project")
    (project / "conf" / "tiny" / "catalog.yml").write_text(CATALOG)
    given = f"scale=smoke,source={images}"
    ended = call(project, *kedro_command("run", "--env", "tiny", "--params", given), seconds=900)
    assert ended.returncode == 0, ended.stderr[-3000:]
    said = {
        str(path.relative_to(project)): text_of(path)
        for path in project.rglob("*")
        if path.is_file() and project / "src" not in path.parents and path.name not in ALLOWED
    }
    assert len(said) > 300
    found = {name: set(PLANTED.findall(text)) for name, text in said.items()}
    assert not {name: words for name, words in found.items() if words}
    manifest = pd.read_parquet(project / "data/02_intermediate/tiny/manifest.parquet")
    assert manifest["path"].str.contains("Zqvwx").all(), "an image is found by its path here"
    assert not PLANTED.search(manifest.drop(columns="path").to_csv().encode())
