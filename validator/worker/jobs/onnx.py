"""The converted model in ONNX Runtime, in a process that has never met the pickle."""

from __future__ import annotations

import time
from typing import Mapping, Optional

from validator.sandbox import wire
from validator.worker.onnx_session import OnnxModel, open_session
from validator.worker.serving import Answer, ServingJob


class OnnxJob(ServingJob):
    """Operation `load`, and those of every serving job."""

    def __init__(self, threads: int = 1, outputs: Optional[Mapping[str, str]] = None) -> None:
        super().__init__()
        self._threads = threads
        self._outputs = outputs

    def load(self, arrays: wire.Arrays) -> Answer:
        """The ONNX file's bytes in; its signature, and the milliseconds that loading took, out."""
        started = time.perf_counter()
        self._model = model = OnnxModel(arrays[0], self._threads, self._outputs)
        elapsed = (time.perf_counter() - started) * 1000
        return {
            "load_ms": elapsed,
            "columns": [[name, kind] for name, kind, _ in model.signature],
            "outputs": model.outputs,
            "n_features": model.n_features,
            "is_matrix": model.is_matrix,
            "input_dtype": model.input_dtype,
            "metadata": dict(model.session.get_modelmeta().custom_metadata_map),
        }, []

    def load_missing(self, arrays: wire.Arrays) -> Answer:
        """Load a file that is not there. Raises what ONNX Runtime says, as a ModelError."""
        open_session("missing-model.onnx", self._threads)
        return {}, []
