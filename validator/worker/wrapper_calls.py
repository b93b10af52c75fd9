"""How a wrapper's methods want to be called: most take their rows as they are, others as their framework passes them.

Known beside the plain form: coroutines; one keyword a feature; rows as pydantic models or dataclasses; MLflow's
`predict(context, model_input)`; Seldon's `predict(X, names)`.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import os
import selectors
import threading
import typing
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Optional

Call = Callable[[Any], Any]

#: Names of a second parameter by which a method asks for the columns' names beside a bare matrix.
_COLUMN_NAMES = frozenset({"names", "feature_names", "features_names", "column_names"})


class _Artifacts(Dict[str, str]):
    """The one model file, under whatever name it is asked for."""

    def __init__(self, path: str) -> None:
        super().__init__(model=path)
        self._path = path

    def __missing__(self, name: str) -> str:
        return self._path


def context_of(path: str) -> Any:
    """What MLflow hands a Python model: the model file as its artifact, and no configuration."""
    return SimpleNamespace(artifacts=_Artifacts(path), model_config={})


def settled(value: Any) -> Any:
    """What a coroutine comes to, on the one event loop that all of a wrapper's coroutines share; else the value."""
    if not inspect.isawaitable(value):
        return value

    async def wait() -> Any:
        return await value

    return asyncio.run_coroutine_threadsafe(wait(), _loop()).result()


class _Loop(asyncio.SelectorEventLoop):
    """A loop that is woken through a pipe: the sandbox has no sockets, of which the usual one takes a pair."""

    def _make_self_pipe(self) -> None:
        self._wake_end, self._ring_end = os.pipe()
        os.set_blocking(self._wake_end, False)
        os.set_blocking(self._ring_end, False)
        self._internal_fds = getattr(self, "_internal_fds", 0) + 1
        self._add_reader(self._wake_end, self._drain)  # type: ignore[attr-defined]

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_end, 4096):
                pass

    def _write_to_self(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is full: the loop will wake
            os.write(self._ring_end, b"\0")

    def _close_self_pipe(self) -> None:
        self._remove_reader(self._wake_end)  # type: ignore[attr-defined]
        os.close(self._wake_end)
        os.close(self._ring_end)
        self._internal_fds -= 1


_LOOPS: List[asyncio.AbstractEventLoop] = []
_STARTING = threading.Lock()


def _loop() -> asyncio.AbstractEventLoop:
    with _STARTING:
        if not _LOOPS:
            loop = _Loop(selectors.SelectSelector())
            threading.Thread(target=loop.run_forever, daemon=True, name="wrapper's event loop").start()
            _LOOPS.append(loop)
    return _LOOPS[0]


def adapted(method: Any, role: str, *, context: Any = None, single: Any = None) -> Call:
    """A call with one argument, made in the way that the method's signature asks for.

    The argument is the rows of that role: `predict` a table, `single` a mapping, `batch` a list of mappings.
    `context` is MLflow's, `single` the method for one row, if there is another.
    """
    call = _by_signature(method, role, context, single)
    return lambda given: settled(call(given))


def _by_signature(method: Any, role: str, context: Any, single: Any) -> Call:
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):
        return typing.cast(Call, method)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    named = [parameter for parameter in signature.parameters.values() if parameter.kind in positional]
    if len(named) > 1 and named[0].name in ("context", "ctx"):
        return lambda given: method(context, given)
    if role == "predict":
        return _beside_names(method) if len(named) > 1 and named[1].name in _COLUMN_NAMES else method
    if role == "single" and not _binds(signature, None) and _takes_keywords(signature):
        return lambda row: method(**row) if isinstance(row, dict) else method(row)
    model = _row_model(method, named) or (_row_model(single, None) if role == "batch" else None)
    return method if model is None else _with_models(method, model)


def _binds(signature: inspect.Signature, *arguments: Any) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _takes_keywords(signature: inspect.Signature) -> bool:
    return any(
        p.kind is p.VAR_KEYWORD or (p.kind is not p.POSITIONAL_ONLY and p.default is p.empty)
        for p in signature.parameters.values()
    )


def _beside_names(method: Any) -> Call:
    """Seldon's form: the bare matrix, and the names of its columns."""

    def call(given: Any) -> Any:
        if hasattr(given, "columns") and hasattr(given, "to_numpy"):
            return method(given.to_numpy(), [str(name) for name in given.columns])
        return method(given, None)

    return call


def _row_model(method: Any, named: Any) -> Optional[Any]:
    """The class of rows that the method's first parameter, or the items of its list, are annotated with."""
    if method is None:
        return None
    try:
        hints = typing.get_type_hints(method)
        named = named or list(inspect.signature(method).parameters.values())
    except Exception:  # an annotation may name what is not there
        return None
    annotated = hints.get(named[0].name) if named else None
    inner = typing.get_args(annotated)
    annotated = inner[0] if len(inner) == 1 else annotated
    is_model = isinstance(annotated, type) and (
        callable(getattr(annotated, "model_validate", None)) or dataclasses.is_dataclass(annotated)
    )
    return annotated if is_model else None


def _with_models(method: Any, model: Any) -> Call:
    validate = getattr(model, "model_validate", None)

    def made(row: Any) -> Any:
        if not isinstance(row, dict):
            return row
        return validate(row) if validate is not None else model(**row)

    return lambda given: method([made(row) for row in given] if isinstance(given, list) else made(given))
