"""Category columns: the sample's values as the categories that the model recorded in training."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from validator.results import Scalar
from validator.table import Column, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

Categories = Mapping[str, tuple[Scalar, ...]]


def recorded_categories(
    values: Sequence[tuple[Scalar, ...]], declared: Sequence[int], rows: Table
) -> Categories:
    """Feature name -> the values behind its codes, for the columns that the model takes as categories.

    `values` are what the model recorded, column by column, `declared` which columns it says those are. LightGBM does
    not name those columns: they are the sample's only columns without numbers, where their count fits, else those
    declared. Empty where that leaves a doubt, and for models that record nothing.
    """
    shown = [i for i, column in enumerate(rows.columns) if not column.is_numeric]
    columns = shown if len(shown) == len(values) else declared
    if len(columns) != len(values) or not all(i < len(rows.columns) for i in columns):
        return {}
    return {rows.columns[i].name: known for i, known in zip(columns, values, strict=True)}


def category_names(declared: Sequence[int], features: Sequence[str]) -> frozenset[str]:
    """The features that the model says are categories or text, whether it records their values or not."""
    return frozenset(features[i] for i in declared if i < len(features))


def as_categories(table: Table, known: Categories) -> Table:
    """The table with those columns as codes into the model's categories; values that it never saw come after them."""
    for name, values in known.items():
        table = table.replace(_coded(table.column(name), values))
    return table


def _coded(column: Column, known: tuple[Scalar, ...]) -> Column:
    import numpy as np

    place: dict[Any, int] = {value: code for code, value in enumerate(known)}
    codes = np.full(len(column.values), -1, dtype=np.int32)
    values = column.decoded().tolist()
    for row, value in enumerate(_digits(values, place) if column.is_numeric else values):
        if value is not None and value == value:  # None and NaN are missing
            codes[row] = place.setdefault(value, len(place))
    return Column(column.name, codes, _array(list(place)))


def _digits(values: list[Any], known: Collection[Any]) -> list[Any]:
    """Whole numbers as the texts that the model knows, if it knows all of them so: a CSV file has no types."""
    if not all(isinstance(value, str) for value in known):
        return values
    spelt = [
        str(int(value)) if isinstance(value, int) or (value == value and float(value).is_integer()) else None
        for value in values
    ]
    told = [text if text is not None else value for text, value in zip(spelt, values, strict=True)]
    return told if all(text in known for text in told if text == text) else values


def _array(values: list[Any]) -> NDArray[Any]:
    import numpy as np

    if values and all(type(value) is int or type(value) is float for value in values):
        return np.array(values)
    if values and all(type(value) is bool for value in values):
        return np.array(values)
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found
