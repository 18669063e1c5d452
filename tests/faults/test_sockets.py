"""No server and no command of the project asks, or loads anything from, another machine."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import QUIET, environment
from tests.end_to_end.project import make_project

SPY = """
import os, sys

def write(event, arguments):
    places = {"socket.getaddrinfo": 0, "socket.gethostbyname": 0, "socket.connect": 1, "socket.bind": 1}
    if event in places:
        with open(os.environ["SOCKETS_LOG"], "a") as file:
            file.write(f"{event} {arguments[places[event]]!r}\\n")

sys.addaudithook(write)
"""
LOCAL = re.compile(
    r"'(127\.0\.0\.1|localhost|::1)'|(bind|getaddrinfo) (\(?''|None)|/|\(1[0-9]*, [0-9]+\)"
)
OUTSIDE = re.compile(rb"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//(?!127\.0\.0\.1)""")
WAIT = 240
SERVERS = {
    "viz": (
        *("-m", "medgan.cli.viz", "run", "--host", "127.0.0.1", "--no-browser", "--env", "tiny"),
        "--port",
    ),
    "app": ("-m", "medgan.app", "--server.port"),
    "mlflow": (
        *("-m", "mlflow", "ui", "--host", "127.0.0.1", "--backend-store-uri", "sqlite:///m.db"),
        "--port",
    ),
}


def free_port() -> int:
    """A port below those that the system gives by itself, of which kedro-viz refuses many."""
    for port in range(8100, 9100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def page_of(port: int, started: subprocess.Popen[bytes]) -> bytes:
    """The page, once the server answers; a request from a foreign origin is made besides."""
    for _ in range(WAIT):
        assert started.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                return bytes(answer.read())
        except OSError:
            time.sleep(1)
    raise AssertionError("the server does not answer")


def knock(port: int) -> None:
    """Open a WebSocket as a page of another origin would."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(
            b"GET /_stcore/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\nOrigin: http://elsewhere.example\r\n\r\n"
        )
        connection.recv(100)


@pytest.mark.long
@pytest.mark.parametrize("name", SERVERS)
def test_f53_f54_f55_a_server_stays_on_this_machine(tmp_path: Path, name: str) -> None:
    project = make_project(tmp_path / "project")
    spy, log, port = tmp_path / "spy", tmp_path / "sockets.log", free_port()
    spy.mkdir()
    (spy / "sitecustomize.py").write_text(SPY)
    paths = os.pathsep.join([str(spy), str(project / "src")])
    started = subprocess.Popen(
        [sys.executable, *SERVERS[name], str(port)],
        cwd=project,
        env={**environment(), "PYTHONPATH": paths, "SOCKETS_LOG": str(log)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        page = page_of(port, started)
        if name == "app":
            knock(port)
            time.sleep(3)
    finally:
        with suppress(ProcessLookupError):  # it has ended by itself, and there is a better error
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()
    asked = set(log.read_text().splitlines())
    assert any(f"socket.bind ('127.0.0.1', {port}" in line for line in asked)
    assert not {line for line in asked if not LOCAL.search(line)}
    assert not OUTSIDE.findall(page)


def test_a_port_that_kedro_viz_does_not_take_is_a_sentence(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    ended = subprocess.run(
        [sys.executable, *SERVERS["viz"], "50000"],
        cwd=project,
        env={**environment(), "PYTHONPATH": str(project / "src")},
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("Error: kedro-viz takes no --port above 49151")
    assert "Traceback" not in ended.stderr


COMMANDS = {
    "kedro": ("-m", "kedro", "registry", "list"),
    "script": ("-c", """
from pathlib import Path
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

bootstrap_project(Path.cwd())
with KedroSession.create(env="tiny") as session:
    session.load_context().catalog
"""),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_f55_kedro_sends_nothing_wherever_the_project_runs(tmp_path: Path, name: str) -> None:
    """Nobody has set a variable, and there is no `.telemetry` file."""
    project, spy, log = make_project(tmp_path / "project"), tmp_path / "spy", tmp_path / "log"
    assert not (project / ".telemetry").exists()
    spy.mkdir()
    (spy / "sitecustomize.py").write_text(SPY)
    variables = {key: value for key, value in environment().items() if key not in QUIET}
    paths = os.pathsep.join([str(spy), str(project / "src")])
    subprocess.run(
        [sys.executable, *COMMANDS[name]],
        cwd=project,
        env={**variables, "PYTHONPATH": paths, "SOCKETS_LOG": str(log), "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        timeout=WAIT,
    )
    asked = set(log.read_text().splitlines()) if log.exists() else set()
    assert not {line for line in asked if not LOCAL.search(line)}
    assert not list(tmp_path.rglob("telemetry.toml")), "no id of the user was made"
