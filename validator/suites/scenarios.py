"""The scenarios of the error suite: wrong inputs made from good rows, and which answers would be right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from validator.outputs import Outputs
from validator.results import RuntimeName
from validator.runtimes.runtime import Runtime
from validator.suites.common import Subject
from validator.suites.parity import with_unseen
from validator.table import Column, Table

_ROWS = 5
_MAX_FEATURES = 200


@dataclass(frozen=True, kw_only=True)
class Case:
    """One wrong input. `wrong` says what was accepted if an answer comes and none of the three rules excuses it:
    `expected_rows` answers, the same answers as for `same_as`, or any finite answer when `finite_is_declared`.
    """

    ask: Callable[[Runtime], Outputs]
    wrong: str
    declared: str = ""
    expected_rows: int | None = None
    same_as: Table | None = None
    finite_is_declared: bool = False


Maker = Callable[[Subject, RuntimeName], "Sequence[Case] | str"]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """`cases` makes the inputs, or says why the scenario has no meaning; `broken` names a broken model file."""

    id: str
    cases: Maker = lambda subject, runtime: ()
    broken: str = ""


def _table_case(table: Table, wrong: str, **rules: Any) -> Case:
    return Case(ask=lambda runtime: runtime.predict(table), wrong=wrong, **rules)


def _array_case(array: Any, wrong: str, **rules: Any) -> Case:
    return Case(ask=lambda runtime: runtime.predict_array(array), wrong=wrong, **rules)


def _wrong_names(subject: Subject, runtime: RuntimeName) -> Sequence[Case] | str:
    rows = subject.head(_ROWS)
    all_wrong = Table(tuple(c.renamed(f"wrong_{i}") for i, c in enumerate(rows.columns)), len(rows))
    first = rows.columns[0]
    misspelt = Table((first.renamed(first.name + "_"), *rows.columns[1:]), len(rows))
    return [
        _table_case(all_wrong, "answers rows in which no feature has its name"),
        _table_case(misspelt, f"answers rows in which {first.name!r} is misspelt"),
    ]


def _missing_features(subject: Subject, runtime: RuntimeName) -> Sequence[Case] | str:
    rows = subject.head(_ROWS)
    if len(rows.columns) < 2:
        return "the model has one feature only"
    lacking = Table(rows.columns[:-1], len(rows))
    return [_table_case(lacking, f"answers rows without {rows.columns[-1].name!r}")]


def _extra_features(subject: Subject, runtime: RuntimeName) -> Sequence[Case] | str:
    import numpy as np

    rows = subject.head(_ROWS)
    surplus = Table((*rows.columns, Column("preflight_extra", np.zeros(len(rows)))), len(rows))
    return [
        _table_case(
            surplus,
            "answers rows with a feature too many, and differently",
            same_as=rows,
            declared="the surplus column is left out by name",
        )
    ]


def _reordered(subject: Subject, runtime: RuntimeName) -> Sequence[Case] | str:
    rows = subject.head(_ROWS)
    if len(rows.columns) < 2:
        return "the model has one feature only"
    backwards = Table(tuple(reversed(rows.columns)), len(rows))
    return [
        _table_case(
            backwards,
            "takes the columns by position, so that reordered columns give other answers",
            same_as=rows,
            declared="columns are taken by name, whatever their order",
        )
    ]


def _in_each_feature(subject: Subject, value: float) -> Table | None:
    """Row i holds the value in feature i. None when no feature is a floating number."""
    import numpy as np

    floats = [i for i, column in enumerate(subject.rows.columns) if column.values.dtype.kind == "f"][
        :_MAX_FEATURES
    ]
    if not floats:
        return None
    rows = subject.rows.take(np.zeros(len(floats), dtype=int))
    columns = list(rows.columns)
    for row, index in enumerate(floats):
        values = columns[index].values.copy()
        values[row] = value
        columns[index] = Column(columns[index].name, values)
    return Table(tuple(columns), len(floats))


def _nan(subject: Subject, runtime: RuntimeName) -> Sequence[Case] | str:
    table = _in_each_feature(subject, float("nan"))
    if table is None:
        return "no feature is a floating number"
    allowed = subject.contract.allow_missing
    return [
        _table_case(
            table,
            "answers NaN as if training had seen it",
            finite_is_declared=allowed,
            declared="the contract declares missing values, and the answer is finite",
        )
    ]


def _inf(subject: Subject, runtime: RuntimeName) -> Sequence[Case] | str:
    cases = []
    for value in (float("inf"), float("-inf")):
        table = _in_each_feature(subject, value)
        if table is None:
            return "no feature is a floating number"
        cases.append(
            _table_case(
                table,
                f"answers {value} as if training had seen it",
                finite_is_declared=subject.contract.allow_infinite,
                declared="the contract declares infinite values, and the answer is finite",
            )
        )
    return cases


def _wrong_dtype(subject: Subject, runtime: RuntimeName) -> Sequence[Case] | str:
    """Dates where numbers belong; for a bare matrix, an integer type that the input does not have."""
    import numpy as np

    rows = subject.head(_ROWS)
    if runtime == "onnx":
        return [
            _array_case(np.ones((len(rows), len(rows.columns)), dtype=np.int16), "answers an int16 matrix")
        ]
    first = next((column for column in rows.columns if column.is_numeric), None)
    if first is None:
        return "the model has no numeric column"
    dates = np.datetime64("2024-01-01", "ns") + np.arange(len(rows)).astype("timedelta64[D]")
    return [_table_case(rows.replace(Column(first.name, dates)), f"answers dates in {first.name!r}")]


def _text(subject: Subject, runtime: RuntimeName) -> Sequence[Case] | str:
    import numpy as np

    rows = subject.head(_ROWS)
    first = next((column for column in rows.columns if column.is_numeric), None)
    if first is None:
        return "the model has no numeric column"
    words = np.array(["abc"] * len(rows), dtype=object)
    if runtime == "onnx":
        return [_array_case(np.array([["abc"] * len(rows.columns)], dtype=object), "answers text")]
    return [_table_case(rows.replace(Column(first.name, words)), f"answers text in {first.name!r}")]


def _empty(subject: Subject, runtime: RuntimeName) -> Sequence[Case] | str:
    return [_table_case(subject.head(0), "answers rows that nobody gave", expected_rows=0)]


def _wrong_rank(subject: Subject, runtime: RuntimeName) -> Sequence[Case] | str:
    import numpy as np

    count = len(subject.rows.columns)
    kind = subject.rows.matrix().dtype if subject.rows.is_numeric else np.dtype(np.float64)
    return [
        _array_case(np.zeros(count, dtype=kind), "answers a vector where a matrix belongs"),
        _array_case(np.zeros((2, count, 2), dtype=kind), "answers an array of rank three"),
    ]


def _unseen(subject: Subject, runtime: RuntimeName) -> Sequence[Case] | str:
    rows = subject.head(_ROWS)
    columns = [column for column in rows.columns if not column.is_numeric]
    if not columns:
        return "the model has no text or category column"
    return [
        _table_case(
            rows.replace(with_unseen(column)),
            f"answers a value of {column.name!r} that training never saw",
        )
        for column in columns
    ]


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(id="errors.missing_file", broken="missing"),
    Scenario(id="errors.truncated_file", broken="truncated"),
    Scenario(id="errors.wrong_names", cases=_wrong_names),
    Scenario(id="errors.missing_features", cases=_missing_features),
    Scenario(id="errors.extra_features", cases=_extra_features),
    Scenario(id="errors.reordered_features", cases=_reordered),
    Scenario(id="errors.nan", cases=_nan),
    Scenario(id="errors.inf", cases=_inf),
    Scenario(id="errors.wrong_dtype", cases=_wrong_dtype),
    Scenario(id="errors.text", cases=_text),
    Scenario(id="errors.empty_batch", cases=_empty),
    Scenario(id="errors.wrong_rank", cases=_wrong_rank),
    Scenario(id="errors.unseen_category", cases=_unseen),
)
