"""Where MLflow keeps its runs: a server, or an SQLite file that is made and migrated aside."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from medgan.errors import UserError, chain
from medgan.tracking.redaction import redact

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"
ARTIFACTS = "mlartifacts"
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""By default MLflow waits up to 248 s for a call."""
CALL_SECONDS = 10.0
"""Longest time for one call: the timeouts of HTTP start anew with every byte of an answer."""
LOCK_SECONDS = 120.0
FRESH_SECONDS = 3.0
"""A migration whose file has not changed for so long stands still."""
_DAMAGE = {"SQLITE_ERROR", "SQLITE_CORRUPT", "SQLITE_NOTADB"}
"""Results of SQLite for a half migrated or broken file, not for a full disk or a lock."""
_UNLIKE = {"ValueError", "KeyError", "NoSuchTableError"}
"""What Alembic raises for tables that are not those it expects."""
_BESIDE = ("-journal", "-wal", "-shm")
"""Files of SQLite that belong to a database."""


@contextmanager
def limit(seconds: float = CALL_SECONDS) -> Iterator[None]:
    """Raise `TimeoutError` in the main thread after a time, where the system can."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"no answer for {seconds:.0f} seconds")

    if (
        not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return
    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """Raise `UserError`, without credentials, where the store does not answer."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (OSError, MlflowException, sqlite3.Error, Timeout) as error:
        raise UserError(
            f"MLflow at {redact(uri)} does not answer ({type(error).__name__}): is it running?"
        ) from None


def open_client(
    uri: str, root: Path, busy: Callable[[bool], None] = lambda _: None
) -> tuple[MlflowClient, str | None]:
    """Connect to the store of a project; make or migrate it first if it is an SQLite file.

    Args:
        uri: where MLflow keeps its runs; `sqlite:///mlflow.db` is a file in the project root.
        root: the project root.
        busy: told whether work on this machine goes on, which nothing outside can hold up.

    Returns:
        The client, and a sentence where a broken store was put aside.

    Raises:
        UserError: MLflow cannot use such a store.
    """
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    # It warns of each retry with the whole address, which may hold credentials.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    require_store(uri)
    address = store_uri(uri, root)
    from mlflow import MlflowClient

    kind = "rest_store" if sqlite_file(uri) is None else "sqlalchemy_store"
    importlib.import_module(f"mlflow.store.tracking.{kind}")  # else within the limit
    busy(False)
    note = prepare(address, root, busy)
    with limit():
        registry = os.environ.get("MLFLOW_REGISTRY_URI") or address
        client = MlflowClient(address, registry)
        client.search_experiments(max_results=1)
    return client, note


def runs_page(client: MlflowClient, experiment: str) -> str:
    """A line with the address of the runs of an experiment in `mlflow ui`."""
    with limit():
        found = client.get_experiment_by_name(experiment)
    page = f"experiments/{found.experiment_id}/runs?workflowType=machine_learning" if found else ""
    return f"Runs of {experiment}: http://127.0.0.1:5000/#/{page}"


def store_uri(uri: str, root: Path) -> str:
    """The address of the store; a relative SQLite file lies in the project root.

    Relative to the working directory, a notebook would make a second store.
    """
    if not uri.startswith(SQLITE):
        return uri
    path = uri.removeprefix(SQLITE)
    return uri if Path(path).is_absolute() else f"{SQLITE}{root / path}"


def is_folder(uri: str) -> bool:
    """Whether an address is MLflow's old store of plain files."""
    return uri.startswith("file:") or ("://" not in uri and not uri.startswith("databricks"))


def require_store(uri: str) -> None:
    """Raise `UserError` for a store of plain files, which MLflow no longer writes or reads."""
    if is_folder(uri):
        raise UserError(
            f"The MLflow store {redact(uri)} is a folder of files, which MLflow no longer "
            f"supports: set `uri: {SQLITE}mlflow.db` in conf/local/tracking.yml or "
            "MLFLOW_TRACKING_URI."
        )


def sqlite_file(address: str) -> Path | None:
    """The file of an SQLite store; None for a server."""
    return Path(address.removeprefix(SQLITE)) if address.startswith(SQLITE) else None


def prepare(address: str, root: Path, busy: Callable[[bool], None]) -> str | None:
    """Make or migrate an SQLite store; point it to the artifacts of this project.

    One process at a time does so, in a copy that takes the place of the store when it is complete:
    a kill at any moment leaves the old store, or none.

    Args:
        address: what `store_uri` returns.
        root: the project root.
        busy: told whether work on this machine goes on, which nothing outside can hold up.

    Returns:
        A sentence where a broken store was put aside.

    Raises:
        UserError: a newer MLflow made the store.
        Timeout: another process holds the store for too long.
    """
    path = sqlite_file(address)
    if path is None:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path, busy):
        note = None
        if not _is_current(path):
            busy(True)
            note = _renew(path)
            busy(False)
        if path.parent.resolve() == root.resolve():
            _relocate(path, root)
    return note


@contextmanager
def _alone(path: Path, busy: Callable[[bool], None]) -> Iterator[None]:
    lock, deadline = FileLock(f"{path}.lock"), time.monotonic() + LOCK_SECONDS
    while True:
        try:
            with lock.acquire(timeout=0.5):
                yield
                return
        except Timeout:
            if time.monotonic() > deadline:
                raise
            busy(_is_fresh(_partial(path)))


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")


def _is_fresh(partial: Path) -> bool:
    try:
        return time.time() - partial.stat().st_mtime < FRESH_SECONDS
    except OSError:
        return False


def _is_current(path: Path) -> bool:
    from mlflow.store.db.utils import _get_latest_schema_revision

    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path, timeout=1)) as store:
            versions = store.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.Error as error:
        if _is_damage(error):
            return False
        raise
    return versions == [(_get_latest_schema_revision(),)]  # type: ignore[no-untyped-call]


def _renew(path: Path) -> str | None:
    """Migrate a copy of the store, or make a new one; return what was said of a broken one."""
    try:
        _migrate(path, from_old=path.exists())
        return None
    except Exception as error:
        if type(error).__name__ == "CommandError":  # Alembic does not know the version
            raise UserError(
                f"A newer MLflow made {path.name}: update the packages with `make install`."
            ) from error
        if not _is_damage(error):
            raise
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    for suffix in ("", *_BESIDE):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.replace(aside.with_name(aside.name + suffix))
    _migrate(path, from_old=False)
    return (
        f"The MLflow store {path.name} was damaged or half made, and was put aside as "
        f"{aside.name}: a new one takes its place."
    )


def _migrate(path: Path, from_old: bool) -> None:
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    partial = _partial(path)
    for left in path.parent.glob(f"{partial.name}*"):
        left.unlink()
    with closing(sqlite3.connect(path if from_old else ":memory:", timeout=1)) as old:
        if from_old:
            old.execute("BEGIN IMMEDIATE")  # a server that writes meanwhile would lose its records
            # A connection cannot copy what it has locked itself: it would wait for ever.
            reader, copy = sqlite3.connect(path, timeout=1), sqlite3.connect(partial)
            with closing(reader), closing(copy):
                reader.backup(copy)
        engine = create_sqlalchemy_engine(f"{SQLITE}{partial}")  # type: ignore[no-untyped-call]
        try:
            _initialize_tables(engine)  # type: ignore[no-untyped-call]
        finally:
            engine.dispose()
        partial.replace(path)


def _is_damage(error: BaseException) -> bool:
    links = [getattr(link, "orig", None) or link for link in chain(error)]
    return type(error).__name__ in _UNLIKE or any(
        getattr(link, "sqlite_errorname", "") in _DAMAGE for link in links
    )


def _relocate(path: Path, root: Path) -> None:
    """Let a store that was copied or moved with its project keep artifacts in this project."""
    here = (root / ARTIFACTS).as_uri()
    with closing(sqlite3.connect(path, timeout=1)) as store, store:
        found = store.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        for (old,) in found:
            if not str(old).endswith(f"/{ARTIFACTS}") or old == here:
                continue
            store.execute(
                "UPDATE experiments SET artifact_location = ? WHERE artifact_location = ?",
                (here, old),
            )
            store.execute(
                "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) "
                "WHERE substr(artifact_uri, 1, ?) = ?",
                (here, len(old) + 1, len(old) + 1, f"{old}/"),
            )
