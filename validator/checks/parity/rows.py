"""Native against ONNX on rows: the whole sample, the model's own thresholds, missing values, unseen categories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from validator.checks.check import (
    CheckOutcome,
    Subject,
    failed,
    not_applicable,
    noted,
    passed,
    result,
    run_check,
    seen,
    warned,
)
from validator.checks.parity.compare import OutputDifferences
from validator.checks.sample_pass import Batch, read_through
from validator.errors import WorkerError
from validator.libraries.known import library_named
from validator.outputs import Outputs
from validator.results import CheckResult
from validator.runtimes.runtime import WorkerRuntime
from validator.sandbox.worker_pool import Raised
from validator.table import Column, Table

_MISSING_ROWS = 2_000
_KNOWN_ROWS = 20_000
_SMALLEST = 8
"""rows that are left out together where the native model refuses one of them"""
UNSEEN = "preflight: never seen"
_AS_SERVED = "nothing to do where the deployment serves; elsewhere refuse such rows before the model"


@dataclass(frozen=True, kw_only=True)
class RuntimePair:
    """Both runtimes of one model, and how far apart they may be."""

    native: WorkerRuntime
    onnx: WorkerRuntime
    tolerance: float

    def post(self, rows: Table) -> None:
        """Ask both, which work at the same time."""
        self.native.post(rows)
        try:
            self.onnx.post(rows)
        except WorkerError:
            self.native.answer(len(rows))
            raise

    def answer(self, rows: int) -> tuple[Outputs, Outputs]:
        """What was asked for last. Where both fail, native's error counts, and neither is left with an answer."""
        onnx_error: Raised | None = None
        try:
            onnx = self.onnx.answer(rows)
        except Raised as error:
            onnx_error = error
        finally:
            native = self.native.answer(rows)
        if onnx_error is not None:
            raise onnx_error
        return native, onnx

    def compare(self, tables: Iterable[Table]) -> OutputDifferences:
        """Both runtimes' answers to all tables, side by side."""
        comparison = OutputDifferences(tolerance=self.tolerance)
        read_through((Batch(rows=table, table=table) for table in tables), self, [comparison])
        return comparison


def accepted(native: WorkerRuntime, tables: Iterable[Table]) -> tuple[list[Table], int]:
    """The rows that the native model answers, and how many it refuses; it is asked halves of what it refused."""
    kept: list[Table] = []
    refused = 0
    waiting = list(tables)
    while waiting:
        rows = waiting.pop()
        try:
            native.predict(rows)
        except Raised:
            if len(rows) <= _SMALLEST:
                refused += len(rows)
                continue
            half = len(rows) // 2
            waiting += [rows.take(slice(half, None)), rows.take(slice(0, half))]
        else:
            kept.append(rows)
    return kept, refused


def judge(comparison: OutputDifferences, what: str) -> CheckOutcome:
    """A comparison as a finding: the differences, what was allowed, and the worst row."""
    evidence = [
        seen("rows", comparison.rows),
        seen("largest absolute difference", comparison.max_abs_diff),
        seen("largest difference in ulps", comparison.max_ulp_diff),
        seen("tolerance that would have passed", comparison.max_relative, f"<= {comparison.tolerance:g}"),
    ]
    worst = comparison.worst
    if worst is not None:
        evidence.append(seen("worst row", worst.text))
    if comparison.problems:
        return failed("; ".join(comparison.problems), *evidence)
    if comparison.beyond:
        return failed(
            f"{comparison.beyond} of {comparison.rows} {what} differ by more than {comparison.tolerance:g}; "
            f"the largest difference is {comparison.max_abs_diff:.3g}"
            + (f" in row {worst.row} (native {worst.native:.9g}, ONNX {worst.onnx:.9g})" if worst else ""),
            *evidence,
        )
    return passed(f"{comparison.rows} {what} agree", *evidence)


def labels(comparisons: Iterable[OutputDifferences], applicable: bool) -> CheckResult:
    """Every label of every comparison, ties included."""
    found = list(comparisons)
    if not applicable:
        return result("parity.labels", "", not_applicable("the model gives no labels"))
    flips = sum(comparison.label_flips for comparison in found)
    rows = sum(comparison.rows for comparison in found)
    if flips:
        flip = next(comparison.first_flip for comparison in found if comparison.first_flip)
        return result(
            "parity.labels",
            "",
            failed(
                f"{flips} of {rows} labels differ; the first in row {flip.row}: "
                f"native {flip.native}, ONNX {flip.onnx}",
                seen("label flips", flips, "0"),
                seen("first row whose label flips", flip.inputs),
            ),
        )
    return result("parity.labels", "", passed(f"{rows} labels, none differs", seen("label flips", 0, "0")))


def missing_values(
    pair: RuntimePair, subject: Subject, *, refusing: bool = False
) -> tuple[CheckResult, OutputDifferences | None]:
    """Rows of the sample with a missing value in one feature after the other, then in all at once.

    Where what serves is `refusing` what the contract does not allow, other answers to the rest are a note.
    """
    kept: list[OutputDifferences] = []

    def check() -> CheckOutcome:
        rows = subject.head(1)
        may_miss = tuple(one.name for one in subject.contract.features if one.missing)
        if not may_miss and not any(column.values.dtype.kind == "f" for column in rows.columns):
            return not_applicable("no feature can hold NaN")
        names = rows.names
        try:
            pair.native.predict(_with_missing(rows, names))
        except Raised as error:
            names = may_miss
            if not names:
                return passed(
                    f"native refuses missing values ({error.kind}); so does the deployment",
                    seen("native says", f"{error.kind}: {error.message}"[:500]),
                )
        comparison = pair.compare(_missing_tables(_as_missing(subject), names))
        found = judge(comparison, "rows with missing values")
        refused = [name for name in names if name not in may_miss]
        if (found.status == "fail" or comparison.label_flips) and refusing and refused:
            comparison = pair.compare(_missing_tables(_as_missing(subject), may_miss) if may_miss else [])
            allowed = judge(comparison, "rows with missing values that the contract allows")
            if allowed.status == "pass":
                found = noted(
                    f"{found.message}; the contract refuses missing values in {_listed(refused)}",
                    *found.evidence,
                    hint=_AS_SERVED,
                )
            else:
                found = allowed
        kept.append(comparison)
        return found

    return run_check("parity.missing", "", check), kept[0] if kept else None


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more columns" if len(names) > 5 else shown


def _as_missing(subject: Subject) -> Table:
    """The first rows; whole numbers that may be missing as floats, the way callers give them then."""
    import numpy as np

    rows = subject.head(_MISSING_ROWS)
    whole = {
        one.name for one in subject.contract.features if one.missing and one.dtype.startswith(("int", "uint"))
    }
    for column in rows.columns:
        if column.name in whole and column.values.dtype.kind in "iu":
            rows = rows.replace(Column(column.name, column.values.astype(np.float64)))
    return rows


def _missing_tables(rows: Table, names: Sequence[str]) -> Iterator[Table]:
    """Each of those columns missing in some rows: row i lacks the one i modulo their number. Then all of them."""
    import numpy as np

    count = len(names)
    place = {name: i for i, name in enumerate(names)}
    repeated = rows.take(np.arange(max(len(rows), count)) % len(rows))
    owner = np.arange(len(repeated)) % count
    columns = [_blank(column, owner == place.get(column.name, -1)) for column in repeated.columns]
    yield Table(tuple(columns), len(repeated))
    yield _with_missing(rows.take(slice(0, 10)), names)


def _blank(column: Column, where: Any) -> Column:
    import numpy as np

    values = column.values.copy()
    if column.categories is not None:
        values[where] = -1
    elif values.dtype.kind == "f":
        values[where] = np.nan
    elif values.dtype == object:
        values[where] = None
    return Column(column.name, values, column.categories)


def _with_missing(rows: Table, names: Iterable[str]) -> Table:
    import numpy as np

    everywhere = np.ones(len(rows), dtype=bool)
    lacking = set(names)
    return Table(
        tuple(_blank(column, everywhere) if column.name in lacking else column for column in rows.columns),
        len(rows),
    )


def known_categories(subject: Subject) -> list[Table]:
    """Rows with every text that the contract lists and the rows at hand do not show, one table a column."""
    import numpy as np

    rows = subject.head(_MISSING_ROWS)
    listed = {
        one.name: one.categories for one in subject.contract.features if one.dtype in ("string", "category")
    }
    tables: list[Table] = []
    for column in rows.columns:
        known = listed.get(column.name) or ()
        shown = set(column.decoded().tolist()) if known else set()
        lacking = [value for value in known if isinstance(value, str) and value not in shown][:_KNOWN_ROWS]
        if lacking:
            table = rows.take(np.arange(len(lacking)) % len(rows))
            tables.append(table.replace(_holding(column, lacking)))
    return tables


def _holding(column: Column, texts: Sequence[str]) -> Column:
    import numpy as np

    if column.categories is None:
        return Column(column.name, np.array(texts, dtype=object))
    merged = list(dict.fromkeys([*column.categories.tolist(), *texts]))
    place = {value: code for code, value in enumerate(merged)}
    codes = np.array([place[text] for text in texts], dtype=np.int32)
    return Column(column.name, codes, np.array(merged, dtype=object))


def unseen_categories(
    pair: RuntimePair, subject: Subject, library: str = ""
) -> tuple[CheckResult, OutputDifferences | None]:
    """Rows with a value that training never saw, in one text or category column after the other.

    Of a `library` that answers those by accident other answers need a word: the deployment refuses such a row.
    """
    kept: list[OutputDifferences] = []

    def check() -> CheckOutcome:
        rows = subject.head(200)
        columns = [column for column in rows.columns if not column.is_numeric]
        if not columns:
            return not_applicable("the model has no text or category column")
        tables = [rows.replace(with_unseen(column)) for column in columns]
        refused = []
        accepted = []
        for column, table in zip(columns, tables, strict=True):
            try:
                pair.native.predict(table.take(slice(0, 1)))
                accepted.append(table)
            except Raised as error:
                refused.append(f"{column.name} ({error.kind})")
        if not accepted:
            return passed(
                f"native refuses unseen categories: {', '.join(refused)[:500]}; so does the deployment"
            )
        comparison = pair.compare(accepted)
        found = judge(comparison, "rows with unseen categories")
        record = library_named(library)
        by_accident = record is not None and record.unseen and rows_are_categories(columns)
        if found.status == "fail" and by_accident and record is not None:
            return warned(
                f"{record.unseen}; the ONNX file takes it for missing, and the deployment refuses it",
                *found.evidence,
                hint=_AS_SERVED,
            )
        kept.append(comparison)
        return found

    return run_check("parity.categories", "", check), kept[0] if kept else None


def rows_are_categories(columns: Sequence[Column]) -> bool:
    """Whether what is no number is a category that the contract lists, so that the deployment refuses all others."""
    return all(column.categories is not None for column in columns)


def with_unseen(column: Column) -> Column:
    """The column with a value that it never held, in every row."""
    import numpy as np

    if column.categories is None:
        return Column(column.name, np.array([UNSEEN] * len(column.values), dtype=object))
    if column.categories.dtype == object:
        extended: Any = np.append(column.categories, np.array([UNSEEN], dtype=object))
    else:
        extended = np.append(column.categories, column.categories.max() + 1)
    codes = np.full(len(column.values), len(extended) - 1, dtype=np.int32)
    return Column(column.name, codes, extended)
