"""The arms: one classifier each, with the same splits, steps, seed and initial weights; only what
they train on differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from medgan.audits.arms import THRESHOLD, ArmsAudit
from medgan.audits.scored import ScoredDetector
from medgan.audits.subgroups import audit_subgroups
from medgan.contracts import CLASSIFICATION, NORMAL, PRETRAINING, TrainingSet
from medgan.errors import UserError
from medgan.evaluation.categories import ClassifiedImages
from medgan.evaluation.classifier import (
    class_probabilities,
    contrast,
    corrected,
    evaluate_classifier,
)
from medgan.evaluation.compare_runs import COLUMNS
from medgan.evaluation.domain import freeze_domain
from medgan.evaluation.results import ClassifierResult, LeftOut, Section
from medgan.images.config import AugmentationConfig
from medgan.images.loading import VERSION, StoredImages
from medgan.images.splits import data_hash, training_digest, training_rows
from medgan.images.store import ImageStore
from medgan.pipelines.arms import ARMS, Arm, compared_with
from medgan.pipelines.classifier_training.batches import (
    ANOMALOUS,
    TASKS,
    Material,
    with_prior,
)
from medgan.pipelines.classifier_training.config import ClassifierConfig
from medgan.pipelines.outputs import (
    ArmSaliency,
    ArmsComparison,
    Classification,
    ImagesTogether,
    Synthetic,
    Trained,
)
from medgan.pipelines.shared import EvaluationData
from medgan.plots.classifiers import reliability
from medgan.plots.detectors import confusion_matrix, roc_curves
from medgan.stats.placements import Placements
from medgan.training.job import TrainingJob
from medgan.training.runtime import Runtime
from medgan.training.validation import HeldOutMetrics

if TYPE_CHECKING:
    from torch import nn

CRITERIA: Mapping[str, str | None] = {"auto": None, "last": None, "val_auroc": "val_auroc"}
"""`training.criterion` -> what selects the weights; None: the last ones."""


@dataclass(frozen=True)
class ArmSettings:
    """Settings that determine the training of an arm."""

    config: ClassifierConfig
    network: str
    augmentation: AugmentationConfig
    seed: int


def plan_arm(name: str, images: ImageStore, splits: pd.DataFrame, *inputs: Any) -> TrainingJob:
    """Plan the training of one arm.

    The inputs are the fields of `ArmSettings`, then the `Synthetic` images of an arm that takes
    some.

    Raises:
        UserError: the synthetic images are of a generator that learned from other images, or too
            few.
    """
    from medgan.models import classifier

    arm, settings, added = ARMS[name], ArmSettings(*inputs[:4]), inputs[4:]
    config, seed = settings.config, settings.seed
    task = TASKS[config.task]
    spec = replace(images.spec, classes=task.classes(images.spec.classes))
    found = training_rows(task.images(splits), TrainingSet.LABELLED, images.spec.classes)
    known = task.labels(np.asarray(found.labels), len(spec.classes))
    real = replace(found, labels=known)
    synthetic = None
    for one in added:
        require_same_training(one, arm.generator, splits)
        labels = np.minimum(one.synthetic["labels"], len(spec.classes) - 1)
        drawn = {"images": one.synthetic["images"], "labels": labels}
        prior, share = config.synthetic_prior, config.synthetic_share
        chosen = with_prior(drawn, known, prior, share, one_class=one.source is not None)
        synthetic = chosen | {"labels": task.labels(chosen["labels"], len(spec.classes))}
    augment = settings.augmentation.allowed if arm.augmented else ()
    hashes = synthetic and [
        hashlib.sha256(array.tobytes()).hexdigest() for array in synthetic.values()
    ]
    batches, balance = Material(arm, images, real, synthetic, len(spec.classes)).batches(
        config, seed, augment
    )
    # The epochs are those of the real images, so that every arm has equally many steps.
    training = config.training.in_steps(len(real.rows))
    training = replace(training, steps=_steps(arm, training.steps, config.pretraining))
    judge = held_out(config, images, splits) if config.training.inspect_every else None
    return TrainingJob(
        name=name,
        model="classifier",
        config=classifier.Config(
            network=settings.network,
            lr=config.rate_of(settings.network),
            weight_decay=config.weight_decay,
            label_smoothing=config.label_smoothing,
            class_weights=balance.weights,
            mixup=config.mixup if arm.mixup else 0.0,
            several=task.several,
            pretraining=arm.pretraining,
        ),
        spec=spec,
        batches=batches,
        training=training,
        seed=seed,
        data=data_hash(images, splits, VERSION, augment, hashes, arm.real, config.balance),
        initial="classifier",
        held_out=judge,
        card={
            "arm": name,
            **asdict(arm),
            "task": config.task,
            "images": images.key,
            "image_size": [images.info.height, images.info.width],
            "real_images": len(real.rows) if arm.real else 0,
            "synthetic_images": 0 if synthetic is None else len(synthetic["labels"]),
        },
        pretrained=config.pretrained(settings.network),
    )


def require_same_training(synthetic: Synthetic, generator: str, splits: pd.DataFrame) -> None:
    """Check that a generator has learned from no image that the arm may not see.

    Raises:
        UserError: it was trained on another training split.
    """
    origin = synthetic.origin
    if origin is not None and origin["training_split"] != training_digest(splits):
        raise UserError(
            f"The synthetic images are of {generator} trained on another training split than that "
            "of the arms: `kedro run --pipelines gan_training,synthesis,classifier_training` trains "
            "it on the same."
        )


def _steps(arm: Arm, steps: Mapping[str, int], share: float) -> Mapping[str, int]:
    """Divide the steps of an arm among its stages; every arm has equally many."""
    if not arm.pretraining or CLASSIFICATION not in steps:
        return steps
    whole = steps[CLASSIFICATION]
    first = min(max(1, round(share * whole)), whole - 1)
    return {PRETRAINING: first, CLASSIFICATION: whole - first}


def held_out(config: ClassifierConfig, images: ImageStore, splits: pd.DataFrame) -> HeldOutMetrics:
    """Return the AUROC of validation images, which selects weights where that is asked for.

    Raises:
        UserError: the criterion is of no classifier, or validation has one class only.
    """
    validation = TASKS[config.task].images(splits[splits["split"] == "val"])
    drawn = np.random.default_rng(0).permutation(len(validation))[: config.judged_images]
    chosen = validation.iloc[np.sort(drawn)]
    anomalous = (chosen["label"] == 1).to_numpy()
    wanted = CRITERIA.get(config.training.criterion, "")
    if wanted == "" or (wanted and len(np.unique(anomalous)) < 2):
        raise UserError(
            f"`classifier_training.training.criterion: {config.training.criterion}` cannot choose "
            "weights of a classifier here: use last, or val_auroc where validation has normal and "
            "anomalous images."
        )
    rows, read = chosen["row"].to_numpy(dtype=np.int64), StoredImages(images)

    def compute(model: nn.Module) -> dict[str, Placements]:
        if len(np.unique(anomalous)) < 2:
            return {}
        scores = 1 - class_probabilities(model, read, rows)[:, 0]
        return {"val_auroc": Placements.of(anomalous, scores)}

    return HeldOutMetrics(compute, wanted, {"validation_images": len(rows)})


def evaluate_arm(data: EvaluationData, trained: Trained) -> Classification:
    """Evaluate one arm on the test split; validation images choose its temperature.

    Its test scores have the form of a detector's: the score is 1 - p(normal), and `called` whether
    the image is called anomalous.
    """
    published, images, n_resamples = trained.model, data.images, data.config.n_resamples
    card, classes = published.card, published.spec.classes
    name = card.get("task", "categories")  # cards of earlier versions do not say it
    task = TASKS[name]
    known = task.images(data.splits[data.splits["split"] != "train"])
    model, read = published.build().to(Runtime.detect().device), StoredImages(images)
    probabilities = class_probabilities(model, read, known["row"].to_numpy(dtype=np.int64))
    parts = {
        part: task.classified(known[chosen], probabilities[chosen], images.spec.classes, classes)
        for part in ("val", "test")
        for chosen in [(known["split"] == part).to_numpy()]
    }
    result = replace(
        evaluate_classifier(parts["test"], n_resamples, data.seed, parts["val"]),
        task=name,
        network=published.configuration["network"],
        synthetic_images=card["synthetic_images"],
        title=card["title"],
        generator=card["generator"] if card["synthetic"] else None,
    )
    test, found = known[known["split"] == "test"], parts["test"]
    scored = test.assign(
        unit=test["image_id"],
        score=1 - np.asarray(found.probabilities)[:, 0],
        called=found.called,
    )[list(COLUMNS)]
    told = (NORMAL, ANOMALOUS) if task.several else classes
    matrix = confusion_matrix(np.array(result.confusion_matrix), told, f"Arm: {card['title']}")
    domain = freeze_domain(images, data.splits, data.seed)
    return Classification(
        result,
        matrix,
        scored.reset_index(drop=True),
        probabilities={
            "image_id": known["image_id"].to_numpy(dtype=str),
            "split": known["split"].to_numpy(dtype=str),
            "probabilities": probabilities,
        },
        domain=domain.limits,
        domain_reference=domain.reference,
        subgroups=audit_subgroups(
            ScoredDetector(scored.rename(columns={"unit": "image_id"}), THRESHOLD),
            known,
            n_resamples=n_resamples,
            seed=data.seed,
        ),
    )


def compare_arms(
    data: EvaluationData,
    arms: Mapping[str, Classification],
    saliency: Mapping[str, ArmSaliency],
    together: ImagesTogether | LeftOut,
    left_out: Mapping[str, str] | None = None,
) -> tuple[Section[ClassifierResult], ArmsComparison]:
    """Collect the section `classifiers` of the results with the contrasts between arms, and the
    figures and audits of all arms.
    """
    scored = {name: _of_test(arm, data) for name, arm in arms.items()}
    common = data.config.n_resamples, data.seed
    found = corrected(
        {
            (first, second): contrast(scored[first], scored[second], *common)
            for first in arms
            for second in compared_with(first)
            if second in arms
        }
    )
    rows = {
        name: replace(
            arm.evaluation,
            contrasts={second: one for (first, second), one in found.items() if first == name},
        )
        for name, arm in arms.items()
    }
    ranked = {
        arm.evaluation.title or name: (
            arm.test_scores["label"].to_numpy(),
            arm.test_scores["score"].to_numpy(),
        )
        for name, arm in arms.items()
    }
    shown, reason = (None, together.reason) if isinstance(together, LeftOut) else (together, "")
    comparison = ArmsComparison(
        roc=roc_curves(ranked, "ROC of the arms, test images"),
        reliability=reliability(rows),
        audit=ArmsAudit(
            subgroups={name: arm.subgroups for name, arm in arms.items() if arm.subgroups},
            saliency={name: one.saliency for name, one in saliency.items()},
            realism=shown.realism if shown else None,
            not_projected=reason,
        ),
        confusion_matrices={name: arm.confusion for name, arm in arms.items()},
        saliency={name: one.saliency_figure for name, one in saliency.items()},
        projection=shown.projection if shown else None,
        page=shown.page if shown else None,
    )
    return Section(data_hash(data.images, data.splits), rows, left_out or {}), comparison


def _of_test(arm: Classification, data: EvaluationData) -> ClassifiedImages:
    """Return the test images with their probabilities.

    Raises:
        UserError: they are of an earlier version.
    """
    if arm.probabilities is None:
        raise UserError(
            "An arm was evaluated by an earlier version of medgan: run 'kedro run --pipeline "
            "classifier_training' again."
        )
    task, classes = TASKS[arm.evaluation.task], arm.evaluation.classes
    test = task.images(data.splits[data.splits["split"] == "test"])
    found = arm.probabilities["probabilities"][arm.probabilities["split"] == "test"]
    return task.classified(test, found, data.images.spec.classes, classes)
