"""Making a profile from rows that pass by once, in bounded memory and the same way every time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.profile.columns import CategoryColumn, Column, NumericColumn, bins_of_cells, category_text
from validator.profile.document import Profile, Quality
from validator.profile.thinning import Part, Thinned, joined
from validator.profile.windows import LEVELS, floors_of, grouped, lag_correlation

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A category that fewer rows have is not named.
RARE = 5
_TOP = 20
_NAMED = 1_000
_NAME_LENGTH = 200
_MOST_ROWS, _LEAST_ROWS = 100_000, 4_000
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
        self._kept: Thinned | None = None
        self._heads: list[Part] = []
        self._ranges: dict[int, tuple[float, float]] = {}
        self._names: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    def add(
        self,
        features: Mapping[str, NDArray[Any]],
        answer: Callable[[NDArray[np.int64]], Mapping[str, NDArray[Any]]] | None = None,
    ) -> None:
        """The next batch of rows.

        Parameters
        ----------
        features
            An array [N] for each feature: numbers with NaN for missing, or `object` with text, numbers and None.
        answer
            Gives the model's answers to some rows of the batch, by their places [M] in it: an array [M] for each
            output, named as `output_columns` names them. It is asked for the rows that may be kept, and no others.

        Raises
        ------
        ValueError
            When a batch holds other columns than the first one, or columns of different lengths.
        """
        arrays = list(features.values())
        lengths = {len(array) for array in arrays}
        if len(lengths) > 1:
            raise ValueError(f"columns differ in length: {sorted(lengths)}")
        n = lengths.pop() if lengths else 0
        if not n:
            return
        if self._kept is None:
            most = _MOST_VALUES // max(1, len(arrays))
            self._kept = Thinned(max(_LEAST_ROWS, min(_MOST_ROWS, most)))
        chosen = self._kept.choice(n)
        head = np.arange(min(n, max(0, _LAG_ROWS - self._rows)))
        asked = np.union1d(chosen, head)
        outputs = dict(answer(asked)) if answer is not None else {}
        names = (tuple(features), tuple(outputs))
        if not self._rows:
            self._names = names
        if names != self._names:
            raise ValueError("a batch holds other columns than the one before")
        for place, array in enumerate(arrays):
            self._widen(place, array)
        both = [*(array[asked] for array in arrays), *outputs.values()]
        part = Part(asked, both)
        if len(head):
            self._heads.append(part.take(slice(0, len(head))))
        self._kept.add_chosen(n, part.take(np.searchsorted(asked, chosen)))
        self._rows += n

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
        if self._kept is None or not len(self._kept):
            raise ValueError("there is no row to make a profile from")
        n_columns = sum(map(len, self._names))
        kept = self._kept.joined()
        blocks = (kept.rows * LEVELS[-1]) // self._rows
        found: list[Column] = []
        for place, name in enumerate((*self._names[0], *self._names[1])):
            head = joined([part.arrays[place] for part in self._heads])
            span = self._ranges.get(place) or _range(kept.arrays[place])
            found.append(_column(name, kept.arrays[place], head, blocks, span, n_columns))
        ordered = any(_correlated(column) for column in found)
        n_features = len(self._names[0])
        return Profile(
            rows=len(kept),
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
        span = _range(array)
        if span is not None:
            old = self._ranges.get(place, span)
            self._ranges[place] = (min(span[0], old[0]), max(span[1], old[1]))


def _range(array: NDArray[Any]) -> tuple[float, float] | None:
    """The finite range of numbers; None where there are none."""
    if array.dtype.kind not in "fiub":
        return None
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    return (float(finite.min()), float(finite.max())) if len(finite) else None


def _column(
    name: str,
    values: NDArray[Any],
    head: NDArray[Any],
    blocks: NDArray[np.int64],
    span: tuple[float, float] | None,
    n_columns: int,
) -> Column:
    plain = _numeric(name, values, span) if values.dtype.kind in "fiub" else _category(name, values)
    flat = blocks * plain.n_cells + plain.cells_of(values)
    counted = np.bincount(flat, minlength=LEVELS[-1] * plain.n_cells).reshape(LEVELS[-1], -1)
    bins = grouped(counted, LEVELS[0]) @ plain.membership[: len(plain.bins)].T
    return _with(
        plain,
        {
            "blocks": tuple(map(tuple, bins.tolist())),
            "floors": floors_of(counted, plain, n_columns),
            "lag": lag_correlation(bins_of_cells(plain)[plain.cells_of(head)]),
            "lag_rows": len(head),
        },
    )


def _with(column: Column, more: dict[str, Any]) -> Column:
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
