"""Bars where there is no terminal: lines, few of them, and no control characters."""

from __future__ import annotations

import pytest
from tqdm import tqdm

from medgan import progress
from medgan.progress import progress_bar


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that bars see."""
    now = [0.0]
    init = tqdm.__init__

    def with_clock(bar: tqdm, *args: object, **settings: object) -> None:
        init(bar, *args, **settings)
        bar._time, bar.start_t, bar.last_print_t = (lambda: now[0]), now[0], now[0]

    monkeypatch.setattr(tqdm, "__init__", with_clock)
    return now


def test_a_line_a_minute_and_the_last_one(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    with progress_bar("reading", "image", 300) as bar:
        for _ in range(300):
            clock[0] += 1.0
            bar.update()
    shown = capsys.readouterr().err
    assert not set("\r\x1b") & set(shown)
    assert [line.split("|")[2].split()[0] for line in shown.splitlines()] == [
        *("60/300", "120/300", "180/300", "240/300", "300/300")
    ]


def test_bars_within_each_other_and_messages_take_no_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress_bar("outer", "model", 2) as outer:
        for name in ("first", "second"):
            with progress_bar(name, "step", 10) as inner, inner.external_write_mode():
                inner.update(10)
            outer.update()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["first", "second", "outer"]


def test_nothing_done_or_done_at_once_is_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress_bar("nothing", "image", 0).close()
    with progress_bar("features", "image", 5, delay=progress.BETWEEN_LINES) as bar:
        bar.update(5)
    with progress_bar("run", "node", 5, disable=None) as bar:
        bar.update(5)
    assert not capsys.readouterr().err


def test_a_terminal_has_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress_bar("reading", "image", 5) as bar:
        bar.update(5)
    assert capsys.readouterr().err.startswith("\rreading")
