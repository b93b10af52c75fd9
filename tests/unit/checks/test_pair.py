"""Native and ONNX in step: every table is asked of both once, every answer is collected, whatever goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from validator.checks.parity.rows import RuntimePair
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


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_every_table_is_seen_once_and_in_order(count):
    both, seen = pair(), []
    found = both.compare(tables(count), lambda rows, native, onnx: seen.append(rows.columns[0].values[0]))
    assert seen == list(range(count))
    assert found.rows == 2 * count
    assert found.agrees


def test_the_next_table_is_asked_for_before_one_is_looked_at():
    both = pair()
    both.compare(tables(3), lambda rows, native, onnx: both.native.log.append("look"))
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
    both, asking = pair(), [True, True, False, False]

    def look(rows: Table, native: Outputs, onnx: Outputs) -> None:
        if asking.pop(0):
            both.ask(rows)

    assert both.compare(tables(4), look, is_asking=lambda: asking[0]).rows == 8


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

    def look(rows: Table, native: Outputs, onnx: Outputs) -> None:
        raise RuntimeError("looked away")

    both = pair()
    with pytest.raises(RuntimeError, match="looked away"):
        both.compare(tables(3), look)
    assert both.native.pending is both.onnx.pending is None
