"""How long people wait: the rows that `benchmarks/gate.py` prints below its own, each beside a peer of the same run.

Processor time throughout, as a benchmark seldom has the machine to itself. Each row is a name, what was measured, its
peer, their ratio, and the most that the ratio should be.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TRADING = ROOT / "examples" / "trading"
_MIB = 2**20
Measured = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table. `aim` is the largest ratio that is wanted, None where there is none."""

    name: str
    took: str
    peer: str
    ratio: float
    aim: float | None = None

    def __str__(self) -> str:
        aim = "" if self.aim is None else f"≤ {self.aim:g}"
        return f"| {self.name} | {self.took} | {self.peer} | {self.ratio:.3g} | {aim} |"


HEAD = "| | took | beside | ratio | aim |\n|---|--:|--:|--:|--:|"


def waits(measured: Measured, rounds: int) -> list[Row]:
    """All rows. `measured` runs a command and tells its processor time and peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        wide = [_folder(Path(folder) / f"f{count}", count) for count in (10, 300)]
        rows = [_wide(measured, wide, rounds)]
        rows.append(_dictionary(wide[1]))
        rows += _session(Path(folder))
        rows += _batch()
        rows.append(_conversion(measured, Path(folder), rounds))
    return rows


def _folder(folder: Path, features: int) -> Path:
    """A folder with a model of 100 trees of 31 leaves and a sample of 2,000 rows, of so many features."""
    import pickle

    import lightgbm
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(0)
    names = [f"feature_{i}" for i in range(features)]
    rows = pd.DataFrame(random.normal(size=(4_000, features)), columns=names)
    weights = random.normal(size=features) / np.sqrt(features)
    label = (2 * rows.to_numpy() @ weights + random.normal(size=len(rows)) > 0).astype(int)
    model = lightgbm.LGBMClassifier(n_estimators=100, num_leaves=31, verbosity=-1, n_jobs=1)
    folder.mkdir()
    (folder / "model.pkl").write_bytes(pickle.dumps(model.fit(rows[:3_000], label[:3_000])))
    rows[2_000:].assign(label=label[2_000:]).to_parquet(folder / "sample.parquet")
    return folder


def _wide(measured: Measured, folders: list[Path], rounds: int) -> Row:
    taken: dict[Path, list[float]] = {folder: [] for folder in folders}
    for _ in range(rounds):
        for folder in folders:
            command = [
                sys.executable, "-m", "validator.cli", "validate", str(folder / "model.pkl"),
                "--data", str(folder / "sample.parquet"), "--target", "label", "--quiet",
                "--out", str(folder / "out"),
            ]  # fmt: skip
            taken[folder].append(measured(command, (0, 1)).cpu_s)
    narrow, wide = (statistics.median(taken[folder]) for folder in folders)
    return Row(
        name="`validate`, 300 features", took=f"{wide:.1f} s", peer=f"10 features: {narrow:.1f} s",
        ratio=wide / narrow, aim=1.7,
    )  # fmt: skip


def _median_us(call: Callable[[], Any], calls: int = 300) -> float:
    """Microseconds of this thread's processor time."""
    for _ in range(calls // 10):
        call()
    spans = []
    for _ in range(calls):
        started = time.thread_time_ns()
        call()
        spans.append(time.thread_time_ns() - started)
    return statistics.median(spans) / 1_000


def _dictionary(folder: Path) -> Row:
    import pandas as pd

    from validator.serving import Deployment

    (artifact,) = (folder / "out" / "artifact" / "model").iterdir()
    model = Deployment.load(artifact, override="a benchmark")
    row = pd.read_parquet(folder / "sample.parquet").drop(columns="label").iloc[:1]
    columns = {name: row[name].to_numpy() for name in row}
    array = row.to_numpy()
    took, bare = _median_us(lambda: model.predict(columns)), _median_us(lambda: model.predict(array))
    return Row(
        name="`Deployment.predict(dict)`, 300 columns, one row", took=f"{took:,.0f} µs",
        peer=f"the same as an array: {bare:,.0f} µs", ratio=took / bare,
    )  # fmt: skip


def _session(folder: Path) -> list[Row]:
    """One row of a model of 500 trees, through the deployment and through the session that it holds."""
    import numpy as np

    from benchmarks.deployment import FEATURES, train, write_artifact_of
    from validator.serving import Deployment

    served = Deployment.load(write_artifact_of(train(500), folder))
    rows = np.random.default_rng(3).normal(size=(2_000, len(FEATURES)))
    mappings = [dict(zip(FEATURES, row, strict=True)) for row in rows.tolist()]
    session = served._guard._model.session
    feeds = [{session.get_inputs()[0].name: row[np.newaxis]} for row in rows]
    turn = iter(range(10**9))
    took = _median_us(lambda: served.predict_single(mappings[next(turn) % len(rows)]), 4_000)
    bare = _median_us(lambda: session.run(None, feeds[next(turn) % len(rows)]), 4_000)
    return [
        Row(name="`predict_single`, 500 x 31 x 10", took=f"{took:.1f} µs", peer=f"`session.run`: {bare:.1f} µs",
            ratio=took / bare, aim=1.1)
    ]  # fmt: skip


def _batch() -> list[Row]:
    """100,000 rows of the trading example, one thread: its own over and over, and the same each a little moved.

    Sorted is what a Deployment does with that many.
    """
    import pickle

    import numpy as np
    import pandas as pd

    from validator import onnx_runtime, row_order
    from validator.libraries.convert import convert_trees
    from validator.libraries.export import export
    from validator.libraries.read import read

    model = pickle.loads((TRADING / "model.pkl").read_bytes())
    sample = pd.read_parquet(TRADING / "sample.parquet").drop(columns="direction").to_numpy()
    random = np.random.default_rng(1)
    repeated = np.ascontiguousarray(sample[random.permutation(100_000) % len(sample)])
    moved = repeated + 0.1 * sample.std(axis=0) * random.normal(size=repeated.shape)
    session = onnx_runtime.open_session(convert_trees(read(*export(model))).data, threads=1)
    name, features = session.get_inputs()[0].name, row_order.features_of(session)
    compiled = _lleaves(model)
    told = []
    for rows, what in ((repeated, "its rows repeated"), (moved, "its rows, each moved")):
        peers: dict[str, Callable[[], Any]] = {
            "LightGBM": lambda rows=rows: model.booster_.predict(rows, num_threads=1),
            "ONNX Runtime": lambda rows=rows: session.run(None, {name: rows}),
            **({"lleaves": partial(compiled, rows)} if compiled else {}),
        }
        ours = partial(row_order.run_sorted, lambda given: session.run(None, {name: given}), rows, features)
        took = _median_us(ours, 10) / 1_000
        for peer, call in peers.items():
            alone = _median_us(call, 10) / 1_000
            told.append(
                Row(name=f"100,000 rows, one thread, trading ({what}), sorted", took=f"{took:,.0f} ms",
                    peer=f"{peer}: {alone:,.0f} ms", ratio=took / alone,
                    aim=0.85 if peer == "ONNX Runtime" else None)
            )  # fmt: skip
    return told


def _lleaves(model: Any) -> Callable[[Any], Any] | None:
    """The same trees compiled to machine code by lleaves, on one thread; None where it is not installed."""
    from benchmarks.serving import lleaves_compiled

    with tempfile.TemporaryDirectory() as folder, suppress(ImportError):
        return lleaves_compiled(model, Path(folder))
    return None


def _conversion(measured: Measured, folder: Path, rounds: int) -> Row:
    from benchmarks.conversion import MAIN, lightgbm_text

    model = str(lightgbm_text(MAIN))
    command = [
        sys.executable,
        "-m",
        "validator.cli",
        "convert",
        model,
        "-o",
        str(folder / "m.onnx"),
        "--quiet",
    ]
    hand = [sys.executable, str(Path(__file__)), model]
    ours, bare = [], []
    for _ in range(rounds):
        ours.append(measured(command))
        bare.append(measured(hand))
    took = statistics.median(cost.cpu_s for cost in ours)
    alone = statistics.median(cost.cpu_s for cost in bare)
    peak = statistics.median(cost.peak_bytes for cost in ours) / _MIB
    return Row(
        name=f"`convert`, {MAIN.name}", took=f"{took:.1f} s, {peak:.0f} MiB",
        peer=f"reading, writing and loading it in one process: {alone:.1f} s", ratio=took / alone,
    )  # fmt: skip


def compile_bytecode() -> None:
    """As an installation has it: otherwise the first process pays for all."""
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(ROOT / "validator")], check=True)


def _by_hand(path: str) -> None:
    """The irreducible work of `convert`, without proof, isolation or rows that are compared."""
    import lightgbm
    import onnxruntime

    from validator.libraries.convert import convert_trees
    from validator.libraries.export import export
    from validator.libraries.read import read

    data = convert_trees(read(*export(lightgbm.Booster(model_file=path)))).data
    onnxruntime.InferenceSession(data)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    _by_hand(sys.argv[1])
