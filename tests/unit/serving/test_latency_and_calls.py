"""Timing, counting, the hook, threads and coroutines; and the short way against the thorough one."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validator.results import FeatureSpec
from validator.serving import CallRecord, ContractError, Deployment, DeploymentError, LatencyStats
from validator.serving.latency import (
    RELATIVE_ERROR,
    LatencyHistogram,
    bucket_of,
    middle_of,
    percentile,
    summarise,
)

Serve = Callable[..., Deployment]
NAMES = ["f0", "f1", "f2", "f3"]


def exact_percentile(values: list[int], quantile: float) -> int:
    return sorted(values)[max(1, math.ceil(quantile * len(values))) - 1]


@given(st.lists(st.integers(min_value=0, max_value=2**43 - 1), min_size=1, max_size=300))
def test_percentiles_are_within_the_stated_error_and_the_rest_is_exact(durations: list[int]) -> None:
    histogram = LatencyHistogram()
    for duration in durations:
        histogram.record(duration)
    counts, count, total, maximum = histogram.snapshot()
    assert (count, total, maximum) == (len(durations), sum(durations), max(durations))
    for quantile in (0.01, 0.5, 0.95, 0.99, 1.0):
        exact = exact_percentile(durations, quantile)
        assert abs(percentile(counts, quantile) - exact) <= exact * RELATIVE_ERROR
    stats = summarise([histogram])
    assert stats.mean_ms == pytest.approx(sum(durations) / len(durations) / 1e6, rel=1e-12)
    assert stats.max_ms == max(durations) / 1e6
    assert stats.p50_ms <= stats.p95_ms <= stats.p99_ms <= stats.max_ms


@given(st.integers(min_value=0, max_value=2**43 - 2))
def test_buckets_are_in_order_and_without_gaps(duration: int) -> None:
    assert bucket_of(duration + 1) - bucket_of(duration) in (0, 1)
    assert bucket_of(round(middle_of(bucket_of(duration)))) == bucket_of(duration)


def test_absurd_durations_do_not_break_the_histogram() -> None:
    histogram = LatencyHistogram()
    for duration in (2**60, -5, 0):
        histogram.record(duration)
    assert histogram.snapshot()[1:] == (3, 2**60 - 5, 2**60)
    assert len(histogram.snapshot()[0]) == len(LatencyHistogram().snapshot()[0])


def test_no_call_no_figure(serve: Serve) -> None:
    stats = serve().latency_stats()
    assert stats.count == 0
    assert all(math.isnan(value) for value in (stats.mean_ms, stats.p50_ms, stats.p99_ms, stats.max_ms))


def test_every_answered_call_is_timed_and_refused_ones_are_counted(
    serve: Serve, row: Mapping[str, float]
) -> None:
    deployment = serve()
    singles = [deployment.predict_single(row).latency_ns for _ in range(5)]
    batch = deployment.predict_batch([row, row]).latency_ns
    table = deployment.predict(np.zeros((3, 4))).latency_ns
    for wrong in ({**row, "f0": None}, {"f0": 1.0}, {"f0": 2.0}):
        with pytest.raises(ContractError):
            deployment.predict_single(wrong)
    stats = deployment.latency_stats()
    every = [*singles, batch, table]
    assert isinstance(stats, LatencyStats)
    assert stats.count == 7
    assert stats.mean_ms == pytest.approx(sum(every) / 7 / 1e6)
    assert stats.max_ms == max(every) / 1e6
    assert deployment.latency_stats("predict_single").count == 5
    assert deployment.latency_stats("predict_batch").max_ms == batch / 1e6
    assert deployment.counts() == {
        "ok": 7,
        "flagged": 0,
        "fallback": 0,
        "refused": 3,
        "hook_failures": 0,
        "refused.MissingValueError": 1,
        "refused.MissingFeatureError": 2,
    }


def test_the_hook_is_told_of_every_call(serve: Serve, row: Mapping[str, float]) -> None:
    seen: list[CallRecord] = []
    deployment = serve(on_call=seen.append, on_invalid="raise")
    single = deployment.predict_single(row)
    deployment.predict(np.zeros((3, 4)))
    with pytest.raises(ContractError):
        deployment.predict_batch([{**row, "f0": "x"}, row])
    told = [(record.method, record.rows, record.outcome, record.error) for record in seen]
    assert told == [
        ("predict_single", 1, "ok", ""),
        ("predict", 3, "ok", ""),
        ("predict_batch", 2, "refused", "FeatureTypeError"),
    ]
    assert seen[0].latency_ns == single.latency_ns
    assert {record.version for record in seen} == {"unjudged"}
    flagged = serve(on_call=seen.append, on_invalid="flag")
    flagged.predict_single({**row, "f0": None})
    assert seen[-1].outcome == "flagged"


def test_a_broken_hook_takes_no_prediction_with_it(serve: Serve, row: Mapping[str, float]) -> None:
    def hook(record: CallRecord) -> None:
        raise ConnectionError("metrics are down")

    deployment = serve(on_call=hook)
    with pytest.warns(RuntimeWarning, match="ConnectionError: metrics are down") as caught:
        assert [deployment.predict_single(row).valid for _ in range(2)] == [True, True]
    assert len(caught) == 1
    assert deployment.counts()["hook_failures"] == 2


def test_many_threads_get_their_own_answers(serve: Serve, expected: Any) -> None:
    deployment = serve()
    matrix = np.random.default_rng(5).normal(size=(400, 4))
    right = expected(matrix)
    start = threading.Barrier(8)

    def work(offset: int) -> list[float]:
        start.wait()
        wrong = []
        for i in range(offset, len(matrix), 8):
            row = dict(zip(NAMES, matrix[i].tolist(), strict=True))
            singles = [deployment.predict_single(row).probabilities for _ in range(5)]
            table = deployment.predict(matrix[i : i + 1]).probabilities[0].tolist()
            wrong += [answer for answer in (*singles, table) if abs(answer[1] - right[i]) > 1e-12]
        return wrong

    with ThreadPoolExecutor(8) as pool:
        assert [wrong for found in pool.map(work, range(8)) for wrong in found] == []
    assert deployment.latency_stats().count == 400 * 6
    assert deployment.counts()["ok"] == 400 * 6


def test_coroutines_get_their_own_answers(serve: Serve, expected: Any) -> None:
    deployment = serve()
    matrix = np.random.default_rng(6).normal(size=(60, 4))

    async def one(i: int) -> float:
        await asyncio.sleep(0)
        row = dict(zip(NAMES, matrix[i].tolist(), strict=True))
        direct = deployment.predict_single(row).probabilities
        moved = await asyncio.to_thread(deployment.predict, matrix[i : i + 1])
        assert direct is not None
        assert moved.probabilities[0].tolist() == pytest.approx(direct)
        return direct[1]

    async def all_of_them() -> list[float]:
        return list(await asyncio.gather(*(one(i) for i in range(len(matrix)))))

    assert asyncio.run(all_of_them()) == pytest.approx(expected(matrix).tolist())


def test_answers_are_not_overwritten_by_the_next_call(serve: Serve, row: Mapping[str, float]) -> None:
    deployment = serve()
    first = deployment.predict_single(row)
    kept = list(first.probabilities or ())
    deployment.predict_single({**row, "f0": 3.0})
    assert first.probabilities == kept


VALUES = st.one_of(
    st.floats(width=32),
    st.floats(),
    st.integers(min_value=-(2**60), max_value=2**60),
    st.sampled_from(
        [None, True, "1", 2**24, 2**24 + 1, 2**53, 1e39, -0.0, 5e-324, np.float64(0.5), np.float32(0.5)]
    ),
    st.sampled_from([np.int64(3), np.int32(-3), np.bool_(True)]),
)


@pytest.fixture(scope="module")
def pairs(serve: Serve, logistic: Any) -> list[Deployment]:
    """Deployments with float, integer, bool and nullable features, on a double and on a float input."""
    specs = (
        FeatureSpec(name="f0", dtype="float64"),
        FeatureSpec(name="f1", dtype="int64"),
        FeatureSpec(name="f2", dtype="bool"),
        FeatureSpec(name="f3", dtype="float64", missing=True),
    )
    plain = [FeatureSpec(name=name, dtype="float64") for name in NAMES]
    return [serve(logistic(double=double), kind) for double in (True, False) for kind in (specs, plain)]


@settings(max_examples=400, deadline=None)
@given(values=st.lists(VALUES, min_size=4, max_size=4), which=st.integers(0, 3))
def test_the_short_way_never_answers_what_the_thorough_one_refuses(
    pairs: list[Deployment], values: list[Any], which: int
) -> None:
    deployment = pairs[which]
    row = dict(zip(NAMES, values, strict=True))
    short = deployment._fast(row)
    try:
        thorough = deployment._predict_single_thoroughly(row, 0)
    except DeploymentError:
        assert short is None
        return
    if short is not None:
        assert short == (thorough.label, thorough.probabilities, thorough.prediction, thorough.score)


def test_plain_rows_take_the_short_way(pairs: list[Deployment], row: Mapping[str, float]) -> None:
    """Else the property above would hold for a short way that never answers."""
    mixed = {"f0": 0.5, "f1": 2, "f2": True, "f3": math.nan}
    assert pairs[1]._fast(row) is not None
    assert pairs[3]._fast({**row, "f1": 7}) is not None
    assert pairs[0]._fast({**mixed, "f3": 0.25}) is not None
    assert pairs[0]._fast({**row, "f1": 2, "f2": False}) is not None
