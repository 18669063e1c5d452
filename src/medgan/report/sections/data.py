"""What became of every file of a data set, in the report and at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from medgan.images.summary import DataSummary
from medgan.report.blocks import Block, Section, Sentences, absent_section
from medgan.report.data import ReportData
from medgan.report.tables import Column, Table, print_text
from medgan.words import readable

TITLE = "Data"
COLUMNS = ("", Column("count"), Column("details", text=True))
Row = list[str]


def data(data: ReportData) -> Section:
    """Files seen, read and left out, patients, classes and parts of the split."""
    found = data.summary
    if found is None:
        return absent_section("data", TITLE, "Summary of the data", "preprocessing")
    seen = " and ".join(f"{count:,} {what}" for what, count in found.seen.items())
    left_out = sum(named.count for named in found.left_out.values())
    refused = sum(named.count for named in found.quarantined.values())
    lead = f"Of {seen}, {found.read:,} images are used, {refused:,} cannot be used, "
    note = "Each file is a row of the manifest, of quarantine.csv or of exclusions.csv."
    blocks: list[Block] = [replace(summary_table(found, names=False), note=note)]
    if found.warnings:
        blocks.append(Sentences(found.warnings, "Warnings"))
    return Section("data", TITLE, f"{lead}{left_out:,} were left out.", blocks)


def render_summary(found: DataSummary, title: str, width: int = 100) -> str:
    """Write the summary of a data set as text of at most `width` columns."""
    warnings = [f"Warning: {text}" for text in found.warnings]
    return print_text([replace(summary_table(found), title=title), *warnings], width)


def summary_table(found: DataSummary, names: bool = True) -> Table:
    """Lay out a line for each number of a summary; `names` are those of the first files."""
    return Table(COLUMNS, [*_fates(found, names), *_images(found), *_split(found)])


def _fates(found: DataSummary, names: bool) -> Iterator[Row]:
    for what, count in found.seen.items():
        yield [f"{what} seen", f"{count:,}", ""]
    yield ["- read", f"{found.read:,}", ""]
    for fate, parts in (("quarantined", found.quarantined), ("left out", found.left_out)):
        for reason, named in parts.items():
            more = ", ..." if named.count > len(named.examples) else ""
            first = ", ".join(named.examples) + more if names else ""
            yield [f"- {fate}: {reason}", f"{named.count:,}", first]


def _images(found: DataSummary) -> Iterator[Row]:
    for name, count in found.classes.items():
        yield [f"class {readable(name)}", f"{count:,}", ""]
    patients = found.patients
    without = f"{patients.images_without:,} images have no known patient"
    yield ["patients known", f"{patients.known:,}", without]
    groups = f"surplus, in {found.duplicate_groups:,} groups of equal pictures"
    yield ["copies", f"{found.surplus_copies:,}", groups]
    if found.masks is not None:
        lost = f"{found.masks.unmatched.count:,} belong to no image"
        yield ["masks", f"{found.masks.files:,}", lost]


def _split(found: DataSummary) -> Iterator[Row]:
    split = found.split
    if split is None:
        yield ["split", "", "not made yet: run the pipeline preprocessing"]
        return
    if split.near_duplicates is not None:
        yield ["near-duplicates", f"{split.near_duplicates:,}", "pairs"]
    for name, part in split.parts.items():
        patients = "" if part.patients is None else f"{part.patients:,} patients"
        yield [f"{name} ({readable(split.rule)})", f"{part.images:,}", patients]
    dropped = f"{split.dropped:,} images dropped for it" if split.dropped else "nothing dropped"
    yield ["leakage audit", "", f"{split.verdict}; {dropped}"]
