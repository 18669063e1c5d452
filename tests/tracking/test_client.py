"""MLflow beside a run: what is logged where, and what is kept while MLflow does not answer."""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient

from medgan.errors import UserError
from medgan.files.processes import ProcessIdentity
from medgan.nested import numbers, texts
from medgan.tracking import client as tracking
from medgan.tracking.client import Courier, Tracker, replayed
from medgan.tracking.redaction import redact
from medgan.tracking.spool import Record, Spool
from medgan.tracking.store import is_folder, store_uri
from medgan.tracking.writing import HOST, KEY, PARENT, PID
from medgan.training.settings import ModelSettings, TrainingConfig
from tests.tracking.forked import free_port, use_forks

URI = "sqlite:///mlflow.db"


@pytest.fixture(autouse=True)
def _forks(monkeypatch):
    use_forks(monkeypatch)


def client_of(project):
    return MlflowClient(f"sqlite:///{project}/mlflow.db")


def runs_of(project, experiment="phantoms"):
    client = client_of(project)
    found = client.get_experiment_by_name(experiment)
    return {run.data.tags[KEY]: run for run in client.search_runs([found.experiment_id])}


def test_numbers_are_flat_and_finite():
    row = {
        "auroc": {"value": 0.75, "low": 0.5, "high": math.inf},
        "n": 3,
        "sees_mix": True,
        "name": "x",
        "nan": math.nan,
        "none": None,
        "list": [1],
    }
    assert numbers(row) == {"auroc.value": 0.75, "auroc.low": 0.5, "n": 3.0}
    assert numbers({"loss(d)*": 1}) == {"loss_d__": 1.0}


def test_settings_are_flat_text():
    settings = ModelSettings({"latent_dim": 4}, TrainingConfig(steps={"encoder": 2}))
    flat = texts(settings)
    assert flat["model.latent_dim"] == "4"
    assert flat["training.steps.encoder"] == "2"


def test_relative_store_lies_in_the_project_root(tmp_path):
    assert store_uri(URI, tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    assert store_uri("sqlite:////elsewhere/mlflow.db", tmp_path) == "sqlite:////elsewhere/mlflow.db"
    assert store_uri("http://127.0.0.1:5000", tmp_path) == "http://127.0.0.1:5000"


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        ("file:./mlruns", True),
        ("file:///tmp/mlruns", True),
        ("./mlruns", True),
        (r"C:\mlruns", True),
        ("sqlite:///a.db", False),
        ("https://host", False),
        ("postgresql+psycopg2://host/db", False),
        ("databricks", False),
    ],
)
def test_a_store_of_plain_files_is_recognized(uri, folder):
    assert is_folder(uri) is folder


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:SECRET@host:5000/path", "http://host:5000/path"),
        ("at https://SECRET@host, now", "at https://host, now"),
        ("http://user:SE@CRET@host", "http://host"),
        ("http://user:SE/CRET@host/x", "http://host/x"),
        ("http://host/path?token=SECRET#SECRET", "http://host/path"),
        (
            "postgresql+psycopg2://u:SECRET@db/mlflow?password=SECRET",
            "postgresql+psycopg2://db/mlflow",
        ),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("the token is CANARY-1234", "the token is ***"),
        ("no address here: a@b?c", "no address here: a@b?c"),
    ],
)
def test_credentials_are_removed_from_texts(monkeypatch, text, shown):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "CANARY-1234")
    assert redact(text) == shown


def test_parent_and_child_carry_parameters_curves_and_files(tmp_path):
    tracker = Tracker.open(URI, "phantoms", tmp_path)
    parent = tracker.start("phantoms", {"git": "abc"})
    child = tracker.start("dcgan", {}, parent=parent)
    tracker.parameters(child, {f"key{number}": number for number in range(130)})
    tracker.curves(
        child,
        [
            {"step": step, "stage": "adversarial", "d/adversarial": step / 10, "bad": math.inf}
            for step in range(5)
        ],
    )
    (tmp_path / "roc.png").write_bytes(b"png")
    tracker.file(parent, tmp_path / "roc.png", "figures")
    tracker.finish(child, "KILLED")
    tracker.finish(parent, "FINISHED")
    tracker.close()

    runs, client = runs_of(tmp_path), client_of(tmp_path)
    made, top = runs[child], runs[parent]
    assert made.data.tags[PARENT] == top.info.run_id
    assert (made.data.tags[HOST], made.data.tags[PID]) == (platform.node(), str(os.getpid()))
    assert len(made.data.params) == 130
    history = client.get_metric_history(made.info.run_id, "d/adversarial")
    assert [point.step for point in history] == [0, 1, 2, 3, 4]
    assert set(made.data.metrics) == {"d/adversarial"}
    assert (made.info.status, top.info.status) == ("KILLED", "FINISHED")
    kept = tmp_path / "mlartifacts" / top.info.run_id / "artifacts" / "figures" / "roc.png"
    assert kept.exists()
    assert list((tmp_path / "data/09_tracking").iterdir()) == []


def test_records_survive_a_kill_and_a_full_disk(tmp_path, caplog, monkeypatch):
    spool = Spool(tmp_path / "spool")
    spool.make("phantoms", "")
    spool.append(Record("tag", "run", "a", "x"))
    with (spool.folder / "records.jsonl").open("a") as lines:
        lines.write('{"kind": "tag", "na\n{"kind": "metrics", "run"')
    assert [record.kind for _, record in spool.records(0)] == ["header", "tag"]
    assert spool.owner == ProcessIdentity.own()

    monkeypatch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    tracker = Tracker(spool, "phantoms", "")
    with caplog.at_level(logging.WARNING):
        for number in range(10):
            tracker.tag("run", f"tag{number}", "x")
    assert [record.message for record in caplog.records] == [
        "Records for MLflow could not be written to data/09_tracking (No space left): the run goes on."
    ]


def test_a_file_is_kept_as_it_was(tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.make("phantoms", "")
    path = tmp_path / "results.json"
    path.write_text("old")
    kept = spool.folder / spool.keep(path)
    new = tmp_path / "new"
    new.write_text("new")
    new.replace(path)
    assert kept.read_text() == "old"
    assert kept.name == "results.json"


def left_by_earlier_run(root, store):
    """The spool of a process that is gone."""
    spool = Spool.new(root)
    spool.make("phantoms", store)
    spool.append(Record("start", "key", "earlier"))
    spool.append(Record("metrics", "key", points=[("loss", 1.0, 0, 1)]))
    lines = spool.folder / "records.jsonl"
    first, *others = lines.read_text().splitlines()
    header = json.loads(first)
    header["values"]["pid"] = str(ended_process())
    lines.write_text("\n".join([json.dumps(header), *others, ""]))
    return spool


def ended_process() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_records_for_another_store_wait_until_they_are_asked_for(tmp_path):
    left_by_earlier_run(tmp_path, "http://elsewhere")
    assert replayed(tmp_path, URI, False) == (
        "0 runs sent to MLflow at sqlite:///mlflow.db. 1 run still in data/09_tracking, of "
        "http://elsewhere: add --all."
    )
    assert replayed(tmp_path, URI, True) == "1 run sent to MLflow at sqlite:///mlflow.db."
    (run,) = runs_of(tmp_path).values()
    assert (run.info.status, run.data.metrics) == ("KILLED", {"loss": 1.0})
    assert replayed(tmp_path, URI, True) == "No records wait to be sent to MLflow."


def test_a_replay_to_a_server_that_is_down_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "REPLAY", tracking.RUN_ENDS)
    uri = f"http://user:CANARYPASS@127.0.0.1:{free_port()}"
    spool = left_by_earlier_run(tmp_path, redact(uri))
    with pytest.raises(
        UserError, match=r"does not answer.*1 run still in data/09_tracking"
    ) as said:
        replayed(tmp_path, uri, False)
    assert "CANARYPASS" not in str(said.value)
    assert spool.folder.exists()


def test_a_deleted_experiment_keeps_the_records_and_says_so_once(tmp_path, caplog):
    for number in range(2):
        tracker = Tracker.open(URI, "phantoms", tmp_path)
        tracker.finish(tracker.start(f"run {number}", {}), "FINISHED")
        tracker.close()
        client = client_of(tmp_path)
        experiment = client.get_experiment_by_name("phantoms").experiment_id
        if number == 0:
            client.delete_experiment(experiment)
    said = [record.message for record in caplog.records if "restore --exp" in record.message]
    assert len([text for text in said if "the run goes on" in text]) == 1
    assert len(said) == 2  # the other, at the end, says how many records wait
    client.restore_experiment(experiment)
    assert replayed(tmp_path, URI, False).startswith("1 run sent")
    assert {run.info.run_name for run in runs_of(tmp_path).values()} == {"run 0", "run 1"}


def test_an_experiment_of_another_store_kind_is_named_and_its_records_go_anywhere(tmp_path, caplog):
    tracker = Tracker.open("file:./mlruns", "phantoms", tmp_path)
    tracker.finish(tracker.start("run", {}), "FINISHED")
    tracker.close()
    assert "which MLflow no longer supports" in caplog.text
    assert replayed(tmp_path, URI, False).startswith("1 run sent")


def test_a_refused_record_is_named_and_the_others_are_kept(tmp_path, caplog):
    tracker = Tracker.open(URI, "phantoms", tmp_path)
    run = tracker.start("run", {})
    tracker.spool.append(Record("parameters", run, values={"a": "1"}))
    tracker.spool.append(Record("parameters", run, values={"a": "2"}))
    tracker.tag(run, "last", "x")
    tracker.finish(run, "FINISHED")
    tracker.close()
    assert "MLflow refused a record (parameters)" in caplog.text
    assert runs_of(tmp_path)[run].data.tags["last"] == "x"


def test_a_run_without_records_leaves_nothing(tmp_path):
    began = time.monotonic()
    Tracker.open(URI, "phantoms", tmp_path).close()
    assert time.monotonic() - began < 5
    assert not (tmp_path / "data").exists()


def test_a_process_that_ended_is_recognized_and_others_are_not():
    own = ProcessIdentity.own()
    assert not own.is_gone()
    assert ProcessIdentity(own.host, own.pid, "another start").is_gone()
    assert ProcessIdentity(own.host, ended_process(), own.started).is_gone()
    assert not ProcessIdentity("elsewhere", ended_process(), "").is_gone()


def test_a_courier_without_a_process_is_a_warning(tmp_path, monkeypatch, caplog):
    def refuse(*_, **__):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(tracking, "subprocess", SimpleNamespace(PIPE=1, DEVNULL=2, Popen=refuse))
    with pytest.raises(OSError):
        Courier(tmp_path, URI)
    tracker = Tracker.open(URI, "phantoms", tmp_path)
    tracker.finish(tracker.start("run", {}), "FINISHED")
    tracker.close()
    assert "Cannot allocate memory" in caplog.text
    assert len(Spool.waiting(tmp_path)) == 1


def test_no_credential_is_in_a_message_or_record(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "CANARY-PASSWORD")
    uri = f"http://user:CANARY-URI@127.0.0.1:{free_port()}?token=CANARY-QUERY"
    tracker = Tracker.open(uri, "phantoms", tmp_path)
    run = tracker.start("run", {"source": uri})
    tracker.parameters(run, {"note": "CANARY-PASSWORD", "nested": {"address": uri}})
    tracker.tag(run, "note", f"see {uri}")
    tracker.close()
    assert "wait in data/09_tracking" in caplog.text
    assert "CANARY" not in caplog.text
    kept = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert any("***" in text for text in kept)
    assert not any("CANARY" in text for text in kept)
