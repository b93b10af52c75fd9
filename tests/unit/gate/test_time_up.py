"""A run whose time is up ends, whatever is at work, and what it did not do is never a pass."""

from __future__ import annotations

import datetime as dt
import os
import signal
import time

import pytest

from validator.catalog import expected
from validator.checklist import decide
from validator.checks.check import passed, result
from validator.errors import TimeUp, WorkerError
from validator.gate.result_builder import ResultBuilder, Stages
from validator.gate.validate import deadline_of
from validator.results import ModelInfo
from validator.sandbox.worker_pool import WorkerLimits, WorkerPool
from validator.settings.table import Settings

MODEL = ModelInfo(path="model.pkl", name="model", format="pickle", sha256="0" * 64, size_bytes=1)


def test_no_stage_begins_after_the_deadline_and_the_first_check_that_is_missing_says_so() -> None:
    now = [0.0]
    run = ResultBuilder(
        model=MODEL, stage=Stages(progress=lambda *_: None, clock=lambda: now[0], deadline=60.0)
    )
    every = expected(run.runtimes)
    parity = next(place for place, (id, _) in enumerate(every) if id == "parity.boundary")
    with run.stage("sample parity"):
        now[0] = 61.0
    run.add(*(result(id, runtime, passed("fine")) for id, runtime in every[:parity]))
    with pytest.raises(TimeUp), run.stage("boundary parity"):
        pytest.fail("was begun all the same")
    run.add_time_up(1.0)
    last = run.checks[-1]
    assert (last.id, last.status) == ("parity.boundary", "error")
    assert "1 minutes of max-minutes were used up in the step 'boundary parity'" in last.message
    assert f"{len(every) - parity - 2} checks were not done" in last.message
    assert "boundary-rows" in last.hint
    assert last.evidence[0].name == "seconds of sample parity"
    verdict = decide(run.checks, runtimes=run.runtimes, waivers=(), today=dt.date(2026, 1, 1))
    assert verdict.verdict == "fail"
    assert "max-minutes" in verdict.reason


def test_nothing_is_told_where_all_was_done() -> None:
    run = ResultBuilder(model=MODEL, stage=Stages(progress=lambda *_: None))
    run.add(*(result(id, runtime, passed("fine")) for id, runtime in expected(run.runtimes)))
    before = list(run.checks)
    run.add_time_up(1.0)
    assert run.checks == before


def test_a_worker_is_ended_with_the_run_and_not_blamed() -> None:
    with WorkerPool(limits=WorkerLimits(memory_bytes=4 << 30, timeout_s=60)) as pool:
        worker = pool.start("scan", options={"format": "pickle", "allow": []})
        os.kill(worker.pid, signal.SIGSTOP)  # as if it were at work for long
        worker.deadline = time.monotonic() + 0.05
        with pytest.raises(TimeUp):
            worker.call("scan", [b"x"])
        with pytest.raises(WorkerError, match="whose time was up"):
            worker.call("scan", [b"x"])
        pool.deadline = time.monotonic()
        with pytest.raises(TimeUp):
            pool.start("scan", options={"format": "pickle", "allow": []})


def test_the_setting_is_in_minutes_and_nought_is_no_limit() -> None:
    assert deadline_of(Settings()) == float("inf")
    assert 59 < deadline_of(Settings(max_minutes=1)) - time.monotonic() <= 60
