"""Is the latency gate steady? `python -m benchmarks.latency_noise [--runs N] [--relative]`.

Every run starts fresh worker processes and judges them as the gate does, idle, with one core and with every core kept
busy by other processes. A model against itself must raise no alarm at a 10 % gate, a true slow-down of 20 % must be
caught in 99 of 100 runs, an absolute limit on the p99 must not fail a model whose true p99 is half of it, nor pass
one whose every 50th call is over it. Prints one Markdown table, and whether the targets are met.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.slow_model import SlowAtTimes
from validator.checks import latency
from validator.checks.check import Subject
from validator.results import Contract, FeatureSpec
from validator.runtimes.runtime import WorkerRuntime
from validator.sandbox.worker_pool import WorkerLimits, WorkerPool
from validator.table import Column, Table

FEATURES = [f"feature_{i}" for i in range(10)]
TREES = 300
SLOWDOWN = 0.20
GATE = 0.10
#: Calls whose pooled p99 counts as the true one, and the processes that they are spread over.
TRUTH_BLOCKS, TRUTH_PROCESSES = 100, 4
#: An every-50th slow call is this much over its limit.
OVER_MS, LIMIT_MS = 2.4, 2.0

Status = str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table: how often each verdict came, and whether that is what was wanted."""

    what: str
    machine: str
    verdicts: Counter[Status]
    wanted: str
    met: bool
    seconds: float

    def __str__(self) -> str:
        runs = self.verdicts.total()
        counts = [f"{self.verdicts[status]}" for status in ("pass", "warn", "fail")]
        met = "yes" if self.met else "**no**"
        return " | ".join(
            [
                "",
                self.what,
                self.machine,
                f"{runs}",
                *counts,
                self.wanted,
                met,
                f"{self.seconds / runs:.2f}",
                "",
            ]
        ).strip()


def train() -> Any:
    """A booster of more trees than any run uses, on numbers in which there is something to learn."""
    import lightgbm as lgb

    rng = np.random.default_rng(11)
    rows = rng.normal(size=(20_000, len(FEATURES)))
    answer = (rows[:, 0] * rows[:, 1] + rows[:, 2] + rng.normal(size=len(rows)) > 0).astype(int)
    parameters = {"objective": "binary", "num_leaves": 31, "verbosity": -1, "num_threads": 1, "seed": 11}
    return lgb.train(parameters, lgb.Dataset(rows, answer), 2 * TREES)


def onnx_of(booster: Any, trees: int) -> bytes:
    """The first trees as an ONNX file."""
    from validator.libraries.convert import convert_trees
    from validator.libraries.lightgbm import trees as lightgbm

    text = booster.model_to_string(num_iteration=trees)
    return convert_trees(lightgbm.read(text, class_labels=[0, 1], feature_names=FEATURES)).data


def make_subject() -> Subject:
    values = np.random.default_rng(12).normal(size=(5_000, len(FEATURES)))
    rows = Table.of([Column(name, values[:, i].copy()) for i, name in enumerate(FEATURES)])
    features = tuple(FeatureSpec(name=name, dtype="float64") for name in FEATURES)
    return Subject(contract=Contract(features=features, task="regression"), rows=rows)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The workers' home and what all runs share."""

    pool: WorkerPool
    subject: Subject
    budget_s: float

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[bytes | SlowAtTimes], WorkerRuntime]]:
        """Opens runtimes in fresh workers; all of them end with the context."""
        started: list[WorkerRuntime] = []

        def load(model: bytes | SlowAtTimes) -> WorkerRuntime:
            started.append(self._onnx(model) if isinstance(model, bytes) else self._native(model))
            return started[-1]

        try:
            yield load
        finally:
            for runtime in started:
                runtime.worker.close()

    def _onnx(self, model: bytes) -> WorkerRuntime:
        return WorkerRuntime.load("onnx", self.pool.start("onnx", role="serving"), [model])

    def _native(self, model: SlowAtTimes) -> WorkerRuntime:
        file = io.BytesIO()
        joblib.dump(model, file)
        worker = self.pool.start(
            "native",
            role="native",
            options={"format": "joblib", "trusted": True},
            packages={"benchmarks": str(Path(__file__).parent)},
        )
        return WorkerRuntime.load("native", worker, [file.getvalue()])

    def limits(self, single_ms: float) -> latency.Limits:
        return latency.Limits(
            single_ms=single_ms,
            load_ms=60_000,
            memory_bytes=8 * 2**30,
            budget_s=self.budget_s,
            batch_sizes=(1,),
            max_slowdown=GATE,
        )

    def against(self, candidate: bytes, base: bytes, *, look_again: bool = True) -> tuple[Status, float]:
        """The verdict of the relative gate, and the slow-down that was seen."""

        @contextlib.contextmanager
        def revived() -> Iterator[tuple[WorkerRuntime, WorkerRuntime]]:
            with self.open() as load:
                yield load(candidate), load(base)

        with self.open() as load:
            version = latency.Base(
                runtime=load(base),
                rows=self.subject.rows,
                revive=revived if look_again else None,
            )
            checks, found = latency.run({"onnx": load(candidate)}, self.subject, self.limits(1_000), version)
        assert found.against_base is not None
        return status_of("latency.base", checks), 1 / found.against_base.value - 1

    def alone(self, model: bytes | SlowAtTimes, limit_ms: float) -> Status:
        """The verdict of the absolute gate."""
        with self.open() as load:
            runtime = load(model)
            checks, _ = latency.run({runtime.name: runtime}, self.subject, self.limits(limit_ms))
        return status_of("latency.single", checks)

    def true_p99_ms(self, model: bytes) -> float:
        """The p99 over many calls of several processes, by the bare clock, with nothing left out."""
        spans = []
        for _ in range(TRUTH_PROCESSES):
            with self.open() as load:
                runtime = load(model)
                runtime.prepare(self.subject.head(2_000), 1)
                runtime.run(0, 500)
                spans += [runtime.run(block * 100, 100).spans_ns for block in range(TRUTH_BLOCKS)]
        return float(np.percentile(np.concatenate(spans), 99)) / 1e6

    def true_slowdown(self, candidate: bytes, base: bytes) -> float:
        """The median over several pairs of processes."""
        return float(np.median([self.against(candidate, base, look_again=False)[1] for _ in range(15)]))


def status_of(id: str, checks: list[Any]) -> Status:
    return next(str(check.status) for check in checks if check.id == id)


def trees_for(bench: Bench, booster: Any, slowdown: float) -> tuple[int, float]:
    """How many trees take that much longer than `TREES`, and how much longer they were then seen to take."""
    base = onnx_of(booster, TREES)
    doubled = bench.true_slowdown(onnx_of(booster, 2 * TREES), base)
    trees = round(TREES * (1 + slowdown / doubled))
    for _ in range(5):
        seen = bench.true_slowdown(onnx_of(booster, trees), base)
        if abs(seen - slowdown) < 0.005:
            break
        trees += round((slowdown - seen) / doubled * TREES)
    return trees, seen


@contextlib.contextmanager
def busy_cores(count: int) -> Iterator[str]:
    """So many other processes that never rest; the name of this state of the machine."""
    others = [multiprocessing.get_context("spawn").Process(target=_burn, daemon=True) for _ in range(count)]
    for process in others:
        process.start()
    try:
        time.sleep(0.5 if count else 0)
        cores = os.cpu_count() or 1
        yield (
            "idle" if not count else "every core busy" if count >= cores else f"{count} of {cores} cores busy"
        )
    finally:
        for process in others:
            process.kill()
            process.join()


def _burn() -> None:
    while True:
        pass


def repeat(what: str, machine: str, runs: int, judge: Callable[[], Status], wanted: str) -> Row:
    """`wanted` is `no fail`, `fail` or `99 % fail`."""
    started = time.perf_counter()
    verdicts = Counter(judge() for _ in range(runs))
    met = {
        "no fail": verdicts["fail"] == 0,
        "fail": verdicts["fail"] == runs,
        "99 % fail": verdicts["fail"] >= 0.99 * runs,
    }[wanted]
    row = Row(
        what=what,
        machine=machine,
        verdicts=verdicts,
        wanted=wanted,
        met=met,
        seconds=time.perf_counter() - started,
    )
    print(row, flush=True)
    return row


def measure(bench: Bench, runs: int, busy: list[int], *, relative_only: bool) -> bool:
    """Print every row as it is done; whether all targets are met. `busy` are numbers of other processes."""
    booster = train()
    base = onnx_of(booster, TREES)
    trees, slowdown = trees_for(bench, booster, SLOWDOWN)
    slower = onnx_of(booster, trees)
    truth_ms = bench.true_p99_ms(base)
    asleep, working = (SlowAtTimes(OVER_MS, 50, asleep=flag) for flag in (True, False))
    within = SlowAtTimes(LIMIT_MS / 2, 50, asleep=False)
    print(
        f"Base: {TREES} trees. Slowed: {trees} trees, truly {slowdown:+.1%}. True p99: {truth_ms * 1000:.0f} us.\n"
    )
    print("| what | machine | runs | pass | warn | fail | wanted | met | s a run |")
    print("|---|---|---|---|---|---|---|---|---|")
    rows = []
    for others in busy:
        with busy_cores(others) as machine:
            rows += [
                repeat("itself, 10 % gate", machine, runs, lambda: bench.against(base, base)[0], "no fail"),
                repeat("slowed by 20 %", machine, runs, lambda: bench.against(slower, base)[0], "99 % fail"),
            ]
            if relative_only:
                continue
            rows += [
                repeat(
                    "p99 at half of the limit", machine, runs, lambda: bench.alone(base, 2 * truth_ms), "no fail"
                ),
                repeat(
                    "every 50th call at work, half of the limit",
                    machine, runs, lambda: bench.alone(within, LIMIT_MS), "no fail",
                ),
                repeat(
                    "every 50th call asleep, over the limit",
                    machine, runs, lambda: bench.alone(asleep, LIMIT_MS), "fail",
                ),
                repeat(
                    "every 50th call at work, over the limit",
                    machine, runs, lambda: bench.alone(working, LIMIT_MS), "fail",
                ),
            ]  # fmt: skip
    return all(row.met for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=200, help="runs of each row")
    parser.add_argument("--relative", action="store_true", help="only the comparison with a base version")
    parser.add_argument(
        "--busy",
        type=int,
        nargs="*",
        default=[0, 1, os.cpu_count() or 1],
        help="numbers of other processes that never rest",
    )
    parser.add_argument("--budget", type=float, default=6.0, help="seconds that one run may measure")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}\n"
    )
    with WorkerPool(limits=WorkerLimits(memory_bytes=8 << 30, timeout_s=60)) as pool:
        pool.zygote("serving").preload(["numpy", "onnxruntime"])
        pool.zygote("native").preload(["numpy", "joblib"])
        bench = Bench(pool=pool, subject=make_subject(), budget_s=options.budget)
        met = measure(bench, options.runs, options.busy, relative_only=options.relative)
    print(f"\nAll targets met: {'yes' if met else 'no'}. Load at the end: {os.getloadavg()[0]:.1f}.")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
