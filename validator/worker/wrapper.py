"""A user's own wrapper brought to life: found by name, constructed, its model loaded from a path."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import re
import sys
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Optional, Tuple

from validator.worker.wrapper_calls import context_of, settled


class WrapperError(TypeError):
    """The wrapper is not what the settings say it is."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint or "see docs/deployment.md for what a wrapper looks like"


#: Names that wrappers often have in place of the default ones. Of a wrapper that has both, this one counts.
_ALSO_KNOWN_AS = {"load": "load_model", "predict_batch": "batch_predict"}


@dataclass(frozen=True)
class Methods:
    """The names of a wrapper's methods; empty where the user says that there is none.

    The defaults are those of `validator.Deployment`.
    """

    load: str = "load"
    predict: str = "predict"
    single: str = "predict_single"
    batch: str = "predict_batch"
    latency: str = "latency_stats"
    metadata: str = "metadata"

    def on(self, holder: Any) -> Methods:
        """The names by which a class or wrapper has these methods."""
        known = {role: _ALSO_KNOWN_AS.get(name, "") for role, name in vars(self).items()}
        return replace(self, **{role: name for role, name in known.items() if name and hasattr(holder, name)})

    @property
    def answering(self) -> Dict[str, str]:
        """Names by role of those that answer rows."""
        found = {"predict": self.predict, "single": self.single, "batch": self.batch}
        return {role: name for role, name in found.items() if name}


def find(module: str, attribute: str, file: Optional[str] = None) -> Any:
    """The class, factory or object `attribute` of a module, which `file` holds if it is given.

    Raises WrapperError when it is not there, and whatever the module raises while it is imported.
    """
    found: Any = _load_file(module, file) if file else importlib.import_module(module)
    for name in attribute.split("."):
        if not hasattr(found, name):
            offered = [other for other in vars(found) if not other.startswith("_")]
            close = difflib.get_close_matches(name, offered, n=1)
            raise WrapperError(
                f"{module} has no {attribute}", f"did you mean {close[0]}?" if close else "check --wrapper"
            )
        found = getattr(found, name)
    return found


def _load_file(module: str, file: str) -> Any:
    spec = importlib.util.spec_from_file_location(module, file)
    if spec is None or spec.loader is None:
        raise WrapperError(f"{file} is no Python module")
    found = importlib.util.module_from_spec(spec)
    sys.modules[module] = found
    spec.loader.exec_module(found)
    return found


@dataclass(frozen=True)
class Started:
    """A wrapper and its methods' names. `has_path` says whether anything of it was handed the model's path."""

    wrapper: Any
    names: Methods
    has_path: bool


def start(found: Any, path: str, names: Methods) -> Started:
    """The wrapper with its model loaded.

    It loads through its load method, or by a constructor that takes the path. Raises WrapperError when it can be made
    in neither way or has no method that answers, and what it raises itself.
    """
    wrapper, has_path = _loaded(found, path, names)
    names = names.on(wrapper)
    if not present(wrapper, names):
        public = [
            name for name in dir(wrapper) if not name.startswith("_") and callable(getattr(wrapper, name))
        ]
        raise WrapperError(
            f"{type(wrapper).__name__} has none of the methods {', '.join(names.answering.values())}; "
            f"it has {', '.join(public[:12]) or 'no public method'}",
            "name its own with wrapper_methods",
        )
    return Started(wrapper, names, has_path)


_LOADING = re.compile(r"load|from|open|read|restore|init|setup|set_up|start|build|create|make", re.IGNORECASE)


def loaders(wrapper: Any, names: Methods) -> List[str]:
    """The names of public methods, one that says that it loads first, that a path alone would do for."""
    taken = {*vars(names).values(), "load_context"}
    found = []
    for name in dir(type(wrapper)):
        method = None if name.startswith("_") or name in taken else getattr(wrapper, name, None)
        if (
            callable(method)
            and _LOADING.search(name)
            and accepts(method, "model.pkl")
            and not accepts(method)
        ):
            found.append(name)
    return found


def present(wrapper: Any, names: Methods) -> Dict[str, str]:
    """By role, the names of the methods that answer rows and are there."""
    return {role: name for role, name in names.answering.items() if callable(getattr(wrapper, name, None))}


def absent(wrapper: Any, names: Methods) -> List[str]:
    """The names of optional methods that are not there."""
    wanted = [*names.answering.values(), names.latency, names.metadata]
    return [name for name in wanted if name and not hasattr(wrapper, name)]


def _loaded(found: Any, path: str, names: Methods) -> Tuple[Any, bool]:
    """The wrapper, and whether it or what made it was handed the path."""
    names = names.on(found)
    load = inspect.getattr_static(found, names.load, None) if names.load else None
    if isinstance(load, (classmethod, staticmethod)):
        return _made(settled(getattr(found, names.load)(path)), names.load), True
    is_ready = not inspect.isclass(found) and bool(present(found, names))
    wrapper, has_path = (found, False) if is_ready else _constructed(found, path, names.load)
    names = names.on(wrapper)
    method = getattr(wrapper, names.load, None) if names.load else None
    if not callable(method):
        if callable(from_context := getattr(wrapper, "load_context", None)):
            settled(from_context(context_of(path)))
            has_path = True
        return wrapper, has_path
    takes_path = accepts(method, path)
    given = settled(method(path) if takes_path else method())
    is_factory = present(given, names) and not present(wrapper, names)
    return (given if is_factory else wrapper), has_path or takes_path


def _constructed(found: Any, path: str, load: str) -> Tuple[Any, bool]:
    if not callable(found):
        raise WrapperError(f"a {type(found).__name__} is neither a class, nor a function, nor a wrapper")
    loads_later = bool(load) and callable(getattr(found, load, None))
    for arguments in ((), (path,)) if loads_later else ((path,), ()):
        if accepts(found, *arguments):
            made = _made(settled(found(*arguments)), getattr(found, "__name__", "the factory"))
            return made, bool(arguments)
    raise WrapperError(
        f"{getattr(found, '__name__', found)} can be made neither without arguments nor from a path alone",
        "give a class or function that needs at most the model's path",
    )


def _made(wrapper: Any, maker: str) -> Any:
    if wrapper is None:
        raise WrapperError(f"{maker} returned nothing", "return the wrapper")
    return wrapper


def accepts(function: Any, *arguments: Any) -> bool:
    """Whether a call with these arguments fits the signature; where there is none to see, it is tried."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True
