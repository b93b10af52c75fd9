"""One pass over rows: each batch is read once, asked of every version once, and shown to every observer.

The runtimes work on the next batch while observers look at the answers to one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, Protocol

from validator.outputs import Outputs
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

    def answer(self) -> tuple[Outputs, Outputs]:
        """Native and ONNX answers to what was asked for."""

    def drop(self) -> None:
        """Collect what was asked for and not answered yet, whatever it is."""


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
    try:
        for done, ahead in pairwise(chain((None,), batches, (None,))):
            answers = None if done is None else _collect(candidate, base)
            _show(asking, done, answers)
            if ahead is not None:
                candidate.post(ahead.rows)
                if base is not None:
                    base.post(ahead)
            _show(observers, done, answers)
    finally:
        candidate.drop()


def _collect(candidate: Candidate, base: Base | None) -> Answers:
    native, onnx = candidate.answer()
    return Answers(native=native, onnx=onnx, base=None if base is None else base.answer(native, onnx))


def _show(observers: Sequence[Observer], batch: Batch | None, answers: Answers | None) -> None:
    if batch is not None and answers is not None:
        for observer in observers:
            observer.see(batch, answers)
