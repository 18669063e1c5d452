"""The six pipelines on small phantoms, as a user runs them: once, again, in part, and on a fresh
clone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from medgan import models
from medgan.datasets.documents import newest_version
from medgan.evaluation.reading import read_results
from medgan.inference.trained import trained, with_threshold
from medgan.pipelines.arms import BY_DEFAULT
from medgan.project.artifacts import Project
from tests.conftest import ROOT, environment, kedro_command
from tests.end_to_end.project import call, make_project

DETECTORS, SYNTHESIZERS = (
    tuple(name for name in found if name in models.by_default())
    for found in (models.detectors(), models.synthesizers())
)
MEDGAN = str(Path(sys.executable).with_name("medgan"))
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
RUN = ("run", "--env", "tiny", "--params", "scale=smoke")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="module")
def first(project: Path) -> subprocess.CompletedProcess[str]:
    return call(project, *kedro_command(*RUN))


def results(project: Path) -> dict[str, object]:
    path = newest_version(project / "data/08_reporting/tiny/results.json")
    document: dict[str, object] = json.loads(path.read_text())
    return document


def test_a_fresh_clone_names_what_is_missing_and_the_command_that_makes_it(tmp_path: Path) -> None:
    fresh = make_project(tmp_path / "fresh")
    ended = call(fresh, *kedro_command(*RUN, "--pipeline", "anomaly_evaluation"))
    assert ended.returncode == 1
    assert all(f"{name}.trained" in ended.stderr for name in DETECTORS)
    assert "kedro run" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert len(ended.stderr.strip().splitlines()) <= 2
    assert not (fresh / "data").exists()


def test_the_whole_run_ends_well(first: subprocess.CompletedProcess[str], project: Path) -> None:
    assert first.returncode == 0, first.stderr[-2000:]
    assert "Traceback" not in first.stdout + first.stderr
    document = results(project)
    read_results(document)
    assert set(document["detectors"]) == set(DETECTORS)  # type: ignore[call-overload]
    assert set(document["classifiers"]) == set(BY_DEFAULT)  # type: ignore[call-overload]
    assert set(document["quality"]) == set(SYNTHESIZERS)  # type: ignore[call-overload]


def test_it_ends_with_the_table_the_report_and_what_to_do_next(
    first: subprocess.CompletedProcess[str],
) -> None:
    for word in (
        *DETECTORS,
        *BY_DEFAULT,
        "AUROC",
        "patient",
        "report.html",
        "results.json",
        "make viz",
        "make mlflow",
    ):
        assert word in first.stdout, word


def test_every_model_is_published_once_with_a_card(
    first: subprocess.CompletedProcess[str], project: Path
) -> None:
    for name in (*models.by_default(), *BY_DEFAULT):
        (card,) = (project / "data/06_models/tiny" / name / "trained").rglob("card.json")
        about = json.loads(card.read_text())["card"]
        assert {
            "data",
            "splits",
            "budget",
            "published_step",
            "choice",
            "labels_used",
            "figures",
            "limits",
        } <= about.keys() or name in BY_DEFAULT
        page = card.with_name("README.md").read_text()
        assert about["intended_use"] in page
        assert about["choice"] in page


def test_the_report_stands_alone(first: subprocess.CompletedProcess[str], project: Path) -> None:
    report = newest_version(project / "data/08_reporting/tiny/report.html").read_text()
    assert "data:image/webp;base64," in report
    assert 'src="http' not in report
    assert "<script src" not in report
    assert "<link" not in report
    assert "medical device" in report


def test_mlflow_has_one_parent_with_a_child_for_each_model(
    first: subprocess.CompletedProcess[str], project: Path
) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{project}/mlflow.db")
    runs = client.search_runs(
        [experiment.experiment_id for experiment in client.search_experiments()], max_results=100
    )
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = {run.info.run_name: run for run in runs if "mlflow.parentRunId" in run.data.tags}
    assert len(parents) == 1
    assert {*models.by_default(), *BY_DEFAULT} <= set(children)
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert (
        len(
            {
                frozenset(name for name in children[model].data.metrics if name.startswith("auroc"))
                for model in DETECTORS
            }
        )
        == 1
    )
    names = [
        {name for name in children[model].data.metrics if name.endswith(".value")}
        for model in DETECTORS
    ]
    assert {
        "auroc.value",
        "average_precision.value",
        "specificity.value",
        "threshold.value",
    } <= set.intersection(*names)
    assert {
        "localisation.pixel_auroc.value",
        "localisation.aupro_30.value",
        "localisation.dice.value",
    } <= set.intersection(*names)
    for model in DETECTORS:
        kept = {file.path for file in client.list_artifacts(children[model].info.run_id, "reports")}
        assert "reports/test_scores.parquet" in kept
    assert {"discriminator/accuracy", "validation/diversity", "images_per_second"} <= set(
        children["acgan"].data.metrics
    )
    assert {"validation/aucp", "validation/val_auroc"} <= set(children["autoencoder"].data.metrics)
    for name in SYNTHESIZERS:
        grids = sorted((project / "data/06_models/tiny" / name / "snapshots").glob("step-*.png"))
        logged = [
            file.path
            for file in client.list_artifacts(children[name].info.run_id, "images")
            if file.path.endswith(".png")
        ]
        assert len(logged) == len(grids) > 1


def test_a_second_run_reuses_what_is_finished_and_gives_the_same_figures(
    first: subprocess.CompletedProcess[str], project: Path
) -> None:
    before = results(project)
    weights = {
        path: path.stat().st_mtime_ns
        for path in (project / "data/06_models").rglob("*.safetensors")
    }
    again = call(project, *kedro_command(*RUN))
    assert again.returncode == 0, again.stderr[-2000:]
    assert {
        path: path.stat().st_mtime_ns
        for path in (project / "data/06_models").rglob("*.safetensors")
    } == weights
    after = results(project)
    for name in ("results.json", "report.html"):
        assert len(list((project / "data/08_reporting/tiny" / name).iterdir())) == 2
    assert {key: value for key, value in after.items() if key != "provenance"} == {
        key: value for key, value in before.items() if key != "provenance"
    }


def test_the_results_command(first: subprocess.CompletedProcess[str], project: Path) -> None:
    as_json = call(project, MEDGAN, "results", "--env", "tiny", "--json")
    assert as_json.returncode == 0, as_json.stderr
    assert json.loads(as_json.stdout) == results(project)
    table = call(project, MEDGAN, "results", "--env", "tiny")
    assert "nearest_neighbour" in table.stdout


def test_the_compare_command_pairs_a_run_with_itself(
    first: subprocess.CompletedProcess[str], project: Path
) -> None:
    shown = call(project, MEDGAN, "compare", "--env", "tiny", "latest", "latest", "--json")
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert set(found["detectors"]) == set(DETECTORS)
    for row in found["detectors"].values():
        assert row["how"].startswith("paired")
        found_none = {"value": 0.0, "low": 0.0, "high": 0.0, "p_value": 1.0}
        assert row["figures"]["auroc"]["difference"] == found_none
    assert not found["settings"]


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_notebooks_run(
    notebook: str, first: subprocess.CompletedProcess[str], project: Path
) -> None:
    """With papermill, in a kernel of their own, which starts in the folder of the notebooks."""
    folder = project / "notebooks"
    folder.mkdir(exist_ok=True)
    made = folder / f"{notebook}-made.ipynb"
    command = [sys.executable, "-m", "papermill", str(ROOT / "notebooks" / f"{notebook}.ipynb")]
    ended = subprocess.run(
        [*command, str(made), "--cwd", str(folder), "--kernel", "python3"],
        cwd=project,
        env=environment(KEDRO_ENV="tiny"),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    shown = {
        data
        for cell in json.loads(made.read_text())["cells"]
        for output in cell.get("outputs", ())
        for data in output.get("data", {})
    }
    assert shown & {"image/png", "application/vnd.plotly.v1+json"}


def test_the_page_finds_the_frozen_threshold(
    first: subprocess.CompletedProcess[str], project: Path
) -> None:
    page = Project(project)
    environment = page.environment("tiny")
    known = with_threshold(page, environment, trained(page, environment, "autoencoder")).frozen
    assert known is not None
    detectors: dict[str, dict[str, dict[str, float]]] = results(project)["detectors"]  # type: ignore[assignment]
    assert known.value == detectors["autoencoder"]["threshold"]["value"]
    assert len(known.normals)


def test_a_misspelt_key_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    fresh = make_project(tmp_path / "fresh")
    (fresh / "conf/tiny/parameters.yml").write_text("dcgan: {model: {latent_dmi: 8}}\n")
    ended = call(fresh, *kedro_command(*RUN))
    assert ended.returncode == 1
    assert "latent_dmi" in ended.stderr
    assert "latent_dim" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not (fresh / "data").exists()
