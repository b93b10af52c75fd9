"""One pass over the reference or the sample, for its profile, its quality and its counts in another's bins."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.checks.sample_pass import Batch
from validator.drift import quality
from validator.drift.tally import Tally
from validator.profile.making import ProfileMaker, output_columns
from validator.profile.thinning import Thinned
from validator.runtimes.runtime import WorkerRuntime
from validator.runtimes.sample_folder import parts_of
from validator.table import Column, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Quality is measured on so many rows at most.
_MEASURED_ROWS = 50_000


@dataclass(kw_only=True)
class Gathering:
    """Rows and the ONNX model's answers to those that are kept.

    With a `champion`, everything is counted in its bins too.
    """

    runtime: WorkerRuntime
    champion: Tally | None = None
    maker: ProfileMaker = field(default_factory=ProfileMaker)
    _labelled: Thinned = field(default_factory=lambda: Thinned(_MEASURED_ROWS))
    _rows: int = 0

    def read(self, batches: Iterable[Batch]) -> None:
        """All rows, batch by batch."""
        for batch in batches:
            rows, truth = batch.rows, batch.truth
            values = {column.name: plain_values(column) for column in rows.columns}
            measured = self._labelled.choice(len(rows)) if truth is not None else None

            def answer(
                places: NDArray[np.int64],
                rows: Table = rows,
                truth: NDArray[Any] | None = truth,
                measured: NDArray[np.int64] | None = measured,
            ) -> dict[str, NDArray[Any]]:
                found = output_columns(self.runtime.predict(rows.take(places)).present)
                if truth is not None and measured is not None and found:
                    at = np.searchsorted(places, measured)
                    arrays = [*(array[at] for array in found.values()), truth[measured]]
                    self._labelled.add_kept(len(rows), measured, arrays)
                if self.champion is not None and found.keys() >= set(_names(self.champion)):
                    whole = len(places) == len(rows)
                    self.champion.add_outputs(found, in_order=whole)
                return found

            self.maker.add(values, answer)
            if self.champion is not None:
                self.champion.add(values)
            self._rows += len(rows)

    def answered(self) -> tuple[NDArray[np.float64], NDArray[Any]]:
        """The model's answers [N, K] and the true ones [N], on the rows where those are known."""
        if not len(self._labelled):
            return np.zeros((0, 1)), np.zeros(0)
        *outputs, truth = self._labelled.joined().arrays
        known = quality.has_truth(truth)
        matrix = np.column_stack([array.astype(np.float64) for array in outputs])[known]
        return matrix, truth[known]


def plain_values(column: Column) -> NDArray[Any]:
    """A column as a profile counts it: numbers as they are, everything else as Python values."""
    if column.is_numeric:
        return column.values
    values = column.decoded()
    return values if values.dtype == object else values.astype(object)


def file_digest(path: str) -> str:
    """SHA-256 of a file's bytes; of a folder that of a line `<sha256>  <path in it>` for each of its parts."""
    if Path(path).is_dir():
        parts = [Path(part.path) for part in parts_of(path)]
        lines = [f"{file_digest(str(part))}  {part.relative_to(Path(path).absolute())}\n" for part in parts]
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _names(champion: Tally) -> list[str]:
    return [column.name for column in champion.profile.outputs]
