"""Broken copies of the model file, and each runtime's attempt to load them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from validator.checks.check import Subject
from validator.checks.context import Context
from validator.checks.wrapper.load import Wrapped, load_broken_wrapped
from validator.results import RuntimeName

_SHORTEST = 16


def load_broken(
    context: Context,
    name: RuntimeName,
    artifact: Mapping[str, bytes],
    wrapped: Wrapped | None,
    subject: Subject,
    how: str,
) -> str:
    """Load a missing, truncated or corrupted copy of the model, in a worker of its own.

    Returns why it is right that it loads, else nothing. Raises what the runtime raises.
    """
    if name == "wrapper" and wrapped is not None:
        return load_broken_wrapped(wrapped, how, _BROKEN[how](context.data), subject.head(1))
    options = context.load_options() if name == "native" else None
    whole = context.data if name == "native" else artifact["model.onnx"]
    broken = _BROKEN[how](whole)
    worker = context.start(name, options=options)
    try:
        if broken is None:
            worker.call("load_missing")
        elif name == "deployment":
            files = {**artifact, "model.onnx": broken}
            worker.call("load_folder", list(files.values()), names=list(files))
        else:
            worker.call("load", [broken])
    finally:
        worker.close()
    return ""


def _cut(data: bytes) -> bytes:
    return data[: max(_SHORTEST, len(data) // 2)]


def _flipped(data: bytes) -> bytes:
    """One bit in the middle is another."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


#: What becomes of a model file's bytes; None for a file that is not there.
_BROKEN: dict[str, Callable[[bytes], bytes | None]] = {
    "missing": lambda _: None,
    "truncated": _cut,
    "corrupted": _flipped,
}
