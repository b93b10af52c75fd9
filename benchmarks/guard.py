"""What the guard costs a row beside an earlier version's guard: `python benchmarks/guard.py [--base COMMIT]`.

Both versions' own `benchmarks/deployment.py` run in turns, in one run on one machine. The guard is what
`Deployment.predict_single` takes beyond a bare `session.run` of the same file, at the median and back to back; of
either a version's figure is the least of its rounds, since other work on the machine only ever adds. Prints one
Markdown table, and whether today's guard is within 3 us of the earlier one.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
#: The last commit before the contract's word was enforced on every value.
BASE = "7d22fe9"
ALLOWED_US = 3.0
BARE = "bare `session.run`, array [1, 10]"
SINGLE = "`Deployment.predict_single`, mapping"


def check_out(commit: str, folder: Path) -> None:
    """The commit's files in the folder. Raises CalledProcessError where the history does not hold it."""
    done = subprocess.run(["git", "-C", str(HERE), "archive", commit], capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")


def medians_us(root: Path, calls: int, trees: int) -> tuple[float, float]:
    """Microseconds of a guarded and of a bare call, by the version in that folder."""
    command = [sys.executable, str(root / "benchmarks" / "deployment.py"), "--json"]
    done = subprocess.run(
        [*command, "--calls", str(calls), "--trees", str(trees)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,  # 1 says that another target was missed
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"the benchmark of {root} failed:\n{done.stderr[-2_000:]}")
    figures = json.loads(done.stdout)["figures"]
    single, bare = (float(figures[name]["alone_p50_us"]) for name in (SINGLE, BARE))
    return single, bare


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", default=BASE)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--trees", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            check_out(options.base, Path(folder))
        except subprocess.CalledProcessError:
            print(f"the history here does not hold {options.base}: git fetch --unshallow", file=sys.stderr)
            return 2
        versions = {options.base: Path(folder), "this one": HERE}
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in versions}
        for turn in range(options.rounds):
            for name in sorted(versions, reverse=bool(turn % 2)):
                seen[name].append(medians_us(versions[name], options.calls, options.trees))
    least = {
        name: (min(single for single, _ in rounds), min(bare for _, bare in rounds))
        for name, rounds in seen.items()
    }
    guards = {name: single - bare for name, (single, bare) in least.items()}
    more = guards["this one"] - guards[options.base]
    met = more <= ALLOWED_US
    print("| version | guard, us a row | guarded call, us | bare call, us |\n|---|---:|---:|---:|")
    for name, (single, bare) in least.items():
        print(f"| {name} | {guards[name]:.1f} | {single:.1f} | {bare:.1f} |")
    print(
        f"\nThe guard costs {more:+.1f} us a row beside {options.base} "
        f"(allowed {ALLOWED_US:+.0f}): {'met' if met else 'NOT met'}."
    )
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
