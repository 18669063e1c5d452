"""What a run has to tell MLflow, on the disk until MLflow has taken it.

A training only appends lines here. A process beside it (`medgan.tracking.sender`) sends them; what
MLflow did not take is sent by the next run or by `medgan tracking replay`.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from medgan.files.processes import ProcessIdentity
from medgan.tracking.redaction import redact

FOLDER = Path("data/09_tracking")
Call = Literal[
    "start", "parameters", "metrics", "tag", "file", "image", "dataset", "model", "finish"
]
Kind = Literal["header", "end"] | Call


Point = tuple[str, float, int, int]
"""A metric: name, value, step, milliseconds. MLflow keeps a point that is sent twice once."""


def now() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


@dataclass(frozen=True)
class Record:
    """One line of a spool, one call of MLflow."""

    kind: Kind
    run: str = ""
    """Our id of the run: MLflow gives its own only when it answers."""
    name: str = ""
    """Of the run, tag, artifact folder, image, experiment, data set or registered model."""
    text: str = ""
    """The value of a tag, a status, a file, the parent of a run, the address of the store, the hash
    of a data set, or the artifact folder of a model."""
    step: int = 0
    values: Mapping[str, str] = field(default_factory=dict)
    """Tags or parameters."""
    points: Sequence[Point] = ()
    """Metrics."""
    at: int = field(default_factory=now)
    """When it was recorded, in milliseconds."""


@dataclass(frozen=True)
class Spool:
    """A folder with the records of one `kedro run`, and the files that they name."""

    folder: Path

    @classmethod
    def new(cls, root: Path) -> Spool:
        """A spool with a name of its own, which is not made yet."""
        return cls(root / FOLDER / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}")

    def make(self, experiment: str, store: str) -> None:
        """Make the folder for an experiment of a store, whose address has no credentials."""
        self.folder.mkdir(parents=True)
        owner = {name: str(value) for name, value in asdict(ProcessIdentity.own()).items()}
        self.append(Record("header", name=experiment, text=store, values=owner))

    @classmethod
    def waiting(cls, root: Path) -> list[Spool]:
        """The spools of a project, oldest first."""
        found = [cls(path.parent) for path in sorted((root / FOLDER).glob("*/records.jsonl"))]
        return [spool for spool in found if spool.header is not None]

    @property
    def header(self) -> Record | None:
        """The first record; None where it was not written in full."""
        first = next(self.records(0), None)
        return first[1] if first and first[1].kind == "header" else None

    @property
    def owner(self) -> ProcessIdentity | None:
        """The process that writes it."""
        if self.header is None:
            return None
        values = self.header.values
        return ProcessIdentity(values["host"], int(values["pid"]), values["started"])

    def append(self, record: Record) -> None:
        """Add a line in one write, which a kill cannot tear."""
        cleaned = {**asdict(record), "name": redact(record.name), "text": redact(record.text)}
        cleaned["values"] = {name: redact(value) for name, value in record.values.items()}
        line = json.dumps({name: value for name, value in cleaned.items() if value}) + "\n"
        handle = os.open(self._lines, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)

    def keep(self, path: Path) -> str:
        """Link a file into the spool, as it is now; return where it lies in the spool.

        A later run may put another file in its place. Where the disk knows no links, it is copied.
        """
        place = Path("files") / uuid.uuid4().hex / path.name
        target = self.folder / place
        target.parent.mkdir(parents=True)
        try:
            os.link(path, target)
        except OSError:
            shutil.copyfile(path, target)
        return place.as_posix()

    def records(self, offset: int) -> Iterator[tuple[int, Record]]:
        """The complete lines from a byte on, each with the byte after it."""
        if not self._lines.exists():
            return
        with self._lines.open("rb") as lines:
            lines.seek(offset)
            for line in lines:
                if not line.endswith(b"\n"):
                    return
                offset += len(line)
                with suppress(ValueError, TypeError):  # a disk that was full tears a line
                    yield offset, Record(**json.loads(line))

    def count(self) -> int:
        """The number of records that MLflow has not taken."""
        return sum(1 for _ in self.records(self.sent))

    @property
    def sent(self) -> int:
        """The byte up to which MLflow has taken the lines."""
        try:
            return int((self.folder / "sent").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return 0

    def mark(self, offset: int) -> None:
        """Note up to which byte MLflow has taken the lines."""
        (self.folder / "sent").write_text(str(offset), encoding="utf-8")

    def remove(self) -> None:
        """Delete the folder: MLflow has all of it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _lines(self) -> Path:
        return self.folder / "records.jsonl"
