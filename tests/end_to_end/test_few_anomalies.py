"""Data sets with no anomaly in some parts, or with two images a class: the whole run, its report
and the scores of new images.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medgan import models
from medgan.datasets.documents import newest_version
from medgan.pipelines.arms import BY_DEFAULT
from medgan.words import SMOKE
from tests.conftest import kedro_command
from tests.end_to_end.project import call, make_project

pytestmark = pytest.mark.long

MEDGAN = str(Path(sys.executable).with_name("medgan"))
NEED_ANOMALIES = {"healthygan", "mix_vs_normal"}
CATALOG = """
source:
  type: medgan.datasets.images.ImageSourceDataset
  kind: folder
  location: films/{name}
  fields:
    category: ["(healthy|sick)/"]
    group_id: ["(patient[0-9]+)"]
    split: ["^(train|val|test)/"]
"""
DATA_SETS = {
    "normals": {("train", "healthy"): 20, ("val", "healthy"): 6, ("test", "healthy"): 6},
    "two": {(part, kind): 2 for part in ("train", "val", "test") for kind in ("healthy", "sick")},
}
ALL_SICK = {("train", "sick"): 4, ("val", "healthy"): 2, ("test", "healthy"): 2}


def film(seed: int, sick: bool) -> np.ndarray:
    """Two bright lungs (48, 48), with a bright spot between them where it is sick."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :48] / 48
    spots = [(0.3 + rng.normal(0, 0.02), 0.5, 20), (0.7, 0.5 + rng.normal(0, 0.02), 20)]
    spots += [(0.5, 0.3, 80)] if sick else []
    bright = sum(np.exp(-((x - left) ** 2 + (y - top) ** 2) * width) for left, top, width in spots)
    return (np.clip(0.3 + 0.4 * bright + rng.normal(0, 0.03, (48, 48)), 0, 1) * 255).astype(
        np.uint8
    )


def add_data_set(project: Path, name: str, cells: dict[tuple[str, str], int]) -> None:
    for (part, kind), count in cells.items():
        folder = project / "films" / name / part / kind
        folder.mkdir(parents=True)
        for _ in range(count):
            patient = len(list((project / "films" / name).rglob("*.png")))
            Image.fromarray(film(patient, kind == "sick")).save(folder / f"patient{patient}.png")
    labels = {"healthy": "normal", "sick": "tumor"}
    found = ", ".join(f"{kind}: {labels[kind]}" for kind in {kind for _, kind in cells})
    conf = project / "conf" / name
    conf.mkdir()
    (conf / "globals.yml").write_text(f"dataset: {name}\n")
    (conf / "catalog.yml").write_text(CATALOG.format(name=name))
    (conf / "parameters.yml").write_text(
        f"ingestion: {{labels: {{{found}}}}}\npreprocessing: {{split: official}}\n"
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_project(tmp_path_factory.mktemp("project"))
    for name, cells in (DATA_SETS | {"all_sick": ALL_SICK}).items():
        add_data_set(root, name, cells)
    return root


def run(project: Path, name: str, *arguments: str) -> Any:
    return call(
        project, *kedro_command("run", "--env", name, "--params", "scale=smoke", *arguments)
    )


@pytest.fixture(scope="module", params=list(DATA_SETS))
def ran(request: pytest.FixtureRequest, project: Path) -> tuple[str, str]:
    """The name of a data set, and what its run has said."""
    ended = run(project, request.param)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "Traceback" not in ended.stdout + ended.stderr
    return request.param, " ".join(ended.stdout.split())


def test_what_needs_no_anomaly_runs_and_the_rest_says_why(
    ran: tuple[str, str], project: Path
) -> None:
    name, said = ran
    reports = project / "data/08_reporting" / name
    document = json.loads(newest_version(reports / "results.json").read_text())
    left_out = document.get("left_out", {})
    if name == "normals":
        assert set(left_out["detectors"]) == NEED_ANOMALIES
        assert set(left_out["classifiers"]) == set(BY_DEFAULT)
        assert set(left_out["quality"]) == {"acgan"}
        assert document["classifiers"] == {}
        for row in document["detectors"].values():
            assert row["auroc"]["reason"]
            assert row["specificity"]["value"] is not None
            assert row["threshold"]["rule"].startswith("conformal")
        assert "Left out: healthygan, mix_vs_normal: it learns from an unlabelled mix" in said
    detectors = set(models.detectors()) & set(models.by_default())
    evaluated = detectors - set(left_out.get("detectors", {}))
    assert set(document["detectors"]) == evaluated >= {"nearest_neighbour", "bigan"}
    assert SMOKE in said
    page = newest_version(reports / "report.html").read_text()
    assert f"No detector is ranked: {SMOKE}." in page
    assert all(reason in page for reasons in left_out.values() for reason in reasons.values())


def test_new_images_are_scored(ran: tuple[str, str], project: Path) -> None:
    name, _ = ran
    folder = project / f"new_{name}"
    folder.mkdir()
    Image.fromarray(film(999, False)).save(folder / "film.png")
    Image.fromarray(255 - film(999, False)).save(folder / "inverted.png")
    (folder / "notes.txt").write_text("nothing")
    command = ("score", folder.name, "--env", name, "--model", "nearest_neighbour")
    ended = call(project, MEDGAN, *command, "--output", f"out_{name}")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert f"nearest_neighbour, trained on the data set {name}" in ended.stdout
    assert f"Caution: {SMOKE}." in ended.stdout
    table = pd.read_csv(project / f"out_{name}/scores.csv", keep_default_na=False).set_index("path")
    assert table.loc["film.png", "decision"] in ("normal", "anomalous")
    assert table.loc["film.png", "caution"].startswith(SMOKE)
    assert table.loc["notes.txt", "code"] == "NO_IMAGE"
    if name == "normals":
        assert table.loc["inverted.png", "decision"] == "outside the domain"
        missing = call(project, MEDGAN, *command[:-1], "healthygan", "--output", "none")
        assert missing.returncode == 1
        assert "healthygan" in missing.stderr
        assert "Traceback" not in missing.stderr


def test_training_without_normals_is_refused_before_anything_is_trained(project: Path) -> None:
    ended = run(project, "all_sick", "--pipelines", "ingestion,preprocessing")
    assert ended.returncode == 1
    assert "the train part of the split has no normal image" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
