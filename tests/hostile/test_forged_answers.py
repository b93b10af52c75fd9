"""A worker that answers whatever it likes: the supervisor names the error, without a traceback, in little memory."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tracemalloc
from collections.abc import Callable
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from validator.checks.check import Subject
from validator.checks.parity import rows as parity
from validator.checks.smoke import suite as smoke
from validator.errors import PreflightError, WorkerError
from validator.model.safety import SafetyReport
from validator.results import Contract, FeatureSpec
from validator.runtimes import replies
from validator.runtimes.runtime import WorkerRuntime
from validator.sandbox import wire
from validator.sandbox.lockdown.policy import LockdownPolicy
from validator.sandbox.worker_pool import Raised, Worker, WorkerAnswer, WorkerLimits
from validator.table import Column, Table

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(10**400), 10**400), st.floats(allow_nan=False),
    st.text(max_size=20), st.sampled_from(["label", "probabilities", "prediction", "native", "float64", "ok"]),
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
DTYPES = st.one_of(st.sampled_from([*sorted(wire.DTYPES), "str", "bytes"]), JSON)
SIZES = st.one_of(st.integers(0, 6), st.sampled_from([-1, 2**31, 2**39, 2**62, 1e3, True, "3", None, [1]]))
SPECS = st.one_of(
    JSON,
    st.fixed_dictionaries(
        {"dtype": DTYPES, "shape": st.one_of(st.lists(SIZES, max_size=5), JSON)},
        optional={"bytes": st.one_of(st.integers(-1, 60), JSON)},
    ),
)
HEADERS = st.one_of(
    JSON,
    st.fixed_dictionaries(
        {"meta": st.one_of(st.dictionaries(st.text(max_size=8), JSON, max_size=3), JSON),
         "arrays": st.one_of(st.lists(SPECS, max_size=4), JSON)}
    ),
)  # fmt: skip


def frame(header: Any, body: bytes, claimed: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return wire.PREFIX.pack(wire.MAGIC, len(text), len(body) if claimed is None else claimed) + text + body


class Zygote:
    """Reaps a process that was never there, as a killed one."""

    def reap(self, pid: int, *, grace_s: float) -> dict[str, Any]:
        return {"status": 9, "killed": grace_s == 0, "peak_bytes": 0, "cpu_seconds": 0.0}


def answered(data: bytes, act: Callable[[Worker], Any]) -> Any:
    """What the supervisor does with a worker that sends these bytes and closes its channel."""
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    theirs.settimeout(10)
    with theirs:
        worker = Worker(
            name="native", pid=os.getpid(), fd=ours.detach(), scratch=SimpleNamespace(),  # type: ignore[arg-type]
            limits=WorkerLimits(memory_bytes=1, timeout_s=5), policy=LockdownPolicy(scratch="/"), zygote=Zygote(),  # type: ignore[arg-type]
        )  # fmt: skip
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        try:
            return act(worker)
        finally:
            if not worker._ended:
                os.close(worker.fd)


@settings(max_examples=300, deadline=None)
@given(HEADERS, st.binary(max_size=120), st.one_of(st.none(), st.integers(0, 200)))
def test_a_frame_is_an_answer_an_error_or_a_worker_error(
    header: Any, body: bytes, claimed: int | None
) -> None:
    def ask(worker: Worker) -> None:
        reply = worker.call("predict")
        assert isinstance(reply.seconds, float)
        assert 0 <= reply.seconds <= reply.wall_seconds

    with contextlib.suppress(WorkerError, Raised):
        answered(frame(header, body, claimed), ask)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["type", "bases", "message", "hint"]), JSON))
def test_an_error_of_any_form_is_told_in_bounds(error: dict[str, Any]) -> None:
    with pytest.raises((Raised, WorkerError)) as caught:
        answered(frame({"meta": {"error": error}, "arrays": []}, b""), lambda worker: worker.call("load"))
    assert len(str(caught.value)) < 30_000


@pytest.mark.parametrize(
    ("header", "claimed"),
    [
        ({"meta": {}, "arrays": []}, 2**39),
        ({"meta": {}, "arrays": [{"dtype": "<f8", "shape": [2**36]}]}, 2**39),
        ({"meta": {}, "arrays": [{"dtype": "<f8", "shape": [2**25]}]}, 2**28),
        ({"meta": {}, "arrays": [{"dtype": "<f8", "shape": [0, 2**39, 2**39]}]}, 0),
        ({"meta": {}, "arrays": [{"dtype": "str", "shape": [0, 2**39, 2**39, 2**39], "bytes": 0}]}, 0),
        ({"meta": {}, "arrays": [{"dtype": "<f8", "shape": [0]}] * 200_000}, 0),
        ({"meta": {"n": [[]] * 3_000_000}, "arrays": []}, 0),
    ],
)  # fmt: skip
def test_a_frame_that_promises_much_costs_little(header: Any, claimed: int) -> None:
    data = frame(header, b"", claimed)
    tracemalloc.start()
    try:
        with contextlib.suppress(WorkerError):
            answered_by_thread(data)
        assert tracemalloc.get_traced_memory()[1] < 200 * 2**20
    finally:
        tracemalloc.stop()


def answered_by_thread(data: bytes) -> None:
    """For frames beyond what a socket holds."""
    import threading

    ours, theirs = socket.socketpair()

    def send() -> None:
        with contextlib.suppress(OSError):
            theirs.sendall(data)
        theirs.close()

    sender = threading.Thread(target=send)
    sender.start()
    worker = Worker(
        name="native", pid=os.getpid(), fd=ours.detach(), scratch=SimpleNamespace(),  # type: ignore[arg-type]
        limits=WorkerLimits(memory_bytes=1, timeout_s=20), policy=LockdownPolicy(scratch="/"), zygote=Zygote(),  # type: ignore[arg-type]
    )  # fmt: skip
    try:
        worker.call("predict")
    finally:
        if not worker._ended:
            os.close(worker.fd)
        sender.join()


@settings(max_examples=200, deadline=None)
@given(st.one_of(JSON, st.fixed_dictionaries({}, optional=dict.fromkeys(
    ("library", "model_class", "task", "classes", "feature_names", "n_features", "n_outputs", "breakpoints", "header",
     "names", "converted", "method", "hazards"), JSON))))  # fmt: skip
def test_facts_of_any_form_are_facts_or_a_worker_error(told: Any) -> None:
    for kind in (replies.NativeFacts, replies.ExportedTrees, replies.Conversion):
        try:
            found = replies.read(kind, told, "native")
        except WorkerError:
            continue
        json.dumps(found.model_dump(), allow_nan=False)


REPORT_KEYS = [field.name for field in fields(SafetyReport)]


@settings(max_examples=100, deadline=None)
@given(st.one_of(JSON, st.fixed_dictionaries({}, optional=dict.fromkeys(REPORT_KEYS, JSON))))
def test_a_scan_s_report_of_any_form_is_a_report_or_refused(told: Any) -> None:
    with contextlib.suppress(WorkerError):
        assert isinstance(replies.safety_report(told, "scan"), SafetyReport)


ROWS = Table(tuple(Column(name, np.linspace(-1, 1, 12)) for name in "ab"), 12)
SUBJECT = Subject(
    contract=Contract(
        task="binary",
        classes=(0, 1),
        features=tuple(FeatureSpec(name=name, dtype="float64") for name in "ab"),
    ),
    rows=ROWS,
)


@st.composite
def answers(draw: st.DrawFn, rows: int) -> tuple[Any, list[Any]]:
    """Outputs as a hostile worker might send them: right at times, else wrong in names, dtypes, ranks or length."""
    names = draw(st.lists(st.sampled_from(["label", "probabilities", "prediction", "score"]), max_size=3))
    length = draw(st.sampled_from([rows] * 8 + [0, 1, rows + 1, 5_000]))
    arrays: list[Any] = []
    for _ in names:
        dtype = draw(st.sampled_from(["<f8", "<f4", "<f2", "<i8", "|u1", "|b1", "<M8[ns]", "text", "bytes"]))
        shape = draw(
            st.sampled_from([(length,), (length,), (length, 2), (length, 2), (length, 1, 1), (), (0, 2)])
        )
        if dtype == "text":
            arrays.append(np.array(["x"] * int(np.prod(shape)), dtype=object).reshape(shape))
        elif dtype == "bytes":
            arrays.append(b"x" * length)
        else:
            filler = st.sampled_from([0, 1]) if dtype[1] in "ib" else None
            arrays.append(
                draw(hnp.arrays(dtype, shape, elements=filler, fill=st.just(np.array(1, dtype)[()])))
            )
    result = draw(st.one_of(st.just({"outputs": names}), st.just({"outputs": names}), JSON))
    return result, arrays


class Liar:
    """Stands in for a worker: every question gets an answer drawn at random, passed through the wire's own parser."""

    pid = 0

    def __init__(self, data: st.DataObject) -> None:
        self._data = data
        self._rows = len(ROWS)

    def call(
        self, op: str, arrays: Any = (), *, most_bytes: int = 0, timeout_s: Any = None, **args: Any
    ) -> WorkerAnswer:
        if op == "run":
            return self._reply({"peak_bytes": self._data.draw(SCALARS)}, self._times(args["calls"]))
        if op == "prepare":
            return self._reply(
                {"inputs": self._data.draw(SCALARS), "resolution_ns": self._data.draw(SCALARS)}, []
            )
        if op == "load":
            return self._reply({"load_ms": self._data.draw(SCALARS)}, [])
        if op in ("predict", "predict_array"):
            self._rows = args.get("table", {}).get("n_rows", 1)
        return self.answer()

    def post(self, op: str, arrays: Any = (), **args: Any) -> None:
        self._rows = args["table"]["n_rows"]

    def answer(self, *, most_bytes: int = 0, timeout_s: Any = None) -> WorkerAnswer:
        if self._data.draw(st.integers(0, 9)) == 0:
            raise Raised("ValueError", ("ValueError",), "no", "none")
        return self._reply(*self._data.draw(answers(self._rows)))

    def _times(self, calls: int) -> list[Any]:
        some = st.sampled_from([0, 1, 10**6, 2**62, -(2**62), -1])
        wanted = self._data.draw(st.sampled_from([calls, calls, calls, 0, calls + 1]))
        return [
            np.full(wanted, self._data.draw(some), dtype=np.int64)
            for _ in range(self._data.draw(st.integers(1, 2)))
        ]

    def _reply(self, result: Any, arrays: list[Any]) -> WorkerAnswer:
        head, pieces = wire.encode({"result": result}, arrays)
        try:
            header = wire.parse_json(head[wire.PREFIX.size :])
        except wire.WireError as error:
            raise WorkerError(str(error), hint="as Worker does") from error
        decoded = wire.decode(header["arrays"], bytearray(b"".join(pieces)))
        return WorkerAnswer(result=header["meta"]["result"], arrays=decoded, seconds=0.0, wall_seconds=0.001)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_suites_survive_a_worker_that_answers_at_random(data: st.DataObject) -> None:
    try:
        native, onnx = (WorkerRuntime.load(name, Liar(data), []) for name in ("native", "onnx"))  # type: ignore[arg-type]
    except PreflightError:
        return
    results = smoke.run(native, SUBJECT, max_latency_ms=50)
    pair = parity.RuntimePair(native=native, onnx=onnx, tolerance=1e-6)
    results += [parity.missing_values(pair, SUBJECT)[0], parity.unseen_categories(pair, SUBJECT)[0]]
    with contextlib.suppress(PreflightError):
        parity.judge(pair.compare([ROWS]), "rows")
    assert all(check.message for check in results)
