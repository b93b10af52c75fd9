"""First file of every worker process, run by path: `python -I -B bootstrap.py FD SUPERVISOR_PID`.

It makes `validator` importable from where this file lies, without putting the folder around it on `sys.path`:
a foreign interpreter must not find our numpy beside its own.
"""

import importlib.util
import sys
from pathlib import Path


def _adopt(root: Path) -> None:
    """Register the package at `root` under its own name."""
    spec = importlib.util.spec_from_file_location(
        "validator", root / "__init__.py", submodule_search_locations=[str(root)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no package at {root}")
    package = importlib.util.module_from_spec(spec)
    sys.modules["validator"] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    _adopt(Path(__file__).resolve().parents[2])
    from validator.sandbox.inside.zygote import serve

    serve(int(sys.argv[1]), supervisor=int(sys.argv[2]))
