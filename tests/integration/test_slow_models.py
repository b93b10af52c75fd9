"""Runtimes slowed on purpose, in real workers: the right percentile is out of line, whoever else is busy."""

from __future__ import annotations

import importlib.util
import io
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pytest

from validator.checks import latency
from validator.checks.check import Subject
from validator.results import Contract, FeatureSpec, RuntimeLatency
from validator.runtimes.runtime import WorkerRuntime
from validator.sandbox.worker_pool import WorkerLimits, WorkerPool
from validator.table import Column, Table

MODULE = Path(__file__).with_name("slow_models.py")
ROWS = 400


@pytest.fixture(scope="module")
def models() -> Iterator[ModuleType]:
    """The module under the name by which pickles know it."""
    spec = importlib.util.spec_from_file_location("slow_models", MODULE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["slow_models"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["slow_models"]


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(limits=WorkerLimits(memory_bytes=8 << 30, timeout_s=60)) as pool:
        pool.zygote("native").preload(["numpy", "joblib"])
        pool.zygote("serving").preload(["numpy", "onnxruntime"])
        yield pool


@pytest.fixture
def native(pool: WorkerPool) -> Callable[[Any], WorkerRuntime]:
    def load(model: Any) -> WorkerRuntime:
        file = io.BytesIO()
        joblib.dump(model, file)
        options = {"format": "joblib", "allow": ["slow_models.*"], "trusted": True}
        worker = pool.start("native", role="native", options=options, packages={"slow_models": str(MODULE)})
        return WorkerRuntime.load("native", worker, [file.getvalue()])

    return load


#: What comes of it depends on the machine; tests/unit/checks/latency has the rules, by a virtual clock.
experiment = pytest.mark.long


def a_subject(first: np.ndarray | None = None) -> Subject:
    values = np.random.default_rng(0).normal(size=(ROWS, 2))
    if first is not None:
        values[:, 0] = first
    rows = Table.of([Column(f"f{i}", values[:, i].copy()) for i in range(2)])
    features = tuple(FeatureSpec(name=name, dtype="float64") for name in rows.names)
    return Subject(contract=Contract(features=features, task="regression"), rows=rows)


def limits(single_ms: float, **changes: Any) -> latency.Limits:
    fields = {"load_ms": 60_000, "memory_bytes": 4 << 30, "budget_s": 6.0, "batch_sizes": (1,)}
    return latency.Limits(single_ms=single_ms, **(fields | changes))


def judge(
    runtime: WorkerRuntime, subject: Subject, single_ms: float, **changes: Any
) -> tuple[str, str, RuntimeLatency]:
    checks, found = latency.run({runtime.name: runtime}, subject, limits(single_ms, **changes))
    (single,) = (check for check in checks if check.id == "latency.single")
    figures = getattr(found, runtime.name)
    assert figures is not None
    return single.status, single.message, figures


@pytest.fixture
def busy_core() -> Iterator[None]:
    """Another process that never rests."""
    process = multiprocessing.get_context("spawn").Process(target=_burn, daemon=True)
    process.start()
    time.sleep(0.2)
    yield
    process.kill()
    process.join()


def _burn() -> None:
    while True:
        pass


@experiment
def test_a_quick_model_passes_and_says_all_its_figures(models, native):
    runtime = native(models.Model())
    runtime.first_call(a_subject().rows)
    status, _, figures = judge(runtime, a_subject(), 5.0)
    assert status == "pass"
    assert figures.p50_ms <= figures.p95_ms <= figures.p99_ms <= figures.max_ms
    assert figures.p99_low_ms <= figures.p99_ms <= figures.p99_high_ms < 5
    assert figures.first_call_ms > 0
    assert figures.load_ms > 0
    assert figures.peak_memory_bytes > 2**20


@pytest.mark.parametrize("kind", ["Sleeps", "Spins"])
def test_a_model_that_is_always_slow_is_out_of_line_everywhere(kind, models, native):
    status, message, figures = judge(native(getattr(models, kind)(3.0)), a_subject(), 2.0, budget_s=2.0)
    assert (status, "p99 is" in message) == ("fail", True)
    assert min(figures.p50_ms, figures.mean_ms) > 2


@experiment
@pytest.mark.parametrize("kind", ["Sleeps", "Spins"])
def test_a_model_slow_at_every_fiftieth_call_is_out_of_line_in_its_p99_alone(kind, models, native, busy_core):
    status, message, figures = judge(native(getattr(models, kind)(4.0, every=50)), a_subject(), 2.0)
    assert (status, "p99 is" in message) == ("fail", True)
    assert figures.p95_ms < 2 < figures.p99_ms


@experiment
def test_a_model_slow_at_every_five_hundredth_call_keeps_the_limit_of_its_p99(models, native, busy_core):
    status, _, figures = judge(native(models.Sleeps(4.0, every=500)), a_subject(), 2.0)
    assert status == "pass"
    assert figures.p99_ms < 2 < 4 <= figures.max_ms


@experiment
def test_an_onnx_model_slow_at_every_fiftieth_row_is_out_of_line_in_its_p99_alone(pool):
    first = np.where(np.arange(ROWS) % 50 == 7, 400.0, 0.0)
    runtime = WorkerRuntime.load("onnx", pool.start("onnx", role="serving"), [slow_graph()])
    status, _, figures = judge(runtime, a_subject(first), 2.0)
    assert status == "fail"
    assert figures.p95_ms < 2 < figures.p99_ms


def slow_graph() -> bytes:
    """An ONNX model that multiplies matrices as many times as its first feature says."""
    from onnx import TensorProto, helper, numpy_helper

    def info(name: str, kind: int, shape: list[Any]) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    square = numpy_helper.from_array(np.eye(96, dtype=np.float32), "square")
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["state", "square"], ["next"]),
            helper.make_node("Identity", ["go"], ["still"]),
        ],
        "body",
        [
            info("i", TensorProto.INT64, []),
            info("go", TensorProto.BOOL, []),
            info("state", TensorProto.FLOAT, [96, 96]),
        ],
        [info("still", TensorProto.BOOL, []), info("next", TensorProto.FLOAT, [96, 96])],
    )
    nodes = [
        helper.make_node("Gather", ["features", "zero"], ["first"], axis=1),
        helper.make_node("ReduceMax", ["first"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["times"], to=TensorProto.INT64),
        helper.make_node("Loop", ["times", "true", "square"], ["last"], body=body),
        helper.make_node("ReduceMax", ["last"], ["one"], keepdims=0),
        helper.make_node("Mul", ["first", "one"], ["prediction"]),
    ]
    constants = [
        square, numpy_helper.from_array(np.array([0]), "zero"), numpy_helper.from_array(np.array(True), "true"),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "slow", [info("features", TensorProto.FLOAT, [None, 2])],
        [info("prediction", TensorProto.FLOAT, [None, 1])], constants,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return model.SerializeToString()


@pytest.mark.parametrize("kind", ["Lies", "BlamesOthers"])
def test_a_worker_cannot_make_a_slow_model_fast(kind, models, native):
    """It sleeps 60 ms a call. Claims of less are caught by our clock, claims of lost time by the kernel's account."""
    status, message, figures = judge(native(getattr(models, kind)(60.0)), a_subject(), 50.0, budget_s=1.0)
    assert status == "fail"
    assert figures.p99_ms >= 60 or "claims less time" in message


@experiment
def test_a_true_slow_down_of_a_fifth_is_seen_and_a_model_against_itself_passes(models, native, busy_core):
    def against(times: int) -> str:
        @contextmanager
        def revived() -> Iterator[tuple[WorkerRuntime, WorkerRuntime]]:
            yield native(models.Works(times)), native(models.Works(5))

        candidate, base = native(models.Works(times)), native(models.Works(5))
        rows = a_subject().rows
        checks, found = latency.run(
            {"native": candidate},
            a_subject(),
            limits(1_000.0, budget_s=30.0),
            latency.Base(runtime=base, rows=rows, against="native", revive=revived),
        )
        assert found.base is not None
        assert found.against_base is not None
        return next(check.status for check in checks if check.id == "latency.base")

    assert [against(5), against(6)] == ["pass", "fail"]


@experiment
def test_time_that_other_processes_took_is_no_fault_of_the_model(models, native):
    """Two that never rest share the worker's one core: it waits as long as it works, and is as fast as alone."""
    runtime = native(models.Spins(0.2))
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(runtime.worker.pid, {cores[-1]})
    others = [
        multiprocessing.get_context("spawn").Process(target=_burn_on, args=(cores[-1],)) for _ in range(2)
    ]
    for other in others:
        other.start()
    try:
        time.sleep(0.3)
        status, _, figures = judge(runtime, a_subject(), 2.0)
    finally:
        for other in others:
            other.kill()
            other.join()
    assert status == "pass"
    assert figures.interrupted > 0
    assert figures.p99_ms < 2


@pytest.mark.parametrize("library", ["lightgbm", "catboost"])
def test_a_model_that_asks_for_eight_threads_gets_one(library, native):
    runtime = native(trained(library, threads=8))
    tasks = Path(f"/proc/{runtime.worker.pid}/task")
    rows = a_subject().rows
    runtime.prepare(rows.take(np.arange(20_000) % ROWS), 20_000)
    before = len(list(tasks.iterdir()))
    runtime.run(0, 2)
    assert len(list(tasks.iterdir())) == before


def trained(library: str, threads: int) -> Any:
    values = np.random.default_rng(0).normal(size=(2_000, 2))
    answer = (values.sum(axis=1) > 0).astype(int)
    module = pytest.importorskip(library)
    if library == "lightgbm":
        return module.LGBMClassifier(n_estimators=50, n_jobs=threads, verbosity=-1).fit(values, answer)
    return module.CatBoostClassifier(
        iterations=50, thread_count=threads, verbose=0, allow_writing_files=False
    ).fit(values, answer)


def _burn_on(core: int) -> None:
    os.sched_setaffinity(0, {core})
    _burn()
