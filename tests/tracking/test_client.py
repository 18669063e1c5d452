"""MLflow beside a run: what is logged where, and that a dead server stops nothing."""

from __future__ import annotations

import logging
import math
import multiprocessing
import time
from pathlib import Path

import pytest

from medgan.nested import numbers, texts
from medgan.tracking.client import Tracker, store_uri
from medgan.training.settings import ModelSettings, TrainingConfig

URI = "sqlite:///mlflow.db"


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


def test_parent_and_child_carry_parameters_curves_and_files(tmp_path):
    tracker = Tracker.open(URI, "phantoms", tmp_path)
    parent = tracker.start("all", {"git": "abc"})
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

    client = tracker.client
    assert client.get_run(child).data.tags["mlflow.parentRunId"] == parent
    assert len(client.get_run(child).data.params) == 130
    assert [point.step for point in client.get_metric_history(child, "d/adversarial")] == [
        0,
        1,
        2,
        3,
        4,
    ]
    assert set(client.get_run(child).data.metrics) == {"d/adversarial"}
    assert client.get_run(child).info.status == "KILLED"
    assert client.get_run(parent).info.status == "FINISHED"
    assert (tmp_path / "mlartifacts" / parent / "artifacts" / "figures" / "roc.png").exists()


class Flaky:
    """A client whose server is down until it is not."""

    def __init__(self) -> None:
        self.down = True
        self.taken: list[tuple[str, str]] = []

    def set_tag(self, run_id: str, name: str, value: str) -> None:
        if self.down:
            raise ConnectionError("refused")
        self.taken.append((name, value))


def test_dead_server_costs_nothing_and_gets_everything_later(caplog):
    client = Flaky()
    tracker = Tracker(client, "1")
    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        for number in range(100):
            tracker.tag("run", f"tag{number}", "x")
    assert time.monotonic() - began < 1.0
    assert len(caplog.records) == 1
    client.down = False
    tracker.close()
    assert client.taken == [(f"tag{number}", "x") for number in range(100)]


def test_records_that_are_lost_are_counted(caplog):
    tracker = Tracker(Flaky(), "1")
    tracker.tag("run", "a", "x")
    tracker.close()
    assert "did not take 1 records" in caplog.text


def test_signal_is_not_taken_for_a_dead_server():
    class Stopped(Exception):
        exit_code = 143

    class Client:
        def set_tag(self, *_: str) -> None:
            raise ConnectionError from Stopped()

    with pytest.raises(ConnectionError):
        Tracker(Client(), "1").tag("run", "a", "x")


def open_store(root: str) -> str:
    return Tracker.open(URI, "phantoms", Path(root)).experiment_id


def test_first_runs_that_meet_on_a_fresh_store_all_succeed(tmp_path):
    """Fault F38: without the lock one of two fails."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert len(set(pool.map(open_store, [str(tmp_path)] * 2))) == 1


def test_child_whose_id_was_lost_is_closed_with_its_parent(tmp_path):
    tracker = Tracker.open(URI, "phantoms", tmp_path)
    parent = tracker.start("all", {})
    lost, other = tracker.start("dcgan", {}, parent=parent), tracker.start("all", {})
    tracker.finish_children(parent, "KILLED")
    assert tracker.client.get_run(lost).info.status == "KILLED"
    assert tracker.client.get_run(other).info.status == "RUNNING"
