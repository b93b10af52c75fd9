"""What the supervisor believes of a worker that says what suits it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from validator.errors import WorkerError
from validator.runtimes.replies import RuntimeFacts
from validator.runtimes.runtime import WorkerRuntime


@dataclass
class FakeReply:
    result: Any
    arrays: list[Any] = field(default_factory=list)
    seconds: float = 0.0
    wall_seconds: float = 0.001


@dataclass
class FakeWorker:
    """Answers every request with one and the same reply."""

    reply: FakeReply
    pid: int = os.getpid()

    def call(self, op: str, arrays: Any = (), **args: Any) -> FakeReply:
        return self.reply


def runtime(reply: FakeReply) -> WorkerRuntime:
    return WorkerRuntime(name="native", worker=FakeWorker(reply), facts=RuntimeFacts(), load_ms=0.0)


@pytest.mark.parametrize(
    ("claimed", "wall_s", "believed"),
    [
        (80.0, 0.1, 80.0),  # a transfer lies between
        (0.0, 0.3, 0.0),  # a slow transfer may
        (1.0, 30.0, 30_000.0),  # no transfer takes that long
        (-5.0, 0.1, 100.0),
        (500.0, 0.1, 100.0),  # nor can it have taken longer than we waited
        ("fast", 0.1, 100.0),
        (float("nan"), 0.1, 100.0),
        (None, 0.1, 100.0),
    ],
)
def test_the_load_time_is_believed_as_far_as_our_clock_bears_it_out(claimed, wall_s, believed):
    worker = FakeWorker(FakeReply({"load_ms": claimed}, wall_seconds=wall_s))
    assert WorkerRuntime.load("native", worker, [b"model"]).load_ms == pytest.approx(believed)


def test_times_and_memory_are_read():
    spans, lost = np.array([5, 6]), np.array([0, 1])
    timing = runtime(FakeReply({"peak_bytes": 1}, [spans, lost])).run(0, 2)
    assert timing.spans_ns.tolist() == [5, 6]
    assert timing.wall_ns == 1_000_000
    assert timing.peak_bytes > 2**20  # the kernel's word, where it speaks, and not the worker's


@pytest.mark.parametrize(
    "arrays",
    [
        [],
        [np.array([1, 2])],
        [np.array([1, 2]), np.array([1])],
        [np.array([1.0, 2.0]), np.array([0.0, 0.0])],
        [np.array([[1, 2]]), np.array([[0, 0]])],
        [np.array(["1", "2"], dtype=object), np.array([0, 0])],
    ],
)
def test_what_is_no_times_is_named(arrays):
    with pytest.raises(WorkerError, match="no proper times"):
        runtime(FakeReply({}, arrays)).run(0, 2)


@pytest.mark.parametrize("spans", [[2**62, 2**62], [-1, 5], [-(2**62), 2**62], [1, 2_000_000_000]])
def test_times_below_nothing_or_beyond_our_clock_are_refused(spans):
    reply = FakeReply({}, [np.array(spans), np.array([0, 0])], wall_seconds=2.0)
    with pytest.raises(WorkerError, match="cannot have passed"):
        runtime(reply).run(0, 2)


@pytest.mark.parametrize("result", [None, [], {"inputs": "many"}, {"inputs": float("inf")}])
def test_preparing_survives_nonsense(result):
    assert runtime(FakeReply(result)).prepare(table(), 1).inputs == 0


def table() -> Any:
    from validator.table import Column, Table

    return Table.of([Column("a", np.zeros(3))])


def test_a_first_call_that_fails_is_left_for_the_checks_to_say():
    broken = runtime(FakeReply({}, []))
    broken.first_call(table())
    assert broken.first_call_ms is None
