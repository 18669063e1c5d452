"""Patients of DICOM files whose headers complete each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from medgan.images.config import IngestionConfig
from medgan.images.manifest import listing
from medgan.images.metadata import read_facts
from medgan.images.patients import AMBIGUOUS, BY_ISSUER, BY_STUDY, SEVERAL, patients_of
from medgan.pipelines.ingestion.nodes import make_manifest
from medgan.sources.folder import FolderSource
from medgan.sources.readers.config import ReadingConfig
from tests.faults.making import dicom, noise
from tests.images.known import Remembered

Header = tuple[str, str, str]
"""PatientID, IssuerOfPatientID, study; empty where the header does not have it."""


def patients(folder: Path, headers: list[Header]) -> tuple[list[int], list[str], list[bool]]:
    """Of each file the number of the first one of its group; the remarks; whether it is known."""
    for place, values in enumerate(headers):
        keywords = ("PatientID", "IssuerOfPatientID", "StudyInstanceUID")
        told = {name: value for name, value in zip(keywords, values, strict=True) if value}
        dicom(folder / "films" / f"{place}.dcm", noise(place, 8, 9), **told)
    reading = ReadingConfig(pseudonym_key="a secret of the tests")
    source = FolderSource(str(folder), reading=reading).open()
    config, known = IngestionConfig(labels={"films": "normal"}), Remembered()
    for batch in read_facts(source, listing(source, config)[0]["path"].tolist(), known):
        known.add(batch)
    manifest, *_, summary = make_manifest(source, known, config)
    rows = manifest.set_index("path").sort_index()
    groups = rows["group_id"].tolist()
    return (
        [groups.index(group) for group in groups],
        list(summary.remarks),
        list(rows["group_known"]),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "films").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("headers", "groups", "remarks"),
    [
        # The issuer is missing in one file of a study, and in another study.
        ([("7", "A", "1.1"), ("7", "", "1.1"), ("7", "", "1.2")], [0, 0, 0], {BY_ISSUER: 2}),
        ([("7", "", "1.1"), ("7", "", "1.2"), ("8", "A", "1.3")], [0, 0, 2], {}),
        # Of two issuers, the study says which one it is.
        (
            [("7", "A", "1.1"), ("7", "B", "1.2"), ("7", "", "1.2"), ("7", "", "1.1")],
            [0, 1, 1, 0],
            {BY_ISSUER: 2},
        ),
        (
            [("7", "A", "1.1"), ("7", "B", "1.2"), ("7", "", "1.3"), ("7", "", "")],
            [0, 1, 2, 2],
            {AMBIGUOUS: 2},
        ),
        ([("7", "A", ""), ("7", "", "1.1"), ("7", "B", "")], [0, 1, 2], {AMBIGUOUS: 1}),
        # The PatientID is missing.
        ([("7", "A", "1.1"), ("", "", "1.1"), ("", "A", "1.1")], [0, 0, 0], {BY_STUDY: 2}),
        (
            [("7", "A", "1.1"), ("7", "", "1.2"), ("", "", "1.2")],
            [0, 0, 0],
            {BY_ISSUER: 1, BY_STUDY: 1},
        ),
        ([("7", "", "1.1"), ("8", "", "1.1")], [0, 1], {SEVERAL: 2}),
    ],
)
def test_headers_complete_each_other(
    folder: Path, headers: list[Header], groups: list[int], remarks: dict[str, int]
) -> None:
    found, said, known = patients(folder, headers)
    assert found == groups
    assert said == [f"{count} {what}" for what, count in remarks.items()]
    assert all(known)


def test_a_study_without_a_patient_stays_together_and_is_of_nobody_known(folder: Path) -> None:
    found, said, known = patients(
        folder, [("", "", "1.1"), ("", "", "1.2"), ("", "", "1.1"), ("", "", "")]
    )
    assert found == [0, 1, 0, 3]
    assert known == [False] * 4
    assert not said


def test_files_without_a_header_have_no_patient() -> None:
    assert patients_of([{}, {"color": "grey"}]).groups == [None, None]
