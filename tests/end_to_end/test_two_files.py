"""A new model is two files: those of docs/adding-a-model.md, in a copy of the project, with no
other edit.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd

from tests.conftest import ROOT, kedro_command
from tests.end_to_end.project import call, make_project

PAGE = (ROOT / "docs" / "adding-a-model.md").read_text()
NEEDED = "ingestion,preprocessing,domain_features,bottleneck"


def test_two_files_are_trained_drawn_from_scored_and_evaluated(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    for folder, suffix, language in (
        ("src/medgan/models", "py", "python"),
        ("conf/base/parameters/models", "yml", "yaml"),
    ):
        (block,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
        (project / folder / f"bottleneck.{suffix}").write_text(block)
    ended = call(
        project, *kedro_command("run", "--env", "tiny", "--params", "scale=smoke", "--tags", NEEDED)
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    reports, outputs = (
        project / "data/08_reporting/tiny/bottleneck",
        project / "data/07_model_output/tiny/bottleneck",
    )
    trained = project / "data/06_models/tiny/bottleneck"
    (card,) = (trained / "trained").rglob("card.json")
    assert json.loads(card.read_text())["card"]["figures"].keys() >= {"aucp", "val_auroc"}
    assert len(pd.read_csv(trained / "curves.csv")) > 0
    names = {path.name for path in reports.rglob("*.*")} | {card.name}
    names |= {path.name for path in [*trained.rglob("*.png"), *outputs.rglob("*.*")]}
    assert names >= {
        "samples.png",
        "quality.json",
        "heatmaps.png",
        "heatmaps_closest.png",
        "heatmaps_random.png",
        "localisation.json",
        "evaluation.json",
        "curves.png",
        "synthetic.npz",
        "scores.parquet",
    }
    assert any((trained / "snapshots").iterdir())
    (row,) = reports.glob("evaluation/*/evaluation/evaluation.json")
    assert 0 <= json.loads(row.read_text())["auroc"]["value"] <= 1
