"""Our conversion against the stock converters': `python -m benchmarks.conversion [--large] [--quick] [--json]`.

A LightGBM model of 3,000 trees of 127 leaves over 50 features, trained on generated numbers for its size alone, goes
through `onnxmltools` and through ours, each in a process of its own: seconds and peak memory, both with the model
already loaded; the file's size; the time of the proof; and single-row latency of both files, which take turns call by
call over rows that never repeat. Then scikit-learn forests against `skl2onnx`, and growth with trees and features.
`--large` adds 10,000 trees of 255 leaves. Trained models are kept in the user's cache. Prints Markdown, and whether
the targets are met: a tenth of the time, half the memory, half the bytes, a proof faster than the conversion, latency
no worse. Times are of the processor, since a benchmark seldom has the machine to itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "model-preflight" / "benchmarks"
ROOT = Path(__file__).resolve().parents[1]
Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Size:
    """A LightGBM regressor; `rows` it is trained on."""

    trees: int
    leaves: int
    features: int
    rows: int = 8_000
    bins: int = 255

    @property
    def name(self) -> str:
        return f"{self.trees:,} x {self.leaves} x {self.features}"


MAIN = Size(trees=3_000, leaves=127, features=50)
QUICK = Size(trees=300, leaves=127, features=50, rows=5_000)
LARGE = Size(trees=10_000, leaves=255, features=50, rows=4_000, bins=31)
GROWTH = (
    *(Size(trees=trees, leaves=31, features=50, rows=1_000, bins=31) for trees in (100, 1_000, 10_000)),
    *(Size(trees=200, leaves=31, features=features, rows=1_000, bins=31) for features in (10, 100, 1_000)),
)
FORESTS = (100, 400)


def lightgbm_text(size: Size) -> Path:
    """The model's text, trained when it is first asked for."""
    path = CACHE / f"lightgbm-{size.trees}x{size.leaves}x{size.features}-{size.rows}.txt"
    if not path.exists():
        import lightgbm as lgb
        import numpy as np

        random = np.random.default_rng(size.trees + size.features)
        rows = random.normal(size=(size.rows, size.features))
        rows[random.random(rows.shape) < 0.02] = np.nan
        answer = np.nan_to_num(rows[:, 0] * rows[:, 1]) + random.normal(size=size.rows)
        params = {
            "objective": "regression", "num_leaves": size.leaves, "learning_rate": 0.02, "min_data_in_leaf": 5,
            "feature_fraction": 0.5, "verbosity": -1, "seed": 1, "num_threads": 1, "max_bin": size.bins,
        }  # fmt: skip
        booster = lgb.train(params, lgb.Dataset(rows, answer), size.trees)
        _keep(path, booster.save_model)
    return path


def forest_file(trees: int) -> Path:
    path = CACHE / f"forest-{trees}.joblib"
    if not path.exists():
        import joblib
        import numpy as np
        from sklearn.ensemble import RandomForestRegressor

        random = np.random.default_rng(trees)
        rows = random.normal(size=(3_000, 30))
        model = RandomForestRegressor(trees, random_state=1).fit(rows, rows[:, 0] + random.normal(size=3_000))
        _keep(path, lambda name: joblib.dump(model, name))
    return path


def _keep(path: Path, save: Callable[[str], Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        save(str(Path(folder) / path.name))
        (Path(folder) / path.name).replace(path)


# What the child processes do: each prints one line of JSON.


def _ours(model: str, onnx: str) -> Figures:
    from validator.libraries.convert import convert_trees
    from validator.libraries.export import export
    from validator.libraries.read import read

    loaded = _loaded(model)

    def convert() -> bytes:
        ensemble = read(*export(loaded))
        if ensemble is None:
            raise SystemExit(f"{model} is no tree ensemble")
        return convert_trees(ensemble).data

    return _measured(convert, onnx)


def _stock(model: str, onnx: str) -> Figures:
    loaded = _loaded(model)
    if model.endswith(".txt"):
        import onnxmltools
        from onnxmltools.convert.common.data_types import FloatTensorType

        width = loaded.num_feature()
        given = [("features", FloatTensorType([None, width]))]
        return _measured(
            lambda: onnxmltools.convert_lightgbm(loaded, initial_types=given).SerializeToString(), onnx
        )
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType as Floats

    shape = [("features", Floats([None, loaded.n_features_in_]))]
    return _measured(lambda: to_onnx(loaded, initial_types=shape).SerializeToString(), onnx)


def _proof(model: str, onnx: str) -> Figures:
    from validator.libraries.export import export
    from validator.libraries.read import read
    from validator.trees.proof import prove

    ensemble = read(*export(_loaded(model)))
    if ensemble is None:
        raise SystemExit(f"{model} is no tree ensemble")
    data = Path(onnx).read_bytes()
    proof, took = _timed(lambda: prove(ensemble, data))
    return {**took, "peak": _peak(), "status": str(proof.status), "splits": proof.nodes}


def _latency(ours: str, stock: str) -> Figures:
    """Microseconds of one call on one row: medians, and the median of the ratios of neighbouring calls."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    sessions = [
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        for path in (ours, stock)
    ]
    random = np.random.default_rng(0)
    width = sessions[0].get_inputs()[0].shape[1]
    rows = random.normal(size=(4_000, 1, width))
    inputs = []
    for session in sessions:
        given = session.get_inputs()[0]
        dtype = np.float64 if given.type == "tensor(double)" else np.float32
        name, output = given.name, [session.get_outputs()[0].name]
        inputs.append((session, output, name, rows.astype(dtype)))
    times = np.empty((2, len(rows)))
    for place in range(-200, len(rows)):
        for which in random.permutation(2):
            session, output, name, table = inputs[which]
            feed = {name: table[place]}
            started = time.perf_counter_ns()
            session.run(output, feed)
            if place >= 0:
                times[which, place] = time.perf_counter_ns() - started
    mine, theirs = np.median(times, axis=1) / 1_000
    blocks = np.median(times.reshape(2, 40, -1), axis=2)
    return {"ours": mine, "stock": theirs, "ratio": float(np.median(blocks[0] / blocks[1]))}


def _loaded(model: str) -> Any:
    if model.endswith(".txt"):
        import lightgbm

        return lightgbm.Booster(model_file=model)
    import joblib

    return joblib.load(model)


def _measured(convert: Callable[[], bytes], onnx: str) -> Figures:
    import onnx as _onnx  # noqa: F401 (both ways need it: its import is not measured)

    before = _peak()
    data, took = _timed(convert)
    Path(onnx).write_bytes(data)
    return {**took, "peak": _peak(), "loaded": before, "bytes": len(data)}


def _timed(work: Callable[[], Any]) -> tuple[Any, Figures]:
    """Elapsed and processor seconds: the latter tell the work even where other processes want the cores."""
    started, cpu = time.perf_counter(), time.process_time()
    done = work()
    return done, {"cpu": time.process_time() - cpu, "seconds": time.perf_counter() - started}


def _peak() -> int:
    """The process's largest resident memory so far, in bytes."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def command(model: Path, onnx: Path) -> Figures:
    """The whole command, all its processes: seconds, and the largest one's peak memory."""
    script = "import sys; from validator.cli.main import main; sys.exit(main())"
    words = [sys.executable, "-c", script, "convert", str(model), "-o", str(onnx), "--quiet"]
    started = time.perf_counter()
    running = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise RuntimeError(f"converting {model.name} ended with {running.returncode}")
    seconds, cpu = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    return {"seconds": seconds, "cpu": cpu, "peak": usage.ru_maxrss * 1024}


CHILDREN: dict[str, Callable[[str, str], Figures]] = {
    "ours": _ours,
    "stock": _stock,
    "proof": _proof,
    "latency": _latency,
}


def child(what: str, first: Path, second: Path) -> Figures:
    """Run one of CHILDREN in a process of its own. Raises RuntimeError with what it said where it fails."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "benchmarks.conversion",
        "--child",
        what,
        str(first),
        str(second),
    ]
    environ = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environ, check=False)
    if done.returncode:
        raise RuntimeError(f"{what} of {first.name} failed: {done.stderr.strip()[-400:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


@dataclass(kw_only=True)
class Report:
    """Lines of Markdown, the raw figures, and the targets with whether each is met."""

    lines: list[str] = field(default_factory=list)
    figures: Figures = field(default_factory=dict)
    targets: list[tuple[str, bool]] = field(default_factory=list)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.lines += ["", _row(head), _row(["---"] + ["---:"] * (len(head) - 1)), *map(_row, rows)]

    def target(self, text: str, met: bool) -> None:
        self.targets.append((text, met))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _mb(count: float) -> str:
    return f"{count / 1e6:,.1f}" if count < 100e6 else f"{count / 1e6:,.0f}"


def against_stock(report: Report, size: Size, folder: Path) -> None:
    """The main comparison."""
    model, mine, theirs = lightgbm_text(size), folder / "ours.onnx", folder / "stock.onnx"
    ours, stock = child("ours", model, mine), child("stock", model, theirs)
    proof, latency = child("proof", model, mine), child("latency", mine, theirs)
    whole = command(model, folder / "whole.onnx")
    report.figures[size.name] = {
        "ours": ours, "stock": stock, "proof": proof, "latency": latency, "command": whole,
    }  # fmt: skip
    report.lines += ["", f"LightGBM, {size.name}: {proof['splits']:,} splits; proof: {proof['status']}"]
    ratio = {key: ours[key] / stock[key] for key in ("cpu", "seconds", "peak", "bytes")}
    cpu, peak = whole["cpu"] / stock["cpu"], whole["peak"] / stock["peak"]
    rows = [
        _compared("conversion, s of CPU", stock["cpu"], ours["cpu"], "{:.2f}", ratio["cpu"]),
        _compared("conversion, s elapsed", stock["seconds"], ours["seconds"], "{:.2f}", ratio["seconds"]),
        _compared("peak memory, MB", stock["peak"] / 1e6, ours["peak"] / 1e6, "{:,.0f}", ratio["peak"]),
        _compared("of it the loaded model, MB", stock["loaded"] / 1e6, ours["loaded"] / 1e6, "{:,.0f}"),
        _compared("ONNX file, MB", stock["bytes"] / 1e6, ours["bytes"] / 1e6, "{:.1f}", ratio["bytes"]),
        _compared("single row, µs", latency["stock"], latency["ours"], "{:.0f}", latency["ratio"]),
        _compared("proof, s of CPU", None, proof["cpu"], "{:.2f}"),
        _compared("`convert` with its proof, all processes, s of CPU", None, whole["cpu"], "{:.2f}", cpu),
        _compared("its largest process, MB", None, whole["peak"] / 1e6, "{:,.0f}", peak),
    ]
    report.table(["", "onnxmltools", "ours", "ratio"], rows)
    report.target("conversion in a tenth of the stock converter's time", ratio["cpu"] <= 0.1)
    report.target("half its peak memory", ratio["peak"] <= 0.5)
    report.target("half its file", ratio["bytes"] <= 0.5)
    report.target("single-row latency no worse", latency["ratio"] <= 1.03)
    report.target("the proof takes less time than the conversion", proof["cpu"] < ours["cpu"])
    report.target("proved", proof["status"] == "proved")


def _compared(
    what: str, stock: float | None, ours: float, form: str, ratio: float | None = None
) -> list[str]:
    told = "" if stock is None else form.format(stock)
    return [what, told, form.format(ours), "" if ratio is None else f"{ratio:.2f}"]


def forests(report: Report, folder: Path) -> None:
    rows = []
    for trees in FORESTS:
        model, mine, theirs = forest_file(trees), folder / "ours.onnx", folder / "stock.onnx"
        ours, stock = child("ours", model, mine), child("stock", model, theirs)
        proof, latency = child("proof", model, mine), child("latency", mine, theirs)
        report.figures[f"forest of {trees}"] = {
            "ours": ours,
            "stock": stock,
            "proof": proof,
            "latency": latency,
        }
        rows.append(
            [f"{trees} trees, {proof['splits']:,} splits"]
            + [f"{stock['cpu']:.2f} / {ours['cpu']:.2f}"]
            + [f"{_mb(stock[key])} / {_mb(ours[key])}" for key in ("peak", "bytes")]
            + [
                f"{latency['stock']:.0f} / {latency['ours']:.0f}",
                f"{proof['cpu']:.2f} ({proof['status']})",
            ]
        )
    report.lines += ["", "scikit-learn random forests, skl2onnx / ours"]
    report.table(
        ["", "conversion, s of CPU", "peak memory, MB", "ONNX file, MB", "single row, µs", "proof, s of CPU"],
        rows,
    )


def growth(report: Report, sizes: Sequence[Size], folder: Path) -> None:
    rows = []
    for size in sizes:
        model, mine = lightgbm_text(size), folder / "ours.onnx"
        ours, proof = child("ours", model, mine), child("proof", model, mine)
        report.figures[size.name] = {"ours": ours, "proof": proof}
        each = 1e6 / proof["splits"]
        rows.append(
            [size.name, f"{proof['splits']:,}"]
            + [f"{value:.2f}" for value in (ours["cpu"], proof["cpu"])]
            + [f"{value * each:.1f}" for value in (ours["cpu"], proof["cpu"])]
            + [_mb(ours["peak"]), _mb(ours["bytes"]), proof["status"]]
        )
        if size == LARGE:
            report.target("10,000 trees of 255 leaves are converted and proved", proof["status"] == "proved")
    report.lines += ["", "Growth of ours with trees x leaves x features"]
    report.table(
        [
            "LightGBM",
            "splits",
            "conversion, s of CPU",
            "proof, s of CPU",
            "µs/split",
            "proof, µs/split",
            "peak, MB",
            "file, MB",
            "",
        ],
        rows,
    )


def machine() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    from importlib.metadata import version

    libraries = ("lightgbm", "onnxmltools", "skl2onnx", "onnx", "onnxruntime", "numpy")
    told = ", ".join(f"{name} {version(name)}" for name in libraries)
    cpu = names[0].partition(": ")[2] if names else platform.machine()
    return f"{cpu}, {os.cpu_count()} cores, Python {platform.python_version()}; {told}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--large", action="store_true", help="10,000 trees of 255 leaves too")
    parser.add_argument("--quick", action="store_true", help="a tenth of the trees, and no growth")
    parser.add_argument("--json", action="store_true", help="the raw figures")
    parser.add_argument("--child", nargs=3, metavar=("WHAT", "FIRST", "SECOND"), help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.child:
        what, first, second = given.child
        print(json.dumps(CHILDREN[what](first, second)))
        return 0
    report = Report(lines=["## Conversion", "", machine()])
    with tempfile.TemporaryDirectory() as name:
        against_stock(report, QUICK if given.quick else MAIN, Path(name))
        if not given.quick:
            forests(report, Path(name))
            growth(report, (*GROWTH, LARGE) if given.large else GROWTH, Path(name))
    report.table(["target", "met"], [[text, "yes" if met else "**no**"] for text, met in report.targets])
    print(json.dumps(report.figures, indent=2) if given.json else "\n".join(report.lines))
    return 0 if all(met for _, met in report.targets) else 1


if __name__ == "__main__":
    sys.exit(main())
