"""Many rows answered in pieces, so that one call's memory stays within bounds whatever the model makes of a row."""

from __future__ import annotations

from typing import Callable, List, Optional

from validator.outputs import Outputs, concatenate
from validator.table import Table

#: The first piece: what is asked in one call before anything is known of the memory that a row takes.
FIRST_ROWS = 1_000
MOST_ROWS = 65_536
#: What the memory of one call may grow by.
BUDGET_BYTES = 512 * 2**20
#: How much larger than the call before a piece may be: the peak before it may have hidden what that call took.
_GROWTH = 4


class Pieces:
    """`rows` is how many rows one call may have, as the process's own peak memory has shown so far.

    `peak` gives that peak in bytes; it never falls.
    """

    def __init__(self, peak: Callable[[], int], budget: int = BUDGET_BYTES) -> None:
        self.rows = FIRST_ROWS
        self._peak = peak
        self._before: Optional[int] = None
        self._budget = budget
        self._fitting = MOST_ROWS

    def ask(self, table: Table, answer: Callable[[Table], Outputs]) -> Outputs:
        """The answers to all rows. A table that fits one call is handed on as it is."""
        parts: List[Outputs] = []
        done = 0
        while done < len(table) or not parts:
            part = (
                table if not done and len(table) <= self.rows else table.take(slice(done, done + self.rows))
            )
            before = self._peak()
            self._before = before if self._before is None else self._before
            given = answer(part)
            if len(given) != len(part) and len(part) < len(table):
                raise ValueError(f"{len(part)} rows gave {len(given)} answers")
            parts.append(given)
            after = self._peak()
            self._learn(len(part), after - self._before if after > before else 0)
            done += len(part)
        return parts[0] if len(parts) == 1 else concatenate(parts)

    def _learn(self, rows: int, taken: int) -> None:
        """What a call that raised the peak took bounds the next, which is four times as large at most.

        `taken` counts from before the first call: a second call as large would raise the peak no more.
        """
        if not rows:
            return
        if taken:
            self._fitting = max(1, min(self._fitting, self._budget * rows // taken))
        self.rows = min(max(self.rows, rows * _GROWTH), self._fitting)
