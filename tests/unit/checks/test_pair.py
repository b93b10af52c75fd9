"""Native and ONNX in step: every table is asked of both once, every answer is collected, whatever goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from validator.checks.parity.rows import RuntimePair
from validator.checks.sample_pass import Answers, Batch, read_through
from validator.outputs import Outputs
from validator.sandbox.worker_pool import Raised
from validator.table import Column, Table


@dataclass
class Recorder:
    """Answers with the table's numbers; `log` has what was asked and answered, in order. One request at a time."""

    name: str
    log: list[str] = field(default_factory=list)
    refused: float | None = None
    pending: Table | None = None

    def post(self, table: Table) -> None:
        assert self.pending is None, "asked again before the answer was collected"
        self.pending = table
        self.log.append(f"ask {table.columns[0].values[0]:g}")

    def answer(self, rows: int) -> Outputs:
        assert self.pending is not None, "nothing was asked"
        table, self.pending = self.pending, None
        assert len(table) == rows
        first = float(table.columns[0].values[0])
        self.log.append(f"answer {first:g}")
        if first == self.refused:
            raise Raised("ValueError", ("ValueError",), f"{self.name} refuses", "mend it")
        return Outputs(prediction=table.columns[0].values)


def tables(count: int) -> list[Table]:
    return [Table.of([Column("a", np.array([float(i), 0.5]))]) for i in range(count)]


def pair(refused: float | None = None, *, by: str = "onnx") -> RuntimePair:
    return RuntimePair(
        native=Recorder("native", refused=refused if by == "native" else None),
        onnx=Recorder("onnx", refused=refused if by == "onnx" else None),
        tolerance=1e-9,
    )


def batches(count: int) -> list[Batch]:
    return [Batch(rows=table, table=table) for table in tables(count)]


@dataclass
class Looker:
    """Does something with every batch that it is shown."""

    look: Callable[[Batch, Answers], object]

    def see(self, batch: Batch, answers: Answers) -> None:
        self.look(batch, answers)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_every_table_is_seen_once_and_in_order(count):
    both, seen = pair(), []
    read_through(
        batches(count), both, [Looker(lambda batch, _: seen.append(batch.rows.columns[0].values[0]))]
    )
    assert seen == list(range(count))
    found = pair().compare(tables(count))
    assert found.rows == 2 * count
    assert found.agrees


def test_every_observer_is_shown_the_answers_to_the_batch_itself():
    shown = []
    first, second = (
        Looker(lambda batch, answers, name=name: shown.append((name, batch, answers))) for name in "ab"
    )
    both = batches(3)
    read_through(both, pair(), [first, second])
    assert [(name, batch) for name, batch, _ in shown] == [(name, batch) for batch in both for name in "ab"]
    for _, batch, answers in shown:
        for answer in (answers.native, answers.onnx):
            assert answer.prediction is batch.rows.columns[0].values
        assert answers.base is None


def test_the_next_table_is_asked_for_before_one_is_looked_at():
    both = pair()
    read_through(batches(3), both, [Looker(lambda *_: both.native.log.append("look"))])
    assert both.native.log == [
        "ask 0",
        "answer 0",
        "ask 1",
        "look",
        "answer 1",
        "ask 2",
        "look",
        "answer 2",
        "look",
    ]


def test_who_asks_for_more_finds_the_runtimes_free():
    both, seen = pair(), []

    def ask_again(batch: Batch, answers: Answers) -> None:
        both.native.post(batch.rows)
        assert both.native.answer(len(batch.rows)).prediction is answers.native.prediction

    lookers = [Looker(lambda batch, _: seen.append(batch))]
    read_through(batches(4), both, lookers, asking=[Looker(ask_again)])
    assert len(seen) == 4
    assert both.native.log.count("ask 2") == 2


@dataclass
class BaselineRunner:
    """A base version: `log` has what it was asked, and what the candidate answered to the same."""

    log: list[tuple[str, float]] = field(default_factory=list)
    pending: Batch | None = None

    def post(self, batch: Batch) -> None:
        assert self.pending is None
        self.pending = batch
        self.log.append(("ask", batch.rows.columns[0].values[0]))

    def answer(self, native: Outputs, onnx: Outputs) -> Outputs | None:
        assert self.pending is not None
        batch, self.pending = self.pending, None
        self.log.append(("answer", native.prediction[0]))
        return Outputs(prediction=-batch.rows.columns[0].values)


def test_the_base_version_is_asked_the_same_batches_and_its_answers_come_with_the_candidates():
    base, shown = BaselineRunner(), []
    read_through(batches(3), pair(), [Looker(lambda _, answers: shown.append(answers))], base=base)
    assert base.log == [(what, float(i)) for i in range(3) for what in ("ask", "answer")]
    assert all((one.base.prediction == -one.native.prediction).all() for one in shown)


@pytest.mark.parametrize("by", ["native", "onnx"])
@pytest.mark.parametrize("refused", [0.0, 1.0, 2.0])
def test_an_error_leaves_no_answer_behind(by, refused):
    both = pair(refused, by=by)
    with pytest.raises(Raised, match=f"{by} refuses"):
        both.compare(tables(3))
    assert both.native.pending is None
    assert both.onnx.pending is None


def test_an_error_of_the_reader_or_of_the_looker_leaves_none_either():
    def broken():
        yield from tables(2)
        raise RuntimeError("unreadable")

    both = pair()
    with pytest.raises(RuntimeError, match="unreadable"):
        both.compare(broken())
    assert both.native.pending is both.onnx.pending is None

    def look(batch: Batch, answers: Answers) -> None:
        raise RuntimeError("looked away")

    for lookers, asking in (([Looker(look)], []), ([], [Looker(look)])):
        both = pair()
        with pytest.raises(RuntimeError, match="looked away"):
            read_through(batches(3), both, lookers, asking=asking)
        assert both.native.pending is both.onnx.pending is None
