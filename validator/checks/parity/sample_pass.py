"""One pass over the sample: all that is asked and gathered of each batch besides what native and ONNX answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from validator.checks.change.baseline_runner import BaselineRunner
from validator.checks.load.model import Data
from validator.checks.parity.casting import CastEffect
from validator.checks.quality.measuring import Measuring
from validator.outputs import Outputs
from validator.table import Table

#: Rows on which the effect of a cast is looked at, for which native is asked once more.
_CAST_ROWS = 500_000


@dataclass(kw_only=True)
class Reading:
    """`tables` is read by the comparison of native and ONNX, which hands their answers to `take`, batch by batch.

    A batch may be read before the one before it was taken: the runtimes work on it meanwhile.
    """

    data: Data
    measuring: Measuring
    base_runner: BaselineRunner | None = None
    cast: CastEffect | None = None
    n_outputs: int | None = None
    _open: deque[tuple[Table, Any]] = field(default_factory=deque)

    def tables(self, limit: int, target: str | None) -> Iterator[Table]:
        """The model's columns of every batch. The base version is asked for it at the same time."""
        for table, rows, truth in self.data.batches(limit, target):
            self.data.observer.observe(rows)
            if self.base_runner is not None:
                self.base_runner.ask(table)
            self._open.append((table, truth))
            yield rows

    @property
    def asks_again(self) -> bool:
        """Whether `take` will ask native for something of its own: what a cast to float32 does to its answers."""
        return self.cast is not None and self.cast.rows < _CAST_ROWS

    def take(self, rows: Table, native: Outputs, onnx: Outputs) -> None:
        """Both answers to the oldest batch that was read."""
        table, truth = self._open.popleft()
        if self.cast is not None and self.asks_again:
            self.cast.add(rows, native)
        if native.prediction is not None:
            self.n_outputs = native.prediction.shape[1] if native.prediction.ndim == 2 else 1
        base = None
        if self.base_runner is not None:
            alike = native if self.base_runner.version.kind == "native" else onnx
            base = self.base_runner.answer(alike, len(rows))
        if truth is not None:
            self.measuring.add(table, truth, onnx, base)
