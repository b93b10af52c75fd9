"""Compares the outputs of two runtimes, batch by batch, keeping the worst row."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from validator.checks.sample_pass import Answers, Batch
from validator.outputs import Outputs
from validator.table import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Worst:
    """The row with the largest difference, both answers, and what was asked, in words."""

    row: int
    native: float
    onnx: float
    inputs: str = ""

    @property
    def text(self) -> str:
        asked = f" ({self.inputs})" if self.inputs else ""
        return f"row {self.row}{asked}: native {self.native!r}, ONNX {self.onnx!r}"


@dataclass(frozen=True, kw_only=True)
class Flip:
    """The first row whose label flips, both labels, and what was asked, in words."""

    row: int
    native: str
    onnx: str
    inputs: str = ""


@dataclass(kw_only=True)
class OutputDifferences:
    """Differences so far. `tolerance` is relative to the native value's size, at least one."""

    tolerance: float
    rows: int = 0
    max_abs_diff: float = 0.0
    max_ulp_diff: float = 0.0
    max_relative: float = 0.0
    beyond: int = 0
    label_flips: int = 0
    first_flip: Flip | None = None
    worst: Worst | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether numbers are within the tolerance everywhere. Labels are counted apart."""
        return not self.beyond and not self.problems

    def see(self, batch: Batch, answers: Answers) -> None:
        """Take in the answers to a batch, and keep what was asked in the rows that are shown."""
        rows, start, worst, flip = batch.rows, self.rows, self.worst, self.first_flip
        self.add(answers.native, answers.onnx, len(rows))
        if self.worst is not None and self.worst is not worst:
            self.worst = replace(self.worst, inputs=in_words(rows, self.worst.row - start))
        if self.first_flip is not None and self.first_flip is not flip:
            self.first_flip = replace(self.first_flip, inputs=in_words(rows, self.first_flip.row - start))

    def add(self, native: Outputs, onnx: Outputs, rows: int) -> None:
        """Take in the answers for the next `rows` rows."""
        start = self.rows
        self.rows += rows
        for name, answer in (("native", native), ("ONNX", onnx)):
            wrong = [
                f"{key} {list(value.shape)}" for key, value in answer.present.items() if len(value) != rows
            ]
            if wrong:
                self._problem(f"{name} gave {', '.join(wrong)} for {rows} rows")
                return
        self._add_labels(native.label, onnx.label, start)
        numeric = native.present.keys() & onnx.present.keys() - {"label"}
        labels_only = native.present.keys() == {"label"} and onnx.label is not None
        if not numeric and not labels_only:
            self._problem(f"native gives {list(native.present)}, ONNX {list(onnx.present)}")
        for name in sorted(numeric):
            self._add_numbers(native.present[name], onnx.present[name], name, start)

    def _problem(self, text: str) -> None:
        if text not in self.problems and len(self.problems) < 10:
            self.problems.append(text)

    def _add_labels(self, native: NDArray[Any] | None, onnx: NDArray[Any] | None, start: int) -> None:
        if native is None or onnx is None:
            return
        if native.shape != onnx.shape:
            self._problem(f"label is {list(native.shape)} in native, {list(onnx.shape)} in ONNX")
            return
        if native.dtype == object or onnx.dtype == object:
            different = native.astype(str) != onnx.astype(str)
        else:
            different = native != onnx
        different = different.reshape(len(different), -1).any(axis=1)
        if different.any():
            self.label_flips += int(different.sum())
            if self.first_flip is None:
                row = int(different.argmax())
                self.first_flip = Flip(
                    row=start + row, native=str(native[row])[:100], onnx=str(onnx[row])[:100]
                )

    def _add_numbers(self, native: NDArray[Any], onnx: NDArray[Any], name: str, start: int) -> None:
        import numpy as np

        a = native.reshape(len(native), -1).astype(np.float64, copy=False)
        b = onnx.reshape(len(onnx), -1).astype(np.float64, copy=False)
        if a.shape != b.shape:
            self._problem(f"{name} is {list(native.shape)} in native, {list(onnx.shape)} in ONNX")
            return
        if np.array_equal(a, b):
            return
        gap, relative = _gaps(a, b)
        self.beyond += int((relative > self.tolerance).any(axis=1).sum())
        self.max_abs_diff = max(self.max_abs_diff, float(gap.max()))
        self.max_ulp_diff = max(self.max_ulp_diff, _ulps(a, gap, native.dtype))
        if float(relative.max()) > self.max_relative:
            self.max_relative = float(relative.max())
            row, column = np.unravel_index(int(relative.argmax()), relative.shape)
            self.worst = Worst(row=start + int(row), native=float(a[row, column]), onnx=float(b[row, column]))


def in_words(rows: Table, row: int) -> str:
    """One row as `name=value, ...`."""
    one = rows.take(slice(row, row + 1))
    return ", ".join(f"{column.name}={column.decoded().tolist()[0]!r}" for column in one.columns)[:2_000]


def differing(first: Outputs, second: Outputs, tolerance: float) -> NDArray[Any]:
    """Which rows have other labels, or numbers farther apart than the tolerance: bool [N]."""
    import numpy as np

    found = np.zeros(len(first), dtype=bool)
    for name in first.present.keys() & second.present.keys():
        a, b = first.present[name], second.present[name]
        if name == "label":
            found |= a.astype(str) != b.astype(str)
        else:
            a, b = (array.reshape(len(array), -1).astype(np.float64) for array in (a, b))
            found |= (_gaps(a, b)[1] > tolerance).any(axis=1)
    return found


def _gaps(a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Absolute differences, and relative to the size of `a`, at least 1; NaN equals NaN, and is far from the rest."""
    import numpy as np

    equal = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.where(equal, 0.0, np.abs(a - b))
    gap = np.where(np.isnan(gap), np.inf, gap)
    return gap, gap / np.maximum(1.0, np.abs(np.where(np.isfinite(a), a, 1.0)))


def _ulps(a: NDArray[Any], gap: NDArray[Any], dtype: Any) -> float:
    """The largest difference in units in the last place of the native value, in the native output's own dtype."""
    import numpy as np

    kind = dtype if dtype.kind == "f" else np.dtype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        unit = np.spacing(np.abs(a).astype(kind)).astype(np.float64)
        found = gap / np.where(np.isfinite(unit), unit, 1.0)
    return float(found.max(initial=0.0))
