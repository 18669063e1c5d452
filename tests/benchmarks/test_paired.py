"""The harness of the benchmarks: ratios, control, and refusal of different results."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from benchmarks.paired import (
    Case,
    Comparison,
    NotCompared,
    OutputsDiffer,
    Quality,
    Spread,
    Timed,
    Within,
    compare,
    control_ratios,
    paired_ratios,
    parity_of,
    relative_difference,
    seconds_of,
)

from benchmarks import paired

EQUAL = Within(1e-6, relative_difference, "relative difference")


class Clock:
    """A clock that only work moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def work(self, seconds: float, result: object = 1.0) -> Callable[[], object]:
        def run() -> object:
            self.now += seconds
            return result

        return run


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(paired, "time", clock)
    return clock


def case(ours, other, outputs=EQUAL, **settings) -> Case:
    return Case("work", "other", 2.0, ours, other, outputs, **settings)


def measured(ratio: float, control: tuple[float, float]) -> Comparison:
    at = Spread(ratio, ratio, ratio)
    return Comparison(at, Spread(1.0, *control), at, at, None, None, "", 7)


def test_a_ratio_pairs_the_other_with_ours_before_and_after():
    assert paired_ratios([1.0, 4.0, 4.0], [6.0, 8.0]) == [3.0, 2.0]
    assert control_ratios([1.0, 4.0, 2.0]) == [4.0, 0.5]


def test_a_slow_drift_of_the_machine_leaves_the_ratios_alone():
    times = [1.1**step for step in range(0, 16, 2)]
    others = [3 * 1.1**step for step in range(1, 15, 2)]
    assert paired_ratios(times, others) == pytest.approx([3.0] * 7)


def test_sides_take_turns_and_ours_has_the_last_one(clock):
    order = []
    compare(
        case(
            lambda: order.append("A") or clock.work(1)(),
            lambda: order.append("B") or clock.work(1)(),
        ),
        rounds=3,
    )
    assert "".join(order) == "AABB" + "ABABABA" + "AB"  # warm-up, rounds, memory


def test_the_slower_side_is_found_slower(clock):
    found = compare(case(clock.work(2.0), clock.work(10.0)), rounds=3)
    assert found.ratio == Spread(5.0, 5.0, 5.0)
    assert found.control == Spread(1.0, 1.0, 1.0)
    assert (found.seconds.median, found.other_seconds.median, found.rounds) == (2.0, 10.0, 3)


def test_a_block_of_short_calls_lasts_long_enough(clock):
    calls = []
    compare(case(lambda: calls.append(1) or clock.work(0.05)(), clock.work(1.0)), rounds=1)
    assert len(calls) == 2 + 2 * 4 + 1  # two blocks of paired.BLOCK_SECONDS
    assert pytest.approx(4 * 0.05) == paired.BLOCK_SECONDS


def test_the_time_of_less_work_is_scaled(clock):
    found = compare(case(clock.work(3.0), clock.work(3.0), scale=100), rounds=3)
    assert found.ratio.median == pytest.approx(100)


@pytest.mark.parametrize(
    ("ratio", "control", "inside"),
    [
        (1.3, (0.7, 1.1), True),  # 1 / 0.7 is further from 1 than 1.3
        (1.3, (0.9, 1.2), False),
        (0.8, (0.9, 1.3), True),
        (0.5, (0.9, 1.3), False),
    ],
)
def test_a_ratio_inside_the_spread_of_the_control_is_no_claim(ratio, control, inside):
    assert measured(ratio, control).within_control is inside


def test_different_results_are_refused():
    with pytest.raises(OutputsDiffer, match="relative difference"):
        compare(case(lambda: [1.0, 2.0], lambda: [1.0, 2.1]))


@pytest.mark.parametrize("wrong", [[math.nan, 2.0], [1.0]])
def test_nan_and_other_shapes_are_refused(wrong):
    with pytest.raises(OutputsDiffer):
        compare(case(lambda: [1.0, 2.0], lambda: wrong))


def test_results_of_their_own_are_compared_where_a_side_returns_none():
    outputs = Within(0, relative_difference, "difference", lambda: (1.0, 2.0))
    with pytest.raises(OutputsDiffer):
        compare(case(lambda: None, lambda: None, outputs))


def test_memory_is_what_a_call_adds(clock):
    if not paired.CLEAR_REFS.exists():
        pytest.skip("the peak of the memory is known on Linux only")
    found = compare(
        case(clock.work(1), lambda: clock.work(1, len(bytearray(80 << 20)))(), NotCompared("")),
        rounds=1,
    )
    assert found.other_memory_mb == pytest.approx(80, abs=8)
    assert found.memory_mb < 8


def test_a_time_with_a_limit_is_measured_too(clock):
    assert seconds_of(Timed("work", 1.0, clock.work(0.2)), rounds=3).median == pytest.approx(0.2)


@pytest.mark.parametrize(("faster", "equal"), [([2.1, 1.9, 2.0], True), ([8.0, 7.0, 9.0], False)])
def test_trainings_are_equal_where_two_seeds_differ_by_as_much(faster, equal):
    plain = [2.0, 1.0, 3.0]
    found = parity_of(Quality("work", "FID", plain.__getitem__, faster.__getitem__, 3))
    assert found.ratio == Spread.of([one / other for one, other in zip(plain, faster, strict=True)])
    assert found.control == Spread(1.75, 0.5, 3.0)
    assert found.equal is equal
