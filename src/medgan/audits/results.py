"""Typed results of the audits of detectors; field names are the keys of the JSON documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medgan.audits.data_results import LeakageVerdict
from medgan.stats.bootstrap import Estimate
from medgan.stats.differences import Difference


@dataclass(frozen=True)
class Tested:
    """The test images or volumes that an audit rests on."""

    n_images: int
    scored_unit: str
    """`image` or `volume`."""
    n_patients: int | None
    interval_unit: str
    """What the intervals resample: `patient` or `image`."""


@dataclass(frozen=True)
class AgainstShortcut:
    """A detector minus the best shortcut in AUROC."""

    shortcut: str | None
    """None where no shortcut has an AUROC."""
    auroc: Estimate
    """Of the shortcut."""
    difference: Difference
    no_better: bool
    """Whether the detector is not shown to beat the shortcut."""
    above_chance: bool | None = None
    """Whether the shortcut is shown to beat chance."""


@dataclass(frozen=True)
class Scopes:
    """A detector against the best of all shortcuts, and of those that cannot show the disease."""

    any: AgainstShortcut
    not_the_disease: AgainstShortcut | None = None


@dataclass(frozen=True)
class SiteAuroc:
    """The AUROC within one site."""

    n_normal: int
    n_anomalous: int
    auroc: Estimate


@dataclass(frozen=True)
class WithinSites:
    """AUROC within each site, over pairs of the same site, and that minus AUROC over all pairs."""

    sites: Mapping[str, SiteAuroc]
    pooled: Estimate
    difference: Difference


@dataclass(frozen=True)
class DetectorShortcuts:
    """One detector against the shortcuts."""

    auroc: Estimate
    compared_with: str
    """The kind of shortcut, `one_class` or `mix`, that saw what the detector saw."""
    against: Mapping[str, Scopes]
    """Kind of shortcut to the comparisons."""
    within_sites: WithinSites
    flags: Sequence[str]
    sentence: str


@dataclass(frozen=True)
class ShortcutsResult:
    """The AUROC of every shortcut by kind, and every detector against them (shortcuts.json)."""

    shortcuts: Mapping[str, Mapping[str, Estimate]]
    detectors: Mapping[str, DetectorShortcuts]
    tested: Tested


@dataclass(frozen=True)
class SubgroupMetrics:
    """The metrics of one group of test images at the frozen threshold."""

    n_images: int
    n_patients: int | None
    n_anomalous: int
    n_normal: int
    training_images: int | None
    """Training images of the same group; None where its images share no known value."""
    sensitivity: Estimate
    specificity: Estimate
    auroc: Estimate


@dataclass(frozen=True)
class Gap(Estimate):
    """The largest difference of a metric between two groups, the better group first."""

    between: tuple[str, str] | None = None
    p: float | None = None
    p_holm: float | None = None
    """Corrected over all pairs of groups of the detector."""
    pairs: int = 0
    """Pairs of groups of the same column that were compared."""

    def as_dict(self) -> dict[str, Any]:
        """The estimate, and the groups with their p-values where two were compared."""
        if self.between is None:
            return super().as_dict()
        compared = {"between": list(self.between), "p": self.p, "p_holm": self.p_holm}
        return {**super().as_dict(), **compared, "pairs": self.pairs}


@dataclass(frozen=True)
class SubgroupsResult:
    """The metrics of groups of test images, and the gaps between groups (subgroups.json)."""

    sentence: str
    groups: Mapping[str, Mapping[str, SubgroupMetrics]]
    """Column to level to the metrics of the group."""
    gaps: Mapping[str, Mapping[str, Gap]]
    """Column to metric to the largest gap."""
    shifts: Mapping[str, Mapping[str, Difference]]
    """Column to level to its AUROC minus that of all other levels together."""
    not_measured: Mapping[str, str]
    """Column to the reason."""
    leakage: LeakageVerdict
    threshold: float
    minimum: int
    """Images of each class that a metric needs."""
    tested: Tested


@dataclass(frozen=True)
class Severity:
    """A detector under one perturbation of one severity."""

    severity: float
    auroc: Estimate
    change: Difference
    """AUROC minus that of the unperturbed images."""
    flipped: Estimate
    """Share of images whose decision changes at the frozen threshold."""
    n_to_anomalous: int
    n_to_normal: int


@dataclass(frozen=True)
class PerturbationResult:
    """A detector under one perturbation, from mild to strong."""

    unit: str
    severities: Mapping[str, Severity]


@dataclass(frozen=True)
class RobustnessResult:
    """A detector under every perturbation (robustness.json); `reason` says why it was not run."""

    sentence: str
    perturbations: Mapping[str, PerturbationResult]
    sample: Tested | None = None
    threshold: float | None = None
    clean: Estimate | None = None
    """AUROC of the unperturbed images."""
    reason: str = ""


@dataclass(frozen=True)
class ErrorExample:
    """An image with a wrong decision."""

    image_id: str
    category: str
    score: float
    sex: str | None
    age_band: str | None
    site: str | None


@dataclass(frozen=True)
class ErrorSample:
    """The number of wrong decisions of one type, and a random sample of them."""

    n: int
    shown: Sequence[ErrorExample]


@dataclass(frozen=True)
class RandomErrors:
    """False negatives and false positives drawn at random."""

    threshold: float
    seed: int
    false_negative: ErrorSample
    false_positive: ErrorSample


@dataclass(frozen=True)
class Slice:
    """One slice of a volume."""

    slice: str | None
    """Its number in the file, or its place in mm; None where unknown."""
    position: int
    """Its place in the volume, from 1."""
    of: int
    score: float
    image_id: str


@dataclass(frozen=True)
class Volume:
    """A volume with its highest slices."""

    volume: str
    chosen_as: str
    """`most anomalous`, `false negative` or `false positive`."""
    kind: str
    category: str
    label: int
    score: float
    n_slices: int
    worst: Sequence[Slice]


@dataclass(frozen=True)
class WorstSlices:
    """The slices that volumes were called anomalous for; `reason` says why there are none."""

    volumes: Sequence[Volume]
    aggregate: str = ""
    threshold: float | None = None
    n_volumes: int | None = None
    n_anomalous: int | None = None
    reason: str = ""
