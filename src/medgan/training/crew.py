"""Start the helpers of a training, or meet those that torchrun or SLURM have started.

The leader is the process that runs the pipeline; it alone reads checkpoints, saves, validates and
logs. A helper has no pipeline: it is sent each training, takes part in its updates, and ends when
the leader does. Files are not sent: all machines have to see the data folder under the same path.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from medgan.contracts import Share
from medgan.errors import UserError
from medgan.training.settings import ComputeConfig
from medgan.training.stopping import SIGNALS
from medgan.training.workers import STARTED_WITHIN, WorkerLost, Workers, join

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

RANKS = {"torchrun": ("RANK", "WORLD_SIZE"), "slurm": ("SLURM_PROCID", "SLURM_NTASKS")}
"""Engine -> variables of the number of a process and of how many there are."""
PORT = "29500"
_joined: list[Workers] = []
"""The group that this process has met; there is at most one."""


class Task(Protocol):
    """What a helper is sent."""

    def help(self, workers: Workers) -> None:
        """Do a helper's part."""


def launched(config: ComputeConfig) -> Share | None:
    """Return the place of this process among those that an engine has started; None for an engine
    that starts none.

    Raises:
        UserError: the engine has not started this process.
    """
    if config.engine not in RANKS:
        return None
    try:
        rank, count = (int(os.environ[name]) for name in RANKS[config.engine])
    except KeyError as missing:
        raise UserError(
            f"`compute.engine` is {config.engine}, which has not started this command: {missing} is "
            "not set. Start it as docs/scaling.md says, or set `compute.engine` to local."
        ) from None
    return Share(rank, count)


@contextmanager
def crew(config: ComputeConfig) -> Iterator[Workers]:
    """Have the workers of the settings for one training, as its leader."""
    share = launched(config)
    if share is not None:
        workers = meet(share)
        try:
            yield workers
        except BaseException:  # the helpers wait in an update, not for a task: they see the end
            atexit.unregister(_dismiss)
            raise
    elif config.workers == 1 or config.engine == "ray":
        yield Workers()
    else:
        with _started(config.workers) as workers:
            yield workers


def meet(share: Share) -> Workers:
    """Join the processes that torchrun or SLURM have started, once."""
    if share.count == 1:
        return Workers()
    if not _joined:
        os.environ.setdefault("MASTER_ADDR", os.environ.get("SLURM_LAUNCH_NODE_IPADDR", ""))
        os.environ.setdefault("MASTER_PORT", PORT)
        _joined.append(join(share))
        if share.rank == 0:
            atexit.register(_dismiss)
    return _joined[0]


def _dismiss() -> None:
    with suppress(WorkerLost):
        _joined[0].told(None)


def help_leader(workers: Workers) -> None:
    """Do the tasks that the leader sends, until it ends.

    Signals are the leader's: it gets them too, and needs its helpers to end its step.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    task: Task | None
    with suppress(WorkerLost):
        while (task := workers.told(None)) is not None:
            try:
                task.help(workers)
            except WorkerLost:
                raise
            except UserError:
                continue  # the leader has it too, and says so


@contextmanager
def _started(count: int) -> Iterator[Workers]:
    """Start helpers on this machine, which share its cores; they end with the block."""
    import torch
    import torch.distributed as dist

    threads = torch.get_num_threads()
    each = max(1, threads // count)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "store"
        helpers = [_start(rank, count, place, each) for rank in range(1, count)]
        torch.set_num_threads(each)
        try:
            yield join(Share(0, count), _met(place, count))
        finally:
            for helper in helpers:
                helper.kill()
                helper.wait()
            torch.set_num_threads(threads)
            if dist.is_initialized():
                dist.destroy_process_group()


def _start(rank: int, count: int, place: Path, threads: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "medgan.training.crew", str(rank), str(count), str(place)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "LOCAL_RANK": str(rank)}
    return subprocess.Popen(command, env=environment)  # noqa: S603


def _met(place: Path, count: int) -> Store:
    """Wait for the helpers. Raises `UserError` where one does not come."""
    from torch._C._distributed_c10d import FileStore

    store = FileStore(str(place), count)
    try:
        store.wait([f"helper {rank}" for rank in range(1, count)], STARTED_WITHIN)
    except RuntimeError as error:
        raise UserError(f"{count - 1} helpers were started and did not all come.") from error
    return store


def main(rank: int, count: int, place: str) -> None:
    """Be a helper on the leader's machine."""
    from torch._C._distributed_c10d import FileStore

    store = FileStore(place, count)
    store.set(f"helper {rank}", "here")
    help_leader(join(Share(rank, count), store))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
