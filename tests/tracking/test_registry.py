"""Inputs of runs, the registry with its champion, and system metrics."""

from __future__ import annotations

import time

from mlflow import MlflowClient

from medgan.tracking.client import Tracker
from medgan.tracking.spool import Record
from medgan.tracking.system import SystemMetrics
from medgan.tracking.writing import CHAMPION, DATA, SKILL, register
from tests.tracking.forked import use_forks

URI = "sqlite:///mlflow.db"
NAME = "phantoms.bigan"


def test_inputs_and_models_of_a_run_are_sent_once(tmp_path, monkeypatch):
    use_forks(monkeypatch)
    tracker = Tracker.open(URI, "phantoms", tmp_path)
    run = tracker.start("bigan", {})
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    tracker.file(run, tmp_path / "model.safetensors", "published")
    for _ in range(2):  # a record may be sent twice
        tracker.dataset(run, "phantoms", "0123abcd", '{"environment": "base"}', '{"num_rows": 800}')
        tracker.model(run, NAME, "published", {"model": "bigan", DATA: "0123abcd"})
    tracker.finish(run, "FINISHED")
    tracker.close()
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (found,) = client.search_runs([client.get_experiment_by_name("phantoms").experiment_id])
    (made,) = found.inputs.dataset_inputs
    assert (made.dataset.name, made.dataset.digest) == ("phantoms", "0123abcd")
    assert made.dataset.profile == '{"num_rows": 800}'
    (version,) = client.search_model_versions(f"name='{NAME}'")
    assert version.tags == {"model": "bigan", DATA: "0123abcd"}
    assert [one.path for one in client.list_artifacts(version.run_id, "published")] == [
        "published/model.safetensors"
    ]


def test_the_champion_is_the_best_on_validation_of_the_same_data(tmp_path):
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.create_experiment("phantoms", artifact_location=tmp_path.as_uri())

    def champion(name: str, data: str, skill: float | None) -> int:
        run = client.create_run(experiment).info.run_id
        tags = {DATA: data} | ({} if skill is None else {SKILL: str(skill)})
        register(client, run, Record("model", "", name, "published", values=tags))
        return int(client.get_registered_model(name).aliases[CHAMPION])

    versions = [("a", 0.8), ("a", 0.7), ("a", 0.9), ("b", 0.6)]
    assert [champion(NAME, *version) for version in versions] == [1, 1, 3, 4]
    newest = [champion("phantoms.acgan", "a", None) for _ in range(2)]
    assert newest == [1, 2], "generators have no validation AUROC"


def test_samples_of_the_load_come_until_it_is_stopped():
    samples = []
    load = SystemMetrics(samples.append, every=0.02)
    load.start()
    deadline, value = time.monotonic() + 20, 0
    while len(samples) < 3 and time.monotonic() < deadline:
        value += 1
    load.stop()
    count = len(samples)
    assert [sample["step"] for sample in samples] == list(range(1, count + 1))
    assert count >= 3
    assert all(0 <= one["system/cpu_utilization_percentage"] <= 110 for one in samples)
    assert any(one["system/cpu_utilization_percentage"] > 1 for one in samples)
    assert all(10 < one.get("system/process_memory_megabytes", 11) < 1e5 for one in samples)
    time.sleep(0.1)
    assert len(samples) == count
