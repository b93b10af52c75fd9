"""Makes a user's own packages importable in a worker, each by name, and nothing else of the folder it lies in."""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, Dict, Optional, Sequence


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the top-level packages of a mapping from name to path. What is inside them is found as usual."""

    def __init__(self, packages: Dict[str, str]) -> None:
        self._packages = packages

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]], target: Any = None
    ) -> Optional[ModuleSpec]:
        place = self._packages.get(fullname)
        if place is None:
            return None
        if Path(place).is_dir():
            start = Path(place) / "__init__.py"
            return importlib.util.spec_from_file_location(
                fullname, start if start.exists() else None, submodule_search_locations=[place]
            )
        return importlib.util.spec_from_file_location(fullname, place)


def adopt(packages: Dict[str, str]) -> None:
    """Let these packages be imported. Installed ones of the same name come first."""
    if packages:
        sys.meta_path.append(_Finder(dict(packages)))
