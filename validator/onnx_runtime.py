"""ONNX Runtime as every process of ours opens it: one quiet session, and the names and types of its signature."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

#: ONNX Runtime's types of inputs as numpy's.
DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
}
OUTPUTS = ("label", "probabilities", "prediction", "score")
#: What other converters call the outputs.
RENAMED = {
    "output_label": "label",
    "label_0": "label",
    "predicted_label": "label",
    "class": "label",
    "classLabel": "label",
    "output_probability": "probabilities",
    "probability": "probabilities",
    "probability_tensor": "probabilities",
    "classProbability": "probabilities",
    "predict_proba": "probabilities",
    "variable": "prediction",
    "variable_0": "prediction",
    "predictions": "prediction",
    "regression": "prediction",
    "y_pred": "prediction",
    "scores": "score",
    "decision_function": "score",
}


def output_names(found: Sequence[str], told: Mapping[str, str]) -> list[str]:
    """Our names of a file's outputs, each kept as it is where it is none of OUTPUTS.

    `told` says which output each of OUTPUTS is. What it does not say is an output of that very name, or else the
    first of a usual one. Raises SessionError where it names an output that the file has not.
    """
    unknown = [name for name in told.values() if name not in found]
    if unknown:
        raise SessionError(f"it has no output {unknown[0][:100]!r}; its outputs are {', '.join(found[:10])}")
    ours = {theirs: name for name, theirs in told.items()}
    taken = {*told, *(name for name in found if name in OUTPUTS and name not in ours)}
    names = []
    for theirs in found:
        name = ours.get(theirs, theirs)
        if theirs not in ours and theirs in told:
            name = f"other {theirs}"
        elif theirs in RENAMED and theirs not in ours and RENAMED[theirs] not in taken:
            name = RENAMED[theirs]
            taken.add(name)
        names.append(name)
    return names


class SessionError(Exception):
    """ONNX Runtime refused a model; the text is what it said."""


def open_session(
    source: bytes | str,
    *,
    threads: int,
    options: Any = None,
    providers: Sequence[Any] = ("CPUExecutionProvider",),
) -> Any:
    """An `onnxruntime.InferenceSession` of a file's bytes or path, without telemetry. Raises SessionError.

    `options` are the caller's own SessionOptions, None for ours: `threads` within an operator and one operator at
    a time. One thread keeps the order of sums, and with it every bit of the answer, the same for every batch.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    if options is None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(source, options, providers=list(providers))
    except Exception as error:  # the runtime's exceptions have no common base but this
        raise SessionError(str(error)[:1000]) from error
