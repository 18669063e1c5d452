"""The rules of the release gate, and the verdict on a generator.

Each rule compares one figure with a limit of `synthesis.release`. An interval counts with its
unfavourable end where the rule says so. A figure that is missing holds no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from medgan.audits.privacy import BY_DISCRIMINATOR, BY_DISTANCE, CopyResult, PrivacyResult
from medgan.audits.release import ReleaseVerdict, RuleOutcome
from medgan.evaluation.metrics import COPY_RATE, MEMBERSHIP, RELEASED
from medgan.evaluation.results import SynthesisResult
from medgan.images.leakage import LeakageAudit
from medgan.metrics.quality import QualityMetric
from medgan.ranges import CountOrNone, Range, Share
from medgan.stats.bootstrap import Estimate
from medgan.words import SMOKE_SCALE, capital

LIMITS = (
    "The search finds copies that are mirrored, shifted by a few pixels, saved again or changed in "
    "contrast; a rotated, rescaled or strongly blurred copy may be missed.",
    "The membership attacks are the ones named; a stronger attack may do better.",
    "A released set is not anonymous by law, and no set is for diagnosis.",
)


@dataclass(frozen=True)
class ReleaseConfig:
    """Section `synthesis.release`: the limits of the gate."""

    held_out_images: CountOrNone = 100
    """Of the generator's classes, at least."""
    held_out_patients: CountOrNone = 50
    """At least; 0 where the data set names no patients."""
    planted_recall: Share = 0.95
    """Of every kind of planted copy, the share found, at least."""
    false_flags: Share = 0.01
    """Share of held-out images that is flagged, at most."""
    copy_rate: Share = 0.005
    """Share of the synthetic images that is flagged, at most."""
    membership_auc: Share = 0.6
    """Upper end of the interval of the attack that takes the images alone, at most."""
    discriminator_auc: Share = 0.8
    """As `membership_auc`, of the attack that takes the discriminator. Whoever has the images alone
    cannot run it, but a discriminator that knows its training images shows an overfitted training.
    """
    frechet_above_floor: Annotated[float, Range(0.0, 1e6)] = 30.0
    """Fréchet distance to held-out images, minus that of real images, at most."""
    recall: Share = 0.1
    coverage: Share = 0.2
    """Recall and coverage in domain features, at least."""


@dataclass(frozen=True)
class Evidence:
    """What the verdict on a generator rests on."""

    generator: str
    key: str
    scale: str
    """Of its training, such as `smoke`."""
    collapse: str | None
    """How its samples show mode collapse; None if they do not."""
    n_images: int
    quality: SynthesisResult
    privacy: PrivacyResult
    leakage: LeakageAudit
    n_held_out: int
    n_patients: int | None
    """Patients of the held-out images; None where patients are unknown."""
    differential_privacy: str = "none"


@dataclass(frozen=True)
class Measured:
    """The figure of a rule."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    reason: str | None = None

    @classmethod
    def of(cls, found: Estimate | QualityMetric, n: int | float | None) -> Measured:
        """An estimate of so many images."""
        reason = found.reason or None
        return cls(found.value, found.low, found.high, None if n is None else int(n), reason)


def at_least(found: Measured, limit: float) -> bool | None:
    """Whether the value reaches the limit; None where it is unknown, and the limit is not 0."""
    if found.value is None:
        return True if limit == 0 else None
    return found.value >= limit


def at_most(found: Measured, limit: float) -> bool | None:
    """Whether the value stays within the limit."""
    return None if found.value is None else found.value <= limit


def upper_at_most(found: Measured, limit: float) -> bool | None:
    """Whether the upper end of the interval stays within the limit."""
    return None if found.high is None else found.high <= limit


@dataclass(frozen=True)
class Rule:
    """A rule of the gate."""

    key: str
    """The field of `ReleaseConfig` that is its limit; another key has the limit 0."""
    asks: str
    """With {limit}."""
    measure: Callable[[Evidence], Measured | None]
    """None for a generator that the rule does not apply to."""
    holds: Callable[[Measured, float], bool | None]

    def outcome(self, evidence: Evidence, config: ReleaseConfig) -> RuleOutcome | None:
        """Apply the rule."""
        found, limit = self.measure(evidence), float(getattr(config, self.key, 0))
        if found is None:
            return None
        return RuleOutcome(
            rule=self.key,
            sentence=f"{self.asks.format(limit=f'{limit:g}')}: {_shown(found)}.",
            limit=limit,
            holds=self.holds(found, limit),
            **vars(found),
        )


def judge(evidence: Evidence, config: ReleaseConfig) -> ReleaseVerdict:
    """Judge whether images of a generator may be handed out: every rule has to hold."""
    rules = tuple(filter(None, (rule.outcome(evidence, config) for rule in RULES)))
    copies = evidence.privacy.copies
    return ReleaseVerdict(
        released=all(rule.holds for rule in rules),
        rules=rules,
        n_images=evidence.n_images,
        n_flagged=copies.n_flagged if copies else 0,
        generator=evidence.generator,
        generator_key=evidence.key,
        differential_privacy=evidence.differential_privacy,
        limits=LIMITS,
    )


def figures(verdict: ReleaseVerdict) -> dict[str, QualityMetric]:
    """The figures of a verdict that stand among those of quality."""
    failed, outcomes = verdict.first_failed, {rule.rule: rule for rule in verdict.rules}
    why = "" if failed is None else f"{failed.rule}: {failed.sentence}"
    released = QualityMetric(value=float(verdict.released), reason=why, n=verdict.n_images)
    rates = {
        metric.key: QualityMetric(
            value=one.value, low=one.low, high=one.high, n=one.n, reason=one.reason or ""
        )
        for metric in (COPY_RATE, MEMBERSHIP)
        for one in [outcomes[metric.key]]
    }
    return {RELEASED.key: released, **rates}


def _shown(found: Measured) -> str:
    if found.value is None:
        return f"not available ({found.reason})"
    between = "" if found.low is None else f" ({found.low:.3g} to {found.high:.3g})"
    count = "" if found.n is None else f", N {found.n:,}"
    why = f" ({found.reason})" if found.reason else ""
    return f"{found.value:.4g}{between}{count}{why}"


def _leaks(of: Evidence) -> Measured:
    images = sum(leak.images for leak in of.leakage.shared.values()) + of.leakage.synthetic.images
    return Measured(float(images), reason=f"verdict: {of.leakage.verdict}")


def _smoke(of: Evidence) -> Measured:
    return Measured(float(of.scale == SMOKE_SCALE), reason=f"scale: {of.scale or 'unknown'}")


def _collapsed(of: Evidence) -> Measured:
    return Measured(float(of.collapse is not None), n=of.n_images, reason=of.collapse)


def _patients(of: Evidence) -> Measured:
    if of.n_patients is None:
        return Measured(None, reason="the data set names no patients")
    return Measured(float(of.n_patients), n=of.n_held_out)


def _of_copies(measure: Callable[[CopyResult], Measured], of: Evidence) -> Measured:
    copies = of.privacy.copies
    return measure(copies) if copies else Measured(None, reason=of.privacy.copies_reason)


def _recall(copies: CopyResult) -> Measured:
    kind, worst = min(copies.recall.items(), key=lambda one: one[1].value or 0.0)
    return Measured(worst.value, worst.low, worst.high, copies.n_planted, f"lowest: {kind}")


def _attack(name: str, of: Evidence) -> Measured | None:
    found = of.privacy.membership.get(name)
    return None if found is None else Measured.of(found.auc, found.n)


def _quality(key: str, of: Evidence) -> Measured:
    found = of.quality.overall[f"{key}_domain"]
    return Measured.of(found, found.n)


def _frechet(of: Evidence) -> Measured:
    found = of.quality.overall["fid_domain"]
    if found.value is None or found.real_vs_real is None:
        return Measured(None, reason=found.reason or "there is no floor")
    return Measured(found.value - found.real_vs_real, n=int(found.n or 0))


RULES: Sequence[Rule] = (
    Rule("leaks", "Images that the parts of the split share, at most {limit}", _leaks, at_most),
    Rule("smoke_scale", "Trained at scale smoke (1: yes), at most {limit}", _smoke, at_most),
    Rule(
        "held_out_images",
        "Held-out real images of its classes, at least {limit}",
        lambda of: Measured(float(of.n_held_out)),
        at_least,
    ),
    Rule("held_out_patients", "Held-out patients, at least {limit}", _patients, at_least),
    Rule(
        "planted_recall",
        "Share of planted copies of each kind that is found, at least {limit}",
        partial(_of_copies, _recall),
        at_least,
    ),
    Rule(
        "false_flags",
        "Share of held-out real images flagged as copies, at most {limit}",
        partial(_of_copies, lambda found: Measured.of(found.false_flags, found.n_held_out)),
        at_most,
    ),
    Rule(
        "copy_rate",
        "Share of synthetic images that are suspected copies of training images, at most {limit}",
        partial(_of_copies, lambda found: Measured.of(found.rate, found.n)),
        at_most,
    ),
    Rule(
        "membership_auc",
        "AUC of the membership attack with the images, its upper end at most {limit}",
        partial(_attack, BY_DISTANCE),
        upper_at_most,
    ),
    Rule(
        "discriminator_auc",
        "AUC of the membership attack with the discriminator, its upper end at most {limit}",
        partial(_attack, BY_DISCRIMINATOR),
        upper_at_most,
    ),
    Rule("mode_collapse", "Mode collapse (1: yes), at most {limit}", _collapsed, at_most),
    Rule(
        "frechet_above_floor",
        "Fréchet distance in domain features above that of real images, at most {limit}",
        _frechet,
        at_most,
    ),
    *(
        Rule(
            key,
            f"{capital(key)} in domain features, at least {{limit}}",
            partial(_quality, key),
            at_least,
        )
        for key in ("recall", "coverage")
    ),
)
"""In the order in which a refusal names the first that fails."""
