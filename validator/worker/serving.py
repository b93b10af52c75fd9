"""What every job that holds a model can be asked, whatever runs the model."""

from __future__ import annotations

import contextlib
import os
import resource
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any, Callable, List, Optional, Protocol, Sequence, Tuple, cast

from validator.errors import WorkerError
from validator.outputs import Outputs, concatenate
from validator.sandbox import wire
from validator.sandbox.inside.child import describe_error
from validator.sandbox.packing import unpack_table
from validator.table import Table
from validator.worker.spoiling import spoilt
from validator.worker.timing import clock_resolution_ns, time_calls

Answer = Tuple[wire.Meta, wire.Arrays]


class Served(Protocol):
    """A model in a worker. `call` is the one call that is timed; `predict` gives all outputs.

    `cut` gives the `inputs` of so many rows from each of the starts on.
    """

    def inputs(self, table: Table) -> Any: ...

    def cut(self, table: Table, rows: int, starts: Sequence[int]) -> List[Any]: ...

    def from_array(self, array: Any) -> Any: ...

    def call(self, given: Any) -> Any: ...

    def predict(self, given: Any) -> Outputs: ...


class Wrapped(Served, Protocol):
    """One that is asked in several ways: `predict` a table, a `single` row, a `batch` of rows."""

    def inputs_by(self, method: str, table: Table) -> Any: ...


class ServingJob:
    """Operations `predict`, `predict_array`, `from_threads`, and `prepare`, `pin` and `run` to time calls."""

    #: Whether a batch of plain numbers is answered row by row: libraries do so, code of users may not.
    _judges_rows_apart = False

    def __init__(self) -> None:
        self._model: Optional[Served] = None
        self._prepared: List[Any] = []

    @property
    def _loaded(self) -> Served:
        if self._model is None:
            raise RuntimeError("no model is loaded")
        return self._model

    def predict(self, arrays: wire.Arrays, table: Any, method: str = "", at_once: int = 0) -> Answer:
        """All outputs for the rows, by the method for `method` where the model has several; no more rows at once
        than `at_once` where that is given.
        """
        model, rows = self._loaded, unpack_table(table, arrays)
        if not at_once or len(rows) <= at_once:
            return pack_outputs(_by(model, method, rows))
        starts = range(0, len(rows), at_once)
        return pack_outputs(
            concatenate([_by(model, method, rows.take(slice(at, at + at_once))) for at in starts])
        )

    def predict_array(self, arrays: wire.Arrays) -> Answer:
        """A bare array of any rank and dtype, as someone would pass it by mistake."""
        model = self._loaded
        return pack_outputs(model.predict(model.from_array(arrays[0])))

    def from_threads(self, arrays: wire.Arrays, tables: List[Any]) -> Answer:
        """Several tables, each asked for by a thread of its own, all at once: their outputs, one after the other."""
        model = self._loaded
        whole, calls = list(arrays), []
        for meta, count in tables:
            rows, whole = unpack_table(meta, whole[:count]), whole[count:]
            calls.append(partial(model.predict, model.inputs(rows)))
        results = at_once(calls)
        flat = [array for outputs in results for array in outputs.present.values()]
        return {"outputs": list(results[0].present)}, flat

    def crowd(self, arrays: wire.Arrays, table: Any, threads: int) -> Answer:
        """Threads that ask at once, every second one without the last column: for each of these the error's type,
        empty where an answer came; for each of the others its share of the rows' outputs, in the order of the rows.
        """
        model = self._loaded
        rows = unpack_table(table, arrays)
        lacking = Table(rows.columns[:-1], len(rows))
        share = max(1, len(rows) // threads)
        parts = [rows.take(slice(i * share, (i + 1) * share)) for i in range(threads)]
        asked = [
            call for part in parts for call in (partial(_ask, model, part), partial(_try, model, lacking))
        ]
        results = at_once(asked)
        outputs = concatenate(results[::2])
        meta, flat = pack_outputs(outputs)
        return {**meta, "errors": [str(error) for error in results[1::2]]}, flat

    def spoil_each(
        self, arrays: wire.Arrays, table: Any, names: List[str], value: str, method: str = ""
    ) -> Answer:
        """One row, `value` in one feature after the other: for each the error, or whether the answer is finite."""
        model = self._loaded
        row = unpack_table(table, arrays)
        endings: List[wire.Meta] = []
        if self._judges_rows_apart and not method and (told := _all_at_once(model, row, names, value)):
            return {"endings": [{"finite": is_finite} for is_finite in told]}, []
        for name in names:
            try:
                endings.append({"finite": _by(model, method, spoilt(row, name, value)).is_finite})
            except (Exception, SystemExit) as error:  # a model may raise anything
                endings.append({"error": describe_error(error)})
        return {"endings": endings}, []

    def prepare(self, arrays: wire.Arrays, table: Any, rows_per_call: int) -> Answer:
        """Cut the table into the inputs of coming calls, untimed; `run` then only calls."""
        model = self._loaded
        whole = unpack_table(table, arrays)
        starts = range(0, len(whole) - rows_per_call + 1, rows_per_call)
        self._prepared = model.cut(whole, rows_per_call, starts)
        return {"inputs": len(self._prepared), "resolution_ns": clock_resolution_ns()}, []

    def pin(self, arrays: wire.Arrays, core: int) -> Answer:
        """Make the calls to come on this core, where the system lets its processes choose."""
        with contextlib.suppress(AttributeError, OSError):
            os.sched_setaffinity(0, {core})
        return {}, []

    def run(self, arrays: wire.Arrays, start: int, calls: int) -> Answer:
        """Time that many calls on the prepared inputs from `start` on, cyclically.

        Nanoseconds [calls] by the clock, and those of them that other processes took.
        """
        model = self._loaded
        chosen = [self._prepared[(start + i) % len(self._prepared)] for i in range(calls)]
        spans = time_calls(model.call, chosen)
        return {"peak_bytes": peak_bytes()}, [spans.wall, spans.lost]


def _by(model: Served, method: str, rows: Table) -> Outputs:
    """The outputs by the method for `method`, or by the usual one."""
    return model.predict(cast(Wrapped, model).inputs_by(method, rows) if method else model.inputs(rows))


def _all_at_once(model: Served, row: Table, names: Sequence[str], value: str) -> List[bool]:
    """For each feature whether the answer is finite with `value` in it, asked for all of them as one batch.

    Nothing where that would not be the same rows as one by one, or where the batch is refused: then each must say
    for itself.
    """
    import numpy as np

    if value == "none" or row.dtype is None or row.dtype.kind != "f" or len(names) < 2:
        return []
    batch = row.take(np.zeros(len(names), dtype=np.int64))
    for i, name in enumerate(names):
        batch.column(name).values[i] = float(value)
    try:
        outputs = _ask(model, batch)
    except Exception:  # a model may raise anything; which row it is for is told by asking one by one
        return []
    answers = outputs.present.values()
    if not outputs.present or any(len(array) != len(names) for array in answers):
        return []
    return [outputs.take(slice(i, i + 1)).is_finite for i in range(len(names))]


def _ask(model: Served, rows: Table) -> Outputs:
    return model.predict(model.inputs(rows))


def _try(model: Served, rows: Table) -> str:
    """The type of the error that these rows lead to, empty for none."""
    try:
        _ask(model, rows)
    except Exception as error:  # a model may raise anything
        return type(error).__name__
    return ""


def pack_outputs(outputs: Outputs) -> Answer:
    """Outputs as meta and arrays: the names, in the order of the arrays."""
    present = outputs.present
    return {"outputs": list(present)}, list(present.values())


def at_once(calls: Sequence[Callable[[], Any]]) -> List[Any]:
    """Every call in a thread of its own, at the same moment. The first exception of any thread is raised here.

    Raises WorkerError at once where the worker's limits leave no room for so many threads.
    """
    barrier = Barrier(len(calls))

    def together(call: Callable[[], Any]) -> Any:
        barrier.wait(timeout=60)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        try:
            asked = [pool.submit(together, call) for call in calls]
        except RuntimeError as error:
            barrier.abort()  # those that did start would wait for the others
            raise WorkerError(
                f"no room for {len(calls)} threads within the worker's limits (worker_memory_mb)",
                hint="raise worker_memory_mb: each thread takes address space for its stack",
            ) from error
        return [answer.result() for answer in asked]


def peak_bytes() -> int:
    """The process's peak resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
