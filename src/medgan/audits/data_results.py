"""Typed results of the audits of the data; field names are the keys of the JSON documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medgan.evaluation.protocol import LabelNoise
from medgan.stats.bootstrap import Estimate


@dataclass(frozen=True)
class Size:
    """A number of images, and of patients where they are known."""

    images: int
    patients: int | None


@dataclass(frozen=True)
class PartFlow(Size):
    """The images of one part of the split."""

    normal: Size
    anomalous: Size
    unlabelled_mix: Size | None = None


@dataclass(frozen=True)
class LeftOut:
    """Images that one step of the flow left out, with the count of each reason."""

    images: int
    reasons: Mapping[str, int]


@dataclass(frozen=True)
class Flow:
    """How many images were listed, left out and kept, and the part of each one kept."""

    listed: int
    excluded: LeftOut
    quarantined: LeftOut
    usable: int
    dropped: LeftOut
    kept: Size
    parts: Mapping[str, PartFlow]

    @property
    def reasons(self) -> dict[str, int]:
        """The count of each reason, over all steps."""
        steps = (self.excluded, self.quarantined, self.dropped)
        return {reason: count for step in steps for reason, count in step.reasons.items()}


@dataclass(frozen=True)
class Count:
    """A count and its share of all; None where there are none."""

    n: int
    share: float | None


Counts = Mapping[str, Count]
"""Level of a characteristic to its count."""


@dataclass(frozen=True)
class ImagesPerPatient:
    """How many images patients have."""

    median: float
    max: int


@dataclass(frozen=True)
class Ages:
    """Ages in years of those whose age is known."""

    n: int
    median: float
    q1: float
    q3: float
    min: float
    max: float


@dataclass(frozen=True)
class PartDemographics(Size):
    """The images and patients of one part of the split, or of all parts."""

    images_per_patient: ImagesPerPatient | None
    categories: Counts
    age: Ages | None
    sex: Counts
    age_band: Counts
    site: Counts
    view: Counts
    scanner: Counts
    sequence: Counts
    missing: Counts
    """Characteristic to the images for which it is not recorded."""

    def levels(self, characteristic: str) -> Counts:
        """The counts of a characteristic by its name, such as `sex`."""
        return getattr(self, characteristic)


@dataclass(frozen=True)
class Demographics:
    """Table 1: the images and patients of each part; sex and age count `unit`, patient or image."""

    unit: str
    parts: Mapping[str, PartDemographics]


@dataclass(frozen=True)
class LeakageVerdict:
    """The leakage audit of the split in one sentence; `verdict` is None where it was not run."""

    verdict: str | None
    sentence: str


@dataclass(frozen=True)
class CohortResult:
    """The flow of images and the demographics of each part (cohort.json)."""

    flow: Flow
    demographics: Demographics
    leakage: LeakageVerdict


@dataclass(frozen=True)
class LabelNoiseBound:
    """Wrong labels as reported, and a bound of what they cost each detector."""

    reported: LabelNoise | str
    """Shares of wrong labels, or `not reported`; then nothing else is known."""
    ceiling: float | None = None
    """AUROC of a perfect detector under this noise."""
    auroc_if_labels_were_right: Mapping[str, Estimate] | None = None
    assumption: str = ""


@dataclass(frozen=True)
class ReferenceStandard:
    """Who labelled the images, how, and how often labels are wrong (reference_standard.json)."""

    reference_standard: str
    label_noise: LabelNoiseBound
