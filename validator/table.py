"""Columns of named numpy arrays: the form in which rows pass between readers, workers and suites.

Runs on Python 3.9 with numpy alone, since workers may live in the environment a model was trained in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Iterable, Optional, Sequence, Tuple

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Column:
    """One column of N rows.

    `values` is [N]: a float, integer, boolean or datetime64 dtype, or `object` holding `str` and `None` for text.
    With `categories` [K] (numbers, or `object` of `str`), `values` are int32 codes into it, -1 for missing. Truth
    values of which some are missing are floats (1, 0 and NaN) that are marked as `truth`.
    """

    name: str
    values: NDArray[Any]
    categories: Optional[NDArray[Any]] = None
    truth: bool = False

    @property
    def dtype(self) -> str:
        """The column's kind as the contract names it: `float64`, `int64`, `bool`, `string`, `category`, ..."""
        if self.categories is not None:
            return "category"
        if self.truth:
            return "bool"
        return "string" if self.values.dtype == object else str(self.values.dtype)

    @property
    def is_numeric(self) -> bool:
        """Whether the column fits a number tensor as it is (text, categories and dates do not)."""
        return self.categories is None and self.values.dtype.kind in "fiub"

    def take(self, rows: Any) -> Column:
        """The rows that an index array, mask or slice selects."""
        return Column(self.name, self.values[rows], self.categories, self.truth)

    def renamed(self, name: str) -> Column:
        return Column(name, self.values, self.categories, self.truth)

    def decoded(self) -> NDArray[Any]:
        """The plain values [N]: categories looked up, a missing one as None."""
        import numpy as np

        if self.categories is None:
            return self.values
        lookup = np.empty(len(self.categories) + 1, dtype=object)
        lookup[:-1] = self.categories
        lookup[-1] = None
        found: NDArray[Any] = lookup[self.values]
        return found


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length. `n_rows` is kept apart so that a table without columns still has a height."""

    columns: Tuple[Column, ...]
    n_rows: int

    @staticmethod
    def of(columns: Iterable[Column]) -> Table:
        """Raises ValueError when columns differ in length or share a name."""
        found = tuple(columns)
        lengths = {len(column.values) for column in found}
        if len(lengths) > 1:
            raise ValueError(f"columns differ in length: {sorted(lengths)}")
        names = [column.name for column in found]
        if len(set(names)) != len(names):
            raise ValueError("two columns share a name")
        return Table(found, lengths.pop() if lengths else 0)

    @property
    def names(self) -> Tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def is_numeric(self) -> bool:
        return all(column.is_numeric for column in self.columns)

    @property
    def dtype(self) -> Any:
        """The numpy dtype of all columns where that is one number type; None where they differ or are no numbers."""
        found = {column.values.dtype for column in self.columns}
        plain = len(found) == 1 and all(column.is_numeric and not column.truth for column in self.columns)
        return found.pop() if plain else None

    def __len__(self) -> int:
        return self.n_rows

    def column(self, name: str) -> Column:
        """Raises KeyError when there is no such column."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def take(self, rows: Any) -> Table:
        taken = tuple(column.take(rows) for column in self.columns)
        import numpy as np

        height = len(taken[0].values) if taken else len(np.arange(self.n_rows)[rows])
        return Table(taken, height)

    def turned(self, by: int) -> Table:
        """The same rows, beginning with row `by` and ending with the one before it."""
        import numpy as np

        return self.take(np.roll(np.arange(self.n_rows), -by))

    def select(self, names: Sequence[str]) -> Table:
        """Those columns, in that order. Raises KeyError when one is missing."""
        held = {column.name: column for column in reversed(self.columns)}
        return Table(tuple(held[name] for name in names), self.n_rows)

    def replace(self, column: Column) -> Table:
        """The same table with the column of that name exchanged."""
        return Table(tuple(column if old.name == column.name else old for old in self.columns), self.n_rows)

    def matrix(self, dtype: Any = None) -> NDArray[Any]:
        """All columns as one C-contiguous [N, F] array; float64 unless told otherwise.

        Raises ValueError when a column is no number.
        """
        import numpy as np

        wrong = [column.name for column in self.columns if not column.is_numeric]
        if wrong:
            raise ValueError(f"columns that are no numbers: {', '.join(wrong[:5])}")
        filled = np.empty((self.n_rows, len(self.columns)), dtype=dtype or np.float64)
        for i, column in enumerate(self.columns):
            filled[:, i] = column.values
        return filled


def concatenate(tables: Sequence[Table]) -> Table:
    """Tables of the same columns, one below the other. Raises ValueError for none."""
    import numpy as np

    if not tables:
        raise ValueError("nothing to concatenate")
    first = tables[0]
    columns = tuple(
        Column(
            column.name,
            np.concatenate([table.columns[i].values for table in tables]),
            column.categories,
            any(table.columns[i].truth for table in tables),
        )
        for i, column in enumerate(first.columns)
    )
    return Table(columns, sum(len(table) for table in tables))
