"""The data card of a set of synthetic images: data_card.json, and the same as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from medgan import __version__
from medgan.audits.release import ReleaseVerdict, RuleOutcome, guarantee
from medgan.evaluation.metrics import quality_metric
from medgan.evaluation.results import SynthesisResult
from medgan.files.documents import ALWAYS
from medgan.files.names import slug
from medgan.images.synthetic import CARD, MANIFEST
from medgan.inference import cautions
from medgan.inference.generation import JudgedGenerator, Request
from medgan.metrics.quality import QualityMetric
from medgan.models import display_name
from medgan.pipelines.drawing import image_size
from medgan.report.tables import Column, Table
from medgan.report.text import number, reason_of, with_interval
from medgan.words import NOT_A_MEDICAL_DEVICE, capital, readable

UNRELEASED = "unreleased"
LIMITS = (
    "Synthetic images are not anonymous because they are synthetic: the checks find copies of "
    "training images, not everything that may be recognized.",
    "They show what the generator has learned, with its gaps: see recall and coverage. A class is "
    "what the generator was asked for, and no reader has confirmed it.",
    "Figures of validation or test images must not be computed on them.",
)
TRUNCATED = (
    "The latents are truncated: the verdict and the quality are those of images without truncation."
)


@dataclass(frozen=True, kw_only=True)
class DataCard:
    """What a reader has to know of a set."""

    name: str
    """Of the set: data set, model and time."""
    notice: str
    released: bool
    refusal: str
    """Why it is not released; empty where it is."""
    dataset: str
    model: str
    version: str
    """Of the published generator: a time."""
    key: str
    made: str
    medgan: str
    classes: tuple[str, ...]
    """A label of the NPZ form is an index into them."""
    counts: Mapping[str, int]
    """Images of each class."""
    n_flagged: int | None = field(default=None, metadata=ALWAYS)
    """Suspected copies that were left out and replaced; None where nothing was checked."""
    seed: int
    truncation: float | None = field(default=None, metadata=ALWAYS)
    height: int
    width: int
    channels: int
    intensity: str
    """How the training images were scaled; 0 to 255 here are -1 to 1 there."""
    license: str
    limits: tuple[str, ...]
    verdict: ReleaseVerdict | None = field(default=None, metadata=ALWAYS)
    quality: SynthesisResult | None = field(default=None, metadata=ALWAYS)
    configuration: Mapping[str, Any]
    training: Mapping[str, Any]
    """The card of the generator."""

    @property
    def marked(self) -> str:
        """The notice of each image."""
        status = "" if self.released else f"NOT RELEASED: {self.refusal}. "
        return f"Synthetic image. {status}{self.notice} {self.model} {self.key}, seed {self.seed}"


def data_card(using: JudgedGenerator, request: Request, n_flagged: int | None = None) -> DataCard:
    """Describe a set before it is drawn, or after it with the number of flagged images."""
    published, made = using.published, datetime.now(UTC)
    height, width = image_size(published)
    suffix = f"-{UNRELEASED}" if using.refusal else ""
    name = f"{slug(using.dataset)}-{published.name}-{made:%Y-%m-%dT%H.%M.%SZ}{suffix}"
    limits = [
        *cautions.of_model(published),
        *LIMITS,
        *(using.verdict.limits if using.verdict else ()),
    ]
    if request.truncation is not None:
        limits.insert(0, TRUNCATED)
    return DataCard(
        name=name,
        notice=NOT_A_MEDICAL_DEVICE,
        released=not using.refusal,
        refusal=using.refusal,
        dataset=using.dataset,
        model=published.name,
        version=using.version,
        key=published.key,
        made=made.isoformat(timespec="seconds"),
        medgan=__version__,
        classes=published.spec.classes,
        counts=request.wanted(published),
        n_flagged=n_flagged,
        seed=request.seed,
        truncation=request.truncation,
        height=height,
        width=width,
        channels=published.spec.channels,
        intensity=str(published.card.get("intensity", "unknown")),
        license=using.license,
        limits=tuple(limits),
        verdict=using.verdict,
        quality=using.quality,
        configuration=dict(published.configuration),
        training=dict(published.card),
    )


def page(card: DataCard) -> str:
    """Write the card as Markdown."""
    title = f"# Synthetic images: {readable(card.dataset)}, {display_name(card.model)}"
    return (
        "\n\n".join([title, *_status(card), *_origin(card), *_release(card), *_quality(card)])
        + "\n"
    )


def _status(card: DataCard) -> Iterator[str]:
    if not card.released:
        yield f"**NOT RELEASED: {card.refusal}.** Do not pass these images on."
    yield card.notice
    total = f"{sum(card.counts.values()):,} images of {card.width} x {card.height} pixels"
    yield f"{total}. {MANIFEST} has the class, seed and index of each, {CARD} this page as JSON."
    yield Table(
        ("Class", Column("Images", digits=0)), [[name, n] for name, n in card.counts.items()]
    ).markdown()
    yield (
        "Not checked for copies of training images."
        if card.n_flagged is None
        else f"Suspected copies of training images that were left out and replaced: {card.n_flagged}."
    )


def _origin(card: DataCard) -> Iterator[str]:
    trained, truncation = card.training, card.truncation
    facts = {
        "Generator": f"{card.model}, version {card.version}, key {card.key}",
        "Drawn": f"{card.made}, medgan {card.medgan}, seed {card.seed}, "
        + ("no truncation" if truncation is None else f"latents truncated at {truncation:g}"),
        "Training images": f"{trained.get('training_images', 'an unknown number')} "
        f"({trained.get('training_set', 'unknown')}) of the training split of {card.dataset}",
        "Training": f"step {trained.get('published_step', 'unknown')} of "
        f"{trained.get('planned_steps', 'unknown')}, seed {trained.get('seed', 'unknown')}, scale "
        f"{trained.get('scale') or 'unknown'}",
        "Intensity": f"{card.intensity}: levels 0 to 255 are -1 to 1 of the scaled images",
        "Differential privacy": guarantee(trained),
        "License of the training data": card.license,
    }
    yield "## Origin"
    yield "\n".join(f"- {name}: {fact}" for name, fact in facts.items())
    yield "## Limits"
    yield "\n".join(f"- {capital(limit.rstrip('.'))}." for limit in card.limits)


def _release(card: DataCard) -> Iterator[str]:
    yield "## Release"
    if card.verdict is None:
        yield f"Not judged: {card.refusal}."
        return
    judged = f"{card.verdict.n_images:,} images of this version of the generator were judged"
    yield f"{judged}; {card.verdict.n_flagged:,} of them were flagged as suspected copies."
    rows = [[rule.rule, rule.sentence, _number(rule), _holds(rule)] for rule in card.verdict.rules]
    yield Table(("Rule", "Found", "N", "Holds"), rows).markdown()


def _number(rule: RuleOutcome) -> str:
    return "–" if rule.n is None else f"{rule.n:,}"


def _holds(rule: RuleOutcome) -> str:
    return "yes" if rule.holds else "no" if rule.value is not None else "unknown, counts as no"


def _quality(card: DataCard) -> Iterator[str]:
    yield "## Quality"
    if card.quality is None:
        yield "Not measured."
        return
    yield (
        "Of the images that were judged, against held-out real images (validation and test), with "
        "the same metric of real images against real ones. SD: of pairs of images in metrics of "
        "pairs, else of draws of N images."
    )
    rows = [_metric(key, found) for key, found in card.quality.overall.items()]
    yield Table(("Metric", "Synthetic", "Real", "N"), rows).markdown()


def _metric(key: str, found: QualityMetric) -> list[str]:
    metric = quality_metric(key)
    shown = with_interval(found, metric.digits) if found.value is not None else reason_of(found)
    if found.std is not None:
        shown += f", SD {number(found.std, metric.digits)}"
    n = "–" if found.n is None else f"{found.n:,}"
    return [metric.name, shown, number(found.real_vs_real, metric.digits), n]
