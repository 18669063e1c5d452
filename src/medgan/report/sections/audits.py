"""The audits of the detectors: shortcuts, subgroups, robustness."""

from __future__ import annotations

from medgan.audits.results import RobustnessResult, Severity, SubgroupsResult
from medgan.audits.shortcuts import FLAG, KINDS
from medgan.models import display_name
from medgan.report.blocks import Block, Fold, Picture, Pictures, Section, Sentences, absent_section
from medgan.report.data import ReportData
from medgan.report.tables import OR_REASON, SIGNED, Column, Columns, Rows, Table
from medgan.report.text import MISSING, p_text, with_interval
from medgan.stats.bootstrap import Estimate
from medgan.words import capital, readable

KIND_NAMES = {
    "one_class": "normal training images",
    "mix": "the unlabelled mix",
    "probe": "training labels",
}
GROUPED = ("Sensitivity", "Specificity", "AUROC")


def shortcuts(data: ReportData) -> Section:
    """Each detector against features that are not disease."""
    title, found = "Compared against shortcut baselines", data.shortcuts
    if found is None:
        return absent_section("shortcuts", title, "Audit of shortcuts")
    judged = {name: found.detectors[name] for name in data.order if name in found.detectors}
    cells: Rows = [
        [
            display_name(name),
            told.sentence,
            ", ".join(told.flags) or "none",
            told.within_sites.pooled,
        ]
        for name, told in judged.items()
    ]
    within = Column("AUROC within sites", OR_REASON)
    table = Table(("Detector", "Best shortcut", "Flags", within), cells, stacked=True)
    kinds = [kind for kind in KINDS if kind in found.shortcuts]
    names = dict.fromkeys(name for kind in kinds for name in found.shortcuts[kind])
    areas = (Column(f"AUROC, fitted to {KIND_NAMES[kind]}", OR_REASON) for kind in kinds)
    alone = Table(
        ("Shortcut", *areas),
        [[readable(name), *(found.shortcuts[kind].get(name) for kind in kinds)] for name in names],
    )
    picture = Picture("shortcuts", "AUROC of shortcuts and of detectors with 95 % intervals")
    flagged = sum(FLAG in told.flags for told in judged.values())
    takeaway = (
        f"{flagged} of {len(judged)} detectors are not significantly better than the best "
        "shortcut, a feature that is not disease, such as the border, the exposure or the site: "
        "they may detect the source of an image."
    )
    blocks: list[Block] = [Pictures([picture], "whole"), table]
    blocks.append(Fold("Each shortcut alone", [alone]))
    return Section("shortcuts", title, takeaway, blocks, opened=flagged > 0)


def subgroups(data: ReportData) -> Section:
    """The metrics of groups of patients at the frozen threshold."""
    title, found = "Subgroups", data.each(lambda made: made.subgroups)
    if not found:
        return absent_section("subgroups", title, "Audit of subgroups")
    first_name, first = next(iter(found.items()))
    missing = [f"{capital(readable(key))}: {why}." for key, why in first.not_measured.items()]
    if not first.groups:
        return Section("subgroups", title, first.sentence, [Sentences(missing)] if missing else [])
    same = len({each.sentence for each in found.values()}) == 1
    cells: Rows = [[display_name(name), each.sentence] for name, each in found.items()]
    blocks: list[Block] = [] if same else [Table(("Detector", "Largest gap"), cells, stacked=True)]
    blocks += [
        Fold(f"Groups: {display_name(name)}", _groups(name, each)) for name, each in found.items()
    ]
    blocks += [Sentences(missing, "Not measured")] if missing else []
    who = "" if same else f"{capital(display_name(first_name))}: "
    return Section("subgroups", title, f"{who}{first.sentence}", blocks)


def _groups(name: str, found: SubgroupsResult) -> list[Block]:
    groups = {
        f"{readable(column)}: {level}": told
        for column, levels in found.groups.items()
        for level, told in levels.items()
    }
    rows: Rows = []
    small = []
    for group, told in groups.items():
        metrics = [told.sensitivity, told.specificity, told.auroc]
        if all(metric.value is None for metric in metrics):
            small.append(group)
        else:
            rows.append([group, f"{told.n_images} ({told.n_anomalous})", *metrics])
    left_out = f" Too small for any metric: {', '.join(small)}." if small else ""
    table = Table(
        ("Group", "Images (anomalous)", *(Column(metric, OR_REASON) for metric in GROUPED)),
        rows,
        note="At the frozen threshold. A metric needs at least "
        f"{found.minimum} images of its class.{left_out}",
    )
    gaps = gaps_table(found)
    if not gaps.rows:
        return [table]
    picture = Picture(f"subgroups_{name}", f"Metrics of {display_name(name)} in groups")
    return [Pictures([picture], "whole"), table, gaps]


def gaps_table(found: SubgroupsResult) -> Table:
    """Return the largest gap of each metric between the groups of each column."""
    gaps: Rows = [
        [
            f"{readable(column)}: {metric}",
            " and ".join(gap.between or ()) or MISSING,
            gap,
            p_text(gap.p_holm),
        ]
        for column, metrics in found.gaps.items()
        for metric, gap in metrics.items()
        if gap.value is not None
    ]
    columns: Columns = ("Largest gap", "Between", Column("Difference", SIGNED), "p after Holm")
    return Table(columns, gaps)


def robustness(data: ReportData) -> Section:
    """The detectors under noise, blur, exposure, JPEG compression and rotation."""
    title, found = "Robustness", data.each(lambda made: made.robustness)
    if not found:
        return absent_section("robustness", title, "Audit of robustness")
    sample = next((each.sample for each in found.values() if each.sample is not None), None)
    note = "" if sample is None else (
        f"On {sample.n_images} test images drawn at random; their AUROC differs from that on all "
        "test images."
    )  # fmt: skip
    alt = "Change of AUROC of each detector under each perturbation"
    cells: Rows = [[display_name(name), each.sentence] for name, each in found.items()]
    name, first = next(iter(found.items()))
    about = f"AUROC and changed decisions of {display_name(name)} under perturbations"
    blocks: list[Block] = [
        Pictures([Picture("robustness", alt)], "whole"),
        Table(("Detector", "Worst case"), cells, note=note, stacked=True),
        Pictures([Picture(f"robustness_{name}", about)]),
        *(
            Fold(capital(display_name(name)), [_perturbed(each)])
            for name, each in found.items()
            if each.perturbations
        ),
    ]
    takeaway = f"{capital(display_name(name))}: {first.sentence}"
    return Section("robustness", title, takeaway, blocks)


def _perturbed(found: RobustnessResult) -> Table:
    return Table(
        ("Perturbation", "AUROC", Column("Change", SIGNED), "Decisions that change"),
        [
            [f"{kind} {level}\n{told.unit}", step.auroc, step.change, _flips(step)]
            for kind, told in found.perturbations.items()
            for level, step in told.severities.items()
        ],
        note=f"Unperturbed images: AUROC {with_interval(found.clean)}.",
    )


def _flips(step: Severity) -> str:
    bounds = (step.flipped.value, step.flipped.low, step.flipped.high)
    value, low, high = (None if bound is None else 100 * bound for bound in bounds)
    share = Estimate(value, low, high)
    to = f"{step.n_to_anomalous} to anomalous, {step.n_to_normal} to normal"
    return f"{with_interval(share, 0)} %, {to}"
