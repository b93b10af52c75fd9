"""Calls from several threads at once."""

from __future__ import annotations

import threading

import pytest

from validator.errors import WorkerError
from validator.worker.serving import at_once


def test_all_calls_run_at_the_same_moment_and_answer_in_order():
    together = threading.Barrier(4)
    assert at_once([lambda i=i: (together.wait(timeout=10), i)[1] for i in range(4)]) == [0, 1, 2, 3]


def test_an_error_of_one_thread_is_raised():
    with pytest.raises(ZeroDivisionError):
        at_once([lambda: 1, lambda: 1 / 0])


def test_threads_that_cannot_start_are_named_and_keep_nobody_waiting(monkeypatch):
    started, start, called = [], threading.Thread.start, []

    def sparing(thread):
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", sparing)
    monkeypatch.setattr("validator.worker.serving.Barrier.wait", _wait_for_ever)
    with pytest.raises(WorkerError, match="no room for 8 threads"):
        at_once([lambda: called.append(1)] * 8)
    assert len(started) == 3
    assert not called
    assert not any(thread.is_alive() for thread in started)


_wait = threading.Barrier.wait


def _wait_for_ever(barrier, timeout=None):
    """Without the limit of the wait, only the abort can end it."""
    return _wait(barrier)


def test_many_rows_are_asked_for_in_pieces_where_each_takes_much_memory() -> None:
    import numpy as np

    from validator.outputs import Outputs
    from validator.sandbox.packing import pack_table
    from validator.table import Column, Table
    from validator.worker.serving import ServingJob

    asked = []

    class Model:
        def inputs(self, table: Table) -> Table:
            asked.append(len(table))
            return table

        def predict(self, table: Table) -> Outputs:
            return Outputs(prediction=table.column("x").values * 2)

    job = ServingJob()
    job._model = Model()  # type: ignore[assignment]
    table = Table.of([Column("x", np.arange(10.0))])
    meta, arrays = pack_table(table)
    told, (found,) = job.predict(arrays, meta, at_once=4)
    assert told == {"outputs": ["prediction"]}
    assert found.tolist() == (np.arange(10.0) * 2).tolist()
    job.predict(arrays, meta)
    assert asked == [4, 4, 2, 10]
