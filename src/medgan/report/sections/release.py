"""The release gate: which generators' images may be handed out, and why others may not."""

from __future__ import annotations

from medgan.audits.privacy import PrivacyResult
from medgan.audits.release import ReleaseVerdict
from medgan.models import display_name
from medgan.report.blocks import Absent, Block, Fold, Picture, Pictures, Section
from medgan.report.data import ReportData
from medgan.report.tables import Cell, Rows, Table
from medgan.report.text import MISSING, missing_reasons, not_run
from medgan.stats.bootstrap import Estimate
from medgan.words import readable

TITLE = "Release of synthetic images"
NOTE = (
    "A set is released only if every rule holds; the limits are those of synthesis.release in the "
    "configuration. Suspected copies are left out of every set. Copies are searched by the "
    "correlation of details under mirroring and small shifts; the limit is taken from one half of "
    "the held-out patients, and false flags are counted on the other. Attacks compare training "
    "images with as many held-out ones of the same categories; 0.5 is chance."
)
HOLDS = {True: "holds", False: "fails", None: "unknown: fails"}


def release(data: ReportData) -> Section:
    """The verdict on each generator, what it rests on, and the closest pairs."""
    if not data.verdicts:
        absent = Absent(not_run("Verdicts on the release", "synthesis"))
        return Section("release", TITLE, "Not judged yet: no set may be released.", [absent])
    released = [display_name(name) for name, one in data.verdicts.items() if one.released]
    takeaway = f"Images of {', '.join(released) or 'no generator'} may be released."
    blocks: list[Block] = [_verdicts(data), _privacy(data)]
    for name, verdict in data.verdicts.items():
        shown = display_name(name)
        picture = Picture(f"closest_{name}", f"Closest pairs of {shown}")
        what = f"{shown}: every rule, and the closest pairs"
        blocks.append(Fold(what, [_rules(verdict), Pictures([picture])]))
    return Section("release", TITLE, takeaway, [*blocks, Table((), (), note=NOTE)])


def _verdicts(data: ReportData) -> Table:
    cells: Rows = [
        [
            display_name(name),
            "released" if verdict.released else "refused",
            "" if failed is None else f"{failed.rule}: {failed.sentence}",
            f"{verdict.n_flagged:,} of {verdict.n_images:,}",
        ]
        for name, verdict in data.verdicts.items()
        for failed in [verdict.first_failed]
    ]
    return Table(("Generator", "Verdict", "First rule that fails", "Suspected copies"), cells)


def _rules(verdict: ReleaseVerdict) -> Table:
    cells: Rows = [[rule.rule, HOLDS[rule.holds], rule.sentence] for rule in verdict.rules]
    private = f"Differential privacy: {verdict.differential_privacy}."
    return Table(("Rule", "", "Figure"), cells, note=" ".join([private, *verdict.limits]))


def _privacy(data: ReportData) -> Table:
    found = {display_name(name): _figures(one) for name, one in data.privacy.items()}
    names = list(dict.fromkeys(name for figures in found.values() for name in figures))
    cells: Rows = [
        [name, *(figures.get(name, MISSING) for figures in found.values())] for name in names
    ]
    reasons = missing_reasons(
        one for figures in found.values() for one in figures.values() if not isinstance(one, str)
    )
    note = "In brackets: 95 % interval, over patients for attacks, exact for shares."
    note += "".join(f" {MISSING} : {reason}." for reason in reasons)
    return Table(("Privacy", *found), cells, note=note, stacked=True)


def _figures(found: PrivacyResult) -> dict[str, Cell]:
    figures: dict[str, Cell] = {}
    copies = found.copies
    if copies is None:
        figures["Suspected copies, share"] = Estimate(None, reason=found.copies_reason)
    else:
        figures |= {
            "Synthetic images": f"{copies.n:,}",
            "Suspected copies, share": copies.rate,
            "Distance ratio, median": f"{copies.median_ratio:.2f}",
            "Held-out images": f"{copies.n_held_out:,}",
            "Flagged among them, share": copies.false_flags,
            "Planted copies of each kind": f"{copies.n_planted:,}",
            **{f"Found of planted copies: {kind}": one for kind, one in copies.recall.items()},
        }
    for name, attack in found.membership.items():
        figures |= {
            f"Membership, {name}: images, twice": f"{attack.n:,}",
            f"Membership, {name}: AUC": attack.auc,
        }
    for name, told in found.attributes.items():
        figures |= {
            f"{readable(name)}: AUC for training records": told.members,
            f"{readable(name)}: AUC for held-out records": told.held_out,
            f"{readable(name)}: difference": told.above,
        }
    return figures
