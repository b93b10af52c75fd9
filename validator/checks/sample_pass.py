"""One pass over rows: each batch is read once, asked of every version once, and shown to every observer.

The runtimes work on the next batch while observers look at the answers to one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

from validator.errors import WorkerError
from validator.outputs import Outputs
from validator.sandbox.worker_pool import Raised
from validator.table import Table


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Consecutive rows: the model's columns, all columns of the sample, the true answers [N] where they are known."""

    rows: Table
    table: Table
    truth: Any = None


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What every version answers to one batch; no `base` where there is none, or it cannot be compared."""

    native: Outputs
    onnx: Outputs
    base: Outputs | None = None


class Candidate(Protocol):
    """The runtimes of the model under test. One batch is asked for at a time."""

    def post(self, rows: Table) -> None:
        """Ask for rows without waiting."""

    def answer(self, rows: int) -> tuple[Outputs, Outputs]:
        """Native and ONNX answers to the rows that were asked for. Leaves none behind, even if it raises."""


class Base(Protocol):
    """The base version, asked for the same batches. What goes wrong with it is its own affair: it never raises."""

    def post(self, batch: Batch) -> None: ...

    def answer(self, native: Outputs, onnx: Outputs) -> Outputs | None:
        """Its answers to what was asked for, given the candidate's; None where they cannot be compared."""


class Observer(Protocol):
    """Whoever looks at batches and answers. What it raises ends the pass."""

    def see(self, batch: Batch, answers: Answers) -> None: ...


def read_through(
    batches: Iterable[Batch],
    candidate: Candidate,
    observers: Sequence[Observer],
    *,
    base: Base | None = None,
    asking: Sequence[Observer] = (),
) -> None:
    """Show every batch and the answers to it to all observers, in order.

    `asking` are observers that ask the candidate's runtimes for something of their own: they come first, while
    those are free. Raises what reading, a runtime or an observer raises; no runtime is left with an answer then.
    """
    waiting: Batch | None = None
    try:
        for batch in chain(batches, (None,)):
            done, waiting = waiting, None
            answers = None if done is None else _collect(candidate, base, len(done.rows))
            _show(asking, done, answers)
            if batch is not None:
                candidate.post(batch.rows)
                waiting = batch
                if base is not None:
                    base.post(batch)
            _show(observers, done, answers)
    finally:
        if waiting is not None:  # reading or an observer broke off
            with suppress(Raised, WorkerError):
                candidate.answer(len(waiting.rows))


def _collect(candidate: Candidate, base: Base | None, rows: int) -> Answers:
    native, onnx = candidate.answer(rows)
    return Answers(native=native, onnx=onnx, base=None if base is None else base.answer(native, onnx))


def _show(observers: Sequence[Observer], batch: Batch | None, answers: Answers | None) -> None:
    if batch is not None and answers is not None:
        for observer in observers:
            observer.see(batch, answers)
