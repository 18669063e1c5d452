"""`medgan classify` and the ONNX file of an arm, in a project with one that was trained on films."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from medgan.cli.score import classify
from medgan.errors import UserError
from medgan.evaluation.protocol import EvaluationConfig
from medgan.images.config import AugmentationConfig
from medgan.images.labels import class_labels
from medgan.inference.classifier import trained_classifier
from medgan.inference.classify import classify_path
from medgan.inference.export import export_classifier
from medgan.pipelines.classifier_training.config import ClassifierConfig
from medgan.pipelines.classifier_training.nodes import evaluate_arm, plan_arm
from medgan.pipelines.outputs import Trained
from medgan.pipelines.shared import EvaluationData
from medgan.project.artifacts import Project
from medgan.stats.calibration import scaled
from medgan.training import job as jobs
from medgan.training.checkpoints import CheckpointFolder, TrainingState
from medgan.training.settings import TrainingConfig
from tests.inference.artifacts import leave, picture
from tests.inference.conftest import drawn


@pytest.fixture
def films(project: Path) -> Path:
    """The project, with the arm `real` trained and evaluated."""
    return with_arm(project, "categories")


def with_arm(project: Path, task: Literal["categories", "findings"]) -> Path:
    found = Project(project)
    images, splits = found.store("films"), found.splits("films")
    assert splits is not None
    budget = TrainingConfig({"classification": 25}, batch_size=8)
    config = ClassifierConfig(task=task, training=budget)
    job = plan_arm("real", images, splits, config, "small", AugmentationConfig(), 0)
    checkpoints = CheckpointFolder(project / "checkpoints")
    for step in jobs.train(job, checkpoints):
        if isinstance(step.state, TrainingState):
            checkpoints.write(step.state)
    trained = Trained(jobs.publish(job, checkpoints), pd.DataFrame({"step": [1]}), picture())
    leave(project, "films", "real.trained", trained)
    data = EvaluationData(images, splits, EvaluationConfig(n_resamples=100), 0)
    leave(project, "films", "real.classification", evaluate_arm(data, trained))
    return project


@pytest.fixture
def folder(films: Path) -> Path:
    """New films: the first healthy, the second sick, one of other proportions, and two files that are none."""
    new = films / "new"
    (new / "ward").mkdir(parents=True)
    Image.fromarray(drawn(900, False)).save(new / "a.png")
    Image.fromarray(drawn(901, True)).save(new / "ward" / "b.png")
    Image.fromarray(drawn(902, False)).resize((400, 44)).save(new / "wide.png")
    (new / "notes.txt").write_text("nothing")
    (new / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    return new


def test_new_images_get_the_calibrated_probabilities_of_the_network(
    films: Path, folder: Path
) -> None:
    found = classify_path(folder, "real", films / "out", env="films", with_saliency=True)
    table = pd.read_csv(films / "out/classes.csv", keep_default_na=False).set_index("path")
    using = found.using
    pixels = using.prepared(drawn(900, False)[..., None])[None]
    raw = using.model.probabilities(using.inputs(pixels)).numpy()  # type: ignore[operator]
    wanted = scaled(raw, using.temperature)[0]
    row = table.loc["a.png"]
    assert [float(row[f"p_{name}"]) for name in using.classes] == pytest.approx(wanted, abs=1e-6)
    assert row["decision"] == using.classes[int(wanted.argmax())]
    assert float(row["probability"]) == pytest.approx(wanted.max(), abs=1e-6)
    assert table.loc["wide.png", "decision"] == "outside the domain"
    assert table.loc["wide.png", "probability"] == ""
    assert table.loc["notes.txt", "code"] == "NO_IMAGE"
    assert table.loc["broken.png", "code"] not in ("", "NO_IMAGE")
    assert table.loc["broken.png", "decision"] == ""
    for name in ("a.png", "ward/b.png", "wide.png"):
        with Image.open(films / "out" / table.loc[name, "saliency"]) as shown:
            assert shown.width > 200
    card = json.loads((films / "out/classification.json").read_text())
    assert card["temperature"] == using.temperature != 1
    assert card["classes"] == list(using.classes)
    assert sum(card["counts"].values()) == 5
    assert card["counts"]["no_image"] == 1
    assert "not a medical device" in card["notice"]


def test_names_that_are_not_utf_8_are_shown_and_their_files_classified(
    films: Path, folder: Path
) -> None:
    (folder / "a.png").rename(folder / os.fsdecode(b"caf\xe9.png"))
    classify_path(folder, "real", films / "out", env="films", with_saliency=True)
    table = pd.read_csv(films / "out/classes.csv", keep_default_na=False).set_index("path")
    assert table.loc["caf\\xe9.png", "decision"]
    assert (films / "out" / table.loc["caf\\xe9.png", "saliency"]).is_file()


def test_the_temperature_is_that_of_the_validation_images(films: Path) -> None:
    found = Project(films)
    using = trained_classifier(found, found.environment("films"), "real")
    splits = found.splits("films")
    assert splits is not None
    validation = splits[splits["split"] == "val"]
    pixels = using.store.read(validation["row"].to_numpy())
    labels = class_labels(validation, using.classes)

    def loss(probabilities: np.ndarray) -> float:
        return float(-np.log(probabilities[np.arange(len(labels)), labels]).mean())

    raw = using.model.probabilities(using.inputs(pixels)).double().numpy()  # type: ignore[operator]
    chosen = loss(using.probabilities(pixels))
    assert chosen <= min(loss(scaled(raw, using.temperature * by)) for by in (0.9, 1.1)) + 1e-9


def test_the_command_says_what_it_found_and_refuses_in_a_sentence(
    films: Path, folder: Path
) -> None:
    runner = CliRunner()
    made = runner.invoke(classify, [str(folder), "--env", "films", "-o", "out"])
    assert made.exit_code == 0, made.output
    assert "real, trained on the data set films" in made.output
    assert "1 other files" in made.output
    again = runner.invoke(classify, [str(folder), "--env", "films", "-o", "out"])
    assert again.exit_code == 1
    assert "--overwrite" in again.output
    replaced = runner.invoke(classify, [str(folder), "--env", "films", "-o", "out", "--overwrite"])
    assert replaced.exit_code == 0
    as_json = runner.invoke(
        classify, [str(folder), "--env", "films", "-o", "out", "--overwrite", "--json"]
    )
    shown = json.loads(as_json.stdout)
    assert (shown["arm"], shown["dataset"]) == ("real", "films")
    assert {row["path"] for row in shown["rows"]} == set(pd.read_csv("out/classes.csv")["path"])
    missing = runner.invoke(
        classify, [str(folder), "--env", "films", "-o", "other", "--arm", "mixup"]
    )
    assert missing.exit_code == 1
    assert "all_models.classifier_training --tags mixup" in " ".join(missing.output.split())
    assert "trained are real" in missing.output
    assert not (films / "other").exists()


def test_an_evaluation_of_other_weights_is_refused(films: Path, folder: Path) -> None:
    found = Project(films)
    old = found.read("films", "real.classification")
    changed = {name: np.asarray(old.probabilities[name]) for name in old.probabilities}
    changed["probabilities"] = changed["probabilities"][:, ::-1].copy()
    leave(
        films, "films", "real.classification", type(old)(**{**vars(old), "probabilities": changed})
    )
    with pytest.raises(UserError, match="not that of its newest version"):
        classify_path(folder, "real", films / "out", env="films")


def test_the_onnx_file_takes_stored_pixels_and_gives_the_same_probabilities(
    films: Path, folder: Path
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    done = export_classifier(films, "films", "real", films / "real.onnx")
    assert done.difference < 1e-4
    found = classify_path(folder, "real", films / "out", env="films")
    using = found.using
    session = runtime.InferenceSession(films / "real.onnx", providers=["CPUExecutionProvider"])
    pixels = np.stack([using.prepared(drawn(900 + n, n == 1)[..., None]) for n in range(2)])
    (outputs,) = session.run(None, {"images": pixels})
    table = found.table.set_index("path")
    for output, name in zip(outputs, ("a.png", "ward/b.png"), strict=True):
        wanted = [table.loc[name, f"p_{one}"] for one in using.classes]
        assert output == pytest.approx(wanted, abs=1e-4)
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["classes"]) == list(using.classes)
    assert float(about["temperature"]) == using.temperature


def test_findings_have_probabilities_of_their_own_here_and_in_the_onnx_file(
    project: Path, tmp_path: Path
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    with_arm(project, "findings")
    (tmp_path / "new").mkdir()
    for number in range(3):
        picture = drawn(900 + number, bool(number))
        Image.fromarray(picture).save(tmp_path / "new" / f"{number}.png")
    found = classify_path(tmp_path / "new", "real", tmp_path / "out", env="films", project=project)
    using, table = found.using, found.table
    pixels = np.stack([using.prepared(drawn(900 + n, bool(n))[..., None]) for n in range(3)])
    wanted = using.model.network(using.inputs(pixels)).sigmoid().detach().numpy()  # type: ignore[operator]
    shown = table[[f"p_{name}" for name in using.classes]].to_numpy(dtype=float)
    assert shown == pytest.approx(wanted, abs=1e-6)
    for p, decision in zip(shown, table["decision"], strict=True):
        named = [name for name, value in zip(using.classes[1:], p[1:], strict=True) if value >= 0.5]
        assert decision in ("outside the domain", "|".join(named) or "no finding")
    assert any("each finding has one of its own" in caution for caution in using.cautions)
    export_classifier(project, "films", "real", tmp_path / "real.onnx")
    session = runtime.InferenceSession(tmp_path / "real.onnx", providers=["CPUExecutionProvider"])
    assert session.run(None, {"images": pixels})[0] == pytest.approx(wanted, abs=1e-4)
