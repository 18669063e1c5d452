from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from medgan.files.parallel import AHEAD, Recent, in_order


def test_results_come_in_order_and_few_wait() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def work(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002 * (number % 5))
        with lock:
            running -= 1
        return number

    def items() -> object:
        for number in range(100):
            begun.append(number)
            yield number

    begun: list[int] = []
    results = in_order(work, items(), workers=3)
    assert next(results) == 0
    assert len(begun) <= AHEAD * 3
    assert list(results) == list(range(1, 100))
    assert 1 < most <= 3


def test_what_is_not_asked_for_is_not_begun() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        time.sleep(0.01)
        return number

    results = in_order(work, range(1000), workers=2)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(begun) < 20


def test_few_results_are_kept_and_few_are_made_at_a_time() -> None:
    recent: Recent[int] = Recent(2)
    running, most, lock = 0, 0, threading.Lock()

    def make() -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        return 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: recent.get(key, make), range(20)))
    assert most == 2
    assert len(recent._kept) == 2


def test_an_error_is_kept_too(tmp_path: Path) -> None:
    recent: Recent[int] = Recent(2)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            recent.get("a", lambda: 1 // 0)
