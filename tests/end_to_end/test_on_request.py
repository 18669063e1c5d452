"""Models that a plain run leaves out: run where they are named, or all together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medgan import models
from medgan.datasets.documents import newest_version
from tests.conftest import kedro_command
from tests.end_to_end.project import call, make_project
from tests.models.tiny import weights_file

PREPARED = "ingestion,preprocessing"


def run(project: Path, *options: str, params: str = "scale=smoke") -> str:
    command = kedro_command("run", "--env", "tiny", "--params", params, *options)
    ended = call(project, *command, seconds=900)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return " ".join((ended.stdout + ended.stderr).split())


@pytest.mark.long
def test_a_model_that_is_named_is_run_and_one_without_weights_says_what_to_give(
    tmp_path: Path,
) -> None:
    project = make_project(tmp_path)
    run(project, "--pipelines", PREPARED)
    named = ("--tags", "critic_neighbours,padim")
    reason = "it needs the pretrained weights of squeezenet1_1: give --params backbone_weights=PATH"
    assert f"padim is left out: {reason}" in run(project, *named)
    made = project / "data" / "08_reporting" / "tiny"
    assert list((made / "critic_neighbours" / "evaluation").rglob("evaluation.json"))
    assert not list((made / "padim").rglob("evaluation.json"))

    # As `make reproduce` asks for one output.
    weights = f"scale=smoke,backbone_weights={weights_file()}"
    pipelines = ("--pipelines", "gan_training,synthesis,anomaly_evaluation")
    said = run(project, *pipelines, "--to-outputs", "padim.evaluation", params=weights)
    assert "left out" not in said
    (row,) = (made / "padim" / "evaluation").rglob("evaluation.json")
    assert 0 <= json.loads(row.read_text())["auroc"]["value"] <= 1
    (card,) = (project / "data/06_models/tiny/padim/trained").rglob("card.json")
    about = json.loads(card.read_text())["card"]
    assert about["pretrained"][0] == "squeezenet1_1"
    assert about["figures"].keys() >= {"aucp", "val_auroc"}


@pytest.mark.long
def test_all_models_run_together_and_those_without_weights_have_a_reason(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    run(project, "--pipeline", "all_models")
    document = json.loads(
        newest_version(project / "data/08_reporting/tiny/results.json").read_text()
    )
    assert set(document["detectors"]) == set(models.detectors()) - set(models.pretrained())
    left_out = document["left_out"]["detectors"]
    assert set(left_out) == set(models.pretrained())
    assert all("backbone_weights=PATH" in reason for reason in left_out.values())
