"""The records of a run of benchmarks: one JSON file for each row, and the tables made of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import Machine
from benchmarks.paired import Comparison, Parity, Spread

FOLDER = Path("benchmarks/results")
PAGE = Path("docs/performance.md")
BEGIN, END = "<!-- made by `make bench` -->", "<!-- end -->"


@dataclass(frozen=True)
class Line:
    """A case, and what came of it."""

    work: str
    against: str
    goal: float
    machine: Machine
    comparison: Comparison | None
    failure: str = ""
    """Why there is no comparison."""
    note: str = ""
    operations: int = 0
    precision: str = "fp32"

    @classmethod
    def of(cls, document: dict[str, Any]) -> Line:
        """Read what `asdict` has written."""
        measured = document["comparison"]
        comparison = None
        if measured is not None:
            spreads = ("ratio", "control", "seconds", "other_seconds")
            comparison = Comparison(
                **{**measured, **{name: Spread(**measured[name]) for name in spreads}}
            )
        machine = Machine(**document["machine"])
        return cls(**{**document, "machine": machine, "comparison": comparison})

    @property
    def verdict(self) -> str:
        """Whether the goal is reached, or anything can be said at all."""
        if self.comparison is None:
            return f"not measured: {self.failure}"
        if self.comparison.within_control:
            return "no claim: within the control"
        if self.comparison.ratio.median < 1:
            return "slower"
        return "reached" if self.comparison.ratio.median >= self.goal else "below the goal"

    @property
    def share_of_roof(self) -> float | None:
        """Operations a second : those of a matrix product; None where other work limits it."""
        if not self.operations or self.comparison is None:
            return None
        roofs = {"fp32": self.machine.fp32_tflops, "bf16": self.machine.bf16_tflops}
        done = self.operations / self.comparison.seconds.median / 1e12
        return done / roofs[self.precision]


@dataclass(frozen=True)
class Duration:
    """A time with a limit."""

    work: str
    limit: float
    machine: Machine
    seconds: Spread

    @classmethod
    def of(cls, document: dict[str, Any]) -> Duration:
        """Read what `asdict` has written."""
        parts = {
            "machine": Machine(**document["machine"]),
            "seconds": Spread(**document["seconds"]),
        }
        return cls(**{**document, **parts})

    @property
    def verdict(self) -> str:
        """Whether the limit is kept."""
        return "kept" if self.seconds.median <= self.limit else "exceeded"


@dataclass(frozen=True)
class Trained:
    """The quality of models of two trainings."""

    work: str
    metric: str
    machine: Machine
    parity: Parity

    @classmethod
    def of(cls, document: dict[str, Any]) -> Trained:
        """Read what `asdict` has written."""
        spreads = {name: Spread(**values) for name, values in document["parity"].items()}
        machine = Machine(**document["machine"])
        return cls(**{**document, "machine": machine, "parity": Parity(**spreads)})

    @property
    def verdict(self) -> str:
        """Whether the faster training makes other models than another seed."""
        if self.parity.equal:
            return "as equal as two seeds"
        return "better" if self.parity.ratio.median > 1 else "worse"


Lines = list[Line | Duration | Trained]


def write(row: str, lines: Lines, folder: Path = FOLDER) -> None:
    """Write the record of a row."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(line) for line in lines], indent=1, ensure_ascii=False)
    (folder / f"{row}.json").write_text(text + "\n", encoding="utf-8")


def read(row: str, folder: Path = FOLDER) -> Lines:
    """Read the record of a row; empty where there is none."""
    path = folder / f"{row}.json"
    documents = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return [_read(document) for document in documents]


def _read(document: dict[str, Any]) -> Line | Duration | Trained:
    if "limit" in document:
        return Duration.of(document)
    return Trained.of(document) if "parity" in document else Line.of(document)


def tables(lines: Lines, missing: Sequence[str] = ()) -> str:
    """Write the tables: the claims, the times with a limit, and how each claim was measured.

    `missing` are rows without a record.
    """
    compared = [line for line in lines if isinstance(line, Line)]
    timed = [line for line in lines if isinstance(line, Duration)]
    trained = [line for line in lines if isinstance(line, Trained)]
    parts = [_claims(compared), _durations(timed), *([_trained(trained)] if trained else [])]
    if missing:
        parts.append(f"Not measured yet: {', '.join(f'`{row}`' for row in missing)}.")
    return "\n\n".join((*parts, "### How each was measured", _protocol(compared)))


def all_tables(names: Sequence[str], folder: Path = FOLDER) -> str:
    """Write the tables of all records of rows."""
    records = {row: read(row, folder) for row in names}
    lines = [line for found in records.values() for line in found]
    return tables(lines, [row for row, found in records.items() if not found])


def update_page(made: str, page: Path = PAGE) -> None:
    """Put tables between the markers of the page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}", encoding="utf-8")


def summary(line: Line | Duration | Trained) -> str:
    """Return one line for the terminal."""
    if isinstance(line, Trained):
        return f"{line.work}: {line.metric} {_ratio(line.parity)}: {line.verdict}"
    if isinstance(line, Duration):
        return f"{line.work}: {_seconds(line.seconds.median)} s, limit {line.limit:g}"
    found = line.comparison
    ratio = f"{_ratio(found)} times as fast, control {_range(found.control)}: " if found else ""
    share = f", {_share(line)} of the roof" if line.operations else ""
    return f"{line.work}, against {line.against}: {ratio}{line.verdict}{share}"


def _claims(lines: list[Line]) -> str:
    head = "| Work | Against | Times as fast | Goal | |\n|---|---|---|---|---|"
    rows = [
        f"| {line.work} | {line.against} | {_ratio(line.comparison)} | {line.goal:g} | "
        f"{line.verdict} |"
        for line in lines
    ]
    return "\n".join([head, *rows])


def _durations(lines: list[Duration]) -> str:
    head = "| Start | Seconds | Limit | |\n|---|---|---|---|"
    rows = [
        f"| {line.work} | {_seconds(line.seconds.median)} ({_range(line.seconds)}) | "
        f"{line.limit:g} | {line.verdict} |"
        for line in lines
    ]
    return "\n".join([head, *rows])


def _trained(lines: list[Trained]) -> str:
    head = (
        "| Trained | Metric, lower is better | fp32 | Faster | fp32 : faster | fp32 : fp32 of "
        "another seed | |\n|---|---|---|---|---|---|---|"
    )
    rows = [
        f"| {line.work} | {line.metric} | {digits(line.parity.plain.median)} | "
        f"{digits(line.parity.faster.median)} | {_ratio(line.parity)} | "
        f"{_range(line.parity.control)} | {line.verdict} |"
        for line in lines
    ]
    return "\n".join([head, *rows])


def _protocol(lines: list[Line]) -> str:
    head = (
        "| Work, against | Seconds: ours, other | Ours : ours | MB added: ours, other | Outputs | "
        "Load | Threads | Roof, TFLOP/s fp32, bf16 | Share of it |\n|---|---|---|---|---|---|---|---|---|"
    )
    return "\n".join([head, *(_measured(line) for line in lines if line.comparison)])


def _measured(line: Line) -> str:
    found = line.comparison
    assert found is not None
    memory = [_megabytes(value) for value in (found.memory_mb, found.other_memory_mb)]
    outputs = f"{found.outputs}. {line.note}" if line.note else found.outputs
    machine = line.machine
    return (
        f"| {line.work}, {line.against} | {_seconds(found.seconds.median)}, "
        f"{_seconds(found.other_seconds.median)} | {_range(found.control)} | "
        f"{', '.join(memory)} | {outputs} | {machine.load} | {machine.threads} | "
        f"{machine.fp32_tflops:.2f}, {machine.bf16_tflops:.2f} | {_share(line)} |"
    )


def _share(line: Line) -> str:
    share = line.share_of_roof
    return "" if share is None else f"{share:.0%}"


def _ratio(found: Comparison | Parity | None) -> str:
    return "-" if found is None else f"{digits(found.ratio.median)} ({_range(found.ratio)})"


def _range(spread: Spread) -> str:
    return f"{digits(spread.low)} to {digits(spread.high)}"


def digits(value: float) -> str:
    """Write three significant digits, and no exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _seconds(value: float) -> str:
    return f"{value:.2g}" if value < 0.1 else digits(value)


def _megabytes(value: float | None) -> str:
    return "?" if value is None else f"{value:.0f}"
