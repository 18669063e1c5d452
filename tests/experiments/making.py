"""Records of trainings that never were, for tests of what is made of records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medgan.evaluation.categories import ClassifiedImages
from medgan.evaluation.classifier import evaluate_classifier
from medgan.evaluation.detector import evaluate_detector
from medgan.evaluation.protocol import Protocol
from medgan.experiments.records import ImageScores, Record, ShortcutScores, write_record
from medgan.files.documents import from_json, to_json

SECONDS = {"wall": 20.0, "cpu": 10.0, "runs": 1, "training_included": True}
HARDWARE = {"machine": "x", "system": "Linux", "cores": 2, "torch_threads": 1, "accelerator": None}
PROVENANCE = {
    "time": "2026-01-01T00:00:00+00:00",
    "hardware": HARDWARE,
    "git": "a" * 40,
    "lock_hash": "b",
    "versions": {},
}


def splits(images: int = 120, patients: int = 40) -> pd.DataFrame:
    """Validation and test images of patients, of whom a third are anomalous."""
    number = np.arange(2 * images)
    patient = number % patients
    part = np.where(patient < patients // 2, "val", "test")
    label = (patient % 3 == 0).astype(int)
    return pd.DataFrame(
        {
            "image_id": [f"image{n:04}" for n in number],
            "row": number,
            "pixel_hash": [f"{n:064x}" for n in number],
            "split": part,
            "group_id": [f"patient{n:03}" for n in patient],
            "group_known": True,
            "label": label,
            "category": np.select([label == 0, patient % 2 == 0], ["normal", "bacterial"], "viral"),
        }
    )


def detector(skill: float, seed: int, sees_mix: bool = False) -> dict[str, Any]:
    """The parts of a record that a detector of this skill leaves."""
    table = splits()
    score = skill * table["label"] + np.random.default_rng([seed, int(100 * skill)]).normal(
        size=len(table)
    )
    scores = pd.DataFrame({"image_id": table["image_id"], "split": table["split"], "score": score})
    row = evaluate_detector(scores, table, Protocol(n_resamples=60, seed=seed), sees_mix)
    test = table.assign(
        unit=table["image_id"],
        score=score,
        called=(score >= row.threshold.value).astype(int),
    )
    judged = {
        part: to_json(ImageScores.of(test[test["split"] == part], table))
        for part in ("val", "test")
    }
    scores = {"test_scores": judged["test"], "validation_scores": judged["val"]}
    return {"evaluation": to_json(row), **scores}


def arm(skill: float, seed: int) -> dict[str, Any]:
    """The parts of a record that an arm of this skill leaves."""
    table = splits()
    test = table[table["split"] == "test"]
    noise = np.random.default_rng([seed, int(100 * skill)]).normal(size=len(test))
    p = 1 / (1 + np.exp(-skill * test["label"].to_numpy() - noise))
    known, groups = test["group_known"].to_numpy(), test["group_id"].to_numpy()
    images = ClassifiedImages(
        np.stack([1 - p, p], axis=1),
        test["label"].to_numpy(),
        groups,
        known,
        ("normal", "anomalous"),
    )
    scored = test.assign(unit=test["image_id"], score=p, called=images.called)
    return {
        "evaluation": to_json(evaluate_classifier(images, 60, seed)),
        "test_scores": to_json(ImageScores.of(scored, table)),
    }


def validation(auroc: float, perturbed: float) -> dict[str, Any]:
    """What is recorded of a setting that is tried."""
    metrics = {"auroc": {"value": auroc}, "perturbed_auroc": {"value": perturbed}}
    return {"n_images": 60, "n_anomalous": 20, "remark": "", **metrics}


def shortcuts(**skills: float) -> dict[str, Any]:
    """The part of a record that shortcuts of these skills leave; `thumbnail` stands for
    `one_class/thumbnail`.
    """
    table = splits()
    rng = np.random.default_rng(7)
    scores = {
        f"one_class/{name}": skill * table["label"] + rng.normal(size=len(table))
        for name, skill in skills.items()
    }
    return {"shortcuts": to_json(ShortcutScores.of(table.assign(**scores), table))}


def record(
    root: Path, dataset: str, name: str, seed: int, model: str | None = None, **parts: Any
) -> None:
    """Writes a record."""
    command = (
        f"make reproduce DATASET={dataset} SEEDS={seed} ONLY={name} SOURCE=<where its images are>"
    )
    parameters = parts.pop("parameters", {})
    training = {
        "budget": {"steps": {"adversarial": parts.pop("steps", 5)}},
        "published_step": parts.pop("published_step", 5),
        "choice": parts.pop("choice", None),
        "configuration": parts.pop("configuration", {}),
        "figures": parts.pop("figures", {}),
    }
    head = {
        "dataset": dataset,
        "name": name,
        "model": model or name,
        "seed": seed,
        "command": command,
        "parameters": parameters,
    }
    made = {**PROVENANCE, "seconds": SECONDS}
    document = {**head, **parts, "training": training, "provenance": made}
    write_record(root, from_json(Record, document))
