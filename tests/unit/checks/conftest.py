"""Runtimes whose faults are chosen: every check must be failed by the fault that it is meant for, and by no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from validator.checks.check import Subject
from validator.outputs import Outputs
from validator.results import Contract, FeatureSpec
from validator.runtimes.timing import Prepared, Timing
from validator.sandbox.worker_pool import Raised
from validator.table import Column, Table
from validator.worker.spoiling import spoilt

FEATURES = ("a", "b", "c")


def sensible(table: Table) -> Outputs:
    """A logistic answer: probabilities of two classes, and the label."""
    matrix = table.select(FEATURES).matrix()
    positive = 1 / (1 + np.exp(-matrix.sum(axis=1)))
    probabilities = np.column_stack([1 - positive, positive])
    return Outputs(label=(positive > 0.5).astype(np.int64), probabilities=probabilities)


class VirtualClock:
    """Seconds that pass by what the runtimes of this process say that they take, and in no other way."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


CLOCK = VirtualClock()


@dataclass(kw_only=True)
class FakeRuntime:
    """In this process, with an answer and a duration of choice, by `CLOCK`."""

    name: str = "native"
    answer: Callable[[Table], Outputs] = sensible
    array_answer: Callable[[np.ndarray], Outputs] | None = None
    thread_answer: Callable[[Table, int], Outputs] | None = None
    duration_ns: Callable[[int], int] = lambda call: 100_000
    hidden_ns: Callable[[int], int] = lambda call: 0
    wall_factor: float = 1.0
    load_ms: float = 5.0
    first_call_ms: float | None = None
    rows_at_once: int | None = None
    peak_bytes: int = 100 * 2**20
    methods: dict[str, str] | None = None
    single_answer: Callable[[Table], Outputs] | None = None
    calls: int = field(default=0)

    def __post_init__(self) -> None:
        if self.methods is None:
            self.methods = {"predict": "predict"} if self.name in ("deployment", "wrapper") else {}

    def predict(self, table: Table, method: str = "") -> Outputs:
        if method == "single" and self.single_answer is not None:
            return self.single_answer(table)
        return self.answer(table)

    def spoil_each(
        self, row: Table, names: Sequence[str], value: str, method: str = ""
    ) -> list[Raised | bool]:
        endings: list[Raised | bool] = []
        for name in names:
            try:
                endings.append(self.predict(spoilt(row, name, value), method).is_finite)
            except Raised as error:
                endings.append(error)
        return endings

    def crowd(self, table: Table, threads: int) -> tuple[Outputs, list[str]]:
        try:
            self.answer(Table(table.columns[:-1], len(table)))
        except Raised as error:
            return self.answer(table), [error.kind] * threads
        return self.answer(table), [""] * threads

    def predict_array(self, array: np.ndarray) -> Outputs:
        assert self.array_answer is not None
        return self.array_answer(array)

    def from_threads(self, tables: Sequence[Table]) -> list[Outputs]:
        one = self.thread_answer or (lambda table, _: self.answer(table))
        return [one(table, i) for i, table in enumerate(tables)]

    def prepare(self, table: Table, rows_per_call: int) -> Prepared:
        return Prepared(inputs=len(table) // rows_per_call)

    def pin(self, core: int) -> None: ...

    def run(self, start: int, calls: int) -> Timing:
        spans = np.array([self.duration_ns(start + i) for i in range(calls)], dtype=np.int64)
        hidden = sum(self.hidden_ns(start + i) for i in range(calls))
        wall_ns = int(spans.sum() * self.wall_factor) + hidden
        CLOCK.seconds += wall_ns / 1e9
        return Timing(
            spans_ns=spans, wall_ns=wall_ns, peak_bytes=self.peak_bytes, queued_ns=0, own_queued_ns=0
        )


@pytest.fixture
def subject() -> Subject:
    rng = np.random.default_rng(0)
    rows = Table.of([Column(name, rng.normal(size=400)) for name in FEATURES])
    contract = Contract(
        features=tuple(FeatureSpec(name=name, dtype="float64") for name in FEATURES),
        task="binary",
        classes=(0, 1),
    )
    return Subject(contract=contract, rows=rows)
