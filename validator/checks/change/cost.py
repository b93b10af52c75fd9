"""What a change costs: latency side by side with the base version, loading, size and memory."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from validator.checks import latency
from validator.checks.change.base_version import BaseVersion
from validator.checks.context import Context
from validator.checks.convert import convert, open_onnx
from validator.checks.load.model import native_runtime, onnx_runtime
from validator.checks.load.sample import Data
from validator.errors import PreflightError, WorkerError
from validator.results import Change, Latency, RuntimeLatency, RuntimeName
from validator.runtimes.runtime import WorkerRuntime
from validator.sandbox.accounting import peak_bytes
from validator.table import Table

_LOADS = 3


@dataclass(frozen=True, kw_only=True)
class TimedVersions:
    """Both versions as they ship, to be timed side by side: the same kind of runtime of either.

    `base_rows` are the rows with the base version's columns. `onnx` and `candidate` are the ONNX files of the base
    version and of the candidate, where those are timed.
    """

    kind: RuntimeName
    base: BaseVersion
    base_rows: Table
    onnx: bytes | None = None
    candidate: bytes | None = None

    def fresh(self, context: Context) -> tuple[WorkerRuntime, WorkerRuntime]:
        """New workers with the candidate and the base version in them."""
        if self.onnx is not None and self.candidate is not None:
            return onnx_runtime(context, self.candidate), onnx_runtime(self.base.context, self.onnx)
        return native_runtime(context), native_runtime(self.base.context)

    @contextmanager
    def fresh_for_a_look(self, context: Context) -> Iterator[tuple[WorkerRuntime, WorkerRuntime]]:
        """The same, ended with the context."""
        both = self.fresh(context)
        try:
            yield both
        finally:
            for runtime in both:
                with suppress(WorkerError):  # what was measured stands, however a worker ends
                    runtime.worker.close()

    def timed(self, context: Context, runtime: WorkerRuntime) -> latency.Base:
        return latency.Base(
            runtime=runtime,
            rows=self.base_rows,
            against=self.kind,
            revive=partial(self.fresh_for_a_look, context),
        )


def as_shipped(base: BaseVersion, data: Data, candidate: bytes | None) -> TimedVersions | str:
    """The base version made ready to be timed, converted as the candidate was; or why it cannot be.

    `candidate` is the ONNX file that ships, if there is one.
    """
    try:
        rows = base.rows(data.sample.head(len(data.rows)))
    except PreflightError as error:
        return f"the base version's rows cannot be made: {error.message}"
    onnx = None if candidate is None else _onnx_of(base, rows)
    if onnx is not None:
        return TimedVersions(kind="onnx", base=base, base_rows=rows, onnx=onnx, candidate=candidate)
    if base.kind == "native":
        return TimedVersions(kind="native", base=base, base_rows=rows)
    return "this version has no ONNX file to compare with the base version's"


def _onnx_of(base: BaseVersion, rows: Table) -> bytes | None:
    """The base version's ONNX file. Where it does not convert, its native model is timed instead."""
    if base.native is None:
        return base.base.data
    try:
        columns = [(column.name, column.dtype) for column in rows.columns]
        return open_onnx(base.context, convert(base.context, base.native, columns)).onnx
    except PreflightError:
        return None


def begin_timing(context: Context, costed: TimedVersions | str) -> latency.Base | str:
    """What the latency suite compares with: the base version in a fresh worker, or why there is none."""
    if isinstance(costed, str):
        return costed
    try:
        _, runtime = costed.fresh(context)
    except PreflightError as error:
        return f"the base version does not load again: {error.message}"
    return costed.timed(context, runtime)


def with_costs(context: Context, costed: TimedVersions, change: Change, timed: Latency) -> Change:
    """The change with sizes, loading, memory and the latency just measured, of base version and candidate."""
    found: dict[str, tuple[float | None, float | None]] = {
        "model file, bytes": (costed.base.base.size_bytes, context.model.size_bytes)
    }
    if costed.onnx is not None and costed.candidate is not None:
        found["ONNX file, bytes"] = (len(costed.onnx), len(costed.candidate))
    name = "ONNX" if costed.kind == "onnx" else "native"
    ours: RuntimeLatency | None = timed.onnx if costed.kind == "onnx" else timed.native
    theirs = timed.base
    if ours is not None and theirs is not None:
        found[f"one row on {name}, median ms"] = (theirs.p50_ms, ours.p50_ms)
        found[f"one row on {name}, p99 ms"] = (theirs.p99_ms, ours.p99_ms)
    reason = change.reason
    try:
        found |= _loading(context, costed, name)
    except PreflightError as error:
        reason = f"{reason} Loading was not compared: {error.message}".strip()
    return change.model_copy(update={"reason": reason, "costs": found})


def _loading(
    context: Context, costed: TimedVersions, name: str
) -> dict[str, tuple[float | None, float | None]]:
    """Both loaded in turn in fresh workers: medians of the time and of the memory that it took."""
    load: tuple[list[float], list[float]] = ([], [])
    memory: tuple[list[float], list[float]] = ([], [])
    for _ in range(_LOADS):
        candidate, base = costed.fresh(context)
        for side, runtime in enumerate((base, candidate)):
            load[side].append(runtime.load_ms)
            if peak := peak_bytes(runtime.worker.pid):
                memory[side].append(float(peak))
            runtime.worker.close()
    found: dict[str, tuple[float | None, float | None]] = {
        f"loading {name}, ms": (statistics.median(load[0]), statistics.median(load[1]))
    }
    if memory[0] and memory[1]:
        found["memory after loading, bytes"] = (statistics.median(memory[0]), statistics.median(memory[1]))
    return found
