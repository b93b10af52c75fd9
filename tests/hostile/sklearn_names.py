"""List what an installed scikit-learn defines: one line `kind module name` for each class and function.

The table in `validator/model/safety/sklearn.txt` is the reviewed union of these lists over scikit-learn's versions;
run under each (`python sklearn_names.py`). Kinds: `class` (pure Python), `special` (a class with its own hooks for
unpickling, attribute access or finalisation, to be read before it is allowed), `native` (an extension type),
`function`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Iterator

HOOKS = ("__setstate__", "__del__", "__setattr__", "__getattr__", "__getattribute__", "__reduce__", "__set__")
SKIPPED = ("tests", "conftest", "externals", "_testing", "_build_utils", "setup", "__check_build")


def listing() -> Iterator[tuple[str, str, str]]:
    """Every class and function under the module that defines it."""
    import sklearn

    warnings.simplefilter("ignore")
    for info in pkgutil.walk_packages(sklearn.__path__, "sklearn.", onerror=lambda _name: None):
        if any(part in SKIPPED for part in info.name.split(".")):
            continue
        try:
            module = importlib.import_module(info.name)
        except Exception as error:
            print(f"# {info.name}: {error!r}"[:100])
            continue
        for name, value in sorted(vars(module).items()):
            if getattr(value, "__module__", None) != info.name or getattr(value, "__name__", None) != name:
                continue
            if inspect.isclass(value):
                yield _kind(value), info.name, name
            elif callable(value):
                yield "function", info.name, name


def _kind(value: type) -> str:
    from sklearn.base import BaseEstimator

    if not value.__flags__ & (1 << 9):
        return "native"
    for base in value.__mro__:
        own = base not in (BaseEstimator, object) and base.__module__.startswith("sklearn")
        if own and any(hook in vars(base) for hook in HOOKS):
            return "special"
    return "class"


if __name__ == "__main__":
    for line in listing():
        print(*line)
