"""Byte-compile what importing some modules loads, and nothing else: whole libraries would add far more to the image.

Without this every start would compile some two thousand modules anew, since nothing may be written at run time.
No file is compared with its source at run time (`unchecked-hash`): an image does not change.

    python compile_imported.py MODULE...        a name that ends in .* stands for a package with all its modules
"""

from __future__ import annotations

import importlib
import pkgutil
import py_compile
import sys
from collections.abc import Iterator


def main(names: list[str]) -> None:
    for name in names:
        for module in _expanded(name):
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                # Of a whole package, what belongs to an extra that this image has not.
                if not name.endswith(".*") or (error.name or "").split(".")[0] == name.split(".")[0]:
                    raise
    sources = {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
    compiled = [_compiled(source) for source in sorted(sources) if source.endswith(".py")]
    print(f"compiled {len(compiled)} modules")


def _expanded(name: str) -> Iterator[str]:
    package = name.removesuffix(".*")
    yield package
    if package != name:
        path = importlib.import_module(package).__path__
        yield from (found.name for found in pkgutil.walk_packages(path, f"{package}."))


def _compiled(source: str) -> str | None:
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    return py_compile.compile(source, doraise=True, invalidation_mode=mode)


if __name__ == "__main__":
    main(sys.argv[1:])
