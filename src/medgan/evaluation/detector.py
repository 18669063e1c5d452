"""Evaluate a detector: freeze operating points on validation, then judge the test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from medgan.evaluation import results
from medgan.evaluation.classifier import class_report
from medgan.evaluation.metrics import (
    AUROC,
    AVERAGE_PRECISION,
    DECISION,
    DETECTOR,
    SENSITIVITY,
    SPECIFICITY,
    PredictionMetric,
    measured,
    missing,
)
from medgan.evaluation.patients import evaluate_patients, freeze_patients
from medgan.evaluation.protocol import Protocol
from medgan.evaluation.reading import require_finite_numbers
from medgan.evaluation.score_table import counts, require_real, require_unseen, scored_images
from medgan.evaluation.volumes import (
    by_volume,
    choose_volume_score,
    describe_volume_score,
    scored_unit,
    slice_count_auroc,
    slice_count_warnings,
)
from medgan.files.documents import to_json
from medgan.images.labels import findings_of, shows
from medgan.stats import classification
from medgan.stats.bootstrap import IMAGE_INTERVALS_ARE, Estimate, estimates
from medgan.stats.pooling import expected_half_width
from medgan.stats.thresholds import (
    FalsePositiveRate,
    Sensitivity,
    Threshold,
    frozen_on,
    frozen_or_missing,
)

FEW_ANOMALIES = 20
NO_PROBABILITIES = "not reported: scores are no probabilities"
EXACT = "an AUROC of exactly 0 or 1 has an exact bound instead"
WANTED = 0.95
ON_TEST = (
    "The cut is read from the ROC curve of the test images, so their labels chose it: optimistic; "
    "for comparison with papers that do so."
)
FLATTERS = (
    "The threshold was chosen on the validation images, and most weights were: "
    "their metrics are optimistic."
)
FAILED_ON_VALIDATION = (
    "Failed: the interval of the validation AUROC includes 0.5, so nothing follows from the metrics "
    "of the test images."
)
DEFAULT = Protocol()
POINT = (SENSITIVITY, SPECIFICITY)
OF_CATEGORY = (AUROC, AVERAGE_PRECISION, SENSITIVITY)


@dataclass(frozen=True)
class OperatingPoints:
    """All that is taken from validation, before a test label is read."""

    protocol: Protocol
    threshold: Threshold
    decisions: Mapping[str, Threshold]
    """By the text of their rules."""
    at_95_specificity: Threshold
    at_95_sensitivity: Threshold
    patients: Threshold | None
    """None where every validation patient has an anomalous image."""
    aggregate: str
    """How the scores of slices become the score of a volume."""
    chosen_by_labels: str
    """What labels of validation chose before a threshold: `volume_score` or `none`."""
    volume_score: results.VolumeScoring | None
    validation: results.ValidationMetrics

    def labels_used(self, threshold: Threshold) -> str:
        """What the labels of anomalous validation images were used for."""
        return "threshold" if threshold.uses_labels else self.chosen_by_labels


def freeze(validation: pd.DataFrame, protocol: Protocol = DEFAULT) -> OperatingPoints:
    """Take the operating points from the validation images.

    Args:
        validation: label, score, group_id and group_known of the validation images; `volume` and
            `slice` where they are slices.
        protocol: the rules.

    Raises:
        UserError: validation has no normal image.
    """
    choice = choose_volume_score(validation, protocol.volume_score)
    units = by_volume(validation, choice.aggregate)
    threshold, groups = frozen_on(units, protocol.rule), units["group_id"].to_numpy()
    volumes = scored_unit(validation) == "volume"
    resampling = protocol.n_resamples, protocol.seed
    return OperatingPoints(
        protocol=protocol,
        threshold=threshold,
        decisions={str(rule): frozen_or_missing(units, rule) for rule in protocol.decision_rules},
        at_95_specificity=frozen_or_missing(units, FalsePositiveRate(1 - WANTED)),
        at_95_sensitivity=frozen_or_missing(units, Sensitivity(WANTED)),
        patients=freeze_patients(units, protocol),
        aggregate=choice.aggregate,
        chosen_by_labels="volume_score" if choice.uses_labels else "none",
        volume_score=describe_volume_score(choice, validation, *resampling) if volumes else None,
        validation=results.ValidationMetrics(
            n_images=len(units),
            n_anomalous=int(units["label"].sum()),
            metrics=measured(DETECTOR, _at(units, threshold), groups, *resampling),
            remark=FLATTERS,
        ),
    )


def evaluate(
    test: pd.DataFrame, points: OperatingPoints, sees_mix: bool = False
) -> results.DetectorResult:
    """Judge the test images at operating points that were frozen on validation.

    `test` has label, score, category, group_id and group_known; volume and slice where the images
    are slices. `sees_mix` says whether the detector was trained with the unlabelled mix.

    Raises:
        UserError: a test image is not a real one, or a metric is not finite.
    """
    units = by_volume(test, points.aggregate)
    require_real(units)
    found, volumes = _Test.of(units, points), _on_test(points, units)
    metrics = found.at("", points.threshold, DETECTOR)
    labels, decisions, area = found.main.labels, found.main.decisions, metrics["auroc"]
    result = results.DetectorResult(
        metrics=metrics,
        decisions=found.decisions(),
        at_95_specificity=found.point("specificity", points.at_95_specificity),
        at_95_sensitivity=found.at_sensitivity(),
        read_from_test_roc=results.ReadFromTest(found.values["", "roc"], ON_TEST),
        predictive_values=found.predictive_values(),
        **counts(units),
        n_anomalous=int(labels.sum()),
        n_seeds=1,
        seeds=(points.protocol.seed,),
        threshold=points.threshold,
        volume_score=volumes,
        sees_mix=sees_mix,
        labels_used=points.labels_used(points.threshold),
        validation=points.validation,
        validation_auroc=points.validation.auroc,
        patient_level=evaluate_patients(units, points.patients, points.protocol),
        expected_half_width=_half_width(units, area),
        brier=Estimate(None, reason=NO_PROBABILITIES),
        confusion_matrix=classification.confusion(labels, decisions),
        report=class_report(labels, decisions, ("normal", "anomalous")),
        per_category={name: _category(units, points, name) for name in findings_of(units)},
        warnings=(*_warnings(area, units, points), *slice_count_warnings(volumes)),
    )
    if result.failed:
        result = replace(result, warnings=(FAILED_ON_VALIDATION, *result.warnings))
    require_finite_numbers(to_json(result), "The result of the detector")
    return result


def evaluate_detector(
    scores: pd.DataFrame,
    splits: pd.DataFrame,
    protocol: Protocol = DEFAULT,
    sees_mix: bool = False,
) -> results.DetectorResult:
    """Freeze the operating points of a detector, then judge the test images.

    Args:
        scores: image_id, split (val and test) and score, which rises with anomaly.
        splits: image_id, split, label, category, group_id, group_known; provenance and pixel_hash
            where there are any.
        protocol: the rules, the resamples and the seed.
        sees_mix: see `evaluate`.

    Raises:
        UserError: scores are missing or not finite, a metric is not finite, or a test image is not
            a real one or a training image too.
    """
    points = freeze(scored_images(scores, splits, "val"), protocol)
    test = scored_images(scores, splits, "test")
    require_unseen(splits)
    return evaluate(test, points, sees_mix)


@dataclass(frozen=True)
class _Test:
    """The test images, and every estimate of them; one set of resamples serves all."""

    points: OperatingPoints
    main: classification.Predictions
    values: Mapping[tuple[str, str], Estimate]
    """By the place in the result and the key of the metric."""

    @classmethod
    def of(cls, units: pd.DataFrame, points: OperatingPoints) -> _Test:
        main, protocol = _at(units, points.threshold), points.protocol
        statistics = {("", metric.key): metric.statistic(main) for metric in DETECTOR}
        statistics["", "roc"] = classification.sensitivity_at_specificity_of(main, WANTED)
        for share in protocol.prevalences:
            statistics[f"{share:g}", "ppv"] = classification.ppv_of(main, share)
            statistics[f"{share:g}", "npv"] = classification.npv_of(main, share)
        cuts = {f"rule {rule}": cut for rule, cut in points.decisions.items()}
        cuts |= {"specificity": points.at_95_specificity, "sensitivity": points.at_95_sensitivity}
        decided = {place: _at(units, cut) for place, cut in cuts.items()}
        for place, of in decided.items():
            statistics |= {(place, metric.key): metric.statistic(of) for metric in DECISION}
        statistics["sensitivity", "false_positives"] = classification.false_alarms(
            decided["sensitivity"]
        )
        groups = units["group_id"].to_numpy()
        return cls(points, main, estimates(statistics, groups, protocol.n_resamples, protocol.seed))

    def at(
        self, place: str, cut: Threshold, metrics: Sequence[PredictionMetric]
    ) -> dict[str, Estimate]:
        """The metrics of a place, or why its threshold has no value."""
        if cut.value is None:
            return missing(metrics, cut.reason)
        return {metric.key: self.values[place, metric.key] for metric in metrics}

    def decisions(self) -> dict[str, results.Decision]:
        """The decisions of each rule."""
        return {
            rule: results.Decision(
                threshold=cut,
                labels_used=self.points.labels_used(cut),
                metrics=self.at(f"rule {rule}", cut, DECISION),
            )
            for rule, cut in self.points.decisions.items()
        }

    def point(self, place: str, cut: Threshold) -> results.OperatingPoint:
        """Sensitivity and specificity at a threshold."""
        return results.OperatingPoint(threshold=cut, metrics=self.at(place, cut, POINT))

    def at_sensitivity(self) -> results.OperatingPoint:
        """The point of a sensitivity, with its false positives per 100 normal images."""
        cut, found = self.points.at_95_sensitivity, self.values["sensitivity", "false_positives"]
        if cut.value is None:
            found = Estimate(None, reason=cut.reason)
        return replace(self.point("sensitivity", cut), false_alarms_per_100_normals=found)

    def predictive_values(self) -> dict[str, results.PredictiveValues]:
        """The predictive values at each prevalence."""
        shares, values = self.points.protocol.prevalences, self.values
        named = [f"{share:g}" for share in shares]
        return {at: results.PredictiveValues(values[at, "ppv"], values[at, "npv"]) for at in named}


def _at(units: pd.DataFrame, threshold: Threshold) -> classification.Predictions:
    scores = units["score"].to_numpy()
    return classification.Predictions(units["label"].to_numpy(), scores, threshold.decide(scores))


def _on_test(points: OperatingPoints, units: pd.DataFrame) -> results.VolumeScoring | None:
    """What is known of the volume scores; None where the test images are no slices."""
    if points.volume_score is None or scored_unit(units) == "image":
        return None
    protocol = points.protocol
    counted = slice_count_auroc(units, protocol.n_resamples, protocol.seed)
    return replace(points.volume_score, slice_count_auroc=counted)


def _half_width(units: pd.DataFrame, area: Estimate) -> results.HalfWidth:
    """The half-width to expect for this n, cases being patients where they are known: images of one
    patient add little.
    """
    of_label = units.groupby("label")["group_id"].nunique()
    normal, anomalous = (int(of_label.get(label, 0)) for label in (0, 1))
    unit = "patient" if units["group_known"].all() else "image"
    if area.value is None or area.value in (0.0, 1.0):
        return results.HalfWidth(None, normal, anomalous, unit, area.reason or EXACT)
    return results.HalfWidth(
        expected_half_width(normal, anomalous, area.value), normal, anomalous, unit
    )


def _category(
    units: pd.DataFrame, points: OperatingPoints, category: str
) -> results.CategoryResult:
    """A finding, alone or with others, against all normal images; images without it are left
    out.
    """
    chosen = shows(units, category)
    among = chosen | (units["label"] == 0).to_numpy()
    predictions = _at(units[among].assign(label=chosen[among].astype(np.int64)), points.threshold)
    groups, protocol = units["group_id"].to_numpy()[among], points.protocol
    found = measured(OF_CATEGORY, predictions, groups, protocol.n_resamples, protocol.seed)
    return results.CategoryResult(n_images=int(chosen.sum()), metrics=found)


def _warnings(area: Estimate, units: pd.DataFrame, points: OperatingPoints) -> list[str]:
    threshold, anomalies = points.threshold, points.validation.n_anomalous
    folds = set(units["fold"]) if "fold" in units else set()
    checks = {
        "AUROC is significantly under 0.5: normal images score higher than anomalous ones. Labels "
        "or scores may be flipped, or the detector follows something else.": area.high is not None
        and area.high < 0.5,
        f"Fold {' and '.join(sorted(folds))} of a small cohort: a fifth of its images; "
        "quote the mean over all folds.": bool(folds),
        IMAGE_INTERVALS_ARE: not units["group_known"].all(),
        "Validation has no anomalous image: the threshold is a quantile of the normal scores "
        f"({threshold.rule}).": anomalies == 0,
        f"The threshold rests on {anomalies} anomalous validation images.": threshold.uses_labels
        and anomalies < FEW_ANOMALIES,
    }
    return [text for text, applies in checks.items() if applies]
