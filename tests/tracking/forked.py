"""Senders and MLflow servers as forks of a process that has imported MLflow, which takes seconds."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any


def preload() -> None:
    """Import once what every fork needs."""
    import mlflow.server
    import mlflow.store.tracking.rest_store
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401


def forget_connections() -> list[Any]:
    """Let MLflow connect anew: connections to a database do not survive a fork.

    The caller keeps what is returned: a connection that is collected closes files by their number,
    which may be others by then.
    """
    module = sys.modules.get("mlflow.store.tracking.sqlalchemy_store")
    if module is None:
        return []
    engines = list(module.SqlAlchemyStore._engine_map.values())
    pools = [engine.pool for engine in engines]
    for engine in engines:
        engine.dispose(close=False)
    return pools


LIMIT_SECONDS = 60.0
"""Longest time to wait for anything."""


class Fork:
    """A child process that calls a function and exits with what it returns."""

    def __init__(
        self, call: Any, stdin: int | None = None, stdout: int | None = None, alone: bool = True
    ) -> None:
        """`alone` closes the pipes of other forks, which objects of this process may close again."""
        self.pid = os.fork()
        self.code: int | None = None
        if self.pid:
            return
        code = 1
        try:
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            if stdin is not None:
                os.dup2(stdin, 0)
                sys.stdin = os.fdopen(0, "r")
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null if stdout is None else stdout, 1)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            logging.disable(logging.CRITICAL)  # its handlers write to what is closed now
            if alone:
                os.closerange(3, 256)
            os.environ.pop("PYTEST_CURRENT_TEST", None)  # MLflow behaves otherwise in its own tests
            old = forget_connections()  # noqa: F841
            code = int(call() or 0)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)

    def poll(self) -> int | None:
        if self.code is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if done else None
        return self.code

    def wait(self) -> int:
        deadline = time.monotonic() + LIMIT_SECONDS
        while self.poll() is None:
            if time.monotonic() > deadline:
                self.kill()
                raise TimeoutError("a fork does not end")
            time.sleep(0.01)
        return int(self.code or 0)

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


class ForkedSender(Fork):
    """In the place of `subprocess.Popen([python, "-m", "medgan.tracking.sender", ...])`."""

    def __init__(self, command: list[str], env: dict[str, str], **_: Any) -> None:
        from medgan.tracking import sender

        (read_in, write_in), (read_out, write_out) = os.pipe(), os.pipe()

        def call() -> int:
            os.environ.update(env)
            return sender.main(*command[3:])

        super().__init__(call, read_in, write_out)
        os.close(read_in)
        os.close(write_out)
        os.set_inheritable(write_in, False)
        self.stdin, self.stdout = os.fdopen(write_in, "w"), os.fdopen(read_out, "r")


class Forks:
    """`subprocess` for `medgan.tracking.client`."""

    PIPE, DEVNULL, Popen = subprocess.PIPE, subprocess.DEVNULL, ForkedSender


def use_forks(monkeypatch: Any) -> None:
    """Let `medgan.tracking.client` fork its senders, and wait for none longer than the limit."""
    from medgan.tracking import client

    monkeypatch.setattr(client, "subprocess", Forks)
    monkeypatch.setattr(client, "BUSY_SECONDS", LIMIT_SECONDS)
    monkeypatch.setattr(client, "REPLAY", client.Patience(30.0, LIMIT_SECONDS))


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def mlflow_server(store: Path, port: int) -> Fork:
    """MLflow's own server on an SQLite store; answers when this returns."""

    def serve() -> None:
        os.environ["_MLFLOW_SERVER_FILE_STORE"] = f"sqlite:///{store}"
        os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = str(store.parent / "served")
        from mlflow.server import app
        from werkzeug.serving import run_simple

        run_simple("127.0.0.1", port, app, threaded=True)

    server, deadline = Fork(serve), time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return server
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("the server does not start")


class BadServer:
    """A server that answers with 500, never, or one byte a second."""

    def __init__(self, kind: str, port: int) -> None:
        self.kind = kind
        self.socket = socket.create_server(("127.0.0.1", port), reuse_port=False)
        self.open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            connection.recv(65536)
            if self.kind == "500":
                connection.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops")
                connection.close()
            while self.kind == "drip":
                connection.sendall(b"H")
                time.sleep(1)
        except OSError:
            pass

    def close(self) -> None:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # else the thread that accepts keeps the port
        self.socket.close()
        for connection in self.open:
            connection.close()
