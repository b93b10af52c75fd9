"""What the guard costs, and what it saves: `python benchmarks/deployment.py [--calls N] [--trees N] [--json]`.

One LightGBM classifier on ten features, converted exactly, answers one row at a time: through `Deployment`, through a
bare ONNX Runtime session, and through LightGBM's own ways. Every call has another row, and the ways take turns call
by call in a random order, so that noise and a cold cache meet all alike. Prints one Markdown table, and whether the
targets are met: `predict_single` at most 10 us above the bare call at the median, and ten times as fast as the
scikit-learn wrapper.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

FEATURES = [f"feature_{i}" for i in range(10)]
BARE = "bare `session.run`, array [1, 10]"
SINGLE = "`Deployment.predict_single`, mapping"
WRAPPER = "`LGBMClassifier.predict_proba`, array [1, 10]"
ALLOWED_US = 10.0
WANTED_RATIO = 10.0

Way = tuple[str, Callable[[Any], Any], Sequence[Any]]


def train(trees: int) -> Any:
    """A classifier of `trees` trees with 31 leaves, on numbers in which there is something to learn."""
    import lightgbm as lgb

    rng = np.random.default_rng(11)
    rows = rng.normal(size=(20_000, len(FEATURES)))
    answer = rows[:, 0] * rows[:, 1] + rows[:, 2] + rng.normal(size=len(rows)) > 0
    model = lgb.LGBMClassifier(n_estimators=trees, num_leaves=31, n_jobs=1, verbosity=-1, random_state=11)
    return model.fit(rows, answer.astype(int))


def write_artifact_of(model: Any, folder: Path, profile: bytes | None = None) -> Path:
    """The model as an artifact that passed."""
    from validator.artifact.write import write_artifact
    from validator.libraries.convert import convert_trees
    from validator.libraries.lightgbm import trees as lightgbm
    from validator.results import (
        Contract,
        Conversion,
        Environment,
        FeatureSpec,
        GateResult,
        Latency,
        ModelInfo,
        Parity,
    )

    text = model.booster_.model_to_string()
    converted = convert_trees(lightgbm.read(text, class_labels=[0, 1], feature_names=FEATURES))
    sha = hashlib.sha256(text.encode()).hexdigest()
    result = GateResult(
        tool_version="0",
        verdict="pass",
        reason="benchmark",
        version=f"v_20260101T000000Z_{sha[:8]}",
        created_at="2026-01-01T00:00:00Z",
        model=ModelInfo(path="model.txt", name="bench", format="lightgbm", sha256=sha, size_bytes=len(text)),
        contract=Contract(
            features=tuple(FeatureSpec(name=name, dtype="float64") for name in FEATURES),
            task="binary",
            classes=(0, 1),
        ),
        conversion=Conversion(method="exact", input_dtype=converted.input_dtype),
        parity=Parity(level="none"),
        latency=Latency(),
        checks=(),
        environment=Environment(python=platform.python_version(), platform="", cpus=1),
    )
    return Path(
        write_artifact(folder, result=result, onnx=converted.data, report_md="", profile=profile).path
    )


def make_ways(model: Any, artifact: Path, rows: np.ndarray) -> list[Way]:
    """Every way to an answer for one row, with its inputs made beforehand."""
    import pandas as pd

    from validator import Deployment
    from validator.serving.session import open_session

    deployment = Deployment.load(artifact)
    session = open_session(
        (artifact / "model.onnx").read_bytes(), threads=1, options=None, providers=["CPUExecutionProvider"]
    )
    outputs = [output.name for output in session.get_outputs()]
    (given,) = [item.name for item in session.get_inputs()]
    arrays = [rows[i : i + 1] for i in range(len(rows))]
    mappings = [dict(zip(FEATURES, row, strict=True)) for row in rows.tolist()]
    table = pd.DataFrame(rows, columns=FEATURES)
    frames = [table.iloc[i : i + 1] for i in range(len(rows))]
    booster = model.booster_
    return [
        (BARE, lambda row: session.run(outputs, {given: row}), arrays),
        (SINGLE, deployment.predict_single, mappings),
        ("`Deployment.predict`, array [1, 10]", deployment.predict, arrays),
        (
            "`Deployment.predict_batch`, list of one mapping",
            deployment.predict_batch,
            [[row] for row in mappings],
        ),
        ("`Deployment.predict`, DataFrame of one row", deployment.predict, frames),
        ("`Booster.predict`, array [1, 10]", lambda row: booster.predict(row, num_threads=1), arrays),
        (WRAPPER, model.predict_proba, arrays),
    ]


def measure(ways: Sequence[Way], calls: int) -> dict[str, np.ndarray]:
    """Microseconds [calls] of each way. The first tenth is run before and not counted."""
    clock = time.perf_counter_ns
    spans = {name: np.empty(calls) for name, _, _ in ways}
    order = list(ways)
    shuffle = random.Random(0).shuffle
    gc.collect()
    gc.disable()
    try:
        for i in range(-max(calls // 10, 10), calls):
            shuffle(order)
            for name, call, inputs in order:
                argument = inputs[i % len(inputs)]
                started = clock()
                call(argument)
                elapsed = clock() - started
                if i >= 0:
                    spans[name][i] = elapsed / 1000
    finally:
        gc.enable()
    return spans


def back_to_back(ways: Sequence[Way], calls: int) -> dict[str, float]:
    """Median microseconds of each way when it has the caches to itself."""
    clock = time.perf_counter_ns
    medians = {}
    for name, call, inputs in ways:
        spans = []
        for i in range(-max(calls // 10, 10), calls):
            argument = inputs[i % len(inputs)]
            started = clock()
            call(argument)
            spans.append(clock() - started)
        medians[name] = float(np.median(spans[-calls:])) / 1000
    return medians


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=3_000)
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    model = train(options.trees)
    rows = np.random.default_rng(12).normal(size=(max(options.calls, 1_000), len(FEATURES)))
    with tempfile.TemporaryDirectory() as folder:
        ways = make_ways(model, write_artifact_of(model, Path(folder)), rows)
        spans = measure(ways, options.calls)
        alone = back_to_back(ways, options.calls)
    figures = {
        name: {
            "alone_p50_us": alone[name],
            "p50_us": float(np.median(values)),
            "p99_us": float(np.quantile(values, 0.99)),
            "mean_us": float(values.mean()),
        }
        for name, values in spans.items()
    }
    guard = min(figures[SINGLE][key] - figures[BARE][key] for key in ("p50_us", "alone_p50_us"))
    worst_guard = max(figures[SINGLE][key] - figures[BARE][key] for key in ("p50_us", "alone_p50_us"))
    ratio = min(figures[WRAPPER][key] / figures[SINGLE][key] for key in ("p50_us", "alone_p50_us"))
    met = worst_guard <= ALLOWED_US and ratio >= WANTED_RATIO
    if options.json:
        print(json.dumps({"figures": figures, "guard_us": worst_guard, "ratio": ratio, "met": met}))
        return 0 if met else 1
    print(
        f"One row, {options.trees} trees of 31 leaves, 10 features, one thread, {options.calls:,} calls each,"
    )
    print(f"Python {platform.python_version()}, {platform.machine()}; microseconds.\n")
    print("| way | alone p50 | in turns p50 | in turns p99 | in turns mean |\n|---|---:|---:|---:|---:|")
    for name, figure in figures.items():
        cells = " | ".join(f"{figure[key]:.1f}" for key in ("alone_p50_us", "p50_us", "p99_us", "mean_us"))
        print(f"| {name} | {cells} |")
    print(
        f"\nThe guard costs {guard:.1f} to {worst_guard:.1f} us a row at the median (allowed {ALLOWED_US:.0f}); "
        f"the scikit-learn wrapper takes at least {ratio:.1f} times as long (wanted {WANTED_RATIO:.0f}): "
        f"{'met' if met else 'NOT met'}."
    )
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
