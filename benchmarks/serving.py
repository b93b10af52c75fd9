"""How fast the artifact's ONNX file answers, beside other ways to serve the same LightGBM model.

`python benchmarks/serving.py [--full] [--json]`. Models of 100, 1,000 and with --full 10,000 trees, trained on the
trading example's real features; one row and batches. All ways answer the same rows on one thread, in turns; shown
is the median time of a call, in milliseconds. Install `benchmarks/requirements.txt` for the compilers; one that is
absent or fails is named below the table with the reason. Before anything is timed, every way must give LightGBM's
answer.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
SAMPLE = ROOT / "examples" / "trading" / "sample.parquet"
#: Beyond this many trees compiling to C takes minutes.
_MOST_COMPILED = 1_000
_BUDGET_S = 0.4
_TURNS = 5
Call = Callable[[Any], Any]


def train(trees: int) -> tuple[Any, Any]:
    """A classifier of so many trees, and the rows [N, 10] it was trained on."""
    import lightgbm as lgb
    import pandas as pd

    table = pd.read_parquet(SAMPLE)
    features = table.drop(columns="direction")
    model = lgb.LGBMClassifier(
        n_estimators=trees, num_leaves=31, learning_rate=0.01, min_child_samples=5, n_jobs=1, verbosity=-1
    )
    return model.fit(features.to_numpy(), table["direction"]), features.to_numpy()


def onnx_runtime(model: Any, _folder: Path) -> Call:
    import onnxruntime

    from validator.libraries.convert import convert_trees
    from validator.libraries.export import export
    from validator.libraries.read import read

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    data = convert_trees(read(*export(model))).data
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda rows: session.run(["probabilities"], {"features": rows})[0][:, 1]


def booster(model: Any, _folder: Path) -> Call:
    return lambda rows: model.booster_.predict(rows, num_threads=1)


def wrapper(model: Any, _folder: Path) -> Call:
    return lambda rows: model.predict_proba(rows)[:, 1]


def treelite_gtil(model: Any, _folder: Path) -> Call:
    import treelite

    forest = treelite.frontend.from_lightgbm(model.booster_)
    return lambda rows: treelite.gtil.predict(forest, rows, nthread=1).reshape(-1)


def tl2cgen_compiled(model: Any, folder: Path) -> Call:
    import tl2cgen
    import treelite

    library = folder / "model.so"
    tl2cgen.export_lib(
        treelite.frontend.from_lightgbm(model.booster_), toolchain="gcc", libpath=str(library),
        params={"parallel_comp": 8}, verbose=False,
    )  # fmt: skip
    predictor = tl2cgen.Predictor(str(library), nthread=1)
    return lambda rows: predictor.predict(tl2cgen.DMatrix(rows)).reshape(-1)


def lleaves_compiled(model: Any, folder: Path) -> Call:
    import lleaves

    text = folder / "model.txt"
    model.booster_.save_model(str(text))
    compiled = lleaves.Model(model_file=str(text))
    compiled.compile()
    return lambda rows: compiled.predict(rows, n_jobs=1)


WAYS: dict[str, Callable[[Any, Path], Call]] = {
    "ONNX Runtime, our file": onnx_runtime,
    "LightGBM Booster": booster,
    "LightGBM, scikit-learn API": wrapper,
    "treelite GTIL": treelite_gtil,
    "tl2cgen (C)": tl2cgen_compiled,
    "lleaves (LLVM)": lleaves_compiled,
}
_COMPILED = ("tl2cgen (C)", "lleaves (LLVM)")


def open_ways(model: Any, rows: Any, trees: int, folder: Path) -> tuple[dict[str, Call], dict[str, str]]:
    """The ways that work and answer as LightGBM does, and why the others are left out."""
    import numpy as np

    expected = model.booster_.predict(rows[:200], num_threads=1)
    found: dict[str, Call] = {}
    absent: dict[str, str] = {}
    for name, make in WAYS.items():
        if name in _COMPILED and trees > _MOST_COMPILED:
            absent[name] = f"{trees:,} trees take minutes to compile"
            continue
        try:
            call = make(model, folder)
            difference = float(np.abs(call(rows[:200]) - expected).max())
        except Exception as error:  # a library of others may fail in any way; the table goes on without it
            absent[name] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
            continue
        if difference > 1e-6:
            absent[name] = f"answers differ by {difference:.1g}"
            continue
        found[name] = call
    return found, absent


def timed(ways: dict[str, Call], rows: Any) -> dict[str, float]:
    """The median milliseconds of a call of each, taking turns."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(_TURNS):
        for name, call in ways.items():
            call(rows)
            end = time.perf_counter() + _BUDGET_S / _TURNS
            while time.perf_counter() < end:
                started = time.perf_counter()
                call(rows)
                taken[name].append((time.perf_counter() - started) * 1e3)
    return {name: statistics.median(times) for name, times in taken.items()}


def measure(sizes: list[int], batches: list[int]) -> list[dict[str, Any]]:
    """One entry for each number of trees and rows: milliseconds by way, and what was left out."""
    import numpy as np

    found = []
    for trees in sizes:
        model, rows = train(trees)
        with tempfile.TemporaryDirectory() as folder:
            ways, absent = open_ways(model, rows, trees, Path(folder))
            for count in batches:
                some = np.ascontiguousarray(rows[np.arange(count) % len(rows)])
                found.append({"trees": trees, "rows": count, "ms": timed(ways, some), "absent": absent})
    return found


def table(found: list[dict[str, Any]]) -> str:
    lines = ["| trees | rows | " + " | ".join(WAYS) + " |", "|--:|--:|" + "--:|" * len(WAYS)]
    for entry in found:
        cells = [f"{entry['ms'][name]:.3f}" if name in entry["ms"] else "-" for name in WAYS]
        lines.append(f"| {entry['trees']:,} | {entry['rows']:,} | {' | '.join(cells)} |")
    reasons = {f"{name}: {why}" for entry in found for name, why in entry["absent"].items()}
    return "\n".join([*lines, "", *(f"Left out, {reason}" for reason in sorted(reasons))])


def main() -> int:
    parser = argparse.ArgumentParser(description="The artifact's speed beside other ways to serve the model.")
    parser.add_argument("--full", action="store_true", help="10,000 trees too")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure([100, 1_000, 10_000] if given.full else [100, 1_000], [1, 100, 10_000])
    print(json.dumps(found) if given.json else table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
