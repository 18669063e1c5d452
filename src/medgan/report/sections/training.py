"""The quality of synthetic images, and the training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from medgan.evaluation.metrics import QUALITY, VALIDATION, quality_metric
from medgan.evaluation.results import SynthesisResult
from medgan.metrics.quality import QualityMetric
from medgan.models import display_name
from medgan.report.blocks import Absent, Block, Fold, Picture, Pictures, Section, Terms
from medgan.report.data import ReportData
from medgan.report.sections.arms import arm_name
from medgan.report.tables import VALUE, Column, Table
from medgan.report.text import (
    MISSING,
    absent,
    direction,
    missing_reasons,
    not_run,
    number,
    shared_class,
    with_interval,
)
from medgan.words import capital, readable

ON_INTERVALS = (
    "In parentheses: real images against real images, same protocol. In brackets: 95 % intervals, "
    "of features by random parts of the patients and of the synthetic images, of pairs by pairs, of AUROC "
    "by patients. They describe other images, not another training."
)
PICTURES = {
    "samples": "Synthetic images of {name}, not selected. Good for a first look.",
    "interpolations": "{name}, from one latent to another in each row. Good for memorized images: "
    "between them there are jumps.",
    "class_rows": "{name}, one latent as each class in a column. Good for what the class changes.",
    "beside_real": "{name}: held-out real images, synthetic ones, and the training image nearest "
    "to each of these, with its distance as a multiple of the median of held-out images. Good for "
    "copies, far below 1.",
}
"""Kinds of figures, and what each is good for."""
USES = {metric.name: metric.use for metric in QUALITY}
ON_QUALITY = (
    "A synthetic image has no original, so metrics of pairs name how the pairs were made: with a "
    "random real image of the same class, or with the nearest one by the same metric. LPIPS names "
    "its backbone; backbones do not compare, nor do spaces of features. Domain features are those "
    "of a classifier of the real training images; they do not compare with published FID or KID. The Fréchet distance "
    "decreases with the number of images; KID does not, and is near 0 for real against real "
    "images. Low precision and density: images do not look real. Low recall and coverage: they "
    "lack variety. A suspected copy is at least 10 % nearer to a training image than 99 % of "
    "held-out real images are; blurred or noisy copies are not found, and no suspects are no "
    "proof of privacy."
)


def trained_name(name: str, data: ReportData) -> str:
    """The display name of a model, or `classifier, GAN + classical`."""
    arms = data.results.classifiers
    return f"classifier, {arm_name(name, arms)}" if name in arms else display_name(name)


def quality(data: ReportData) -> Section:
    """The quality of synthetic images beside that of real ones."""
    found, title = data.results.quality, "Synthetic images"
    shown, *others = (_drawn(data, kind) for kind in PICTURES)
    more = [picture for each in others for picture in each.items]
    if not found:
        return Section(
            "images", title, "Not measured yet.", [shown, Absent(absent(data.results, "quality"))]
        )
    first, *by_class = _quality(found)
    takeaway = (
        "In parentheses: the metric of real images against real images. The closer to "
        "real-vs-real, the better."
    )
    blocks: list[Block] = [
        shown,
        first,
        *(Fold(f"{capital(table.title)}, by class", [table]) for table in by_class),
        Fold("Between latents, by class, beside real images", [Pictures(more)]),
        Fold(
            "What each metric is good for, and how to read it",
            [Terms(USES), Table((), (), note=ON_QUALITY)],
        ),
    ]
    return Section("images", title, takeaway, blocks)


def _drawn(data: ReportData, kind: str) -> Pictures:
    """The pictures of one kind, of all generators."""
    start = f"{kind}_"
    names = [name.removeprefix(start) for name in data.figures if name.startswith(start)]
    captions = {name: PICTURES[kind].format(name=display_name(name)) for name in names}
    items = [Picture(f"{start}{name}", text, text) for name, text in captions.items()]
    return Pictures(items, "half")


def _quality(found: Mapping[str, SynthesisResult]) -> Iterator[Table]:
    """All generators on the class that they share, and each that draws several classes alone."""
    shared = shared_class(found)
    if len(found) > 1:
        title = f"All generators, {readable(shared)} images"
        yield _quality_table(title, {name: made.of(shared) for name, made in found.items()})
    for name, made in found.items():
        if len(found) == 1 or len(made.by_class) > 1:
            yield _quality_table(display_name(name), {"overall": made.overall, **made.by_class})


def _quality_table(title: str, columns: Mapping[str, Mapping[str, QualityMetric]]) -> Table:
    def row(key: str) -> list[str]:
        metric, found = quality_metric(key), [metrics.get(key) for metrics in columns.values()]
        about = f"{direction(metric)} is better{_counted(found)}"
        large = any(abs(one.value or 0.0) >= 10 for one in found if one is not None)
        digits = 1 if large else metric.digits
        return [f"{metric.name}\n{about}", *(_beside_real(one, digits) for one in found)]

    everything = (each for metrics in columns.values() for each in metrics.values())
    reasons = [f"{MISSING} : {reason.rstrip('.')}." for reason in missing_reasons(everything)]
    note = " ".join([ON_INTERVALS, *reasons])
    headings = ("Metric", *(display_name(name) for name in columns))
    keys = next(iter(columns.values()))
    return Table(headings, [row(key) for key in keys], title, note, stacked=True)


def _counted(found: Sequence[QualityMetric | None]) -> str:
    """`, 100 images`; a number for each column where they differ, nothing where nothing was
    measured.
    """
    counts = [MISSING if one is None or one.n is None else f"{one.n}" for one in found]
    distinct = list(dict.fromkeys(counts))
    shown = " / ".join(counts if len(distinct) > 1 else distinct)
    pairs = any(one is not None and one.resampled == "pairs" for one in found)
    return "" if distinct == [MISSING] else f", {shown} {'pairs' if pairs else 'images'}"


def _beside_real(found: QualityMetric | None, digits: int) -> str:
    if found is None or found.value is None:
        return MISSING
    return f"{with_interval(found, digits)} ({number(found.real_vs_real, digits)})"


def choices(data: ReportData) -> Section:
    """The published step of each training, and why it was chosen."""
    title, cards = "Training and choice of weights", data.cards
    curved = [name.removeprefix("curves_") for name in data.figures if name.startswith("curves_")]
    pictures = [
        Picture(f"curves_{name}", f"Training curves of {trained_name(name, data)}")
        for name in curved
        if not cards or (name in cards and cards[name].planned_steps)
    ]
    curves = Fold("Training curves", [Pictures(pictures, "half")])
    takeaway = "Weights were chosen on training and validation images; no test image was used."
    if not cards:
        absent = Absent(not_run("Model cards", "gan_training"))
        return Section("choices", title, takeaway, [absent, curves])
    known = {metric for card in cards.values() for metric in card.figures}
    metrics = [name for name in VALIDATION if name in known]
    columns = [Column(VALIDATION[name], VALUE) for name in metrics]
    note = (
        "Validation metrics of the published step; where they chose the weights (see the reason) "
        "they are optimistic. AUCp: AUC of held-out normal images against a held-out unlabelled "
        "mix, without anomaly labels. Diversity: distance between two samples, as a multiple of "
        "that between two real images. Recall and coverage: share of training images that have "
        "samples around them, in pixels averaged over an 8 x 8 grid."
    )
    table = Table(
        ("Model", "Published step", "Reason", *columns),
        [
            [
                trained_name(name, data),
                f"{card.published_step:,} of {card.planned_steps:,}",
                card.choice,
                *(card.figures.get(metric) for metric in metrics),
            ]
            for name, card in cards.items()
        ],
        note=note,
        stacked=True,
    )
    return Section("choices", title, takeaway, [table, curves])
