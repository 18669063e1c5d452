from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from medgan.errors import UserError
from medgan.experiments.plan import Experiment, Variant
from medgan.experiments.run import Workplace, missing, places, reproduce
from tests.conftest import ROOT, kedro_command
from tests.end_to_end.project import call, make_project
from tests.experiments.making import record
from tests.faults.making import noise, raster

EXPERIMENTS = """tiny:
  about: phantoms
  seeds: [0]
  parameters: {scale: smoke}
  models: [nearest_neighbour]
  variants: {nearest_neighbour-mix10: {model: nearest_neighbour, parameters: {preprocessing.contamination: 0.1}}}
"""


ENVIRONMENT = {
    "globals.yml": "dataset: tiny\n",
    "catalog.yml": "source:\n  type: medgan.datasets.images.ImageSourceDataset\n  kind: folder\n"
    '  location: "${runtime_params:source, null}"\n',
    "parameters.yml": "ingestion: {labels: {healthy: normal}}\n",
}


def test_only_what_has_no_record_is_made(tmp_path: Path) -> None:
    experiment = Experiment(
        "films",
        seeds=(0, 1),
        models=("dcgan", "bigan"),
        variants={"wide": Variant("dcgan", {"dcgan.model.width": 8})},
    )
    place = Workplace(tmp_path, "films", experiment)
    record(tmp_path, "films", "dcgan", 0)
    named = [[*run.records, run.seed] for run in missing(place, (0, 1))]
    assert named == [
        ["shortcuts", 0],
        ["bigan", 0],
        ["wide", 0],
        ["dcgan", 1],
        ["bigan", 1],
        ["wide", 1],
    ]
    assert [list(run.records) for run in missing(place, (0,), ["wide"])] == [["wide"]]
    with pytest.raises(UserError, match="has no row 'narrow'"):
        missing(place, (0,), ["narrow"])


def test_images_that_are_not_at_hand_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "conf" / "films").mkdir(parents=True)
    with pytest.raises(
        UserError, match=r"images of films are needed \(data not at hand\): give SOURCE=PATH"
    ):
        reproduce(
            Workplace(tmp_path, "films", Experiment("films", not_run="data not at hand")),
            (0,),
            (),
            print,
        )


def test_an_experiment_may_have_an_environment_and_parameters_of_its_own() -> None:
    parameters: dict[str, str | int | float | bool] = {"flag": "breastmnist", "size": 64}
    experiment = Experiment("ultrasound", environment="medmnist", parameters=parameters)
    place = Workplace(ROOT, "medmnist_breastmnist", experiment, {"source": "a/b.npz"})
    assert place.environment == "medmnist"
    assert place.folder == "medmnist_breastmnist_64"


def test_places_are_read_as_kedro_reads_parameters() -> None:
    assert places("films", "lpips_weights=a/b.pt") == {"source": "films", "lpips_weights": "a/b.pt"}
    with pytest.raises(UserError, match="give NAME=VALUE"):
        places(None, "lpips_weights")


@pytest.mark.parametrize(
    ("source", "parameters", "problem"),
    [
        ("nowhere", {}, "nowhere does not exist"),
        ("films", {}, "have the label `lesion`, which nobody declared"),
        ("films", {"scale": "large"}, "`scale` is 'large'"),
    ],
)
def test_what_no_run_could_read_is_said_once_and_before_the_first(
    tmp_path: Path, source: str, parameters: dict[str, str | int | float | bool], problem: str
) -> None:
    shutil.copytree(ROOT / "conf" / "base", tmp_path / "conf" / "base")
    (tmp_path / "conf" / "tiny").mkdir()
    for name, text in ENVIRONMENT.items():
        (tmp_path / "conf" / "tiny" / name).write_text(text)
    for label in ("healthy", "lesion"):
        (tmp_path / "films" / label).mkdir(parents=True)
        raster(tmp_path / "films" / label / "1.png", noise(0, 8, 8))
    experiment = Experiment("tiny", models=("dcgan", "bigan"), parameters=parameters)
    place = Workplace(tmp_path, "tiny", experiment, {"source": str(tmp_path / source)})
    said: list[str] = []
    with pytest.raises(UserError, match=problem):
        reproduce(place, (0,), (), said.append)
    assert not said
    assert not (tmp_path / "data").exists()


@pytest.mark.long
def test_an_experiment_is_run_recorded_gone_on_with_and_put_together(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    (project / "conf" / "experiments.yml").write_text(EXPERIMENTS)
    (project / "docs").mkdir()
    done = call(
        project, *kedro_command("reproduce", "tiny", "--only", "nearest_neighbour,shortcuts")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1/2  shortcuts, seed 0: recorded" in done.stdout
    assert "2/2  nearest_neighbour, seed 0: recorded" in done.stdout
    path = project / "docs" / "results" / "runs" / "tiny" / "nearest_neighbour-0.json"
    found = json.loads(path.read_text())
    assert found["provenance"]["seconds"]["training_included"]
    assert found["evaluation"]["seeds"] == [0]
    assert len(found["test_scores"]["label"]) == found["evaluation"]["n_images"]
    assert str(tmp_path) not in path.read_text()
    again = call(project, *kedro_command("reproduce", "tiny", "--only", "nearest_neighbour"))
    assert "0 runs to make" in again.stdout
    assert json.loads(path.read_text()) == found
    put = call(project, *kedro_command("collect"))
    assert put.returncode == 0, put.stderr
    text = (project / "docs" / "results.md").read_text()
    assert "nearest_neighbour-mix10-0" in text
    assert "### Shortcut baselines" in text


def test_a_run_that_fails_is_said_in_one_sentence_and_leaves_no_record(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    (project / "conf" / "experiments.yml").write_text(
        EXPERIMENTS.replace("preprocessing.contamination: 0.1", "scale: large")
    )
    done = call(project, *kedro_command("reproduce", "tiny", "--only", "nearest_neighbour-mix10"))
    assert done.returncode == 1
    assert "failed: Error: conf: `scale` is 'large'" in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout + done.stderr
    assert not list(project.glob("docs/results/runs/**/*.json"))
