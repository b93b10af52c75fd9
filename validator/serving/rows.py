"""Rows of mappings as columns by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.serving.breach import Breach, bad_rows, shown_name
from validator.serving.contract import ServedContract
from validator.serving.errors import ExtraFeatureError, InputTypeError
from validator.serving.intake import Columns
from validator.serving.names import check_names

if TYPE_CHECKING:
    from numpy.typing import NDArray


def columns_of_rows(
    rows: Sequence[Mapping[str, Any]], contract: ServedContract, ignore_extra: bool
) -> tuple[Columns, NDArray[Any] | None, list[Breach]]:
    """Columns of the rows that have the right names, which rows those are (None for all), and what the others lack.

    Raises InputTypeError when `rows` is no sequence of mappings.
    """
    if not isinstance(rows, (list, tuple)):
        raise InputTypeError(
            f"predict_batch was given {type(rows).__name__}, not a list of mappings",
            hint="pass tables and arrays to predict, one mapping to predict_single",
        )
    names = contract.names
    wanted = set(names)
    odd: dict[tuple[Any, ...], list[int]] = {}
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InputTypeError(
                f"row {i} is a {type(row).__name__}, not a mapping from feature name to value",
                hint="pass arrays and tables to predict",
            )
        if row.keys() != wanted and not (ignore_extra and row.keys() >= wanted):
            odd.setdefault(tuple(row), []).append(i)
    if not odd:
        return _columns(rows, names), None, []
    breaches = [
        breach for given, which in odd.items() for breach in _misnamed(given, which, len(rows), names)
    ]
    breaches = [
        breach for breach in breaches if not ignore_extra or breach.kind.__name__ != "ExtraFeatureError"
    ]
    kept = np.flatnonzero(~bad_rows(breaches, len(rows)))
    return _columns([rows[i] for i in kept.tolist()], names), kept, breaches


def as_mapping(row: Any) -> Mapping[str, Any]:
    """One row as a mapping; a pandas Series is one by its index.

    Raises InputTypeError, and ExtraFeatureError where an index names a feature twice.
    """
    if isinstance(row, Mapping):
        return row
    if type(row).__name__ == "Series" and hasattr(row, "to_dict"):
        if not row.index.is_unique:
            doubled = row.index[row.index.duplicated()][0]
            raise ExtraFeatureError(
                f"given more than once: {shown_name(doubled)}",
                hint="give each feature once",
                features=(str(doubled),),
            )
        mapping: Mapping[str, Any] = row.to_dict()
        return mapping
    raise InputTypeError(
        f"predict_single was given {type(row).__name__}, not a mapping from feature name to value",
        hint="pass arrays and tables to predict, lists of mappings to predict_batch",
    )


def _columns(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Columns:
    return Columns(items=tuple((name, [row[name] for row in rows]) for name in names), n_rows=len(rows))


def _misnamed(given: tuple[Any, ...], which: list[int], n_rows: int, names: Sequence[str]) -> list[Breach]:
    mask = np.zeros(n_rows, dtype=bool)
    mask[which] = True
    return check_names(given, names, ignore_extra=False, mask=mask)
