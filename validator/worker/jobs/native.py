"""The native model: loaded under the allowlist, asked as its users ask it, timed call by call."""

from __future__ import annotations

import resource
import time
from typing import Any, List, Optional, Sequence, Tuple  # noqa: UP035

from validator.outputs import Outputs
from validator.table import Table
from validator.worker import wire
from validator.worker.estimators import Adapter
from validator.worker.loading import load_model
from validator.worker.timing import clock_resolution_ns, time_calls

Answer = Tuple[wire.Meta, wire.Arrays]  # noqa: UP006


def pack_outputs(outputs: Outputs) -> Answer:
    """Outputs as meta and arrays: the names, in the order of the arrays."""
    present = outputs.present
    return {"outputs": list(present)}, list(present.values())


class Job:
    """Operations: `load`, `predict`, `predict_array`, `from_threads`, and `prepare` and `run` to time calls."""

    def __init__(self, format: str, allow: Sequence[str] = (), trusted: bool = False) -> None:  # noqa: A002
        self._format = format
        self._allow = tuple(allow)
        self._trusted = trusted
        self._adapter: Optional[Adapter] = None  # noqa: UP045
        self._inputs: List[Any] = []  # noqa: UP006

    def load(self, arrays: wire.Arrays) -> Answer:
        """The model's bytes in; what it is, and the milliseconds that loading took, out."""
        started = time.perf_counter()
        model = load_model(arrays[0].tobytes(), self._format, self._allow, self._trusted)
        elapsed = (time.perf_counter() - started) * 1000
        self._adapter = adapter = Adapter(model)
        return {
            "load_ms": elapsed,
            "task": adapter.task,
            "classes": adapter.classes,
            "feature_names": adapter.feature_names,
            "n_features": adapter.n_features,
            "library": adapter.library,
            "model_class": f"{type(model).__module__}.{type(model).__qualname__}",
        }, []

    @property
    def _loaded(self) -> Adapter:
        if self._adapter is None:
            raise RuntimeError("no model is loaded")
        return self._adapter

    def predict(self, arrays: wire.Arrays, table: Any) -> Answer:
        adapter = self._loaded
        return pack_outputs(adapter.predict(adapter.inputs(wire.unpack_table(table, arrays))))

    def predict_array(self, arrays: wire.Arrays) -> Answer:
        """A bare array of any rank and dtype, as someone would pass it by mistake."""
        adapter = self._loaded
        return pack_outputs(adapter.predict(adapter.from_array(arrays[0])))

    def from_threads(self, arrays: wire.Arrays, table: Any, threads: int) -> Answer:
        """The same rows from several threads at once: every thread's outputs, one after the other."""
        adapter = self._loaded
        rows = wire.unpack_table(table, arrays)
        return run_threads(lambda: adapter.predict(adapter.inputs(rows)), threads)

    def prepare(self, arrays: wire.Arrays, table: Any, rows_per_call: int) -> Answer:
        """Cut the table into the inputs of coming calls, untimed; `run` then only calls."""
        adapter = self._loaded
        whole: Table = wire.unpack_table(table, arrays)
        starts = range(0, len(whole) - rows_per_call + 1, rows_per_call)
        self._inputs = [adapter.inputs(whole.take(slice(at, at + rows_per_call))) for at in starts]
        return {"inputs": len(self._inputs), "resolution_ns": clock_resolution_ns()}, []

    def run(self, arrays: wire.Arrays, start: int, calls: int) -> Answer:
        """Time that many calls on the prepared inputs from `start` on, cyclically: nanoseconds [calls]."""
        adapter = self._loaded
        chosen = [self._inputs[(start + i) % len(self._inputs)] for i in range(calls)]
        spans, answers = time_calls(adapter.call, chosen)
        return {"peak_bytes": peak_bytes(), "rows": len(answers)}, [spans]


def run_threads(call: Any, threads: int) -> Answer:
    """`call` in so many threads at the same time. The first exception of any thread is raised here."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    barrier = Barrier(threads)

    def at_once(_: int) -> Outputs:
        barrier.wait(timeout=60)
        found: Outputs = call()
        return found

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(at_once, range(threads)))
    names = list(results[0].present)
    return {"outputs": names, "threads": threads}, [array for one in results for array in one.present.values()]


def peak_bytes() -> int:
    """The process's peak resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
