"""One protocol for every runtime that is judged: native, ONNX, the deployment, and a user's own wrapper."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from validator.errors import WorkerError
from validator.outputs import NAMES, Outputs
from validator.results import RuntimeName
from validator.runtimes import replies
from validator.runtimes.room import rows_at_once
from validator.runtimes.timing import Prepared, Timing
from validator.sandbox.accounting import peak_bytes, queued_ns
from validator.sandbox.handle import raised
from validator.sandbox.packing import pack_table
from validator.sandbox.worker_pool import Raised, Worker, WorkerAnswer
from validator.table import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A slow channel: what lies between the worker's figure for loading and ours may be no more than that.
_TRANSFER_MS = 500.0
_TRANSFER_BYTES_PER_MS = 100_000
#: What the methods of a deployment or wrapper are for: a table, one row, a list of rows.
ROLES = ("predict", "single", "batch")
_HINT = "the model interferes with its worker, or its library is broken; do not ship it"


class Runtime(Protocol):
    """Something that answers rows. Every call may raise `Raised` (an error inside) or `WorkerError` (it died)."""

    @property
    def name(self) -> RuntimeName: ...

    @property
    def load_ms(self) -> float: ...

    @property
    def methods(self) -> Mapping[str, str]:
        """The methods of a deployment or wrapper that answer rows, from what they are for (ROLES) to their names.

        None for a raw runtime.
        """

    def predict(self, table: Table, method: str = "") -> Outputs:
        """The outputs for the table's rows, by that method or the usual one; in numeric or text dtypes."""

    def predict_array(self, array: NDArray[Any]) -> Outputs:
        """The outputs for a bare array of any rank and dtype: for what happens when someone passes one."""

    def from_threads(self, tables: Sequence[Table]) -> list[Outputs]:
        """The outputs for each table (all of one height), asked for by as many threads at once."""

    @property
    def first_call_ms(self) -> float | None: ...

    @property
    def rows_at_once(self) -> int | None:
        """How many rows one call can have, where each takes much memory; None where any number is as good."""

    def crowd(self, table: Table, threads: int) -> tuple[Outputs, list[str]]:
        """The rows shared out among threads that ask at once, beside as many that leave a column out.

        Returns the rows' outputs in their order, and the types of the others' errors, empty where an answer came.
        """

    def spoil_each(
        self, row: Table, names: Sequence[str], value: str, method: str = ""
    ) -> list[Raised | bool]:
        """One row with `value` (see `worker.spoiling`) in one feature after the other.

        Returns for each the error, or whether the answer is finite.
        """

    def prepare(self, table: Table, rows_per_call: int) -> Prepared:
        """Make ready the inputs of timed calls."""

    def pin(self, core: int) -> None:
        """Make the timed calls to come on this core of the machine, where the system permits it."""

    def run(self, start: int, calls: int) -> Timing:
        """Time that many calls on the prepared inputs from `start` on, cyclically."""


@dataclass(kw_only=True)
class WorkerRuntime:
    """A runtime in a worker process. `facts` is what its `load` said."""

    name: RuntimeName
    worker: Worker
    facts: replies.RuntimeFacts
    load_ms: float
    first_call_ms: float | None = None
    rows_at_once: int | None = None
    _given: dict[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def load(cls, name: RuntimeName, worker: Worker, parts: list[Any], **args: Any) -> WorkerRuntime:
        """Load the model from its bytes (uint8 arrays). Raises Raised when the library refuses it."""
        reply = worker.call("load", parts, **args)
        if not isinstance(reply.result, dict):
            raise WorkerError(f"the {name} worker told nothing of its model", hint=_HINT)
        load_ms = _believed_ms(reply, sum(memoryview(part).nbytes for part in parts))
        facts = replies.read(replies.RuntimeFacts, reply.result, name)
        return cls(name=name, worker=worker, facts=facts, load_ms=load_ms)

    @property
    def methods(self) -> Mapping[str, str]:
        return {role: self.facts.methods[role] for role in ROLES if role in self.facts.methods}

    def predict(self, table: Table, method: str = "") -> Outputs:
        if not method:
            self.post(table)
            return self.answer(len(table))
        meta, arrays = pack_table(table)
        most = _most_bytes(len(table))
        reply = self.worker.call("predict", arrays, most_bytes=most, table=meta, method=method)
        return self._outputs(reply, len(table))

    def post(self, table: Table) -> None:
        """Ask for the table's rows without waiting: `answer` follows. Lets two runtimes work at the same time."""
        meta, arrays = pack_table(table)
        cut = {} if self.rows_at_once is None else {"at_once": self.rows_at_once}
        self.worker.post("predict", arrays, table=meta, **cut)

    def answer(self, rows: int) -> Outputs:
        return self._outputs(self.worker.answer(most_bytes=_most_bytes(rows)), rows)

    def predict_array(self, array: NDArray[Any]) -> Outputs:
        return self._outputs(self.worker.call("predict_array", [array]), None)

    def from_threads(self, tables: Sequence[Table]) -> list[Outputs]:
        packed = [pack_table(table) for table in tables]
        arrays = [array for _, parts in packed for array in parts]
        reply = self.worker.call(
            "from_threads", arrays, tables=[[meta, len(parts)] for meta, parts in packed]
        )
        names = self._names(reply)
        step = len(names)
        if len(reply.arrays) != step * len(tables):
            raise WorkerError(f"the {self.name} worker lost answers of its threads", hint=_HINT)
        return [
            self._checked(names, reply.arrays[i * step : (i + 1) * step], len(table))
            for i, table in enumerate(tables)
        ]

    def crowd(self, table: Table, threads: int) -> tuple[Outputs, list[str]]:
        meta, arrays = pack_table(table)
        reply = self.worker.call("crowd", arrays, table=meta, threads=threads)
        errors = reply.result.get("errors") if isinstance(reply.result, dict) else None
        if not isinstance(errors, list):
            raise WorkerError(f"the {self.name} worker lost answers of its threads", hint=_HINT)
        return self._outputs(reply, len(table)), [str(error)[:200] for error in errors]

    def spoil_each(
        self, row: Table, names: Sequence[str], value: str, method: str = ""
    ) -> list[Raised | bool]:
        meta, arrays = pack_table(row)
        given: dict[str, Any] = {"table": meta, "names": list(names), "value": value, "method": method}
        told = replies.read(
            replies.Endings, self.worker.call("spoil_each", arrays, **given).result, self.name
        ).endings
        if len(told) != len(names):
            raise WorkerError(f"the {self.name} worker lost answers", hint=_HINT)
        return [self._ending(one) for one in told]

    def _ending(self, told: replies.SpoiltEnding) -> Raised | bool:
        if told.finite is not None:
            return told.finite
        error = raised(told.error, self.worker.scratch)
        if isinstance(error, Raised):
            return error
        raise error

    def first_call(self, table: Table) -> None:
        """Time the first call after loading, on the table's first row, and see what memory more rows take.

        Where it fails, a check will say so later.
        """
        with contextlib.suppress(Raised, WorkerError):
            self.prepare(table.take(slice(0, 1)), 1)
            self.first_call_ms = float(self.run(0, 1).own_ns[0]) / 1e6
            if self.name != "wrapper":  # how that answers many rows is its own affair, and looked at
                self.rows_at_once = self._room(table)

    def _room(self, table: Table) -> int | None:
        import numpy as np

        def ask(rows: int) -> object:
            return self.predict(table.take(np.arange(rows) % len(table)))

        return rows_at_once(ask, lambda: peak_bytes(self.worker.pid), time.monotonic)

    def prepare(self, table: Table, rows_per_call: int) -> Prepared:
        meta, arrays = pack_table(table)
        reply = self.worker.call("prepare", arrays, table=meta, rows_per_call=rows_per_call)
        return Prepared(
            inputs=int(_number(reply, "inputs", 0)), resolution_ns=int(_number(reply, "resolution_ns", 0))
        )

    def pin(self, core: int) -> None:
        self.worker.call("pin", core=core)

    def run(self, start: int, calls: int) -> Timing:
        pid = self.worker.pid
        queued, own_queued = queued_ns(pid), queued_ns("thread-self")
        reply = self.worker.call("run", start=start, calls=calls)
        if len(reply.arrays) != 2 or any(
            getattr(a, "shape", None) != (calls,) or a.dtype.kind != "i" for a in reply.arrays
        ):
            raise WorkerError(f"the {self.name} worker sent no proper times", hint=_HINT)
        spans, lost = (array.astype("int64") for array in reply.arrays)
        wall_ns = int(reply.wall_seconds * 1e9)
        if calls and not (spans.min() >= 0 and float(spans.sum(dtype=float)) <= wall_ns):
            raise WorkerError(f"the {self.name} worker claims times that cannot have passed", hint=_HINT)
        return Timing(
            spans_ns=spans,
            lost_ns=lost,
            wall_ns=wall_ns,
            queued_ns=_passed_ns(queued, queued_ns(pid)),
            own_queued_ns=_passed_ns(own_queued, queued_ns("thread-self")),
            peak_bytes=peak_bytes(pid) or int(_number(reply, "peak_bytes", 0)),
        )

    def _names(self, reply: WorkerAnswer) -> list[str]:
        names = reply.result.get("outputs") if isinstance(reply.result, dict) else None
        known = isinstance(names, list) and all(isinstance(name, str) and name in NAMES for name in names)
        if not names or not known or len(set(names)) != len(names):
            raise WorkerError(f"the {self.name} worker sent no proper outputs", hint=_HINT)
        return list(names)

    def _outputs(self, reply: WorkerAnswer, rows: int | None) -> Outputs:
        names = self._names(reply)
        if len(reply.arrays) != len(names):
            raise WorkerError(f"the {self.name} worker sent no proper outputs", hint=_HINT)
        return self._checked(names, reply.arrays, rows)

    def _checked(self, names: list[str], arrays: list[Any], rows: int | None) -> Outputs:
        """Dtypes and ranks that outputs can have. The count of rows is the smoke suite's to judge, not ours."""
        for name, array in zip(names, arrays, strict=True):
            dtype, shape = getattr(array, "dtype", None), getattr(array, "shape", ())
            kinds = "fiubO" if name == "label" else "fiub"
            if dtype is None or dtype.kind not in kinds or not 1 <= len(shape) <= 3 or 0 in shape[1:]:
                raise WorkerError(f"the {self.name} worker's {name} is {dtype} {shape}", hint=_HINT)
            if rows is not None and len(array) > max(10 * rows, 1_000):
                raise WorkerError(
                    f"the {self.name} worker sent {len(array)} answers for {rows} rows", hint=_HINT
                )
        if rows is not None and self._given.setdefault("outputs", frozenset(names)) != frozenset(names):
            raise WorkerError(f"the {self.name} worker changed its outputs to {sorted(names)}", hint=_HINT)
        return Outputs(**dict(zip(names, arrays, strict=True)))


def _most_bytes(rows: int) -> int:
    """What the answers for so many rows may come to: a thousand classes each, and room for a few of anything."""
    return 64 * 2**20 + 10_000 * rows


def _believed_ms(reply: WorkerAnswer, sent_bytes: int) -> float:
    """The worker's figure for loading, which leaves out the transfer; our clock's, where they are too far apart."""
    wall_ms = reply.wall_seconds * 1000
    claimed_ms = _number(reply, "load_ms", wall_ms)
    transfer_ms = _TRANSFER_MS + sent_bytes / _TRANSFER_BYTES_PER_MS
    honest = 0 <= claimed_ms <= wall_ms <= 2 * claimed_ms + transfer_ms
    return claimed_ms if honest else wall_ms


def _number(reply: WorkerAnswer, key: str, otherwise: float) -> float:
    """A number that the worker sent; `otherwise` where it sent none."""
    value = reply.result.get(key) if isinstance(reply.result, dict) else None
    return value if isinstance(value, (int, float)) and abs(value) < 2**63 else otherwise


def _passed_ns(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before
