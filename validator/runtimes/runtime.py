"""One protocol for every runtime that is judged: native, ONNX, the deployment, and a user's own wrapper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from validator.errors import WorkerError
from validator.outputs import NAMES, Outputs
from validator.results import RuntimeName
from validator.runtimes.process import Reply, Worker
from validator.table import Table
from validator.worker import wire

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HINT = "the model interferes with its worker, or its library is broken; do not ship it"


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Nanoseconds of each call [calls], by the worker's clock, and the whole block's by the supervisor's."""

    spans_ns: NDArray[Any]
    wall_ns: int
    peak_bytes: int


class Runtime(Protocol):
    """Something that answers rows. Every call may raise `Raised` (an error inside) or `WorkerError` (it died)."""

    @property
    def name(self) -> RuntimeName: ...

    @property
    def load_ms(self) -> float: ...

    def predict(self, table: Table) -> Outputs:
        """The outputs for the table's rows; checked to be one answer a row, in numeric or text dtypes."""

    def predict_array(self, array: NDArray[Any]) -> Outputs:
        """The outputs for a bare array of any rank and dtype: for what happens when someone passes one."""

    def from_threads(self, tables: Sequence[Table]) -> list[Outputs]:
        """The outputs for each table (all of one height), asked for by as many threads at once."""

    def prepare(self, table: Table, rows_per_call: int) -> int:
        """Make ready the inputs of timed calls; returns how many distinct ones there are."""

    def run(self, start: int, calls: int) -> Timing:
        """Time that many calls on the prepared inputs from `start` on, cyclically."""


@dataclass(kw_only=True)
class WorkerRuntime:
    """A runtime in a worker process. `facts` is what its `load` said."""

    name: RuntimeName
    worker: Worker
    facts: dict[str, Any]
    load_ms: float

    @classmethod
    def load(cls, name: RuntimeName, worker: Worker, parts: list[Any], **args: Any) -> WorkerRuntime:
        """Load the model from its bytes (uint8 arrays). Raises Raised when the library refuses it."""
        reply = worker.call("load", parts, **args)
        if not isinstance(reply.result, dict):
            raise WorkerError(f"the {name} worker told nothing of its model", hint=_HINT)
        # The worker's figure leaves out the transfer; it is believed only up to what our clock saw.
        load_ms = min(
            float(reply.result.get("load_ms", reply.wall_seconds * 1000)), reply.wall_seconds * 1000
        )
        return cls(name=name, worker=worker, facts=reply.result, load_ms=load_ms)

    def predict(self, table: Table) -> Outputs:
        self.post(table)
        return self.answer(len(table))

    def post(self, table: Table) -> None:
        """Ask for the table's rows without waiting: `answer` follows. Lets two runtimes work at the same time."""
        meta, arrays = wire.pack_table(table)
        self.worker.post("predict", arrays, table=meta)

    def answer(self, rows: int) -> Outputs:
        return self._outputs(self.worker.answer(), rows)

    def predict_array(self, array: NDArray[Any]) -> Outputs:
        return self._outputs(self.worker.call("predict_array", [array]), None)

    def from_threads(self, tables: Sequence[Table]) -> list[Outputs]:
        packed = [wire.pack_table(table) for table in tables]
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

    def prepare(self, table: Table, rows_per_call: int) -> int:
        meta, arrays = wire.pack_table(table)
        reply = self.worker.call("prepare", arrays, table=meta, rows_per_call=rows_per_call)
        return int(reply.result["inputs"])

    def run(self, start: int, calls: int) -> Timing:
        reply = self.worker.call("run", start=start, calls=calls)
        if len(reply.arrays) != 1 or reply.arrays[0].dtype.kind != "i" or reply.arrays[0].shape != (calls,):
            raise WorkerError(f"the {self.name} worker sent no proper times", hint=_HINT)
        return Timing(
            spans_ns=reply.arrays[0],
            wall_ns=int(reply.wall_seconds * 1e9),
            peak_bytes=int(reply.result.get("peak_bytes", 0)),
        )

    def _names(self, reply: Reply) -> list[str]:
        names = reply.result.get("outputs") if isinstance(reply.result, dict) else None
        if not isinstance(names, list) or not names or not set(names) <= set(NAMES):
            raise WorkerError(f"the {self.name} worker sent no proper outputs", hint=_HINT)
        return names

    def _outputs(self, reply: Reply, rows: int | None) -> Outputs:
        names = self._names(reply)
        if len(reply.arrays) != len(names):
            raise WorkerError(f"the {self.name} worker sent no proper outputs", hint=_HINT)
        return self._checked(names, reply.arrays, rows)

    def _checked(self, names: list[str], arrays: list[Any], rows: int | None) -> Outputs:
        """Dtypes and ranks that outputs can have. The count of rows is the smoke suite's to judge, not ours."""
        for name, array in zip(names, arrays, strict=True):
            if array.dtype.kind not in "fiubO" or array.ndim > 3:
                raise WorkerError(
                    f"the {self.name} worker's {name} is {array.dtype} {array.shape}", hint=_HINT
                )
            if array.ndim and rows is not None and len(array) > max(10 * rows, 1_000):
                raise WorkerError(
                    f"the {self.name} worker sent {len(array)} answers for {rows} rows", hint=_HINT
                )
        return Outputs(**dict(zip(names, arrays, strict=True)))
