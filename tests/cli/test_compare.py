"""`medgan compare`: MLflow runs and results files, found by id, name, date or place."""

import json
import time

import numpy as np
import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from medgan.cli.main import main
from medgan.errors import UserError
from medgan.evaluation.compare_runs import COMBINED, PAIRED
from medgan.evaluation.metrics import DETECTOR
from medgan.evaluation.results import Results
from medgan.files.documents import to_json
from medgan.project.environment import Environment
from medgan.project.run_comparison import comparison
from medgan.stats.classification import auroc
from medgan.tracking.client import Tracker
from medgan.tracking.reading import RunArchive, nested
from medgan.tracking.writing import KEY
from tests.evaluation.test_compare_runs import table


def row(part):
    value = float(
        auroc(part["label"].to_numpy(), part["score"].to_numpy(), np.ones((1, len(part))))[0]
    )
    figure = {"value": value, "low": value - 0.05, "high": value + 0.05}
    facts = {"n_images": 1, "n_patients": 1, "interval_unit": "patient", "n_seeds": 1, "seeds": [1]}
    return {
        **dict.fromkeys((metric.key for metric in DETECTOR), figure),
        **facts,
        "threshold": {"rule": "youden", "value": 0.5},
        "sees_mix": False,
        "labels_used": "none",
    }


def log_run(tracker, folder, name, part, seed, with_scores=True, status="FINISHED"):
    parent = tracker.start(name, {"git": "abc"})
    tracker.parameters(parent, {"seed": seed, "scale": "smoke"})
    child = tracker.start("bigan", {"namespace": "bigan"}, parent=parent)
    tracker.parameters(child, {"model": {"width": 8 + seed}})
    tracker.metrics(child, row(part))
    tracker.metrics(child, {"localisation": {"threshold": {"value": 9.0}}})
    if with_scores:
        folder.mkdir(parents=True, exist_ok=True)
        part.to_parquet(folder / "test_scores.parquet")
        tracker.file(child, folder / "test_scores.parquet", "reports")
    trained = tracker.start("sngan", {"namespace": "sngan"}, parent=parent)
    tracker.metrics(trained, {"look": {"diversity": 1.0}})
    for run in (child, trained, parent):
        tracker.finish(run, status)
    time.sleep(0.01)
    return parent


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Three runs in a store, of which the first kept no scores; later, a run that was killed and
    two that evaluated nothing, one of them with the name of the first.
    """
    root = tmp_path_factory.mktemp("project")
    for name, text in {
        "conf/base/globals.yml": "dataset: toys\n",
        "conf/medmnist/globals.yml": "dataset: medmnist_${given:flag,unchosen}\n",
        "conf/base/tracking.yml": 'uri: sqlite:///mlflow.db\nexperiment: "${globals:dataset}"\n',
        "pyproject.toml": '[tool.kedro]\npackage_name = "x"\nproject_name = "x"\nkedro_init_version = "1.7.0"\n',
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    tracker = Tracker.open("sqlite:///mlflow.db", "toys", root)
    runs = [
        log_run(tracker, root / "a", "old", table(0), 0, with_scores=False),
        log_run(tracker, root / "b", "all", table(0), 0),
        log_run(tracker, root / "c", "all", table(1, gain=1.6), 1),
    ]
    log_run(tracker, root / "d", "killed", table(1), 1, status="KILLED")
    for name in ("ingestion", "old"):
        tracker.finish(tracker.start(name, {}), "FINISHED")
    tracker.close()
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    places = [found.experiment_id for found in client.search_experiments()]
    ids = {run.data.tags[KEY]: run.info.run_id for run in client.search_runs(places)}
    return root, [ids[run] for run in runs]


@pytest.fixture
def command(project, monkeypatch):
    monkeypatch.chdir(project[0])
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return lambda *words: CliRunner().invoke(main, ["compare", *words])


def archive(project):
    return RunArchive.open("sqlite:///mlflow.db", "toys", project[0])


def test_runs_are_found_by_id_place_date_and_name(project):
    found, (old, middle, newest) = archive(project), project[1]
    assert found.find(old).run_id == found.find(old[:12]).run_id == old
    assert (found.find("latest").run_id, found.find("previous").run_id) == (newest, middle)
    day = found.find("latest").started.date().isoformat()
    assert found.find("all").run_id == newest
    assert found.find(day).run_id == newest
    assert found.find("ingestion").name == "ingestion"
    assert found.find("old").run_id == old
    with pytest.raises(UserError, match="no run 'nothing'"):
        found.find("nothing")


def test_two_runs_are_paired_by_their_scores(command):
    shown = command("previous", "latest", "--json")
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.output)
    assert list(found["detectors"]) == ["bigan"]
    assert found["detectors"]["bigan"]["how"] == PAIRED
    assert found["detectors"]["bigan"]["figures"]["auroc"]["difference"]["low"] > 0
    assert found["settings"] == {"seed": ["0", "1"], "bigan.model.width": ["8", "9"]}


def test_a_run_without_scores_is_combined_and_the_text_says_so(command):
    shown = command("old", "latest")
    assert shown.exit_code == 0, shown.output
    assert "MOVER" in shown.output
    assert "seed: 0, 1" in shown.output


def test_without_runs_the_newest_are_listed(command, project):
    shown = command()
    assert shown.exit_code == 0, shown.output
    assert [run[:8] in shown.output for run in project[1]] == [True] * 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["one"], "Give two runs"),
        (["no.json", "latest"], "There is no results file"),
        (["deadbeef", "latest"], "no run 'deadbeef'"),
        (["ingestion", "latest"], "evaluated no detector"),
    ],
)
def test_what_is_not_there_is_one_sentence(command, words, message):
    shown = command(*words)
    assert shown.exit_code != 0
    assert message in shown.output
    assert "Traceback" not in shown.output


def test_parameters_choose_the_data_set_of_an_environment(command):
    shown = command("--env", "medmnist", "--params", "flag=blood")
    assert shown.exit_code == 1, shown.output
    assert "MLflow has no runs of 'medmnist_blood' yet" in shown.output


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("file:./mlruns", "a folder of files, which MLflow no longer supports"),
        ("./mlruns", "a folder of files, which MLflow no longer supports"),
        ("http://user:CANARYPASS@127.0.0.1:9?token=CANARYPASS", "127.0.0.1:9 does not answer"),
        ("sqlite:///none.db", "There is no MLflow store here yet"),
    ],
)
def test_a_store_that_cannot_be_read_is_one_sentence(command, monkeypatch, uri, message):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    shown = command("previous", "latest")
    assert shown.exit_code == 1
    assert message in shown.output
    assert "CANARYPASS" not in shown.output
    assert "Traceback" not in shown.output


def test_a_deleted_experiment_is_one_sentence(command, project):
    client = MlflowClient(f"sqlite:///{project[0]}/mlflow.db")
    experiment = client.get_experiment_by_name("toys").experiment_id
    client.delete_experiment(experiment)
    try:
        shown = command()
    finally:
        client.restore_experiment(experiment)
    assert shown.exit_code == 1
    assert f"restore --experiment-id {experiment}" in shown.output


def results(folder, part, beside):
    document = to_json(Results(dataset="toys", provenance={"time": "2026-01-01", "seed": 0}))
    document["detectors"] = {"bigan": row(part)}
    (folder / "bigan").mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(document))
    beside.to_parquet(folder / "bigan" / "test_scores.parquet")
    return folder / "results.json"


def test_results_files_are_paired_by_the_tables_beside_them_if_those_are_theirs(tmp_path):
    a, b = table(0), table(1)
    first, second = results(tmp_path / "a", a, a), results(tmp_path / "b", b, b)
    stale = results(tmp_path / "c", b, a)
    hows = [
        comparison(str(first), str(other), Environment(tmp_path)).detectors["bigan"].how
        for other in (second, stale)
    ]
    assert hows == [PAIRED, COMBINED]


def test_flat_names_become_nested_again():
    assert nested({"auroc.value": 1.0, "auroc.low": 0.5, "n": 3.0}) == {
        "auroc": {"value": 1.0, "low": 0.5},
        "n": 3.0,
    }
    assert nested({"look": 1.0, "look.aucp": 2.0}) == {"look": {"value": 1.0, "aucp": 2.0}}


def test_nothing_to_read_is_said_and_nothing_is_made(tmp_path):
    with pytest.raises(UserError, match="no MLflow store here"):
        RunArchive.open("sqlite:///mlflow.db", "toys", tmp_path)
    assert not list(tmp_path.iterdir())


def test_results_without_a_shared_detector_are_named(tmp_path):
    a, b = table(0), table(1)
    first, second = results(tmp_path / "a", a, a), results(tmp_path / "b", b, b)
    document = json.loads(second.read_text())
    second.write_text(json.dumps({**document, "detectors": {"dcgan": row(b)}}))
    with pytest.raises(UserError, match=r"share no detector \(they evaluated bigan and dcgan\)"):
        comparison(str(first), str(second), Environment(tmp_path))
    second.write_text(json.dumps({**document, "detectors": {}}))
    with pytest.raises(UserError, match=r"b/results.json .* evaluated no detector"):
        comparison(str(first), str(second), Environment(tmp_path))
