"""Runs the benchmarks, each in a process of its own, one table after the other: `python -m benchmarks [NAME ...]`."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
#: In the order in which they are shown: the last two take a quarter of an hour and more.
ORDER = (
    "gate",
    "conversion",
    "serving",
    "deployment",
    "lockdown",
    "big_sample",
    "scanners",
    "latency_noise",
)


def names() -> list[str]:
    """Every benchmark there is: the known ones in their order, then any other module with a `main`."""
    found = {path.stem for path in HERE.glob("*.py") if "def main(" in path.read_text(encoding="utf-8")}
    found -= {"__main__"}
    return [name for name in ORDER if name in found] + sorted(found - set(ORDER))


def title(name: str) -> str:
    """The first line of the module's docstring."""
    docstring = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))) or name
    return docstring.splitlines()[0]


def main(chosen: list[str]) -> int:
    """Run the chosen benchmarks, or all. The exit code is 1 when one failed, 2 when one does not exist."""
    known = names()
    unknown = [name for name in chosen if name not in known]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    failed = []
    for name in chosen or known:
        print(f"\n== {name}: {title(name)}\n", flush=True)
        started = time.perf_counter()
        done = subprocess.run([sys.executable, str(HERE / f"{name}.py")], check=False)
        print(f"\n({time.perf_counter() - started:.0f} s)", flush=True)
        if done.returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
