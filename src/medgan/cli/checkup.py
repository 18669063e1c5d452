"""What may be wrong with a data set and its models, in the order in which it has to be mended."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medgan import models
from medgan.audits.shortcuts import SITE_FLAG
from medgan.contracts import NORMAL
from medgan.errors import UserError
from medgan.evaluation.results import Section
from medgan.images.leakage import SHARED_NAMES, LeakageAudit
from medgan.images.profile import Profile
from medgan.images.summary import DataSummary
from medgan.inference.cautions import FEW_NORMALS, of_model
from medgan.pipelines.outputs import Trained
from medgan.project.artifacts import Project
from medgan.report.text import grouped_warnings
from medgan.tracking.provenance import lock_hash, versions

PAGE = "docs/bad-results.md"
FREE = 1 << 30
"""Bytes of free disk space below which a run may end early."""
FEW_IMAGES = 50
"""Images of a class; subgroups of fewer are not compared either."""
ASSOCIATED = 0.3
"""Cramér's V of an attribute and the class that is called a possible shortcut; 0 is none, 1 full."""
GOOD, WRONG, NOT_RUN = "good", "look", "not run"


@dataclass(frozen=True)
class Finding:
    """The outcome of one check."""

    check: str
    state: str
    sentences: tuple[str, ...]
    page: str
    """Where the check is explained, as a path from the project folder."""


class NotRun(Exception):
    """What a check reads has not been made."""


@dataclass(frozen=True)
class Examined:
    """A data set, and what its runs left."""

    project: Project
    dataset: str

    def read(self, entry: str) -> Any:
        """Load an entry of the catalog. Raises NotRun where it has not been made."""
        found = self.project.read(self.dataset, entry)
        if found is None:
            raise NotRun
        return found


def checkup(examined: Examined) -> list[Finding]:
    """Make all checks."""
    return [_finding(name, look, examined) for name, look in CHECKS.items()]


def first_wrong(findings: Iterable[Finding]) -> Finding | None:
    """What has to be mended first."""
    return next((finding for finding in findings if finding.state == WRONG), None)


def _finding(name: str, look: Callable[[Examined], Iterator[str]], examined: Examined) -> Finding:
    page = f"{PAGE}#{name}"
    try:
        sentences = tuple(look(examined))
    except NotRun:
        return Finding(name, NOT_RUN, (), page)
    except UserError as error:  # a damaged file
        return Finding(name, WRONG, (str(error),), page)
    return Finding(name, WRONG if sentences else GOOD, sentences, page)


def environment(examined: Examined) -> Iterator[str]:
    """Disk space, and packages other than those of the results."""
    root = examined.project.root
    free = shutil.disk_usage(root).free
    if free < FREE:
        yield f"Only {free / 1e9:.1f} GB of the disk are free."
    made = _results(examined).provenance
    now = {**versions(), "requirements.lock": lock_hash(root)}
    then = {**made.get("versions", {}), "requirements.lock": made.get("lock_hash")}
    changed = sorted(name for name, one in then.items() if one and now.get(name) != one)
    if changed:
        yield f"The results were made with another version of {', '.join(changed)}."


def _results(examined: Examined) -> Any:
    catalog: Any = examined.project.catalog(examined.dataset)
    found = catalog.get("results.detectors").document()
    if found is None:
        raise NotRun
    return found


def data(examined: Examined) -> Iterator[str]:
    """Small classes, and the warnings of the summary."""
    summary: DataSummary = examined.read("data_summary")
    small = [name for name, count in summary.classes.items() if count < FEW_IMAGES]
    if small:
        yield f"Fewer than {FEW_IMAGES} images are of the class {', '.join(small)}."
    yield from summary.warnings


def leaks(examined: Examined) -> Iterator[str]:
    """What two parts of the split share."""
    audit: LeakageAudit = examined.read("leakage_audit")
    for name, leak in audit.shared.items():
        if leak.count:
            yield f"The parts of the split share {leak.count} {SHARED_NAMES[name]}."
    if audit.synthetic.count:
        yield f"{audit.synthetic.count} synthetic images are in validation or test."


def validation(examined: Examined) -> Iterator[str]:
    """Normal validation images, which thresholds rest on."""
    splits = examined.read("splits")
    normal = int(((splits["split"] == "val") & (splits["category"] == NORMAL)).sum())
    if normal < FEW_NORMALS:
        yield (
            f"Thresholds rest on {normal} normal validation images; at least {FEW_NORMALS} are "
            "needed."
        )


def curves(examined: Examined) -> Iterator[str]:
    """Budgets, and mode collapse."""
    trained = _trained(examined)
    if not trained:
        raise NotRun
    named: dict[str, list[str]] = {}
    for name, found in trained.items():
        for caution in of_model(found.model):
            named.setdefault(caution, []).append(name)
    yield from (f"{', '.join(names)}: {caution}." for caution, names in named.items())


def _trained(examined: Examined) -> Mapping[str, Trained]:
    found = {
        name: examined.project.read(examined.dataset, f"{name}.trained") for name in models.names()
    }
    return {name: one for name, one in found.items() if one is not None}


def shortcuts(examined: Examined) -> Iterator[str]:
    """Attributes that tell the class, and detectors that do not beat the shortcuts."""
    profile: Profile = examined.read("data_profile").data_profile
    for name, value in profile.association_with_category.items():
        if value is not None and value >= ASSOCIATED:
            yield f"{name} differs between the classes (Cramér's V {value:.2f})."
    for name, found in examined.read("comparison").shortcuts.detectors.items():
        if found.flags:
            worse = f" It {SITE_FLAG}." if SITE_FLAG in found.flags else ""
            yield f"{name}: {found.sentence}{worse}"


def detectors(examined: Examined) -> Iterator[str]:
    """The warnings of the evaluation."""
    section: Section[Any] = examined.read("results.detectors")
    for warning, names in grouped_warnings(section.rows):
        yield f"{', '.join(names)}{': ' if names else ''}{warning}"


CHECKS: Mapping[str, Callable[[Examined], Iterator[str]]] = {
    look.__name__: look
    for look in (environment, data, leaks, validation, curves, shortcuts, detectors)
}
"""In the order in which they have to be mended: what comes first spoils what comes after."""


def as_document(dataset: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings as JSON."""
    first = first_wrong(findings)
    checks = [
        {"check": one.check, "state": one.state, "findings": one.sentences, "page": one.page}
        for one in findings
    ]
    return {"dataset": dataset, "first": first.check if first else None, "checks": checks}
