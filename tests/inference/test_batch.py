"""New images through a published detector, from their files to scores.csv and heat maps."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from medgan.cli.main import main
from medgan.errors import UserError
from medgan.evaluation.detector import evaluate_detector
from medgan.evaluation.domain import OUTSIDE
from medgan.evaluation.protocol import Protocol
from medgan.files.integrity import MANIFEST, sidecar
from medgan.inference import Options, score_path
from medgan.inference import batch as scoring_run
from medgan.project.artifacts import Project
from medgan.sources.readers.formats import TEXT
from medgan.stats.thresholds import Conformal
from tests.conftest import ROOT, environment
from tests.faults.making import dicom
from tests.inference.artifacts import folder, leave, leave_evaluation
from tests.inference.conftest import MODEL, add_environment, drawn

NO_MAPS = Options("none")
UIDS = [f"1.2.3.{number}.4711" for number in range(3)]
MEDGAN = str(Path(sys.executable).with_name("medgan"))


def known_scores(root: Path, name: str) -> pd.Series:
    """The score of each path."""
    table = pd.read_parquet(folder(root, name, f"{MODEL}.scores") / "scores.parquet")
    manifest = pd.read_parquet(root / "data/02_intermediate" / name / "manifest.parquet")
    return table.assign(
        path=table["image_id"].map(manifest.set_index("image_id")["path"])
    ).set_index("path")["score"]


def evaluated(root: Path, name: str, **protocol: Any) -> float:
    """Writes the evaluation of the detector as it is by this protocol, and returns the
    threshold.
    """
    scores = pd.read_parquet(folder(root, name, f"{MODEL}.scores") / "scores.parquet")
    splits = pd.read_parquet(root / "data/05_model_input" / name / "splits.parquet")
    row = evaluate_detector(scores, splits, Protocol(n_resamples=100, **protocol))
    leave_evaluation(root, name, MODEL, scores, row)
    return row.threshold.frozen


def read(output: Path) -> pd.DataFrame:
    return pd.read_csv(output / "scores.csv", keep_default_na=False, dtype={"slice": str})


def test_an_image_of_the_data_set_gets_the_score_of_the_pipeline(project: Path) -> None:
    score_path("films", MODEL, "out", env="films", options=NO_MAPS)
    found, known = read(project / "out").set_index("path"), known_scores(project, "films")
    assert len(known) > 10
    np.testing.assert_allclose(
        found.loc[known.index, "score"].astype(float), known, rtol=0, atol=1e-5
    )
    assert known.std() > 0.01


@pytest.mark.parametrize("aggregate", ["mean", "max"])
def test_a_slice_of_a_volume_gets_the_score_of_the_pipeline_and_the_volume_what_validation_chose(
    project: Path, aggregate: str
) -> None:
    evaluated(project, "scans", volume_score=aggregate)
    score_path("scans", MODEL, "out", env="scans", options=NO_MAPS)
    found, known = read(project / "out"), known_scores(project, "scans")
    slices = (
        found[found["unit"] == "slice"]
        .assign(image_id=lambda table: table["path"] + "/" + table["slice"])
        .set_index("image_id")
    )
    assert sorted(slices["slice"].unique()) == ["001", "002", "003"]
    np.testing.assert_allclose(
        slices.loc[known.index, "score"].astype(float), known, rtol=0, atol=1e-5
    )
    volumes = found[found["unit"] == "volume"].set_index("path")
    assert len(volumes) == 30
    expected = slices["score"].astype(float).groupby(slices["volume"]).agg(aggregate)
    np.testing.assert_allclose(volumes["score"].astype(float), expected[volumes.index])
    assert set(volumes["message"]) == {f"{aggregate} of 3 slices"}
    assert json.loads((project / "out/scoring.json").read_text())["volume_score"] == aggregate
    # The threshold was frozen on volumes: it judges volumes, and no single slice of them.
    assert set(slices["decision"]) == {""}
    assert set(volumes["decision"]) == {"normal", "anomalous"}
    first = found.index[found["path"] == volumes.index[0]]
    assert found.loc[first, "unit"].tolist() == ["volume", "slice", "slice", "slice"]
    assert (np.diff(first) == 1).all()


def test_decisions_are_those_of_the_frozen_threshold_and_percentiles_those_of_validation_normals(
    project: Path,
) -> None:
    table = score_path("films", MODEL, "out", env="films")
    row = json.loads(
        (folder(project, "films", f"{MODEL}.evaluation") / "evaluation.json").read_text()
    )
    assert set(table["threshold"]) == {row["threshold"]["value"]}
    assert (
        (table["decision"] == "anomalous") == (table["score"] >= row["threshold"]["value"])
    ).all()
    splits = pd.read_parquet(project / "data/05_model_input/films/splits.parquet")
    chosen = splits.loc[(splits["split"] == "val") & (splits["label"] == 0), "image_id"]
    scores = folder(project, "films", f"{MODEL}.scores") / "scores.parquet"
    normals = pd.read_parquet(scores).set_index("image_id")["score"][chosen]
    one = table.iloc[20]
    assert one["percentile"] == pytest.approx(
        100 * (normals < one["score"] - 1e-9).mean(), abs=1e-9
    )
    card = json.loads((project / "out/scoring.json").read_text())
    assert "Research only; not a medical device" in card["notice"]
    assert card["threshold"] == {
        "rule": "youden",
        "value": row["threshold"]["value"],
        "frozen_on": "validation images",
        "validation_normals": len(normals),
    }
    assert (project / f"data/06_models/films/{MODEL}/trained" / card["version"]).is_dir()
    assert card["dataset"] == "films"
    assert card["medgan"]
    assert "volume_score" not in card
    assert card["counts"] == {
        "images": 30,
        "volumes": 0,
        "anomalous": (table["decision"] == "anomalous").sum(),
        "outside": 0,
        "refused": 0,
        "no_image": 0,
        "hidden": 0,
    }
    assert card["cautions"]


def test_a_conformal_threshold_knows_which_images_are_of_one_patient(project: Path) -> None:
    path = project / "data/05_model_input/films/splits.parquet"
    rule = Conformal(0.3)
    alone = evaluated(project, "films", rule=rule)
    splits = pd.read_parquet(path)
    normals = splits.index[(splits["split"] == "val") & (splits["label"] == 0)]
    splits.loc[normals, "group_id"] = [f"p{number // 2}" for number in range(len(normals))]
    splits.to_parquet(path)
    sidecar(path).unlink()
    threshold = evaluated(project, "films", rule=rule)
    assert threshold != alone
    assert set(
        score_path("films/sick", MODEL, "out", env="films", options=NO_MAPS)["threshold"]
    ) == {threshold}


def test_refused_files_are_rows_with_their_reason(project: Path) -> None:
    folder = project / "new"
    shutil.copytree(project / "films/sick", folder / "a")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    Image.new("L", (40, 40), 7).save(folder / "flat.png")
    shutil.copy(project / "scans/sick/s0.nii.gz", folder)
    (folder / "notes.txt").write_text("no image")
    table = score_path("new", MODEL, "out", env="films")
    refused = read(project / "out").set_index("path").loc[["broken.png", "flat.png", "s0.nii.gz"]]
    assert refused["code"].tolist() == ["UNREADABLE", "CONSTANT", "VOLUME"]
    assert (refused["message"] != "").all()
    assert (refused[["score", "threshold", "decision", "percentile", "heat_map"]] == "").all(
        axis=None
    )
    assert len(table) == 14
    assert table["score"].notna().sum() == 10
    other = table.set_index("path").loc["notes.txt"]
    assert (other["unit"], other["code"], other["message"]) == ("file", "NO_IMAGE", TEXT)


def test_f51_no_file_name_is_a_formula_in_the_table_or_a_path(project: Path) -> None:
    names = ["=1+1.png", "@a.png", "-rf.png", "+.png"]
    (project / "new").mkdir()
    for name in names:
        shutil.copy(next((project / "films/sick").iterdir()), project / "new" / name)
    table = score_path("new", MODEL, "out", env="films", options=Options("all"))
    assert sorted(table["path"]) == sorted(names)
    assert sorted(read(project / "out")["path"]) == sorted(f"'{name}" for name in names)
    drawn = [path.name for path in (project / "out/heat_maps").iterdir()]
    assert len(drawn) == len(names)
    assert all(name[0].isalnum() for name in drawn)


def test_names_that_are_not_utf_8_are_shown_and_their_files_scored(project: Path) -> None:
    new = project / os.fsdecode(b"neu\xe9")
    new.mkdir()
    for place, name in enumerate((b"caf\xe9.png", b"notes\xff.txt", "grün.png".encode())):
        source = sorted((project / "films/sick").iterdir())[place]
        shutil.copy(source, new / os.fsdecode(name))
    (new / os.fsdecode(b"notes\xff.txt")).write_text("no image")
    options = ["--model", MODEL, "--env", "films", "--maps", "all", "--json"]
    shown = CliRunner().invoke(main, ["score", str(new), "--output", "out", *options])
    assert shown.exit_code == 0, shown.output
    rows = {row["path"]: row for row in json.loads(shown.stdout)["rows"]}
    assert list(rows) == ["caf\\xe9.png", "grün.png", "notes\\xff.txt"]
    assert rows["caf\\xe9.png"]["score"] is not None
    assert (project / "out" / rows["caf\\xe9.png"]["heat_map"]).is_file()
    assert rows["notes\\xff.txt"]["code"] == "NO_IMAGE"
    assert read(project / "out")["path"].tolist() == list(rows)
    for text in (shown.stdout, (project / "out/scoring.json").read_text("utf-8")):
        assert "\\ud" not in text
    file = new / os.fsdecode(b"caf\xe9.png")
    shown = CliRunner().invoke(main, ["score", str(file), "--output", "one", *options[:-1]])
    assert shown.exit_code == 0, shown.output
    assert "caf\\xe9.png" in shown.stdout


def test_every_file_of_a_folder_has_a_row_and_hidden_ones_are_counted(project: Path) -> None:
    new, elsewhere = project / "new", project / "elsewhere"
    for place in (new / "inner", elsewhere):
        place.mkdir(parents=True)
    film = Image.open(project / "films/normal/p1.png")
    film.save(new / "film.png")
    film.convert("RGB").save(new / "film.jfif", format="JPEG")
    film.save(new / "inner/no_suffix", format="PNG")
    film.save(elsewhere / "linked.png")
    dicom(new / "E1S1I1.MR", np.asarray(film).astype(np.uint16), Modality="MR")
    (new / "films.zip").write_bytes(b"PK\x03\x04" + bytes(40))
    (new / "report.pdf").write_bytes(b"%PDF-1.4" + bytes([200] * 40))
    (new / "inner/list.csv").write_text("a,b")
    for name in (".DS_Store", "Thumbs.db", "._film.png"):
        (new / name).write_bytes(b"x")
    (new / "more").symlink_to(elsewhere)
    score_path("new", MODEL, "out", env="films", options=NO_MAPS)
    table = read(project / "out").set_index("path")
    scored = {"film.png", "film.jfif", "inner/no_suffix", "E1S1I1.MR"}
    assert set(table.index[table["score"] != ""]) == scored
    others = {"films.zip", "report.pdf", "inner/list.csv"}
    assert set(table.index[table["code"] == "NO_IMAGE"]) == others
    assert "zip archive; unpack it" in table.loc["films.zip", "message"]
    assert table.loc["more/linked.png", "code"] == "OUTSIDE"
    assert len(table) == 8
    card = json.loads((project / "out/scoring.json").read_text())
    assert card["counts"] | {"anomalous": 0, "outside": 0} == {
        "images": 5,
        "volumes": 0,
        "anomalous": 0,
        "outside": 0,
        "refused": 1,
        "no_image": 3,
        "hidden": 3,
    }


def test_foreign_images_get_no_verdict_and_no_heat_map(project: Path) -> None:
    (project / "new").mkdir()
    pixels = np.asarray(Image.open(project / "films/sick/p0.png"))
    Image.fromarray(pixels).save(project / "new/film.png")
    noise = np.random.default_rng(0).integers(0, 256, (*pixels.shape, 3), dtype=np.uint8)
    Image.fromarray(noise).save(project / "new/noise.png")
    Image.fromarray(pixels).resize((200, 52)).save(project / "new/wide.png")
    table = score_path("new", MODEL, "out", env="films").set_index("path")
    assert table.loc["film.png", "decision"] in ("normal", "anomalous")
    for name in ("noise.png", "wide.png"):
        assert table.loc[name, "decision"] == OUTSIDE
        assert table.loc[name, "message"].startswith("outside the domain of this detector: ")
        assert table.loc[name, ["threshold", "percentile"]].isna().all()
        assert table.loc[name, "heat_map"] == ""
        assert np.isfinite(table.loc[name, "score"])


def test_without_an_environment_the_only_data_set_is_taken_and_named(project: Path) -> None:
    several = CliRunner().invoke(main, ["score", "films/sick", "-m", MODEL, "-o", "out"])
    assert several.exit_code == 1
    assert "trained on 2 data sets" in several.output
    assert "--env films (films), --env scans (scans)" in several.output
    assert not (project / "out").exists()
    shutil.rmtree(project / "data/06_models/scans")
    arguments = ["score", "films/sick", "-m", MODEL, "-o", "out", "--maps", "none"]
    only = CliRunner().invoke(main, arguments)
    assert only.exit_code == 0, only.output
    assert f"{MODEL}, trained on the data set films" in only.output
    assert "p0.png" in only.output


def test_an_evaluation_without_a_domain_has_to_be_made_again(project: Path) -> None:
    entry = f"{MODEL}.evaluation"
    older = replace(Project(project).read("films", entry), domain=None, domain_reference=None)
    leave(project, "films", entry, older)
    with pytest.raises(UserError, match="kedro run --env films --pipeline anomaly_evaluation"):
        score_path("films", MODEL, "out", env="films")


def test_where_all_are_refused_the_table_says_why(project: Path) -> None:
    (project / "new").mkdir()
    (project / "new/broken.png").write_bytes(b"")
    shown = CliRunner().invoke(main, ["score", "new", "-m", MODEL, "-o", "out", "-e", "films"])
    assert shown.exit_code == 1
    assert "None of the 1 files could be scored (broken.png: it is empty)" in shown.output
    assert "out/scores.csv says why." in shown.output
    assert read(project / "out")["code"].tolist() == ["UNREADABLE"]
    assert not (project / "out/heat_maps").exists()


def test_heat_maps_of_the_anomalous_of_all_and_of_none(project: Path) -> None:
    table = score_path("films", MODEL, "out", env="films")
    drawn_for = table["heat_map"] != ""
    assert (drawn_for == (table["decision"] == "anomalous")).all()
    assert 0 < drawn_for.sum() < len(table)
    assert sorted(path.name for path in (project / "out/heat_maps").iterdir()) == sorted(
        table.loc[drawn_for, "heat_map"].str[10:]
    )
    picture = Image.open(project / "out" / table.loc[drawn_for, "heat_map"].iloc[0])
    assert picture.info["Description"].startswith("Research only; not a medical device")
    one = score_path("films/normal/p1.png", MODEL, "one", env="films", options=Options("all"))
    assert one["path"].tolist() == ["p1.png"]
    assert len(list((project / "one/heat_maps").iterdir())) == 1
    score_path("films", MODEL, "bare", env="films", options=Options("none"))
    assert sorted(path.name for path in (project / "bare").iterdir()) == [
        "scores.csv",
        "scoring.json",
    ]


def test_an_anomalous_volume_has_the_picture_of_its_highest_slice(project: Path) -> None:
    table = score_path("scans/sick", MODEL, "out", env="scans")
    volumes = table[(table["unit"] == "volume") & (table["decision"] == "anomalous")].set_index(
        "volume"
    )
    slices = table[table["unit"] == "slice"]
    highest = slices.loc[slices.groupby("volume")["score"].idxmax()].set_index("volume")
    assert len(volumes)
    assert (volumes["heat_map"] == highest.loc[volumes.index, "heat_map"]).all()
    assert set(table["heat_map"]) - {""} == set(volumes["heat_map"])


@pytest.fixture
def series(project: Path) -> Path:
    """Two DICOM series, their files mixed in one folder, and one film."""
    (project / "new").mkdir()
    for number in range(7):
        pixels = drawn(number, False).astype(np.uint16)
        about = {
            "PatientID": "SECRET-4711",
            "PatientName": "Doe^Jane",
            "SeriesInstanceUID": UIDS[2 if number == 6 else number % 2],
        }
        dicom(project / "new" / f"{number}.dcm", pixels, InstanceNumber=number, **about)
    return project / "new"


def test_dicom_series_are_volumes_and_nothing_of_a_patient_is_written(
    project: Path, series: Path, monkeypatch
) -> None:
    monkeypatch.delenv("MEDGAN_PSEUDONYM_KEY", raising=False)
    table = score_path(series, MODEL, "out", env="films", options=Options("all"))
    assert table["unit"].tolist() == ["volume", *["slice"] * 3, "volume", *["slice"] * 3, "image"]
    assert table["volume"].tolist() == ["0.dcm"] * 4 + ["1.dcm"] * 4 + [""]
    assert table.loc[table["unit"] == "slice", "path"].tolist() == [
        "0.dcm",
        "2.dcm",
        "4.dcm",
        "1.dcm",
        "3.dcm",
        "5.dcm",
    ]
    # This threshold was frozen on images: it judges slices, and not the means over them.
    assert (table.loc[table["unit"] == "volume", "decision"] == "").all()
    assert (table.loc[table["unit"] != "volume", "decision"] != "").all()
    written = b"".join(path.read_bytes() for path in (project / "out").rglob("*") if path.is_file())
    assert not [text for text in ("SECRET-4711", "Doe", *UIDS) if text.encode() in written]


def test_the_key_of_pseudonyms_is_not_written(project: Path) -> None:
    shutil.rmtree(project / "conf/films")
    add_environment(project, "films", "{pseudonym_key: a-secret-of-24-characters}")
    score_path("films/sick", MODEL, "out", env="films")
    assert "a-secret" not in (project / "out/scoring.json").read_text()


def refusal(*arguments, **options) -> str:
    with pytest.raises(UserError) as caught:
        score_path(*arguments, **options)
    return str(caught.value)


def test_unknown_names_are_refused_with_the_closest(project: Path) -> None:
    assert "There is no detector 'healthgan': did you mean 'healthygan'?" in refusal(
        "films", "healthgan", "out", env="films"
    )
    assert refusal("films", "acgan", "out", env="films").startswith("acgan is no detector: use one")
    assert "There is no environment 'film': did you mean 'films'?" in refusal(
        "films", MODEL, "out", env="film"
    )
    assert "There is no file or folder 'flims': did you mean 'films'?" in refusal(
        "flims", MODEL, "out", env="films"
    )
    said = refusal("films", "HealthyGAN", "out", env="films")
    assert (
        "healthygan is not trained on films: `kedro run --env films --pipeline gan_training` trains it"
        in said
    )
    assert f"trained are {MODEL}" in said
    (project / "empty").mkdir()
    assert "empty holds no images" in refusal("empty", MODEL, "out", env="films")
    assert not (project / "out").exists()


def test_names_are_understood_however_they_are_written(project: Path) -> None:
    assert len(score_path("films/sick", "Nearest Neighbour", "out", env="films")) == 10


def test_without_an_evaluation_it_names_the_command_or_scores_without_decisions(
    project: Path,
) -> None:
    shutil.rmtree(project / f"data/08_reporting/films/{MODEL}/evaluation")
    said = refusal("films", MODEL, "out", env="films")
    assert "`kedro run --env films --pipeline anomaly_evaluation`" in said
    assert "--no-threshold" in said
    table = score_path(
        "films/sick", MODEL, "out", env="films", options=Options("all", threshold=False)
    )
    assert set(table["decision"]) == {""}
    assert table[["threshold", "percentile"]].isna().all(axis=None)
    assert (table["heat_map"] != "").all()
    assert json.loads((project / "out/scoring.json").read_text())["threshold"] is None
    with pytest.raises(UserError, match="Without a threshold no image is anomalous"):
        Options("anomalous", threshold=False)


def test_a_threshold_of_another_version_is_refused(project: Path) -> None:
    path = folder(project, "films", f"{MODEL}.evaluation") / "evaluation.json"
    (path.parent / MANIFEST).unlink()
    row = json.loads(path.read_text())
    path.write_text(
        json.dumps({**row, "threshold": {"rule": "youden", "value": 2 * row["threshold"]["value"]}})
    )
    assert "is not that of its newest version" in refusal("films", MODEL, "out", env="films")
    path.write_text(json.dumps(row))
    scores = folder(project, "films", f"{MODEL}.scores") / "scores.parquet"
    (scores.parent / MANIFEST).unlink()
    table = pd.read_parquet(scores)
    table.assign(score=2 * table["score"]).to_parquet(scores)
    assert "is not that of its newest version" in refusal("films", MODEL, "out", env="films")


def test_another_crop_than_that_of_the_store_is_refused(project: Path) -> None:
    path = project / "conf/films/parameters.yml"
    path.write_text(path.read_text().replace("top: 0.1", "top: 0.2"))
    assert "`kedro run --env films --pipeline preprocessing` stores them anew" in refusal(
        "films", MODEL, "out", env="films"
    )
    params = {"preprocessing": {"crop": {"top": 0.1}}}
    assert (
        len(score_path("films/sick", MODEL, "out", env="films", params=params, options=NO_MAPS))
        == 10
    )


def test_the_window_of_the_environment_is_used(project: Path) -> None:
    deep = project / "deep"
    deep.mkdir()
    values = 10.0 * drawn(3, True).astype(np.float32)
    np.save(deep / "a.npy", values)
    plain = score_path("deep", MODEL, "plain", env="films")["score"][0]
    shutil.rmtree(project / "conf/films")
    add_environment(project, "films", "{window: [500, 2000]}")
    Image.fromarray(np.rint(np.clip((values - 500) / 1500, 0, 1) * 255).astype(np.uint8)).save(
        deep / "b.png"
    )
    windowed = score_path("deep", MODEL, "windowed", env="films").set_index("path")["score"]
    assert windowed["a.npy"] == pytest.approx(windowed["b.png"], abs=1e-5)
    assert abs(plain - windowed["a.npy"]) > 1e-5


def test_results_never_go_over_others_or_among_the_images(project: Path) -> None:
    (project / "mine").mkdir()
    (project / "mine/notes.txt").write_text("keep me")
    assert "is not empty" in refusal("films", MODEL, "mine", env="films")
    assert "among the images" in refusal("films", MODEL, "films/out", env="films")
    assert "is a file" in refusal("films", MODEL, "pyproject.toml", env="films")
    score_path(
        "films/sick/p0.png", MODEL, "mine", env="films", options=Options("all", overwrite=True)
    )
    before = {path.name for path in (project / "mine/heat_maps").iterdir()}
    score_path(
        "films/sick/p3.png", MODEL, "mine", env="films", options=Options("all", overwrite=True)
    )
    after = {path.name for path in (project / "mine/heat_maps").iterdir()}
    assert (len(before), len(after)) == (1, 1)
    assert not before & after
    assert (project / "mine/notes.txt").read_text() == "keep me"
    assert not [path.name for path in project.iterdir() if path.name.startswith(".")]
    (project / "mine/scoring.json").unlink()
    assert "was not written by `medgan score`" in refusal(
        "films", MODEL, "mine", env="films", options=Options(overwrite=True)
    )


def test_an_interrupt_leaves_nothing(project: Path, monkeypatch) -> None:
    def stop(*arguments) -> None:
        signal.raise_signal(signal.SIGTERM)

    assert threading.current_thread() is threading.main_thread()
    monkeypatch.setattr(scoring_run, "picture", stop)
    shown = CliRunner().invoke(main, ["score", "films", "-m", MODEL, "-o", "out", "-e", "films"])
    assert shown.exit_code == 128 + signal.SIGTERM
    assert "nothing was written, and the same command starts anew" in shown.output
    assert not [path.name for path in project.iterdir() if "out" in path.name]


def test_oblong_images_are_scored_in_tiles_of_the_size_of_the_store(project: Path) -> None:
    large = np.random.default_rng(0).integers(0, 256, (70, 150), dtype=np.uint8)
    (project / "large").mkdir()
    Image.fromarray(large).save(project / "large" / "film.png")
    options = Options("all", threshold=False, tiles=0.5)
    table = score_path("large", MODEL, "out", env="films", options=options)
    assert table["score"].notna().all()
    drawn_map = project / "out" / table["heat_map"].iloc[0]
    assert Image.open(drawn_map).size[0] > 200
    assert json.loads((project / "out/scoring.json").read_text())["tiles_overlap"] == 0.5


def test_a_threshold_of_images_does_not_judge_tiles() -> None:
    with pytest.raises(UserError, match="which no threshold was frozen for"):
        Options(tiles=0.5)
    with pytest.raises(UserError, match="from 0 to under 1"):
        Options(threshold=False, tiles=1.0)


def test_the_command_in_a_process_of_its_own(project: Path) -> None:
    done = subprocess.run(
        [MEDGAN, "score", "films/sick", "--model", MODEL, "--output", "out", "--env", "films"],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "10 images scored" in done.stdout
    assert "0 refused, 0 other files: out/scores.csv" in done.stdout
    assert "trained on the data set films" in done.stdout
    assert "Warning" not in done.stderr
    assert len(read(project / "out")) == 10


def test_a_batch_of_any_size_gives_the_same(project: Path) -> None:
    one = score_path(
        "films",
        MODEL,
        "one",
        env="films",
        params={"evaluation": {"batch_size": 1}},
        options=NO_MAPS,
    )
    many = score_path(
        "films",
        MODEL,
        "many",
        env="films",
        params={"evaluation": {"batch_size": 64}},
        options=NO_MAPS,
    )
    np.testing.assert_allclose(one["score"], many["score"], atol=1e-6)


def test_slices_need_the_environment_to_say_so(project: Path) -> None:
    with pytest.raises(UserError, match="None of the 1 files"):
        score_path("scans/sick/s0.nii.gz", MODEL, "out", env="films")


def test_the_example_of_the_documentation_runs(project: Path) -> None:
    example = re.findall(r"```python\n(.*?)```", (ROOT / "docs/scoring.md").read_text(), re.DOTALL)[
        0
    ]
    for name, here in {
        "new_images": "films/sick",
        "healthygan": MODEL,
        "chest_xray": "films",
    }.items():
        example = example.replace(f'"{name}"', f'"{here}"')
    names: dict[str, pd.DataFrame] = {}
    exec(example, names)
    assert (names["table"]["heat_map"] != "").all()
