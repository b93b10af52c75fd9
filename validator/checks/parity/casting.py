"""What a float32 input does to a sample of doubles: the rows whose native answer the cast alone changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from validator.checks.check import seen
from validator.checks.parity.compare import differing
from validator.checks.sample_pass import Answers, Batch
from validator.outputs import Outputs
from validator.results import Evidence
from validator.runtimes.runtime import WorkerRuntime
from validator.table import Column, Table

_SHOWN = 5
_MOST_ROWS = 500_000


@dataclass(kw_only=True)
class CastEffect:
    """Rows so far; `changed` of them are answered differently by the native model after a cast to float32."""

    native: WorkerRuntime
    tolerance: float
    rows: int = 0
    rounded: int = 0
    """rows of which the cast changes any value at all"""
    changed: int = 0
    examples: list[str] = field(default_factory=list)

    def see(self, batch: Batch, answers: Answers) -> None:
        """Ask native once more for the batch's rows that the cast moves, as long as it has not seen enough."""
        import numpy as np

        rows, before = batch.rows, answers.native
        if self.rows >= _MOST_ROWS:
            return
        start, self.rows = self.rows, self.rows + len(rows)
        cast = Table(tuple(_cast(column) for column in rows.columns), len(rows))
        moved = np.zeros(len(rows), dtype=bool)
        for old, new in zip(rows.columns, cast.columns, strict=True):
            if new is not old:
                moved |= (old.values != new.values) & ~(np.isnan(old.values) & np.isnan(new.values))
        places = np.flatnonzero(moved)
        self.rounded += len(places)
        if not len(places):
            return
        after = self.native.predict(cast.take(places))
        was = before.take(places)
        for place in np.flatnonzero(differing(was, after, self.tolerance)):
            self.changed += 1
            if len(self.examples) < _SHOWN:
                row = start + int(places[place])
                self.examples.append(f"row {row}: {_told(was, place)} becomes {_told(after, place)}")

    @property
    def evidence(self) -> list[Evidence]:
        if not self.changed:
            return [seen("rows whose answer the cast to float32 changes", 0)]
        return [
            seen("rows whose answer the cast to float32 changes", self.changed),
            *(seen("changed by the cast", example) for example in self.examples),
        ]


def _cast(column: Column) -> Column:
    if column.categories is not None or column.values.dtype.kind != "f" or column.values.dtype.itemsize <= 4:
        return column
    import numpy as np

    with np.errstate(over="ignore"):
        return Column(column.name, column.values.astype(np.float32).astype(column.values.dtype))


def _told(outputs: Outputs, row: Any) -> str:
    parts = [f"{name} {array[row].tolist()!r}" for name, array in outputs.present.items()]
    return ", ".join(parts)[:300]
