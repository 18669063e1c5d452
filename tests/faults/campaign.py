"""`make campaign`: damage every kind of file that a run leaves, and let the disk fail at every write.

    python -m tests.faults.campaign [--project FOLDER] [--flips 1000] [--cuts 100] [--json FILE]
    python -m tests.faults.campaign --whole-run [--every 10] [--json FILE]

Without --project, it makes a project of few phantoms and runs all its pipelines at scale=smoke.
With --whole-run, the disk fails at the writes of such a run, in the place of everything else.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kedro.io import AbstractVersionedDataset, DataCatalog

from medgan.datasets.models import TrainingDataset
from medgan.project.artifacts import Project
from tests.faults import crashes, whole_run
from tests.faults.outcomes import BAD, fingerprint, outcome

EPHEMERAL = (".lock", ".json.lock", ".run.json")
SEED = 7
COLUMNS = {
    "damage": ("refused", "made again", "unchanged"),
    "disk": ("old", "new"),
    "whole run": (whole_run.MADE_AGAIN, whole_run.COPIED),
}
"""Good outcomes of each part."""


@dataclass
class Tally:
    """Outcomes by kind of file, and an example of each bad one."""

    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    examples: list[str] = field(default_factory=list)

    def add(self, kind: str, what: str, example: str) -> None:
        """Count one outcome."""
        self.counts[kind][what] += 1
        if what in BAD and len(self.examples) < 20:
            self.examples.append(f"{kind}: {what}: {example}")

    @property
    def bad(self) -> int:
        """Silent ones and tracebacks."""
        return sum(count[what] for count in self.counts.values() for what in BAD)

    def table(self, columns: tuple[str, ...]) -> str:
        """A line for each kind."""
        lines = [f"{'':34}" + "".join(f"{column:>16}" for column in columns)]
        rows = {**self.counts, "all": sum(self.counts.values(), start=Counter())}
        for kind, count in rows.items():
            lines.append(f"{kind:34}" + "".join(f"{count[column]:16}" for column in columns))
        return "\n".join([*lines, *self.examples])


@dataclass(frozen=True)
class Target:
    """A data set and the files that it is made of."""

    kind: str
    load: Callable[[], Any]
    files: tuple[Path, ...]


def targets(root: Path) -> list[Target]:
    """Every data set that a finished run has left below a project."""
    project = Project(root)
    (dataset,) = (
        path.name for path in (root / "data" / "02_intermediate").iterdir() if path.is_dir()
    )
    catalog = project.catalog(dataset)
    return [target for name in names(catalog, root, dataset) for target in _targets(catalog, name)]


def names(catalog: DataCatalog, root: Path, dataset: str) -> list[str]:
    """The entries that were saved: those without a pattern, and those of each model and arm."""
    below = (root / "data").glob(f"*/{dataset}/*")
    folders = {path.name for path in below if path.is_dir() and "." not in path.name}
    patterns = [
        name for name in catalog.config_resolver.list_patterns() if name.startswith("{model}")
    ]
    sections = [f"results.{section}" for section in ("detectors", "classifiers", "quality")]
    named = [name.replace("{model}", folder) for name in patterns for folder in sorted(folders)]
    return [*catalog.keys(), *named, *sections]


def _targets(catalog: DataCatalog, name: str) -> Iterator[Target]:
    dataset: Any = catalog.get(name)
    if type(dataset).__name__ in (
        "EarlierDataset",
        "ExternalTestsDataset",
        "ImageSourceDataset",
        "MemoryDataset",
    ):
        return
    if isinstance(dataset, AbstractVersionedDataset):
        if not dataset.exists():
            return
        path = Path(dataset._get_load_path())
    else:
        path = getattr(dataset, "path", None)
    if path is None or not path.exists():
        return

    def load() -> Any:
        dataset.release()
        return dataset.load()

    for kind, files in by_kind(name, path, dataset).items():
        yield Target(kind, load, tuple(files))


def by_kind(name: str, path: Path, dataset: Any) -> dict[str, list[Path]]:
    """The files of a data set by their kind; hidden ones hold the checksums."""
    found: dict[str, list[Path]] = defaultdict(list)
    if path.is_file():
        beside = path.with_name(f".{path.name}.sha256")
        files = [path, *([beside] if beside.exists() else [])]
    else:
        files = [one for one in sorted(path.rglob("*")) if one.is_file()]
        if isinstance(dataset, TrainingDataset):  # what is published lies in the same folder
            files = [
                one for one in files if not set(one.relative_to(path).parts[:-1]) & {"trained"}
            ]
    label = name.split(".")[-1] if "." in name and not name.startswith("results") else name
    for file in files:
        suffix = (
            "checksums" if file.name.startswith(".") or file.name == "SHA256SUMS" else file.suffix
        )
        found[f"{label} {suffix}"].append(file)
    return found


def damage(found: list[Target], flips: int, cuts: int, tally: Tally) -> None:
    """Flip bits and cut files, as many in each kind; put every file back."""
    rng = random.Random(SEED)
    kinds: dict[str, list[Target]] = defaultdict(list)
    for target in found:
        kinds[target.kind].append(target)
    good: dict[int, str] = {}
    each, cut_each = -(-flips // len(kinds)), -(-cuts // len(kinds))
    for kind, members in kinds.items():
        for number in range(each + cut_each):
            target = rng.choice(members)
            file = rng.choice(target.files)
            if id(target) not in good:
                good[id(target)] = fingerprint(target.load())
            content = file.read_bytes()
            if not content:
                continue
            cut = number >= each
            file.write_bytes(_cut(content, rng) if cut else _flipped(content, rng))
            names = (file.name.strip(".").removesuffix(".sha256"), str(file.parent))
            try:
                what, why = outcome(target.load, good[id(target)], names)
            finally:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            tally.add(kind, what, f"{file.name} {'cut' if cut else 'flipped'}: {why}")


def _flipped(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def smoke_project(folder: Path) -> Path:
    """A finished run of few phantoms."""
    from tests.conftest import kedro_command
    from tests.end_to_end.project import call, make_project

    project = make_project(folder / "project")
    done = call(
        project, *kedro_command("run", "--env", "tiny", "--params", "scale=smoke"), timeout=3000
    )
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    return project


def damage_copy(options: argparse.Namespace, folder: Path, tally: Tally) -> None:
    """Damage a copy of a finished project."""
    project = options.project or smoke_project(folder)
    copy = folder / "copy"
    for part in ("conf", "data"):
        shutil.copytree(project / part, copy / part)
    damage(targets(copy), options.flips, options.cuts, tally)


def counts_of(tally: Tally) -> dict[str, dict[str, int]]:
    """The counts of a tally as JSON values."""
    return {kind: dict(count) for kind, count in tally.counts.items()}


def main(arguments: list[str] | None = None) -> int:
    """0 where nothing was silent, ended in a traceback or was neither old nor new."""
    options = _options(arguments)
    warnings.simplefilter("ignore")
    logging.disable(logging.NOTSET)
    logging.getLogger("medgan").propagate = False
    started = time.monotonic()
    tallies = {"damage": Tally(), "disk": Tally(), "whole run": Tally()}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if options.whole_run:
            for point in whole_run.campaign(folder / "run", options.every):
                tallies["whole run"].add(*point)
        else:
            if options.flips or options.cuts:
                damage_copy(options, folder, tallies["damage"])
            for point in crashes.campaign(folder / "disk", options.every):
                tallies["disk"].add(*point)
    for name, columns in COLUMNS.items():
        if tallies[name].counts:
            print(f"\n{name.capitalize()}\n{tallies[name].table((*columns, *BAD))}")
    document = {
        **{name: counts_of(tally) for name, tally in tallies.items()},
        "bad": sum(tally.bad for tally in tallies.values()),
        "examples": [one for tally in tallies.values() for one in tally.examples],
        "seconds": round(time.monotonic() - started, 1),
    }
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    print(f"\n{document['bad']} bad, {document['seconds']} s")
    return bool(document["bad"])


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__)
    parser.add_argument("--project", type=Path, help="a project whose run has finished")
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument(
        "--every", type=int, default=1, help="every n-th point at which the disk fails"
    )
    parser.add_argument(
        "--whole-run", action="store_true", help="fail at the writes of a whole run"
    )
    parser.add_argument("--json", type=Path, help="write the counts to this file")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
