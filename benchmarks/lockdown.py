"""What the lockdown costs: `python benchmarks/lockdown.py [--forks N] [--json] [--gate]`.

Forks children as a zygote does, with numpy imported, and prints the median and 95th percentile over them, in
milliseconds: `apply` by the clock and by its own processor time, each layer's share, and from fork to end with and
without lockdown, in alternation. With `--gate` instead: the share of a `validate` of the trading example that goes
into starting its workers, from order to readiness, and into moving what they are asked and answer.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from validator.sandbox import lockdown
from validator.sandbox.lockdown import LockdownPolicy, landlock, limits, process, seccomp, user

_LAYERS = {
    "descriptors": (process, "keep_only"),
    "limits": (limits, "restrict"),
    "user": (user, "drop"),
    "landlock": (landlock, "restrict"),
    "seccomp": (seccomp, "install"),
}


def _timed(function: Callable[..., Any], into: dict[str, float], name: str) -> Callable[..., Any]:
    def run(*arguments: Any, **named: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            into[name] = time.perf_counter() - started

    return run


def _child(policy: LockdownPolicy | None, writer: int) -> None:
    """Never returns; tells the seconds that apply() took, then those of each layer."""
    shares = dict.fromkeys(_LAYERS, 0.0)
    for name, (module, attribute) in _LAYERS.items():
        setattr(module, attribute, _timed(getattr(module, attribute), shares, name))
    clock, own = time.perf_counter(), time.process_time()
    contained = policy is None or lockdown.apply(policy).contained
    clock, own = time.perf_counter() - clock, time.process_time() - own
    os.write(writer, struct.pack(f"={2 + len(shares)}d", clock, own, *shares.values()))
    os._exit(0 if contained else 1)


def _fork(policy_for: Callable[[int], LockdownPolicy] | None) -> tuple[float, list[float]]:
    reader, writer = os.pipe()
    started = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        _child(policy_for(writer) if policy_for else None, writer)
    _, status = os.waitpid(pid, 0)
    whole = time.perf_counter() - started
    if status:
        raise SystemExit("the child could not be contained here: its figures would mean nothing")
    figures = list(struct.unpack(f"={2 + len(_LAYERS)}d", os.read(reader, 4096)))
    os.close(reader)
    os.close(writer)
    return whole, figures


def measure(forks: int) -> dict[str, dict[str, float]]:
    """Median and 95th percentile in milliseconds, by what was timed."""
    lockdown.prepare()
    locked: list[list[float]] = []
    plain: list[float] = []
    with tempfile.TemporaryDirectory(prefix="preflight-") as folder:
        Path(folder).chmod(0o711)
        for index in range(forks):
            scratch = Path(folder) / str(index)
            scratch.mkdir()
            whole, figures = _fork(
                lambda fd, scratch=scratch: LockdownPolicy(scratch=str(scratch), keep_fds=(fd,))
            )
            locked.append([*figures, whole])
            plain.append(_fork(None)[0])
    names = ["apply", "apply_processor", *_LAYERS, "fork_locked"]
    columns = {name: [row[i] for row in locked] for i, name in enumerate(names)}
    columns["fork_plain"] = plain
    return {
        name: {"p50_ms": 1e3 * statistics.median(values), "p95_ms": 1e3 * float(np.quantile(values, 0.95))}
        for name, values in columns.items()
    }


def measure_gate() -> dict[str, float]:
    """Seconds of one run of the gate, and its parts that separate processes cost; `share` is theirs of the whole."""
    from validator.cli.main import main as run
    from validator.sandbox import handle as worker
    from validator.sandbox import wire
    from validator.sandbox import worker_pool as process

    spent: dict[str, list[float]] = {"start": [], "send": [], "decode": []}

    def counted(holder: Any, name: str, key: str) -> None:
        original = getattr(holder, name)

        def run(*arguments: Any, **named: Any) -> Any:
            if key == "start":
                for zygote in arguments[0]._zygotes.values():
                    zygote.settle()  # imports take as long in one process
            started = time.perf_counter()
            try:
                return original(*arguments, **named)
            finally:
                spent[key].append(time.perf_counter() - started)

        setattr(holder, name, run)

    counted(process.WorkerPool, "start", "start")
    counted(worker.wire, "send", "send")
    counted(wire, "decode", "decode")
    example = Path(__file__).resolve().parents[1] / "examples" / "trading"
    os.chdir(example)
    with tempfile.TemporaryDirectory() as out:
        started = time.perf_counter()
        run(["validate", "model.pkl", "--out", out, "--baseline", "none", "--quiet"])
        whole = time.perf_counter() - started
    parts = {f"{name}_s": sum(values) for name, values in spent.items()}
    return {"gate_s": whole, "workers": len(spent["start"]), **parts, "share": sum(parts.values()) / whole}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forks", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--gate", action="store_true", help="the share of isolation in a whole run")
    arguments = parser.parse_args()
    if arguments.gate:
        print(json.dumps({name: round(value, 3) for name, value in measure_gate().items()}))
        sys.exit()
    found = measure(arguments.forks)
    if arguments.json:
        print(json.dumps(found))
    else:
        for label, row in found.items():
            print(f"{label:16} p50 {row['p50_ms']:7.2f} ms   p95 {row['p95_ms']:7.2f} ms")
