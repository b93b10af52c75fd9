"""Makes the models that a wrapper holds answer nonsense, to see whether the wrapper looks at what they answer.

The library's own methods are exchanged, on the class, for ones that spoil what they return: only the outermost call
of a thread is spoilt, so that the library itself works on sound numbers.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Dict, Iterator, List, Tuple

_ANSWERING = ("predict", "predict_proba", "decision_function", "inplace_predict", "run", "predict_log_proba")
_MAX_OBJECTS = 5_000
_MAX_DEPTH = 8
#: What a spoilt model answers: nothing that is a number, or what is no probability.
SPOILT = {"NaN": float("nan"), "1.5": 1.5, "-0.5": -0.5, "Inf": float("inf")}
#: The same in the last row of several alone: whoever looks at the first, or at all of them at once, misses it.
LAST = "NaN in the last row"
#: Methods and options by which the libraries answer with scores, which may be any number.
_SCORING = ("decision_function", "predict_log_proba")
_SCORES = ("raw_score", "output_margin")


def models_in(wrapper: Any) -> List[Any]:
    """The models that the wrapper, or its module, holds: objects of a library that answer. Its own classes only where
    there is nothing else; MLflow's shells never.
    """
    held = [*_walk([wrapper]), *_globals_of(wrapper)]
    found = [one for one in held if one is not wrapper and _answers(one) and not _is_shell(one)]
    return [model for model in found if _is_library(type(model))] or found


def _globals_of(wrapper: Any) -> List[Any]:
    """What the wrapper's module holds under its names, and in its lists and dictionaries."""
    module = sys.modules.get(type(wrapper).__module__)
    named = vars(module).values() if module else ()
    values = [one for one in named if not isinstance(one, (type, ModuleType))]
    inner = [part for one in values if isinstance(one, (dict, list, tuple)) for part in _parts(one)]
    return [one for one in (*values, *inner) if not callable(one) or hasattr(one, "predict")]


def _answers(held: Any) -> bool:
    kind = type(held)
    return any(callable(getattr(kind, name, None)) or name in vars(kind) for name in _ANSWERING)


def _is_shell(held: Any) -> bool:
    return type(held).__module__.split(".")[0] in ("mlflow", "validator")


def _is_library(kind: type) -> bool:
    file = str(getattr(sys.modules.get(kind.__module__.split(".")[0]), "__file__", "") or "")
    return "site-packages" in file or "dist-packages" in file


def _walk(roots: List[Any]) -> Iterator[Any]:
    """The objects below, each once, breadth first and not too deep."""
    seen = set()
    level = list(roots)
    for _ in range(_MAX_DEPTH):
        following: List[Any] = []
        for held in level:
            if id(held) in seen or isinstance(held, (str, bytes, int, float, type, ModuleType)):
                continue
            seen.add(id(held))
            if len(seen) > _MAX_OBJECTS:
                return
            yield held
            following.extend(_parts(held))
        level = following


def _parts(held: Any) -> List[Any]:
    if isinstance(held, dict):
        return list(held.values())[:200]
    if isinstance(held, (list, tuple, set)):
        return list(held)[:200]
    slots = [name for kind in type(held).__mro__ for name in getattr(kind, "__slots__", ())]
    parts = list(getattr(held, "__dict__", {}).values())
    return parts + [getattr(held, name) for name in slots if isinstance(name, str) and hasattr(held, name)]


@contextmanager
def sabotaged(models: List[Any], value: float, *, last: bool = False) -> Iterator[Spoiler]:
    """While this lasts, whatever these models answer is `value`, in the last row alone where `last`.

    Scores may be any number: what is no probability does not take their place.
    """
    spoiler = Spoiler(value, last=last)
    changed: List[Tuple[type, str, Any]] = []
    try:
        for owner, name, original in _methods(models):
            try:
                setattr(owner, name, _Spoilt(original, spoiler, is_score=name in _SCORING))
            except TypeError:  # a class of an extension module, whose methods are fixed
                continue
            changed.append((owner, name, original))
        yield spoiler
    finally:
        for owner, name, original in changed:
            setattr(owner, name, original)


def _methods(models: List[Any]) -> Iterator[Tuple[type, str, Any]]:
    found: Dict[Tuple[type, str], Any] = {}
    for model in models:
        for kind in type(model).__mro__:
            for name in _ANSWERING:
                if name in vars(kind):
                    found.setdefault((kind, name), vars(kind)[name])
    for (kind, name), original in found.items():
        if hasattr(original, "__get__"):
            yield kind, name, original


class _Spoilt:
    """A method whose answers are spoilt. Works through the original's own descriptor."""

    def __init__(self, original: Any, spoiler: Spoiler, *, is_score: bool) -> None:
        self._original = original
        self._spoiler = spoiler
        self._is_score = is_score

    def __get__(self, owner: Any, kind: Any = None) -> Any:
        bound = self._original.__get__(owner, kind)
        return lambda *args, **kwargs: self._spoiler.call(bound, args, kwargs, is_score=self._is_score)


class Spoiler:
    """Spoils answers. `applied` says whether there was one that could be."""

    def __init__(self, value: float, *, last: bool = False) -> None:
        self.applied = False
        self._value = value
        self._last = last
        self._depth = threading.local()

    def call(self, bound: Any, args: Any, kwargs: Any, *, is_score: bool = False) -> Any:
        depth = getattr(self._depth, "now", 0)
        self._depth.now = depth + 1
        try:
            answer = bound(*args, **kwargs)
        finally:
            self._depth.now = depth
        return answer if depth or self._fits(answer, kwargs, is_score) else self._spoil(answer)

    def _fits(self, answer: Any, kwargs: Any, is_score: bool) -> bool:
        """Whether the value would be no nonsense, since the answer is no probability in the first place."""
        import numpy as np

        if not -np.inf < self._value < np.inf:
            return False
        if (
            is_score
            or any(kwargs.get(name) for name in _SCORES)
            or kwargs.get("prediction_type") == "RawFormulaVal"
        ):
            return True
        parts = answer if isinstance(answer, (list, tuple)) else [answer]
        floats = [part for part in map(np.asarray, parts) if part.dtype.kind == "f"]
        return any(bool(((part < 0) | (part > 1)).any()) for part in floats)

    def _spoil(self, answer: Any) -> Any:
        import numpy as np

        if isinstance(answer, (list, tuple)) and any(isinstance(item, np.ndarray) for item in answer):
            return type(answer)([self._spoil(item) if _is_float(item) else item for item in answer])
        array = np.asarray(answer)
        if array.dtype.kind not in "fiub":
            return answer
        self.applied = True
        spoilt = np.array(array, dtype=array.dtype if array.dtype.kind == "f" else np.float64)
        spoilt[-1 if self._last and array.ndim else ...] = self._value
        return _like(answer, spoilt)


def _is_float(item: Any) -> bool:
    return bool(getattr(getattr(item, "dtype", None), "kind", "") == "f")


def _like(answer: Any, spoilt: Any) -> Any:
    """In the pandas type of the answer, if it has one."""
    if hasattr(answer, "columns") and hasattr(answer, "index"):
        return type(answer)(spoilt, index=answer.index, columns=answer.columns)
    if hasattr(answer, "index") and hasattr(answer, "to_numpy"):
        return type(answer)(spoilt, index=answer.index)
    return spoilt
