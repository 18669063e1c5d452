"""A disk that fails at every write, fsync and rename of a whole run: `make campaign ARGS=--whole-run`.

The run replaces what a run on other images has left. At each call it forks: in the fork the call
fails, and that run ends; a kill leaves the files as they are at the call. What is left is compared
with what was there before the step, and the same command makes the step again, once for each state
of the files that was not seen before.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from threading import current_thread, main_thread
from typing import NamedTuple

from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from medgan.files.atomic import remove_leftovers
from medgan.files.integrity import MANIFEST, DamagedFile, require_intact
from tests.conftest import ROOT, environment
from tests.end_to_end.project import make_project
from tests.faults.crashes import ERRORS, compiled
from tests.faults.kills import (
    CATALOG,
    RUN,
    VERSION,
    command,
    ended,
    forked,
    last_words,
    load_everything,
)
from tests.faults.outcomes import SILENT, TRACEBACK
from tests.tracking.forked import Fork

GOES_ON = 5
"""Exit code of a fork whose run went on to the next step."""
LIMIT_SECONDS = 120
PARTIAL = re.compile(r"\.\d+-[^.]*\.partial.*")
SPOOL, OWNER = "09_tracking", re.compile(r"\.\w+\.run\.(json|lock)")
"""Records for MLflow, without which a run goes on, and who has the data, which ends with it."""
ROTATED = re.compile(r"step-\d+\.(safetensors|json|png)|curves\.csv")
"""Files of a training: another training deletes them."""
COPIED, MADE_AGAIN = "as seen before", "made again"


class NoSender:
    """`subprocess` for `medgan.tracking.client`, on a machine that can start no process."""

    PIPE = DEVNULL = None

    @staticmethod
    def Popen(*_: object, **__: object) -> None:
        raise OSError(11, "no process")


class Stat(NamedTuple):
    """A file as it is: another one of the same name has another inode."""

    inode: int
    size: int
    changed: int


Tree = dict[str, Stat]


def tree(folder: Path) -> Tree:
    """The files below a folder, by their relative names."""
    stats = {
        path.relative_to(folder).as_posix(): path.lstat()
        for path in folder.rglob("*")
        if not path.is_dir()
    }
    return {name: Stat(one.st_ino, one.st_size, one.st_mtime_ns) for name, one in stats.items()}


class OpenFile(NamedTuple):
    """A file that the run writes, and where it is."""

    descriptor: int
    offset: int
    content: bytes


@dataclass
class Moment:
    """The files below a folder at one call, so that they can be put back."""

    folder: Path
    kept: Path
    """Holds a link to each file, by its inode."""

    def __post_init__(self) -> None:
        self.files = tree(self.folder)
        self.folders = list(self.folder.rglob("*/"))
        for name, stat in self.files.items():
            with suppress(FileExistsError):
                os.link(self.folder / name, self.kept / str(stat.inode))
        self.appended = {
            name: (self.folder / name).read_bytes() for name in self.files if SPOOL in name
        }
        self.open = list(self._open_files())

    def _open_files(self) -> Iterator[OpenFile]:
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                if entry.readlink().is_relative_to(self.folder) and entry.is_file():
                    number = int(entry.name)
                    offset = os.lseek(number, 0, os.SEEK_CUR)
                    yield OpenFile(number, offset, entry.read_bytes())

    def restore(self) -> None:
        """Put everything back that a fork has changed."""
        now = tree(self.folder)
        for name in now.keys() - self.files.keys():
            (self.folder / name).unlink()
        for folder in sorted(set(self.folder.rglob("*/")) - set(self.folders), reverse=True):
            folder.rmdir()
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)
        for name, stat in self.files.items():
            if name not in now or now[name].inode != stat.inode:
                (self.folder / name).unlink(missing_ok=True)
                (self.folder / name).hardlink_to(self.kept / str(stat.inode))
        for name, content in self.appended.items():
            (self.folder / name).write_bytes(content)
        for file in self.open:
            self._rewrite(file)

    def _rewrite(self, file: OpenFile) -> None:
        with Path(f"/proc/self/fd/{file.descriptor}").open("r+b") as other:
            other.write(file.content)
            other.truncate(len(file.content))
        os.lseek(file.descriptor, file.offset, os.SEEK_SET)


@dataclass(eq=False)
class Sweep:
    """The hooks of a run that meets every fault, and what came of them."""

    library: ctypes.CDLL
    project: Path
    outcomes: Path
    """Gets a line of JSON for each fault."""
    server: Connection
    """Takes the name of a node, which runs again beside; answers with exit code and last words."""
    every: int
    armed: bool = False
    node: str = ""
    calls: int = 0
    seen: set[frozenset[str]] = field(default_factory=set)
    previous: Tree = field(default_factory=dict)
    """The files before the step."""

    def __post_init__(self) -> None:
        self.data, self.pid = self.project / "data", os.getpid()
        self.again, self.kept = beside(self.project) / "data", self.project.with_name("kept")
        self.kept.mkdir()
        self.function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p)(self.ask)
        self.library.fault_ask(self.function, str(self.data).encode())

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        """Count what is written before the first node to that node."""
        self._begin(pipeline.nodes[0])

    @hook_impl(tryfirst=True)
    def before_node_run(self, node: Node) -> None:
        """End the fork whose fault had no consequence for its step."""
        if self.armed:
            os._exit(GOES_ON)
        if os.getpid() == self.pid:
            self._begin(node)

    def _begin(self, node: Node) -> None:
        self.node, self.previous = node.name, tree(self.data)
        shutil.rmtree(self.kept)
        self.kept.mkdir()

    def ask(self, path: bytes) -> int:
        """Meet the faults of one call; in a fork return the error that it shall get."""
        if os.getpid() != self.pid or current_thread() is not main_thread() or not self.node:
            return 0
        self.calls += 1
        if self.calls % self.every:
            return 0
        try:
            return self._faults(path.decode())
        except Exception as error:
            self._say("harness", SILENT, repr(error))
            return 0

    def _faults(self, path: str) -> int:
        name = Path(path).relative_to(self.data).as_posix()
        moment = Moment(self.data, self.kept)
        for kind, number in ERRORS.items():
            wrong = ""
            if number:
                process = os.fork()
                if not process:
                    self._arm()
                    return number
                wrong = self._ending(process, name)
            what, why = (TRACEBACK, wrong) if wrong else self._left()
            self._say(kind, what, f"{self.node}, {name}: {why}")
            moment.restore()
        return 0

    def _arm(self) -> None:
        self.armed = True
        signal.alarm(LIMIT_SECONDS)
        log = os.open(self.project / "run.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(log, number)

    def _ending(self, process: int, name: str) -> str:
        """What is wrong with the end of a run; nothing where it is one sentence."""
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        said = last_words(self.project)
        # SQLite goes on where it cannot flush the folder of its journal.
        goes_on = SPOOL in name or (self.data / name).is_dir()
        expected = (0, 1, GOES_ON) if goes_on else (1,)
        return f"exit code {code}: {said}" if code not in expected or "Traceback" in said else ""

    def _left(self) -> tuple[str, str]:
        """Tidy as the next run does, compare with what was there before, and run the step again."""
        key = frozenset(self._state(tree(self.data)))
        if key in self.seen:
            return COPIED, ""
        self.seen.add(key)
        shutil.rmtree(self.again, ignore_errors=True)
        shutil.copytree(self.data, self.again)
        for layer in self.again.glob("*/tiny"):
            remove_leftovers(layer)
        lost = [
            f"{name} is gone"
            for name in self.previous
            if not (transient(name) or (self.again / name).exists())
        ]
        if wrong := lost + damages(self.again):
            return SILENT, "; ".join(wrong[:5])
        self.server.send(self.node)
        code, said = self.server.recv()
        if code or "Traceback" in said:
            return TRACEBACK, f"the same command ends with {code}: {said}"
        left = [f"{name} is left" for name in tree(self.again) if PARTIAL.search(name)]
        if wrong := left + damages(self.again):
            return SILENT, "; ".join(wrong[:5])
        return MADE_AGAIN, ""

    def _state(self, now: Tree) -> Iterator[str]:
        """The files by their names, and whether they are those from before the step.

        All files of one unfinished folder count as one; its name is enough.
        """
        yield self.node
        for name, stat in now.items():
            if SPOOL in name or OWNER.search(name):
                continue
            plain = PARTIAL.sub(".partial", VERSION.sub("VERSION", name))
            age = "old" if self.previous.get(name) == stat else "new"
            sums = Path(plain).name.startswith(".") and not plain.endswith(".partial")
            yield f"{plain} {age} {stat.size if sums and age == 'new' else ''}"

    def _say(self, kind: str, what: str, example: str) -> None:
        with self.outcomes.open("a") as lines:
            lines.write(json.dumps([kind, what, example]) + "\n")


def transient(name: str) -> bool:
    """Whether a file may go with its process, or with another training."""
    return bool(name.startswith(SPOOL) or Path(name).name.startswith(".") or ROTATED.search(name))


def damages(data: Path) -> list[str]:
    """What does not fit its checksums."""
    found = []
    sealed = [path.parent for path in data.rglob(MANIFEST)]
    sealed += [path.with_name(path.name[1:-7]) for path in data.rglob(".*.sha256")]
    for path in sealed:
        try:
            require_intact(path)
        except DamagedFile as error:
            found.append(f"{error.path} {error.problem}")
    return found


def without_mutexes() -> None:
    """Let SQLite use no mutexes: in a fork, those that its parent holds would never be free."""
    sqlite, single_thread = ctypes.CDLL("libsqlite3.so.0"), 1
    sqlite.sqlite3_shutdown()
    if sqlite.sqlite3_config(single_thread):
        raise RuntimeError("SQLite is in use already")


def beside(project: Path) -> Path:
    """The copy of a project in which its command runs again."""
    return project.with_name("again")


def campaign(folder: Path, every: int = 1, *words: str) -> Iterator[tuple[str, str, str]]:
    """Error, outcome and example of every call of a whole run that the disk can fail.

    Args:
        folder: is filled.
        every: every n-th call.
        words: options that choose a part of the run.
    """
    library = compiled(folder)
    if library is None:
        return
    outcomes = folder / "outcomes.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.whole_run", str(folder), str(every), *words],
        cwd=ROOT,
        env=environment(LD_PRELOAD=str(library), PYTHONPATH=f"{ROOT / 'src'}:{ROOT}"),
        check=False,
    )
    for line in outcomes.read_text().splitlines() if outcomes.exists() else ():
        kind, what, example = json.loads(line)
        yield kind, what, example
    if done.returncode:
        yield "run", TRACEBACK, f"the run without faults ends with {done.returncode}"


def main(folder: Path, every: int, *words: str) -> int:
    """Run the command on a disk that fails; answer it with runs of single nodes beside."""
    load_everything()
    project = make_project(folder / "project")
    catalog = project / "conf" / "tiny" / "catalog.yml"
    catalog.write_text(CATALOG.replace("images: 48", "images: 40"))
    if ended(forked(*RUN, *words, sender=NoSender)(project)):
        raise RuntimeError(last_words(project))
    catalog.write_text(CATALOG)
    for part in ("conf", "pyproject.toml", "src"):
        beside(project).mkdir(exist_ok=True)
        (beside(project) / part).symlink_to(project / part)
    ours, theirs = Pipe()

    def swept() -> int:
        from medgan import settings

        without_mutexes()
        library = ctypes.CDLL(str(folder / "disk.so"))
        sweep = Sweep(library, project, folder / "outcomes.jsonl", theirs, every)
        settings.HOOKS = (*settings.HOOKS, sweep)  # type: ignore[assignment]
        return command(project, (*RUN, *words), NoSender)

    run = Fork(swept, alone=False)
    while run.poll() is None:
        if ours.poll(0.1):
            again = beside(project)
            (again / "run.log").unlink(missing_ok=True)
            code = ended(forked(*RUN, "--nodes", ours.recv(), sender=NoSender)(again))
            ours.send((code, last_words(again)))
    return run.wait()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
