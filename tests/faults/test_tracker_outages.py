"""Outages of MLflow: seconds that a training loses, and records that are lost.

`pytest tests/faults/test_tracker_outages.py -s` prints the figures of each kind.
"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from medgan.tracking.client import Tracker, replayed
from medgan.tracking.spool import Spool
from medgan.tracking.store import prepare
from tests.tracking.forked import (
    LIMIT_SECONDS,
    BadServer,
    Fork,
    free_port,
    mlflow_server,
    preload,
    use_forks,
)

pytestmark = pytest.mark.long

ROWS = 200
THREAD_SECONDS, TOTAL_SECONDS = 1.0, 5.0
"""Most that an outage may cost a training: its own thread, and all of it."""


class Server:
    """An MLflow server that can be made to fail, at one port."""

    def __init__(self, store: Path) -> None:
        self.store, self.port = store, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: Fork | None = None
        self.bad: BadServer | None = None

    def begin(self) -> None:
        self.process = mlflow_server(self.store, self.port)

    def end(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
        if self.bad:
            self.bad.close()
        self.process = self.bad = None


class Outage:
    """A store that fails from some moment on, and works again later."""

    in_the_middle = False
    """Whether it works at the start of the run."""

    def __init__(self, folder: Path) -> None:
        self.server = Server(folder / "server.db")
        self.uri = self.server.uri

    def fail(self) -> None: ...

    def mend(self) -> None:
        self.server.end()
        self.server.begin()

    def close(self) -> None:
        self.server.end()


class Closed(Outage):
    """Nothing listens at the port."""


class Answers500(Outage):
    """The server answers with an error."""

    kind = "500"

    def fail(self) -> None:
        self.server.bad = BadServer(self.kind, self.server.port)


class Hanging(Answers500):
    """The server takes a call and never answers."""

    kind = "hanging"


class ByteByByte(Answers500):
    """The server answers with one byte a second."""

    kind = "drip"


class Killed(Outage):
    """The server works at first, and is killed in the middle."""

    in_the_middle = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server.begin()

    def fail(self) -> None:
        self.server.end()


class Stopped(Killed):
    """The server is stopped before the child run exists, and goes on later."""

    def fail(self) -> None:
        self.server.process.kill(signal.SIGSTOP)

    def mend(self) -> None:
        self.server.process.kill(signal.SIGCONT)


class Locked(Outage):
    """Another process holds the lock of the SQLite file."""

    in_the_middle = True

    def __init__(self, folder: Path) -> None:
        self.path, self.uri = folder / "mlflow.db", "sqlite:///mlflow.db"
        self.other = sqlite3.connect(self.path, isolation_level=None)

    def fail(self) -> None:
        self.other.execute("BEGIN EXCLUSIVE")

    def mend(self) -> None:
        self.other.execute("ROLLBACK")

    def close(self) -> None:
        self.other.close()


OUTAGES = (Closed, Answers500, Hanging, ByteByByte, Stopped, Killed, Locked)


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A migrated SQLite store; making one takes seconds."""
    preload()
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    made = Fork(lambda: prepare(f"sqlite:///{path}", path.parent, lambda _: None))
    assert made.wait() == 0
    return path.read_bytes()


@pytest.fixture
def project(tmp_path, empty_store, monkeypatch) -> Path:
    for name in ("mlflow.db", "server.db"):
        (tmp_path / name).write_bytes(empty_store)
    use_forks(monkeypatch)
    return tmp_path


def wait_until(condition: Callable[[], bool], seconds: float = LIMIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)


def record(tracker: Tracker, parent: str, files: Path) -> None:
    """What a training records: a child, curves in chunks, a file."""
    child = tracker.start("bigan", {"namespace": "bigan"}, parent=parent)
    tracker.parameters(child, {"latent_dim": 4})
    for step in range(ROWS):
        tracker.curves(child, [{"step": step, "loss": step / 2}])
    tracker.file(child, files, "reports")
    tracker.finish(child, "FINISHED")


def rows(store: Path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(store)) as found:
        return found.execute(query).fetchall()


@pytest.fixture
def outage(request, project) -> Iterator[Outage]:
    made = request.param(project)
    yield made
    made.close()


@pytest.mark.parametrize("outage", OUTAGES, indirect=True, ids=lambda kind: kind.__name__)
def test_an_outage_costs_a_training_seconds_and_no_record(outage, project, caplog, capsys):
    report = project / "report.txt"
    report.write_text("as it was")
    tracker = Tracker.open(outage.uri, "phantoms", project)
    parent = tracker.start("phantoms", {"kind": "run"})
    if outage.in_the_middle:
        wait_until(lambda: tracker.courier.report.sent >= 2)
    outage.fail()
    if not outage.in_the_middle:
        wait_until(lambda: not tracker.courier.report.busy)

    began = time.monotonic()
    record(tracker, parent, report)
    in_thread = time.monotonic() - began
    (project / "new").write_text("of the next run")
    (project / "new").replace(report)
    tracker.finish(parent, "FINISHED")
    tracker.close()
    total = time.monotonic() - began

    assert "wait in data/09_tracking" in caplog.text
    outage.mend()
    sentence = replayed(project, outage.uri, every_store=False)
    store = project / ("mlflow.db" if isinstance(outage, Locked) else "server.db")
    points = rows(store, "SELECT count(*), count(DISTINCT step) FROM metrics")[0]
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{type(outage).__name__:<12} {in_thread:.2f} s in the training's thread, "
            f"{total:.2f} s in total, {ROWS - points[1]} of {ROWS} rows lost after replay",
            end="",
        )
    assert sentence.startswith("1 run sent")
    assert points == (ROWS, ROWS)
    runs = rows(store, "SELECT name, status FROM runs WHERE lifecycle_stage = 'active'")
    assert sorted(runs) == [("bigan", "FINISHED"), ("phantoms", "FINISHED")]
    (artifact,) = project.rglob("artifacts/reports/report.txt")
    assert artifact.read_text() == "as it was"
    assert Spool.waiting(project) == []
    assert in_thread < THREAD_SECONDS
    assert total < TOTAL_SECONDS
    assert len([one for one in caplog.records if "the run goes on" in one.message]) <= 1


KILLED = """
import os, signal, time
from pathlib import Path
from medgan.tracking.client import Tracker
tracker = Tracker.open("sqlite:///mlflow.db", "phantoms", Path.cwd())
tracker.start("child", {}, parent=tracker.start("killed", {}))
while tracker.courier.report.sent < 3:
    time.sleep(0.02)
"""
WITH_ITS_SENDER = "os.kill(tracker.courier._process.pid, signal.SIGKILL)\n"
ITSELF = "os.kill(os.getpid(), signal.SIGKILL)\n"
STATUS = "SELECT name, status FROM runs ORDER BY start_time"


def killed(project: Path, ending: str) -> None:
    script = [sys.executable, "-c", KILLED + ending]
    ended = subprocess.run(script, cwd=project, timeout=LIMIT_SECONDS, check=False)
    assert ended.returncode == -signal.SIGKILL


def test_a_killed_training_is_closed_by_the_next_run(project):
    """With its sender, as by a machine that runs out of memory."""
    killed(project, WITH_ITS_SENDER + ITSELF)
    assert {found for _, found in rows(project / "mlflow.db", STATUS)} == {"RUNNING"}
    tracker = Tracker.open("sqlite:///mlflow.db", "phantoms", project)
    tracker.finish(tracker.start("next", {}), "FINISHED")
    tracker.close()
    assert sorted(rows(project / "mlflow.db", STATUS)) == [
        ("child", "KILLED"),
        ("killed", "KILLED"),
        ("next", "FINISHED"),
    ]
    assert Spool.waiting(project) == []


def test_a_training_that_is_killed_alone_is_closed_by_its_sender(project):
    killed(project, ITSELF)
    closed = [("child", "KILLED"), ("killed", "KILLED")]
    wait_until(lambda: sorted(rows(project / "mlflow.db", STATUS)) == closed)
