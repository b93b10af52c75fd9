"""What `validate` costs on the trading example, beside the same work scripted by hand.

`python benchmarks/gate.py [--rounds N] [--json]`. By hand means one process that imports the same libraries,
unpickles the model, reads the sample, converts with the same converter, opens ONNX Runtime and the deployment, and
asks each for as many rows as often as the gate did: a ledger of the gate's questions is taken first. What the gate
does beyond that (processes and their lockdown, proof, boundary rows, checks, reports) is its overhead. Both take
turns; shown are medians of processor time, clock, and peak memory (PSS, all processes together). Below
stands what else people wait for: `benchmarks/waiting.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
TRADING = ROOT / "examples" / "trading"
_SAMPLING_S = 0.05
_MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Processor seconds (user and system, all processes), seconds by the clock, bytes at the peak."""

    cpu_s: float
    wall_s: float
    peak_bytes: int


def gate_command(out: Path) -> list[str]:
    return ["validate", str(TRADING / "model.pkl"), "--quiet", "--out", str(out)]


def measured(command: list[str], codes: tuple[int, ...] = (0,)) -> Cost:
    """Run a command to its end. Raises RuntimeError for an exit code that was not expected."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT)
    peaks = [0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peaks), daemon=True)
    watcher.start()
    _, errors = process.communicate()
    wall = time.perf_counter() - started
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode not in codes:
        raise RuntimeError(
            f"{command} ended with {process.returncode}: {errors.decode(errors='replace')[-500:]}"
        )
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(cpu_s=cpu, wall_s=wall, peak_bytes=peaks[0])


def _watch(pid: int, peaks: list[int]) -> None:
    while Path(f"/proc/{pid}").exists():
        total = sum(_pss(one) for one in (pid, *_descendants(pid)))
        if total == 0:
            return
        peaks[0] = max(peaks[0], total)
        time.sleep(_SAMPLING_S)


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_descendants(int(child))]
    except OSError:
        return found  # it ended meanwhile
    return found


def _pss(pid: int) -> int:
    """The process's share of memory: what several share is split among them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def take_ledger(path: Path) -> None:
    """Run the gate in this process and write down what it asks its runtimes: (runtime, operation, rows) -> calls."""
    from validator.cli.main import main as run
    from validator.sandbox.worker_pool import Worker

    ledger: Counter[tuple[str, str, int]] = Counter()
    prepared: dict[str, int] = {}
    post = Worker.post

    def noting(worker: Worker, op: str, arrays: Any = (), **args: Any) -> None:
        if op == "predict":
            ledger[worker.name, "answer", int(args["table"]["n_rows"])] += 1
        elif op == "from_threads":
            for meta, _ in args["tables"]:
                ledger[worker.name, "answer", int(meta["n_rows"])] += 1
        elif op == "prepare":
            prepared[worker.name] = int(args["rows_per_call"])
        elif op == "run":
            ledger[worker.name, "time", prepared[worker.name]] += int(args["calls"])
        post(worker, op, arrays, **args)

    Worker.post = noting  # type: ignore[method-assign,assignment]
    with tempfile.TemporaryDirectory() as folder:
        code = run(gate_command(Path(folder)))
    if code not in (0, 1) or not ledger:
        raise RuntimeError(f"the gate ended with {code}")
    path.write_text(json.dumps([[*key, calls] for key, calls in ledger.items() if key[2]]))


def work_by_hand(ledger: list[tuple[str, str, int, int]]) -> None:
    """The irreducible work, in this process."""
    import pickle
    import tomllib

    import lightgbm  # noqa: F401 - imported for the pickle, as a worker does
    import numpy as np
    import onnx  # noqa: F401
    import onnxruntime
    import pandas as pd
    import pyarrow.parquet

    from validator.libraries.convert import convert_trees
    from validator.libraries.export import export
    from validator.libraries.read import read
    from validator.serving import Deployment

    target = tomllib.loads((TRADING / "preflight.toml").read_text())["target"]
    table = pyarrow.parquet.read_table(TRADING / "sample.parquet")
    frame = table.to_pandas().drop(columns=target)
    model = pickle.loads((TRADING / "model.pkl").read_bytes())
    converted = convert_trees(read(*export(model))).data
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(converted, options, providers=["CPUExecutionProvider"])
    matrix = frame.to_numpy(np.float64)
    deployment = Deployment.for_validation(onnx=converted, contract=_contract(frame))

    def rows_of(count: int) -> pd.DataFrame:
        return frame.iloc[np.arange(count) % len(frame)].reset_index(drop=True)

    for runtime, operation, rows, calls in ledger:
        some = rows_of(rows)
        columns = {name: some[name].to_numpy() for name in some}
        inside = {"features": np.ascontiguousarray(matrix[np.arange(rows) % len(matrix)])}
        first = {name: float(values[0]) for name, values in columns.items()} if rows == 1 else {}
        for _ in range(calls):
            if runtime == "native":
                model.predict_proba(some)
                if operation == "answer":
                    model.predict(some)
            elif runtime == "onnx":
                session.run(None, inside)
            elif rows == 1:
                deployment.predict_single(first)
            else:
                deployment.predict(columns)


def _contract(frame: Any) -> dict[str, Any]:
    from validator.results import Contract, FeatureSpec

    features = tuple(
        FeatureSpec(
            name=name, dtype="float64", minimum=float(frame[name].min()), maximum=float(frame[name].max())
        )
        for name in frame
    )
    found: dict[str, Any] = Contract(features=features, task="binary", classes=(0, 1)).model_dump(mode="json")
    return found


def compare(rounds: int) -> dict[str, Cost]:
    """Both ways in turn, so that a busy machine is busy for both; the median of each figure."""
    own = str(Path(__file__).resolve())
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder) / "ledger.json"
        subprocess.run(
            [sys.executable, own, "--ledger", str(ledger)], check=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, cwd=ROOT,
        )  # fmt: skip
        ways = {
            "validate": (
                [sys.executable, "-m", "validator.cli", *gate_command(Path(folder) / "out")],
                (0, 1),
            ),
            "by hand": ([sys.executable, own, "--by-hand", str(ledger)], (0,)),
        }
        taken: dict[str, list[Cost]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, (command, codes) in ways.items():
                taken[name].append(measured(command, codes))
    return {
        name: Cost(
            cpu_s=statistics.median(cost.cpu_s for cost in costs),
            wall_s=statistics.median(cost.wall_s for cost in costs),
            peak_bytes=int(statistics.median(cost.peak_bytes for cost in costs)),
        )
        for name, costs in taken.items()
    }


def table(costs: dict[str, Cost]) -> str:
    gate, hand = costs["validate"], costs["by hand"]
    lines = ["| | processor time | clock | peak memory |", "|---|--:|--:|--:|"]
    lines += [
        f"| {name} | {cost.cpu_s:.2f} s | {cost.wall_s:.2f} s | {cost.peak_bytes / _MIB:.0f} MiB |"
        for name, cost in costs.items()
    ]
    peak = f"{gate.peak_bytes / hand.peak_bytes:.2f}x" if hand.peak_bytes else "-"
    lines.append(f"| ratio | {gate.cpu_s / hand.cpu_s:.2f}x | {gate.wall_s / hand.wall_s:.2f}x | {peak} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="What validate costs beside the same work by hand.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--ledger", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--by-hand", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    if given.ledger:
        take_ledger(given.ledger)
        return 0
    if given.by_hand:
        work_by_hand([tuple(entry) for entry in json.loads(given.by_hand.read_text())])
        return 0
    from benchmarks.waiting import HEAD, compile_bytecode, waits

    compile_bytecode()
    costs = compare(given.rounds)
    if given.json:
        print(json.dumps({name: asdict(cost) for name, cost in costs.items()}))
        return 0
    print(table(costs), flush=True)
    print("", HEAD, *waits(measured, given.rounds), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
