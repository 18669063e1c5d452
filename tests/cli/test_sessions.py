"""`KedroSession` in programs: in a loop, in threads, from another working directory."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import pytest
from kedro.framework.session import KedroSession

from medgan.tracking import hooks

TRACKED = "enabled: true\nuri: sqlite:///mlflow.db\nexperiment: '${globals:dataset}'\n"


class Recorder:
    """A tracker that keeps what it is told."""

    opened: ClassVar[list[Recorder]] = []

    def __init__(self, uri, experiment, root):
        self.root, self.rows, self.finished = root, 0, []
        Recorder.opened.append(self)

    def start(self, name, tags, parent=None):
        return name

    def parameters(self, run, values):
        pass

    def curves(self, run, rows):
        self.rows += len(rows)

    def file(self, *_):
        pass

    metrics = tag = image = file

    def finish(self, run, status):
        self.finished.append((run, status))

    def close(self, interrupted=False):
        pass


@pytest.fixture
def recorders(monkeypatch):
    monkeypatch.setattr(Recorder, "opened", [])
    monkeypatch.setattr(hooks.Tracker, "open", Recorder)
    return Recorder.opened


@pytest.fixture
def projects(configured, tmp_path):
    """Two copies of the scratch project, in which runs are tracked."""
    found = []
    for name in ("first", "second"):
        shutil.copytree(configured, tmp_path / name, ignore=shutil.ignore_patterns("data"))
        (tmp_path / name / "conf/local/tracking.yml").write_text(TRACKED)
        found.append(tmp_path / name)
    return found


def train(project: Path, steps: int) -> int:
    """Run all pipelines; return the steps that the configuration had."""
    given = {"toy": {"steps": steps, "pause": 0.005}}
    with KedroSession.create(project, runtime_params=given) as session:
        session.run()
        return session.load_context().params["toy"].steps


def test_sessions_in_a_loop_from_elsewhere_see_their_own_parameters(
    projects, recorders, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    assert [train(projects[0], steps) for steps in (2, 5)] == [2, 5]
    assert [one.rows for one in recorders] == [2 + 3, 5 + 3]  # `other` makes three
    assert {one.root for one in recorders} == {projects[0]}
    assert (projects[0] / "data/toy/curves.csv").exists()
    assert not (tmp_path / "data").exists()


def test_sessions_in_threads_do_not_mix(projects, recorders):
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(train, projects, (20, 40))) == [20, 40]
    assert {one.root: one.rows for one in recorders} == {projects[0]: 23, projects[1]: 43}
    for one in recorders:
        assert [status for _, status in one.finished] == ["FINISHED"] * 3


@pytest.mark.parametrize(("kind", "trackers"), [("text", 1), ("null", 0)])
def test_a_run_is_tracked_where_it_saves_something_for_mlflow(projects, recorders, kind, trackers):
    text = f"{{type: text.TextDataset, filepath: data/prepared.txt, metadata: {{mlflow: {kind}}}}}"
    (projects[0] / "conf/local/catalog.yml").write_text(f"prepared: {text}\n")
    with KedroSession.create(projects[0]) as session:
        session.run(pipeline_names=["making"])
    assert (projects[0] / "data/prepared.txt").exists()
    assert len(recorders) == trackers


def test_a_session_that_was_made_earlier_keeps_its_parameters(projects):
    first, second = (
        KedroSession.create(projects[0], runtime_params={"toy": {"steps": steps}})
        for steps in (7, 9)
    )
    seen = [session.load_context().params["toy"].steps for session in (second, first)]
    assert seen == [9, 7]
    first.close()
    second.close()
