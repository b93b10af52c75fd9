"""Making a profile from rows that pass by once, in bounded memory and the same way every time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.profile.columns import CategoryColumn, Column, NumericColumn, category_text
from validator.profile.document import Profile, Quality
from validator.profile.windows import LEVELS, floors_of, grouped, lag_correlation

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A category that fewer rows have is not named.
RARE = 5
_TOP = 20
_NAMED = 1_000
_NAME_LENGTH = 200
_MOST_ROWS = 100_000
_MOST_VALUES = 4_000_000
_LAG_ROWS = 20_000
_QUANTILES = np.arange(11) / 10


class ProfileMaker:
    """Takes batches of rows with the model's answers to them; `finish` makes the profile.

    Every row counts for the range. Of a large reference a part is kept for the rest: between 50,000 and 100,000
    rows (fewer where there are very many columns), chosen by a hash of their number, in their order. So no period
    in the data can meet a stride, and the same rows give the same profile.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._keep = 1.0
        self._kept: list[_Part] = []
        self._n_kept = 0
        self._heads: list[_Part] = []
        self._ranges: dict[str, tuple[float, float]] = {}
        self._names: tuple[tuple[str, ...], tuple[str, ...]] | None = None

    def add(self, features: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> None:
        """The next batch of rows.

        Parameters
        ----------
        features
            An array [N] for each feature: numbers with NaN for missing, or `object` with text, numbers and None.
        outputs
            An array [N] for each output, named as `output_columns` names them.

        Raises
        ------
        ValueError
            When a batch holds other columns than the first one, or columns of different lengths.
        """
        names = (tuple(features), tuple(outputs))
        if self._names is None:
            self._names = names
        if names != self._names:
            raise ValueError("a batch holds other columns than the one before")
        arrays = [*features.values(), *outputs.values()]
        lengths = {len(array) for array in arrays}
        if len(lengths) > 1:
            raise ValueError(f"columns differ in length: {sorted(lengths)}")
        n = lengths.pop() if lengths else 0
        part = _Part(np.arange(self._rows, self._rows + n), arrays)
        for place, array in enumerate(arrays):
            self._widen(place, array)
        if self._rows < _LAG_ROWS:
            self._heads.append(part.take(slice(0, _LAG_ROWS - self._rows)))
        self._rows += n
        kept = part.thinned(self._keep)
        self._kept.append(kept)
        self._n_kept += len(kept)
        self._thin()

    def finish(
        self,
        *,
        source: str,
        source_sha256: str,
        slo_ms: float | None = None,
        target: str | None = None,
        quality: Sequence[Quality] = (),
    ) -> Profile:
        """The profile of everything added. Raises ValueError when that is no row."""
        if self._names is None or not self._n_kept:
            raise ValueError("there is no row to make a profile from")
        n_columns = sum(map(len, self._names))
        order = np.concatenate([part.rows for part in self._kept])
        found: list[Column] = []
        for place, name in enumerate((*self._names[0], *self._names[1])):
            values = _joined([part.arrays[place] for part in self._kept])
            head = _joined([part.arrays[place] for part in self._heads])
            blocks = (order * LEVELS[-1]) // self._rows
            found.append(_column(name, values, head, blocks, self._ranges.get(str(place)), n_columns))
        ordered = any(_correlated(column) for column in found)
        n_features = len(self._names[0])
        return Profile(
            rows=self._n_kept,
            source_rows=self._rows,
            source=source,
            source_sha256=source_sha256,
            ordered=ordered,
            features=tuple(found[:n_features]),
            outputs=tuple(found[n_features:]),
            slo_ms=slo_ms,
            target=target,
            quality=tuple(quality),
        )

    def _widen(self, place: int, array: NDArray[Any]) -> None:
        if array.dtype.kind not in "fiub" or not len(array):
            return
        finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
        if len(finite):
            low, high = float(finite.min()), float(finite.max())
            old = self._ranges.get(str(place), (low, high))
            self._ranges[str(place)] = (min(low, old[0]), max(high, old[1]))

    def _thin(self) -> None:
        width = max(1, len(self._kept[-1].arrays))
        most = max(4_000, min(_MOST_ROWS, _MOST_VALUES // width))
        while self._n_kept > most:
            self._keep /= 2
            self._kept = [part.thinned(self._keep) for part in self._kept]
            self._n_kept = sum(map(len, self._kept))


class _Part:
    """Some rows: their numbers [N] and their values by column."""

    def __init__(self, rows: NDArray[np.int64], arrays: list[NDArray[Any]]) -> None:
        self.rows = rows
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, which: Any) -> _Part:
        return _Part(self.rows[which], [np.array(array[which]) for array in self.arrays])

    def thinned(self, keep: float) -> _Part:
        """Those rows whose hash lies in the first part of all hashes: a smaller part is within a larger one."""
        return self if keep == 1.0 else self.take(_uniform(self.rows) < keep)


def _uniform(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number in [0, 1) for each row number (splitmix64)."""
    with np.errstate(over="ignore"):
        x = (rows.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x ^ (x >> np.uint64(31))) / 2.0**64


def _joined(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    """One array of them all; text wins over numbers, since a column holds one or the other."""
    arrays = [array for array in arrays if len(array)] or arrays[:1]
    if any(array.dtype.kind not in "fiub" for array in arrays):
        arrays = [array.astype(object) for array in arrays]
    return np.concatenate(arrays)


def _column(
    name: str,
    values: NDArray[Any],
    head: NDArray[Any],
    blocks: NDArray[np.int64],
    span: tuple[float, float] | None,
    n_columns: int,
) -> Column:
    plain = _numeric(name, values, span) if values.dtype.kind in "fiub" else _category(name, values)
    bins = plain.bin_of(values)
    present = bins >= 0
    width = len(plain.bins)
    flat = np.bincount(blocks[present] * width + bins[present], minlength=LEVELS[-1] * width)
    fine = flat.reshape(LEVELS[-1], width)
    common = {
        "blocks": tuple(map(tuple, grouped(fine, LEVELS[0]).tolist())),
        "floors": floors_of(fine, n_columns),
        "lag": lag_correlation(plain.bin_of(head)),
        "lag_rows": len(head),
    }
    return _with(plain, common)


def _with(column: Column, more: dict[str, Any]) -> Column:
    from dataclasses import replace

    return replace(column, **more)


def _numeric(name: str, values: NDArray[Any], span: tuple[float, float] | None) -> NumericColumn:
    dtype = str(values.dtype)
    plain = values.astype(np.float64)
    finite = np.sort(plain[np.isfinite(plain)])
    edges: tuple[float, ...] = ()
    quantiles: tuple[float, ...] = ()
    if len(finite) and span is not None:
        points = np.quantile(finite, _QUANTILES, method="inverted_cdf")
        points[0], points[-1] = span
        quantiles = tuple(points.tolist())
        edges = tuple(np.unique(points[1:-1][points[1:-1] < finite[-1]]).tolist())
    low, high = span if span is not None and len(finite) else (None, None)
    empty = NumericColumn(
        name=name,
        dtype=dtype,
        edges=edges,
        counts=(0,) * (len(edges) + 1),
        special={},
        quantiles=quantiles,
        minimum=low,
        maximum=high,
    )
    slots = empty.slots(empty.count(plain))
    return _counted(empty, slots)  # type: ignore[return-value]


def _category(name: str, values: NDArray[Any]) -> CategoryColumn:
    tally = Counter(category_text(value) for value in values.tolist())
    tally.pop(None, None)
    common = sorted(
        (text for text, n in tally.items() if n >= RARE and text is not None and len(text) <= _NAME_LENGTH),
        key=lambda text: (-tally[text], text),
    )
    empty = CategoryColumn(
        name=name,
        top=tuple(common[:_TOP]),
        named=tuple(sorted(common[_TOP : _TOP + _NAMED])),
        counts=(),
        special={},
    )
    slots = empty.slots(empty.count(values))
    slots["unseen"] += sum(n for text, n in tally.items() if n == RARE and text in empty.cells)
    return _counted(empty, slots)  # type: ignore[return-value]


def _counted(column: Column, slots: Mapping[str, int]) -> Column:
    counts = tuple(slots[name] for name in column.bins)
    return _with(column, {"counts": counts, "special": {name: slots[name] for name in column.specials}})


def _correlated(column: Column) -> bool:
    return bool(column.lag_rows and abs(column.lag) > 4 / np.sqrt(column.lag_rows))


def output_columns(answers: Mapping[str, NDArray[Any] | None]) -> dict[str, NDArray[Any]]:
    """A model's numeric answers as columns: `probabilities[1]`, `prediction`, `score`, each [N].

    Of two probabilities the second is taken, of more each one; of several predictions each. At most 64 are.
    """
    found: dict[str, NDArray[Any]] = {}
    for name in ("probabilities", "prediction", "score"):
        array = answers.get(name)
        if array is None:
            continue
        flat = np.asarray(array).reshape(len(array), -1)
        first = 1 if name == "probabilities" and flat.shape[1] == 2 else 0
        for i in range(first, min(flat.shape[1], 64)):
            single = flat.shape[1] == 1
            found[name if single else f"{name}[{i}]"] = flat[:, i]
    return found
