"""The score of an uploaded image."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image

from medgan.evaluation.scores import score_images
from medgan.images.loading import StoredImages
from medgan.inference import Options, score_path
from medgan.inference.trained import Trained, with_threshold
from medgan.inference.trained import trained as load
from medgan.inference.upload import (
    SIZE_CAP,
    Upload,
    decision,
    figure,
    packed,
    refusal_sentence,
    score_uploads,
    standing,
    uploaded,
)
from medgan.project.artifacts import Project
from medgan.project.environment import Environment
from medgan.sources.readers.config import ReadingConfig
from tests.app.conftest import film
from tests.inference.conftest import MODEL


def file_of(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0]).save(buffer, kind)
    return buffer.getvalue()


def dicom_file(path: Path) -> Upload:
    """A film of 24 x 30 pixels."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    film_ = pydicom.Dataset()
    film_.file_meta = meta
    film_.SOPClassUID, film_.SOPInstanceUID = meta[0x00020002].value, meta[0x00020003].value
    film_.PatientID, film_.Modality = "P1", "DX"
    film_.SeriesInstanceUID = pydicom.uid.generate_uid()
    film_.Rows, film_.Columns, film_.SamplesPerPixel = 24, 30, 1
    film_.PhotometricInterpretation, film_.PixelRepresentation = "MONOCHROME2", 0
    film_.BitsAllocated, film_.BitsStored, film_.HighBit = 16, 12, 11
    pixels = np.random.default_rng(1).integers(0, 4095, (24, 30)).astype(np.uint16)
    film_.PixelData = pixels.tobytes()
    film_.save_as(path, enforce_file_format=True)
    return Upload(path.name, path.read_bytes())


def read_upload(data: bytes) -> np.ndarray:
    with uploaded([Upload("a", data)], ReadingConfig()) as images:
        return images.source.read("a").pixels


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_an_upload_is_read_by_its_content(kind: str) -> None:
    np.testing.assert_array_equal(read_upload(file_of(film(3), kind)), film(3))


REFUSED = [
    (b"GIF89a" + bytes(50), "FORMAT"),
    (b"\x89PNG\r\n\x1a\n" + bytes(50), "UNREADABLE"),
    (b"", "UNREADABLE"),
    (file_of(np.full((8, 8, 1), 7, np.uint8)), "CONSTANT"),
    (b"\xff\xd8\xff" + bytes(SIZE_CAP), "TOO_LARGE"),
]


def test_files_that_are_no_images_are_rows_with_a_code(project: Path) -> None:
    files = [Upload(f"{number}.png", data) for number, (data, _) in enumerate(REFUSED)]
    found = score_uploads(films(project), [*files, Upload("0.png", file_of(film(3)))])
    codes = dict(zip(found.table["path"], found.table["code"], strict=True))
    assert codes == {
        **{f"{number}.png": code for number, (_, code) in enumerate(REFUSED)},
        "0 (2).png": "",
    }
    assert [image.name for image in found.images] == ["0 (2).png"]
    assert found.table["score"].notna().sum() == 1
    for code, message in zip(found.table["code"], found.table["message"], strict=True):
        assert f"({code})" in refusal_sentence(code, message)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("../../etc/x.png", "x.png"),
        ("C:\\films\\x.png", "x.png"),
        (".hidden.png", "hidden.png"),
    ],
)
def test_names_stay_in_their_folder(project: Path, name: str, written: str) -> None:
    found = score_uploads(films(project), [Upload(name, file_of(film(3)))])
    assert found.table["path"].tolist() == [written]


def test_dicom_and_nifti_are_scored_slice_by_slice(project: Path, tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    volume = np.random.default_rng(0).integers(0, 900, (20, 20, 30)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "v.nii.gz")
    written = dicom_file(tmp_path / "film.dcm")
    found = score_uploads(
        films(project), [Upload("v.nii.gz", (tmp_path / "v.nii.gz").read_bytes()), written]
    )
    units = found.table["unit"].value_counts().to_dict()
    assert units == {"slice": 8, "volume": 1, "image": 1}
    assert (found.table["code"] == "").all()
    assert len(found.images) == 9
    assert found.images[-1].size == (24, 30)


def test_the_archive_holds_the_table_and_a_figure_of_each_image(project: Path) -> None:
    using = films(project)
    found = score_uploads(using, [Upload("a.png", file_of(film(1))), Upload("b.png", b"no")])
    with zipfile.ZipFile(io.BytesIO(packed(using, found))) as archive:
        names = archive.namelist()
        assert names[0] == "scores.csv"
        assert len(names) == 2
        table = pd.read_csv(io.BytesIO(archive.read("scores.csv")))
        assert archive.read(names[1]).startswith(b"\x89PNG")
    assert table["path"].tolist() == ["a.png", "b.png"]
    assert table["score"][0] == pytest.approx(found.images[0].score, rel=1e-5)


@pytest.mark.parametrize("name", ["nearest_neighbour", "dcgan"])
def test_a_stored_image_that_is_uploaded_gets_the_score_of_the_pipeline(
    trained: Path,
    name: str,
) -> None:
    project = Project(trained)
    store, model = project.store("phantoms"), project.published("phantoms", name)
    scores, maps, _ = score_images(model.build(), StoredImages(store), np.array([9]))
    using = load(project, project.environment("phantoms"), name)
    pixels = using.prepared(read_upload(file_of(film(9))))
    found = using.score(pixels[None], ["a"])
    assert found[0][0] == pytest.approx(scores[0], rel=1e-5)
    np.testing.assert_allclose(found[1][0], maps[0], rtol=1e-3)
    again = score_uploads(using, [Upload("a", file_of(film(9)))])
    assert again.images[0].score == found[0][0]


def films(project: Path) -> Trained:
    environment = Environment(project / "conf", "films")
    found = Project(project)
    return with_threshold(found, environment, load(found, environment, MODEL))


def test_the_app_and_the_command_give_the_same_picture(project: Path) -> None:
    path = project / "films/sick/p3.png"
    table = score_path(path, MODEL, "out", env="films", options=Options("all"))
    using = films(project)
    found = score_uploads(using, [Upload("p3.png", path.read_bytes())])
    assert found.images[0].score == pytest.approx(table["score"][0], abs=1e-6)
    assert found.scale is not None
    picture = figure(using, found.images[0], found.scale)
    assert picture == (project / "out" / table["heat_map"][0]).read_bytes()
    shared = ["path", "score", "threshold", "decision", "percentile", "caution"]
    pd.testing.assert_frame_equal(found.table[shared], table[shared])


def test_sentences() -> None:
    assert (
        standing(2.5, np.array([1.0, 2.0, 3.0, 2.5]), "test images")
        == "The score is higher than that of 2 of the 4 normal test images (50%)."
    )
    assert "at or above the threshold 2.5" in decision(2.5, 2.5, "youden")
    assert "calls the image normal" in decision(2.4, 2.5, "youden")
