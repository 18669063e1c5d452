"""The commands as a user meets them: in a process of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from medgan.cli.main import main
from medgan.evaluation.results import Results
from medgan.files.documents import to_json
from tests.conftest import environment, kedro_command


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The refusal of a command, after checking that it is one: exit code 1, one line, no
    traceback.
    """
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def untouched(project: Path) -> bool:
    return not (project / "data").exists() and not (project / "mlflow.db").exists()


def test_missing_inputs_name_the_command_that_makes_them(kedro, scratch):
    message = one_sentence(kedro("run", "--pipeline", "judging", "--params", "toy.steps=4"))
    assert "prepared, toy.training" in message
    assert "`kedro run --pipelines making,training --params toy.steps=4`" in message
    assert untouched(scratch)


def test_misspelt_key_is_refused_before_anything_is_written(kedro, scratch):
    assert "`toy.model.latent_dmi` is not a known key; did you mean `latent_dim`?" in one_sentence(
        kedro("run", "--params", "toy.model.latent_dmi=3")
    )
    assert untouched(scratch)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--pipeline", "judgin"], "did you mean 'judging'?"),
        (["--env", "bsae"], "did you mean 'base'?"),
    ],
)
def test_unknown_names_are_refused(kedro, scratch, arguments, words):
    assert words in one_sentence(kedro("run", *arguments))
    assert untouched(scratch)


def test_refusal_inside_a_node_is_one_sentence(kedro, scratch):
    done = kedro("run", "--params", "toy.refuse=prepare")
    assert one_sentence(done) == "Error: images/a.png: cannot be used, replace it."
    assert not (scratch / "data" / "prepared.txt").exists()


def test_bug_keeps_its_traceback(kedro):
    done = kedro("run", "--params", "toy.steps=0")  # a generator that yields nothing
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_run_writes_results_with_provenance_and_shows_them(kedro, scratch):
    done = kedro("run", "--verbose")
    assert done.returncode == 0, done.stderr
    document = json.loads((scratch / "data/08_reporting/scratch/results.json").read_text())
    assert document["dataset"] == "scratch"
    assert document["provenance"]["data_hash"] == "0123"
    assert {"time", "wall_seconds", "hardware", "git", "lock_hash", "versions"} <= set(
        document["provenance"]
    )
    for words in (
        "data/08_reporting/scratch/report.html",
        "data/08_reporting/scratch/results.json",
        "make viz",
        "make mlflow",
        "4/4  judge",
    ):
        assert words in done.stdout
    assert "Loading" not in done.stdout
    assert "Warning" not in done.stdout + done.stderr


def rows_of(curves: Path) -> int:
    return len(curves.read_text().splitlines()) - 1 if curves.exists() else 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_run_and_its_mlflow_runs(scratch, number):
    command = kedro_command("run", "--params", "toy.pause=0.1,toy.steps=10000")
    process = subprocess.Popen(
        command,
        cwd=scratch,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    curves, deadline = scratch / "data/toy/curves.csv", time.monotonic() + 120
    while rows_of(curves) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "the same command resumes" in errors
    assert "Traceback" not in errors
    ended = {"scratch · smoke": "KILLED", "toy": "KILLED", "other": "FINISHED"}
    while mlflow_runs(scratch) != ended and time.monotonic() < deadline + 60:
        time.sleep(0.1)  # the process that sends goes on
    assert mlflow_runs(scratch) == ended


def mlflow_runs(project: Path) -> dict[str, str]:
    """Name and status of every MLflow run, read from the database itself."""
    import sqlite3

    if not (project / "mlflow.db").exists():
        return {}
    with sqlite3.connect(project / "mlflow.db") as store:
        return dict(store.execute("select name, status from runs"))


def results_file(project: Path) -> Path:
    path = project / "data/08_reporting/scratch/results.json"
    path.parent.mkdir(parents=True)
    return path


def test_results_as_json_are_the_document(scratch, monkeypatch):
    document = to_json(Results(dataset="scratch"))
    results_file(scratch).write_text(json.dumps(document))
    monkeypatch.chdir(scratch)
    shown = CliRunner().invoke(main, ["results", "--json"])
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout) == document
    assert "has no checksum" in shown.stderr
    assert CliRunner().invoke(main, ["results"]).exit_code == 0


def test_results_that_are_not_there_name_the_command(scratch, monkeypatch):
    monkeypatch.chdir(scratch)
    shown = CliRunner().invoke(main, ["results"])
    assert shown.exit_code == 1
    assert "There are no results of 'scratch' yet: make them with `kedro run`." in shown.output


def test_damaged_results_are_refused(scratch, monkeypatch):
    results_file(scratch).write_text('{"schema": 1, "data')
    monkeypatch.chdir(scratch)
    shown = CliRunner().invoke(main, ["results"])
    assert shown.exit_code == 1
    assert "is not JSON" in shown.output


def test_unknown_environment_of_results(scratch, monkeypatch):
    monkeypatch.chdir(scratch)
    shown = CliRunner().invoke(main, ["results", "--env", "chest"])
    assert shown.exit_code == 1
    assert "There is no environment 'chest'" in shown.output


def test_version():
    assert CliRunner().invoke(main, ["--version"]).output.startswith("medgan ")
