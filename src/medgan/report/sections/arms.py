"""Classifiers with synthetic training images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from medgan.audits.arms import THRESHOLD, ArmsAudit
from medgan.evaluation.details import RegionShare
from medgan.evaluation.metrics import CLASSIFIER, OF_CLASS, OF_CLASSES
from medgan.evaluation.results import ClassifierResult
from medgan.evaluation.saliency import NOT_SHOWN, SHOWN_AS
from medgan.models import display_name
from medgan.report.blocks import Absent, Block, Fold, Picture, Pictures, Section, Terms
from medgan.report.data import ReportData
from medgan.report.tables import OR_REASON, SIGNED, VALUE, Column, Columns, Rows, Table
from medgan.report.text import (
    MISSING,
    absent,
    interval_name,
    missing_reasons,
    number,
    p_text,
    seeds_text,
    size_of,
)
from medgan.stats.calibration import CalibrationBin
from medgan.stats.strata import MINIMUM
from medgan.words import capital, readable

Arms = Mapping[str, ClassifierResult]
TITLE = "Classifiers with synthetic training images"
FIGURES = {
    "arms_roc": "ROC curves of the arms on the test images",
    "arms_reliability": "Reliability diagrams of the arms on the test images",
}


def arm_name(arm: str, rows: Arms) -> str:
    """What an arm trains on, such as `GAN + classical`."""
    known = rows[arm].title if arm in rows else None
    return known or " + ".join("GAN" if part == "gan" else part for part in arm.split("_"))


def arms(data: ReportData) -> Section:
    """Classifiers on real images with and without additions."""
    rows = data.results.classifiers
    if not rows:
        return Section("arms", TITLE, "Not run yet.", [Absent(absent(data.results, "classifiers"))])
    metrics = {arm: [row.metric(metric) for metric in CLASSIFIER] for arm, row in rows.items()}
    first = next(iter(rows.values()))
    reasons = missing_reasons(found for each in metrics.values() for found in each)
    note = (
        f"{capital(size_of(first))}; {seeds_text(first.n_seeds)}; in brackets: "
        f"{interval_name(first)}. Accuracy and balanced accuracy are over all classes; precision, "
        "recall and F1 are of 'anomalous', any class but normal; AUROC and average precision are of "
        "1 − p(normal)."
    ) + "".join(f" {MISSING} : {reason}." for reason in reasons)
    columns: Columns = ("Trained on", *(metric.name for metric in CLASSIFIER))
    names = {arm: arm_name(arm, rows) for arm in rows}
    cells: Rows = [[names[arm], *found] for arm, found in metrics.items()]
    pictures = [
        Picture(f"confusion_{arm}", f"Confusion matrix, trained on {name}")
        for arm, name in names.items()
    ]
    shared = [Picture(name, text) for name, text in FIGURES.items() if name in data.figures]
    takeaway = (
        "All arms share network, splits, steps and seed; only the images that they train on differ. "
        "Overlapping intervals do not show a difference."
    )
    blocks: list[Block] = [
        Table(columns, cells, note=note, stacked=True),
        *_contrasts(rows),
        Pictures(pictures, "third"),
        Pictures(shared, "wide"),
        *_per_class(rows),
        *_calibration(rows),
        *(() if data.arms is None else _realism(data.arms)),
        *(() if data.arms is None else _saliency(data.arms, rows)),
        *(() if data.arms is None else _subgroups(data.arms, rows)),
    ]
    return Section("arms", TITLE, takeaway, blocks)


def _contrasts(rows: Arms) -> Iterator[Table]:
    """Each arm minus those that it is compared with."""
    cells: Rows = [
        [
            f"{arm_name(arm, rows)} − {arm_name(other, rows)}",
            found.difference,
            number(found.effect_size, 2, "+"),
            p_text(found.p_value),
            p_text(found.p_holm),
            found.balanced_accuracy,
            found.verdict,
        ]
        for arm, row in rows.items()
        for other, found in row.contrasts.items()
    ]
    if cells:
        columns: Columns = (
            "Contrast",
            Column("AUROC, difference", SIGNED),
            "Effect size d'",
            "p",
            "p, Holm",
            Column("Balanced accuracy, difference", SIGNED),
            Column("Conclusion", text=True),
        )
        note = (
            "Paired bootstrap on the same test images; Holm corrects for all contrasts of the table. "
            "d' is the difference in standard deviations of the scores of a class. The conclusion is "
            "on AUROC. One training of each arm says little about others: see the study of several "
            "seeds."
        )
        yield Table(columns, cells, "Contrasts between arms", note, stacked=True)


def _per_class(rows: Arms) -> Iterator[Fold]:
    """Each class against all others, and the means over the classes."""
    found = {arm: row for arm, row in rows.items() if row.per_class}
    if not found:
        return
    cells: Rows = [
        [
            f"{arm_name(arm, rows)}: {readable(name)}",
            f"{one.n_images:,}",
            *(one.metric(metric) for metric in OF_CLASS),
        ]
        for arm, row in found.items()
        for name, one in row.per_class.items()
    ]
    columns: Columns = ("Trained on: class", "Images", *(metric.name for metric in OF_CLASS))
    macro: Rows = [
        [arm_name(arm, rows), *(row.macro.metric(metric) for metric in OF_CLASSES)]
        for arm, row in found.items()
        if row.macro is not None
    ]
    means: Columns = ("Trained on", *(metric.name for metric in OF_CLASSES))
    note = "A class against all others; the means weigh each class alike."
    if any(row.task == "findings" for row in found.values()):
        note += " An image may show several findings; each is called at a probability of 0.5."
    means_table = Table(means, macro, "Means over the classes", note)
    yield Fold("Classes", [Table(columns, cells, stacked=True), means_table])


def _calibration(rows: Arms) -> Iterator[Fold]:
    cells = [cell for arm, row in rows.items() for cell in _calibrated(arm_name(arm, rows), row)]
    if not cells:
        return
    note = (
        "Brier score: mean squared error of 1 − p(normal), lower is better; the reference always "
        "predicts the share of anomalous test images. The expected calibration error over ten bins "
        "is biased upward. Scaled: all logits are divided by the temperature with the lowest log "
        "loss on validation images."
    )
    columns: Columns = (
        "Trained on",
        Column("Temperature", VALUE),
        "Brier score",
        "Reference Brier score",
        "Expected calibration error",
    )
    bins: Rows = [
        [f"{arm_name(arm, rows)}: {point.predicted:.2f}", point.observed, f"{point.n_images:,}"]
        for arm, row in rows.items()
        for point in row.calibration_curve
        if isinstance(point, CalibrationBin)
    ]
    curve = Table(("Mean predicted", "Share observed", "Images"), bins)
    yield Fold("Calibration", [Table(columns, cells, note=note), curve])


def _calibrated(name: str, row: ClassifierResult) -> Rows:
    if row.brier is None:
        return []
    share = row.brier_of_the_share
    cells: Rows = [[name, 1.0, row.brier, share, row.expected_calibration_error]]
    found = row.scaled
    if found is not None and isinstance(found.temperature, float):
        title = f"{name}, scaled on {found.n_validation:,} validation images"
        scaled = [found.temperature, found.brier, share, found.expected_calibration_error]
        cells.append([title, *scaled])
    return cells


def _realism(audit: ArmsAudit) -> Iterator[Fold]:
    """Real and synthetic images together."""
    found, title = audit.realism, "Real and synthetic images together"
    if found is None:
        yield Fold(title, [Absent(f"Not projected: {audit.not_projected or 'not run'}.")])
        return
    note = (
        "A logistic regression on the features, trained on half of the patients and synthetic images; "
        "AUROC on the other half: 0.5 where synthetic images cannot be told from real ones, 1 where all "
        "can. The interactive page is arms_comparison/page.html."
    )
    sizes = f"{found.n_real:,}", f"{found.n_synthetic:,}"
    cells: Rows = [[display_name(found.generator), found.auroc, *sizes, found.features]]
    columns: Columns = (
        "Generator",
        Column("AUROC, real against synthetic", OR_REASON),
        "Real images",
        "Synthetic images",
        "Features of",
    )
    picture = Picture("arms_projection", "Features of real and synthetic images on a plane")
    yield Fold(title, [Table(columns, cells, note=note), Pictures([picture], "wide")])


def _saliency(audit: ArmsAudit, rows: Arms) -> Iterator[Fold]:
    """Where the arms look, and whether that depends on what they have learned."""
    if not audit.saliency:
        return
    checked = [
        (f"{arm_name(arm, rows)}: {SHOWN_AS[name]}", found, checks)
        for arm, found in audit.saliency.items()
        for name, checks in found.methods.items()
    ]
    cells: Rows = [
        [
            name,
            f"{found.n_images:,}",
            *(checks.last_layer_random, checks.all_random, checks.inside_mask),
            found.mask_area,
        ]
        for name, found, checks in checked
    ]
    boxes = {name: box for name, _, checks in checked if (box := checks.inside_region) is not None}
    reasons = sorted({found.reason for found in audit.saliency.values() if found.reason})
    columns: Columns = (
        "Trained on: method",
        "Images",
        "Correlation, last layer random",
        "Correlation, all layers random",
        "Share inside the mask",
        "Share of the image that the mask covers",
    )
    note = (
        f"{NOT_SHOWN} Correlations are Spearman's over pixels, averaged over images. A map that "
        "knows nothing has as much inside the mask as the mask covers of the image."
    )
    pictures = [
        Picture(f"saliency_{arm}", f"Saliency maps of the arm {arm_name(arm, rows)}")
        for arm in audit.saliency
    ]
    shown: list[Block] = [Table(columns, cells, note=note, stacked=True)] if cells else []
    shown += box_tables(boxes, "Trained on: method", "saliency map")
    shown += [*map(Absent, reasons), Pictures(pictures, "wide")]
    yield Fold("Where the classifiers look", shown)


def box_tables(found: Mapping[str, RegionShare], rows: str, maps: str) -> list[Table]:
    """Lay out the share of maps inside the box of the organ by the name of the row, where one is
    set. `rows` is the heading of the names, `maps` what the maps are called.
    """
    if not found:
        return []
    first = next(iter(found.values()))
    cells: Rows = [[name, one.anomalous, one.normal] for name, one in found.items()]
    note = (
        f"The box covers {first.area:.1%} of the image, which is what a map without information has "
        "inside. A map outside the organ follows something else than a finding in it; a map inside "
        "need not follow the finding."
    )
    columns = (rows, "Anomalous test images", "Normal test images")
    return [Table(columns, cells, f"Share of the {maps} inside the box `{first.region}`", note)]


def _subgroups(audit: ArmsAudit, rows: Arms) -> Iterator[Fold]:
    """Sensitivity, specificity and AUROC of the arms in groups of test images."""
    if not audit.subgroups:
        return
    cells: Rows = [
        [
            f"{arm_name(arm, rows)}: {readable(column)} {level}",
            f"{one.n_anomalous:,} of {one.n_images:,}",
            *(one.sensitivity, one.specificity, one.auroc),
        ]
        for arm, found in audit.subgroups.items()
        for column, levels in found.groups.items()
        for level, one in levels.items()
    ]
    note = (
        f"Images are called anomalous where 1 − p(normal) is {THRESHOLD} or more. A metric needs "
        f"{MINIMUM} images of each class that it rests on."
    )
    metrics = (Column(name, OR_REASON) for name in ("Sensitivity", "Specificity", "AUROC"))
    columns: Columns = ("Trained on: group", "Anomalous", *metrics)
    told = {arm_name(arm, rows): found.sentence for arm, found in audit.subgroups.items()}
    shown: list[Block] = [Table(columns, cells, note=note, stacked=True)] if cells else []
    yield Fold("Groups of test images", [Terms(told), *shown])
