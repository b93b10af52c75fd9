"""How many rows a call may have is told by the difference of two calls, never by what any call takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from validator.runtimes.room import BUDGET_BYTES, rows_at_once

MIB = 2**20


class Process:
    """Its peak memory, where a call takes `fixed` bytes once, `a_row` for each row, and so many seconds a row."""

    def __init__(
        self, a_row: float, fixed: Callable[[int], int] = lambda rows: 0, seconds: float = 0
    ) -> None:
        self.base = self.peak = 300 * MIB
        self.a_row, self.fixed, self.seconds = a_row, fixed, seconds
        self.now, self.asked = 0.0, 0

    def ask(self, rows: int) -> None:
        self.asked = max(self.asked, rows)
        self.now += rows * self.seconds
        self.peak = max(self.peak, int(self.base + self.fixed(rows) + self.a_row * rows))

    def room(self) -> int | None:
        return rows_at_once(self.ask, lambda: self.peak, lambda: self.now)


@pytest.mark.parametrize(
    ("a_row", "room"),
    [
        (100, None),
        (4_096, None),
        (24_000, None),
        (50_000, 4_096),
        (400_000, 1_024),
        (1_500_000, 256),
        (40 * MIB, 4),
        (2_000 * MIB, 1),
    ],
)
def test_rows_that_take_much_bound_a_call(a_row: float, room: int | None) -> None:
    found = Process(a_row).room()
    assert found == room
    assert found is None or found == 1 or found * a_row <= BUDGET_BYTES


@pytest.mark.parametrize("once", [1, 10, 60, 500])
def test_what_a_first_call_takes_whatever_its_size_bounds_nothing(once: int) -> None:
    assert Process(1_000, fixed=lambda rows: once * MIB).room() is None


def test_buffers_that_larger_calls_fill_bound_nothing() -> None:
    assert Process(1_000, fixed=lambda rows: 40 * MIB if rows >= 256 else 0).room() is None


@pytest.mark.parametrize("noise", [-0.1, 0.0, 0.1])
def test_the_number_is_the_same_from_run_to_run(noise: float) -> None:
    assert Process(400_000 * (1 + noise)).room() == 1_024


def test_no_more_rows_are_asked_for_than_are_needed_or_than_is_quick() -> None:
    huge, slow = Process(40 * MIB), Process(100, seconds=0.5)
    huge.room()
    assert huge.asked == 16
    assert slow.room() is None
    assert slow.asked == 16


def test_a_system_that_tells_no_peak_bounds_nothing() -> None:
    assert rows_at_once(lambda rows: None, lambda: None, lambda: 0.0) is None


def test_a_slow_model_whose_rows_take_much_is_bounded_by_the_calls_that_there_were() -> None:
    assert Process(3.2 * MIB, seconds=0.2).room() == 64
    assert Process(1_000, seconds=0.2).room() is None
