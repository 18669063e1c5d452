"""What was recognized of a folder of images, as a table and sentences."""

from __future__ import annotations

from collections.abc import Iterator

from medgan.report.tables import VALUE, Column, Table
from medgan.sources.recognition import Recognition


def described(found: Recognition) -> Iterator[Table | str]:
    """Describe what was recognized, as a table of labels and sentences."""
    label, category = (Column(name, text=True) for name in ("label", "category"))
    rows = [
        [name or "(none)", str(count), found.meaning.get(name) or "left out"]
        for name, count in found.labels.items()
    ]
    yield Table([label, Column("images", VALUE, 0), category], rows)
    formats = ", ".join(
        f"{count} {suffix or 'without suffix'}" for suffix, count in found.formats.items()
    )
    low, high = found.sample.sides
    sides = f"{low} px" if low == high else f"{low} to {high} px"
    yield (
        f"{found.n_images} images ({formats}), {sides} a side, "
        f"{'color' if found.sample.color else 'gray'}; stored at {found.size} px."
    )
    if found.n_patients is not None:
        yield f"{found.n_patients} patients."
    elif found.sample.patients:
        yield "Patients: from the headers of the files."
    if found.parts:
        parts = ", ".join(f"{part} {count}" for part, count in found.parts.items())
        yield f"Parts of a split: {parts}. Patients are split anew, unless `split: official` is set."
    for reason, count in found.left_out.items():
        yield f"Left out: {count} × {reason}."
    for problem in found.problems:
        yield f"Note: {problem}"
