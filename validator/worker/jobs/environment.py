"""What is installed where a model is to be loaded: the imports are tried, and versions told, behind the lockdown."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Dict, List

from validator.sandbox import wire
from validator.sandbox.inside.zygote import preload
from validator.worker.serving import Answer


class EnvironmentJob:
    """Operation `look`."""

    def look(self, arrays: wire.Arrays, modules: List[str], distributions: List[str]) -> Answer:
        """Why each module that cannot be imported cannot, and the versions of the distributions that are there."""
        failed = preload(modules)
        return {"python": sys.version.split()[0], "failed": failed, "versions": _versions(distributions)}, []


def _versions(distributions: List[str]) -> Dict[str, str]:
    found = {}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
