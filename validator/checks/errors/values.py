"""Scenarios of wrong values: rows with all the right names, and in one feature what training never saw there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from validator.checks.check import Subject
from validator.checks.errors.cases import Case, EachFeature, array_case, by_each_method, never, same_as
from validator.checks.parity.rows import with_unseen
from validator.runtimes.runtime import Runtime
from validator.table import Column, Table

_ROWS = 5
_MAX_FEATURES = 100
_NO_FLOAT = "no feature is a floating number"
_NO_NUMBER = "the model has no numeric column"
#: The first whole number that a float of so many bits cannot hold.
_FIRST_LOST = {"float32": 2**24 + 1, "float64": 2**53 + 1}


def nan(subject: Subject, runtime: Runtime) -> Sequence[EachFeature] | str:
    """NaN in one feature after the other."""
    return _in_each(subject, runtime, "nan", _floats(subject.rows)) or _NO_FLOAT


def inf(subject: Subject, runtime: Runtime) -> Sequence[EachFeature] | str:
    """Both infinities in one feature after the other."""
    floats = _floats(subject.rows)
    return [
        case for value in ("inf", "-inf") for case in _in_each(subject, runtime, value, floats)
    ] or _NO_FLOAT


def none(subject: Subject, runtime: Runtime) -> Sequence[EachFeature] | str:
    """None, as a mapping or a column of objects holds it, in one feature after the other."""
    return _in_each(subject, runtime, "none", subject.rows.names)


def _floats(rows: Table) -> tuple[str, ...]:
    return tuple(column.name for column in rows.columns if column.values.dtype.kind == "f")


def _in_each(subject: Subject, runtime: Runtime, value: str, names: Sequence[str]) -> list[EachFeature]:
    """By every method; of very many features some all over the row, the first and the last among them."""
    import numpy as np

    if not names:
        return []
    chosen = np.unique(np.linspace(0, len(names) - 1, min(len(names), _MAX_FEATURES)).astype(int))
    missing = frozenset(feature.name for feature in subject.contract.features if feature.missing)
    infinite = frozenset(names) if subject.contract.allow_infinite else frozenset()
    kind = "infinite" if value.endswith("inf") else "missing"
    return [
        EachFeature(
            row=subject.head(1),
            names=tuple(names[i] for i in chosen),
            value=value,
            allowed=infinite if kind == "infinite" else missing,
            declared=f"the contract declares {kind} values, and the answer is finite",
            method=role,
        )
        for role in list(runtime.methods) or [""]
    ]


def wrong_dtype(subject: Subject, runtime: Runtime) -> Sequence[Case] | str:
    """Dates where numbers belong; for a bare matrix, an integer type that the input does not have."""
    import numpy as np

    rows = subject.head(_ROWS)
    if _is_bare_matrix(subject, runtime):
        small = np.ones((len(rows), len(rows.columns)), dtype=np.int16)
        return [array_case(small, never("answers an int16 matrix"))]
    dates = np.datetime64("2024-01-01", "ns") + np.arange(len(rows)).astype("timedelta64[D]")
    cases = [
        case
        for column in _first_and_last(rows)
        for case in by_each_method(
            runtime,
            rows.replace(Column(column.name, dates)),
            never(f"answers dates in {column.name!r}"),
        )
    ]
    return cases or _NO_NUMBER


def text(subject: Subject, runtime: Runtime) -> Sequence[Case] | str:
    """Words where numbers belong, and numbers that are written out as text."""
    import numpy as np

    rows = subject.head(_ROWS)
    if _is_bare_matrix(subject, runtime):
        words = np.array([["abc"] * len(rows.columns)], dtype=object)
        return [array_case(words, never("answers text"))]
    cases: list[Case] = []
    for column in _first_and_last(rows):
        for word in ("abc", "1.5"):
            written = Column(column.name, np.array([word] * len(rows), dtype=object))
            rule = never(f"answers the text {word!r} in {column.name!r}")
            cases += by_each_method(runtime, rows.replace(written), rule)
    return cases or _NO_NUMBER


def _is_bare_matrix(subject: Subject, runtime: Runtime) -> bool:
    """Whether the runtime takes one matrix, in which no column can have a type of its own."""
    return runtime.name == "onnx" and subject.rows.is_numeric


def _first_and_last(rows: Table) -> Iterator[Column]:
    """The first and the last numeric column: whoever checks one of them alone is found out."""
    numeric = [column for column in rows.columns if column.is_numeric and column.values.dtype.kind != "b"]
    yield from numeric[:1]
    yield from numeric[1:][-1:]


def huge_integer(subject: Subject, runtime: Runtime) -> Sequence[Case] | str:
    """A whole number that the input's float type rounds: fine where both of its neighbours get the same answer."""
    import numpy as np

    row = subject.head(1)
    column = next(_first_and_last(row), None)
    if column is None:
        return _NO_NUMBER
    value = _FIRST_LOST.get(subject.input_dtype, _FIRST_LOST["float64"])
    name = column.name

    def holding(number: Any, dtype: Any) -> Table:
        return row.replace(Column(name, np.array([number], dtype=dtype)))

    rule = same_as(
        [holding(value - 1, np.float64), holding(value + 1, np.float64)],
        f"{value} is answered as its neighbours are, which the model does not tell apart",
        f"rounds {value} in {name!r} to a number that has another answer",
    )
    return by_each_method(runtime, holding(value, np.int64), rule)


def unseen_category(subject: Subject, runtime: Runtime) -> Sequence[Case] | str:
    """A value that training never saw in each text or category column; any value fits free text."""
    rows = subject.head(_ROWS)
    free = {one.name for one in subject.contract.features if one.dtype == "string" and one.categories is None}
    cases: list[Case] = []
    for column in rows.columns:
        if not column.is_numeric and column.name not in free:
            rule = never(f"answers a value of {column.name!r} that training never saw")
            cases += by_each_method(runtime, rows.replace(with_unseen(column)), rule)
    return cases or f"the model has no {'other ' if free else ''}text or category column"


def odd_category(subject: Subject, runtime: Runtime) -> Sequence[Case] | str:
    """-1 and 1.5 in each category column, where they are none of its categories."""
    row = subject.head(1)
    cases: list[Case] = []
    for column in row.columns:
        if column.categories is not None:
            for value in sorted({-1.0, 1.5} - _numbers(column)):
                rule = never(f"answers {value:g} where a category of {column.name!r} belongs")
                cases += by_each_method(runtime, row.replace(_with_number(column, value)), rule)
    return cases or "the model has no category column"


def _numbers(column: Column) -> set[float]:
    """The categories that are numbers."""
    known = column.categories
    return set() if known is None or known.dtype == object else {float(value) for value in known}


def _with_number(column: Column, value: float) -> Column:
    """A number in the category's place: one more category where they are numbers, else a plain column of numbers."""
    import numpy as np

    if column.categories is None or column.categories.dtype == object:
        return Column(column.name, np.array([value]))
    extended = np.append(column.categories.astype(np.float64), value)
    return Column(column.name, np.array([len(extended) - 1], dtype=np.int32), extended)
