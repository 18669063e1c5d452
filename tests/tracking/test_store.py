"""The SQLite store: made and migrated aside, by one process at a time, and moved with its project."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import closing

import pytest
from mlflow import MlflowClient

from medgan.errors import UserError
from medgan.tracking import client as tracking
from medgan.tracking.client import Tracker
from medgan.tracking.store import ARTIFACTS, open_client, prepare
from tests.tracking.forked import Fork, Forks, use_forks
from tests.tracking.stores import older_store

pytestmark = pytest.mark.long

URI = "sqlite:///mlflow.db"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A migrated store; making one takes seconds."""
    root = tmp_path_factory.mktemp("made")
    assert Fork(lambda: open_client(URI, root) and 0).wait() == 0
    return root / "mlflow.db"


def opens(root):
    client, note = open_client(URI, root)
    return client.create_run("0"), note


def kill_at_table(number, root):
    """Make the store, and die after some CREATE TABLE."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    left = iter(range(1, number))

    @event.listens_for(Engine, "after_cursor_execute")
    def count(conn, cursor, statement, *_):
        if statement.strip().upper().startswith("CREATE TABLE") and next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    open_client(URI, root)


@pytest.mark.parametrize("number", [1, 12, 28, 36])
def test_a_kill_while_the_store_is_made_leaves_none(tmp_path, number):
    assert Fork(lambda: kill_at_table(number, tmp_path)).wait() == -signal.SIGKILL
    assert not (tmp_path / "mlflow.db").exists()
    assert (tmp_path / "mlflow.db.partial").exists()


def test_the_next_run_makes_it_and_removes_what_was_left(tmp_path):
    Fork(lambda: kill_at_table(20, tmp_path)).wait()
    assert opens(tmp_path)[1] is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def half_made(path):
    """A store as a migration in place leaves it when it is killed."""
    with closing(sqlite3.connect(path)) as made:
        for table in ("experiments", "runs", "metrics", "latest_metrics", "params", "tags"):
            made.execute(f"CREATE TABLE {table} (x INTEGER)")


def test_a_store_of_an_older_mlflow_is_migrated_with_its_runs(tmp_path):
    path = tmp_path / "mlflow.db"
    older_store(path)
    client, note = open_client(URI, tmp_path)
    assert client.get_experiment_by_name("old") is not None
    assert note is None


def no_database(path):
    path.write_bytes(b"not a database" * 1000)


@pytest.mark.parametrize("damage", [half_made, no_database])
def test_a_damaged_store_is_put_aside_in_a_sentence(tmp_path, damage):
    damage(tmp_path / "mlflow.db")
    before = (tmp_path / "mlflow.db").read_bytes()
    note = opens(tmp_path)[1]
    (aside,) = tmp_path.glob("mlflow.db.damaged-*")
    assert aside.name in note
    assert aside.read_bytes() == before


def test_a_store_of_a_newer_mlflow_is_left_alone(tmp_path, store):
    shutil.copy(store, tmp_path)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as made, made:
        made.execute("UPDATE alembic_version SET version_num = 'future'")
    with pytest.raises(UserError, match="newer MLflow"):
        open_client(URI, tmp_path)
    assert not list(tmp_path.glob("*.damaged-*"))


def test_a_locked_store_is_not_taken_for_a_damaged_one(tmp_path, store):
    shutil.copy(store, tmp_path)
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            prepare(f"sqlite:///{tmp_path}/mlflow.db", tmp_path, lambda _: None)
    assert not list(tmp_path.glob("*.damaged-*"))


def cold_start(root):
    tracking.subprocess = Forks
    tracker = Tracker.open(URI, "phantoms", root)
    tracker.finish(tracker.start("run", {}), "FINISHED")
    tracker.close()


def test_eight_first_runs_at_once_all_succeed(tmp_path):
    jobs = [Fork(lambda: cold_start(tmp_path)) for _ in range(8)]
    assert [job.wait() for job in jobs] == [0] * 8
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("phantoms").experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * 8


def test_a_copied_project_keeps_artifacts_in_its_own_folder(tmp_path, store, monkeypatch):
    use_forks(monkeypatch)
    first, second = tmp_path / "first", tmp_path / "a copy"
    first.mkdir()
    shutil.copy(store, first)

    def run(root):
        (root / "report.txt").write_text(root.name)
        tracker = Tracker.open(URI, "phantoms", root)
        made = tracker.start("run", {})
        tracker.file(made, root / "report.txt", "reports")
        tracker.finish(made, "FINISHED")
        tracker.close()

    run(first)
    shutil.copytree(first, second)
    run(second)
    assert len(list((first / ARTIFACTS).rglob("report.txt"))) == 1
    assert len(list((second / ARTIFACTS).rglob("report.txt"))) == 2
    shutil.rmtree(first)
    client, _ = open_client(URI, second)
    experiment = client.get_experiment_by_name("phantoms").experiment_id
    for found in client.search_runs([experiment]):
        assert [file.path for file in client.list_artifacts(found.info.run_id, "reports")]
