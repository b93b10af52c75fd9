"""What a file could make a model look up, open or start, found by trying: each text and each function in turn.

The lists in `values.py` and `*.txt` were read out of the libraries' sources; here the libraries themselves are asked.
"""

from __future__ import annotations

import importlib
import inspect
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import benign_models
import numpy as np
import pytest

from validator.errors import PreflightError
from validator.model.safety import load, scan_pickle
from validator.model.safety.policy import table

CANARY = "canary_of_this_test"
_STARTS = frozenset(
    {"os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "socket.connect"}
)
_NAMED = frozenset({"open", "import", "exec", "compile", "os.remove", "os.rename", "os.mkdir"})
_HEARD: list[str] = []
_LISTENING = [False]
#: These answer with an attribute of that name, which is taken for importances.
_LOOKS_UP = {"importance_getter"}
#: Codecs are modules of the standard library's package `encodings`.
_IMPORTS_CODECS = {("builtins", "bytearray"), ("builtins", "bytes"), ("builtins", "str")}
#: They call the `metric` that they are given, which is of the same list.
_CALLS_METRIC = {
    "pairwise_distances",
    "pairwise_distances_argmin",
    "pairwise_distances_argmin_min",
    "pairwise_kernels",
}


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _LISTENING[0] and (event in _STARTS or (event in _NAMED and any(CANARY in str(a) for a in arguments))):
        _HEARD.append(f"{event} {str(arguments)[:100]}")


@pytest.fixture(scope="module", autouse=True)
def listening() -> None:
    sys.addaudithook(_hear)


def heard(action: Callable[..., Any], *arguments: Any, **keywords: Any) -> str:
    """What the call opened, started or looked up by the canary's name, or nothing."""
    _HEARD.clear()
    _LISTENING[0] = True
    said = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            action(*(one.copy() if hasattr(one, "copy") else one for one in arguments), **keywords)
    except (AttributeError, OSError, ImportError) as error:
        said = str(error) if CANARY in str(error) else ""
    except Exception:  # any other complaint is none of a name
        said = ""
    finally:
        _LISTENING[0] = False
    return _HEARD[0] if _HEARD else said


def places(value: Any, path: tuple[Any, ...] = (), depth: int = 0) -> Iterator[tuple[Any, ...]]:
    """Where a model holds a text, or nothing."""
    inner = value if isinstance(value, dict) else getattr(value, "__dict__", None)
    pairs = (
        [(key, one) for key, one in inner.items() if isinstance(key, str)] if isinstance(inner, dict) else []
    )
    pairs += list(enumerate(value[:3])) if isinstance(value, (list, tuple)) else []
    for key, one in pairs:
        if one is None or isinstance(one, str):
            yield (*path, key)
        elif depth < 5 and not isinstance(one, (int, float, bool, np.ndarray)):
            yield from places(one, (*path, key), depth + 1)


def put(model: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        model = model[key] if isinstance(model, (dict, list, tuple)) else vars(model)[key]
    (model if isinstance(model, (dict, list)) else vars(model))[path[-1]] = value


ASKED = ("predict", "transform", "predict_proba", "score_samples", "decision_function", "inverse_transform")


@pytest.mark.long
def test_no_text_of_a_model_names_what_is_looked_up_or_opened() -> None:
    X, y, _ = benign_models.data()
    inputs = [X, np.abs(X), y]
    tried, seen = 0, set()
    assert heard(open, CANARY)  # the ear works
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = list(benign_models.models())
    for name, model in models:
        for path in places(model):
            shape = (type(model).__name__ if len(path) == 1 else "", path[-2:])
            if shape in seen:
                continue
            seen.add(shape)
            with suppress(Exception):
                changed = pickle.loads(pickle.dumps(model))
                put(changed, path, CANARY)
                content = pickle.dumps(changed)
                tried += 1
                _ask(name, path, content, inputs)
    assert tried > 1_000


def _ask(name: str, path: tuple[Any, ...], content: bytes, inputs: list[Any]) -> None:
    if not scan_pickle(content).ok:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = load(content)
    except PreflightError:
        return
    for method in ASKED:
        function = None
        with suppress(Exception):
            function = getattr(model, method)
        for given in inputs if function is not None else ():
            found = heard(function, given)
            if found and path[-1] not in _LOOKS_UP:
                pytest.fail(f"{name}.{path}: {method} {found}")


def _functions() -> Iterator[tuple[tuple[str, str], Callable[..., Any], list[str]]]:
    for key, entry in sorted(table().items()):
        if "value" not in entry.uses:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the old names of modules
                function = getattr(importlib.import_module(key[0]), key[1])
        except (ImportError, AttributeError):
            continue  # of another version of its library
        names: list[str] = []
        with suppress(TypeError, ValueError):
            names = [
                one.name
                for one in inspect.signature(function).parameters.values()
                if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)
            ]
        if callable(function):
            yield key, function, [*names, "out", "dtype"]


@pytest.mark.long
def test_no_function_of_the_list_opens_starts_or_calls_what_it_is_given() -> None:
    X = np.abs(np.random.default_rng(0).normal(size=(6, 3)))
    y, texts = np.array([0, 1, 0, 1, 1, 0]), np.array([CANARY, CANARY], dtype=object)
    count = 0
    assert heard(bytearray, CANARY, CANARY)  # the ear works
    for key, function, names in _functions():
        count += 1
        calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [((one,), {}) for one in (CANARY, texts)]
        calls += [
            ((X, CANARY), {}),
            ((CANARY, X), {}),
            ((X, X, CANARY), {}),
            ((CANARY, CANARY), {}),
            ((X, texts), {}),
        ]
        calls += [(given, {name: CANARY}) for name in names for given in ((X,), (X, y), (y, y))]
        for arguments, keywords in calls:
            found = heard(function, *arguments, **keywords)
            assert not found or key in _IMPORTS_CODECS, (key, arguments, keywords, found)
        called: list[Any] = []

        def spy(*arguments: Any, called: list[Any] = called, **_: Any) -> float:
            called.append(arguments)
            return 0.0

        for arguments, keywords in [((spy,), {}), ((X, spy), {}), ((spy, X), {})] + [
            (given, {name: spy}) for name in names for given in ((X,), (X, X))
        ]:
            heard(function, *arguments, **keywords)
            assert not called or (key[1] in _CALLS_METRIC and "metric" in keywords), (key, keywords)
            called.clear()
    assert count > 1_000
