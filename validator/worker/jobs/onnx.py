"""The converted model in ONNX Runtime, in a process that has never met the pickle."""

from __future__ import annotations

import time
from typing import Any, List, Optional  # noqa: UP035

from validator.table import Table
from validator.worker import wire
from validator.worker.jobs.native import Answer, pack_outputs, peak_bytes, run_threads
from validator.worker.onnx_session import OnnxModel
from validator.worker.timing import clock_resolution_ns, time_calls


class Job:
    """Operations: those of the native job, on an ONNX file."""

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._model: Optional[OnnxModel] = None  # noqa: UP045
        self._inputs: List[Any] = []  # noqa: UP006

    def load(self, arrays: wire.Arrays) -> Answer:
        """The ONNX file's bytes in; its signature, and the milliseconds that loading took, out."""
        started = time.perf_counter()
        self._model = model = OnnxModel(arrays[0].tobytes(), self._threads)
        elapsed = (time.perf_counter() - started) * 1000
        return {
            "load_ms": elapsed,
            "inputs": [[name, kind] for name, kind, _ in model.inputs],
            "outputs": model.outputs,
            "n_features": model.n_features,
            "is_matrix": model.is_matrix,
            "input_dtype": model.input_dtype,
            "metadata": dict(model.session.get_modelmeta().custom_metadata_map),
        }, []

    @property
    def _loaded(self) -> OnnxModel:
        if self._model is None:
            raise RuntimeError("no model is loaded")
        return self._model

    def predict(self, arrays: wire.Arrays, table: Any) -> Answer:
        model = self._loaded
        return pack_outputs(model.predict(model.feed(wire.unpack_table(table, arrays))))

    def predict_array(self, arrays: wire.Arrays) -> Answer:
        """A bare array of any rank and dtype, as someone would pass it by mistake."""
        model = self._loaded
        return pack_outputs(model.predict({model.inputs[0][0]: arrays[0]}))

    def from_threads(self, arrays: wire.Arrays, table: Any, threads: int) -> Answer:
        model = self._loaded
        rows = wire.unpack_table(table, arrays)
        return run_threads(lambda: model.predict(model.feed(rows)), threads)

    def prepare(self, arrays: wire.Arrays, table: Any, rows_per_call: int) -> Answer:
        model = self._loaded
        whole: Table = wire.unpack_table(table, arrays)
        starts = range(0, len(whole) - rows_per_call + 1, rows_per_call)
        self._inputs = [model.feed(whole.take(slice(at, at + rows_per_call))) for at in starts]
        return {"inputs": len(self._inputs), "resolution_ns": clock_resolution_ns()}, []

    def run(self, arrays: wire.Arrays, start: int, calls: int) -> Answer:
        model = self._loaded
        chosen = [self._inputs[(start + i) % len(self._inputs)] for i in range(calls)]
        spans, answers = time_calls(model.call, chosen)
        return {"peak_bytes": peak_bytes(), "rows": len(answers)}, [spans]
