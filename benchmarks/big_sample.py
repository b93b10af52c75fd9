"""A sample of ten million rows: the gate's memory, and its throughput against the two runtimes alone.

`python -m benchmarks.big_sample [--rows N] [--trees N] [--baseline] [--keep FOLDER]`

The rows are the trading example's, drawn anew with a little noise; the model has few trees, so that what the gate
does besides asking the runtimes weighs most. Three processes are measured: the gate on the example's own sample
(what libraries and model take), the gate on the large one, and native and ONNX side by side with nothing between
them: each in a process of its own, with the very calls that the gate makes, their predictions alone being timed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import pickle
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TRADING = ROOT / "examples" / "trading"
_BATCH_ROWS = 65_536
_MIB = 2**20
_NOISE = 0.05
_SEED = 20_251_105


def make_sample(path: Path, rows: int) -> None:
    """The example's rows drawn with replacement, each feature moved by a twentieth of its spread."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    real = pd.read_parquet(TRADING / "sample.parquet")
    features = [name for name in real.columns if name != "direction"]
    spread = real[features].to_numpy().std(axis=0) * _NOISE
    rng = np.random.default_rng(_SEED)
    writer: pq.ParquetWriter | None = None
    for start in range(0, rows, _BATCH_ROWS * 4):
        count = min(_BATCH_ROWS * 4, rows - start)
        drawn = real.iloc[rng.integers(0, len(real), count)].reset_index(drop=True)
        drawn[features] += rng.normal(size=(count, len(features))) * spread
        table = pa.Table.from_pandas(drawn, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def make_models(folder: Path, trees: int) -> None:
    """`model.pkl` and `base.pkl`, which has fewer leaves: as the example trains them."""
    spec = importlib.util.spec_from_file_location("trading_train", TRADING / "train.py")
    if spec is None or spec.loader is None:
        raise RuntimeError("the example is gone")
    train = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(train)
    import lightgbm as lgb

    table = train.make_features(train.sp500.load())
    past = table[table.index < train.SPLIT]
    for name, leaves in (("model.pkl", 15), ("base.pkl", 7)):
        model = lgb.LGBMClassifier(
            n_estimators=trees, num_leaves=leaves, learning_rate=0.1, random_state=7, n_jobs=1, verbosity=-1
        )
        model.fit(past[train.FEATURES], past["direction"])
        (folder / name).write_bytes(pickle.dumps(model, protocol=5))


@dataclass
class Memory:
    """Resident bytes of a process and all below it, looked at while it runs."""

    most_at_once: int = 0
    each: dict[int, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    def look(self, root: int) -> None:
        now = 0
        for pid in _tree(root):
            with contextlib.suppress(OSError, ValueError, StopIteration):
                lines = (Path("/proc") / str(pid) / "status").read_text().splitlines()
                now += _kilobytes(lines, "VmRSS:")
                self.each[pid] = max(self.each.get(pid, 0), _kilobytes(lines, "VmHWM:"))
        self.most_at_once = max(self.most_at_once, now)

    @property
    def largest(self) -> int:
        return max(self.each.values(), default=0)


def _kilobytes(lines: list[str], key: str) -> int:
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def _tree(root: int) -> Iterator[int]:
    yield root
    with contextlib.suppress(OSError):
        for task in (Path("/proc") / str(root) / "task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))


@dataclass(frozen=True)
class Gate:
    """One run of the command: its result and the memory that it took."""

    result: dict[str, Any]
    memory: Memory

    @property
    def judged_s(self) -> float:
        """Seconds of the sample's parity and of quality."""
        timings = self.result["timings"]
        return float(timings["sample parity"] + timings["quality"])


def run_gate(folder: Path, sample: Path, *arguments: str) -> Gate:
    out = folder / f"out-{sample.stem}"
    command = [
        sys.executable,
        "-m",
        "validator.cli",
        "validate",
        str(folder / "model.pkl"),
        "--data",
        str(sample),
    ]
    options = ["--target", "direction", "--out", str(out), "--latency-budget-s", "0.5", "--quiet", *arguments]
    memory = Memory()
    process = subprocess.Popen([*command, *options], cwd=ROOT)
    while process.poll() is None:
        memory.look(process.pid)
        time.sleep(0.05)
    result = out / "result.json"
    if not result.is_file():
        raise RuntimeError(f"the gate ended with {process.returncode} and no result")
    return Gate(result=json.loads(result.read_text()), memory=memory)


def predict_alone(kind: str, model: str, sample: str) -> float:
    """Seconds that one runtime takes for all rows, its predictions alone. Runs in a process of its own."""
    import pyarrow.parquet as pq

    from validator.libraries.adapter import Adapter
    from validator.worker.jobs.sample import read_batches
    from validator.worker.onnx_session import OnnxModel

    served: Any = (
        Adapter(pickle.loads(Path(model).read_bytes()))
        if kind == "native"
        else OnnxModel(Path(model).read_bytes())
    )
    names = [name for name in pq.read_schema(sample).names if name != "direction"]
    taken = 0.0
    with Path(sample).open("rb") as file:
        for table in read_batches(file.fileno(), "parquet", "sample"):
            rows = table.select(names)
            started = time.perf_counter()
            served.predict(served.inputs(rows))
            taken += time.perf_counter() - started
    return taken


def both_alone(folder: Path, sample: Path) -> dict[str, float]:
    """Both at the same time, each on its own rows: seconds by runtime."""
    onnx = next((folder / "out-sample" / "artifact").glob("*/*/model.onnx"))
    found: dict[str, float] = {}

    def run(kind: str, model: Path) -> None:
        environ = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "benchmarks.big_sample", "--alone", kind, str(model), str(sample)]
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
        found[kind] = float(done.stdout)

    threads = [
        threading.Thread(target=run, args=arguments)
        for arguments in (("native", folder / "model.pkl"), ("onnx", onnx))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def measure(folder: Path, rows: int, trees: int, *, baseline: bool) -> None:
    sample = folder / "large.parquet"
    make_models(folder, trees)
    make_sample(sample, rows)
    compared = ("--baseline", str(folder / "base.pkl") if baseline else "none")
    small = run_gate(folder, TRADING / "sample.parquet", *compared)
    before = both_alone(folder, sample)
    large = run_gate(folder, sample, *compared)
    parity = large.result["parity"]
    if parity["rows"] != rows or parity["label_flips"]:
        raise RuntimeError(f"the gate judged {parity['rows']} rows with {parity['label_flips']} flips")
    # A busy machine slows one or the other: of two looks, before and after the gate, the faster counts.
    alone = min(before, both_alone(folder, sample), key=lambda seconds: max(seconds.values()))
    slower = max(alone.values())
    timings = large.result["timings"]
    report = [
        ("rows", f"{rows:,}"),
        (
            "model",
            f"LightGBM, {trees} trees of 15 leaves; base version compared: {'yes' if baseline else 'no'}",
        ),
        ("parity of the sample, s", f"{timings['sample parity']:.1f}"),
        ("quality, s", f"{timings['quality']:.1f}"),
        ("native and ONNX alone, side by side, s", f"{alone['native']:.1f} and {alone['onnx']:.1f}"),
        ("rows per second, gate", f"{rows / large.judged_s:,.0f}"),
        ("rows per second, the two runtimes alone", f"{rows / slower:,.0f}"),
        ("**throughput of the gate, share of theirs**", f"**{slower / large.judged_s:.0%}**"),
        ("peak memory of all processes at once", _mib(large.memory.most_at_once)),
        ("the same with the example's own sample", _mib(small.memory.most_at_once)),
        ("**memory for the rows**", f"**{_mib(large.memory.most_at_once - small.memory.most_at_once)}**"),
        (
            "largest process, and with the example's own sample",
            f"{_mib(large.memory.largest)}, {_mib(small.memory.largest)}",
        ),
    ]
    print(f"\n{platform.platform()}, Python {platform.python_version()}\n\n| | |\n|---|--:|")
    print("\n".join(f"| {name} | {value} |" for name, value in report))


def _mib(size: int) -> str:
    return f"{size / _MIB:,.0f} MiB"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--trees", type=int, default=50)
    parser.add_argument("--baseline", action="store_true", help="compare with a base version too")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave everything there")
    parser.add_argument("--alone", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        print(predict_alone(*given.alone))
        return 0
    with contextlib.ExitStack() as stack:
        folder = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        measure(folder, given.rows, given.trees, baseline=given.baseline)
    return 0


if __name__ == "__main__":
    sys.exit(main())
