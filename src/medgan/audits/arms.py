"""What is audited of the classifier arms (the document `arms` of their comparison)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medgan.audits.results import SubgroupsResult
from medgan.evaluation.realism import RealismResult
from medgan.evaluation.saliency import SaliencyResult

THRESHOLD = 0.5
"""Of 1 - p(normal), for the subgroups."""


@dataclass(frozen=True, kw_only=True)
class ArmsAudit:
    """Subgroups and saliency of each arm, and how far synthetic images can be told from real."""

    subgroups: Mapping[str, SubgroupsResult] = field(default_factory=dict)
    saliency: Mapping[str, SaliencyResult] = field(default_factory=dict)
    realism: RealismResult | None = None
    not_projected: str = ""
    """Why real and synthetic images are not projected together."""
