"""Keeping an even part of rows that pass by once: bounded in number, in their order, the same every time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


#: So many row numbers are hashed at a time: they stay in a core's own memory.
_BLOCK = 8_192


class Part:
    """Some rows: their numbers [N] and their values by column, each [N]."""

    def __init__(self, rows: NDArray[np.int64], arrays: list[NDArray[Any]]) -> None:
        self.rows = rows
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, which: Any) -> Part:
        """A copy of the rows that an index array, mask or slice selects."""
        return Part(self.rows[which], [np.array(array[which]) for array in self.arrays])


class Thinned:
    """Between half of `most` and `most` rows of a larger number, all rows of a smaller one.

    A row is kept by a hash of its number, so that no period in the data can meet a stride. What is kept does
    not depend on how the rows were cut into batches.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.seen = 0
        self._keep = 1.0
        self._parts: list[Part] = []
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def add(self, arrays: list[NDArray[Any]]) -> None:
        """The next rows: an array [N] for each column."""
        n = len(arrays[0]) if arrays else 0
        chosen = self.room_for(n)
        self.add_chosen(n, Part(chosen, [array[chosen] for array in arrays]))

    def room_for(self, n: int) -> NDArray[np.int64]:
        """The places [M] of those of the next N rows that are kept, after room was made for them."""
        chosen = self.choice(n)
        while self._n + len(chosen) > self.most:  # before anything is copied
            self._halve()
            chosen = chosen[uniform(chosen + self.seen) < self._keep]
        return chosen

    def choice(self, n: int) -> NDArray[np.int64]:
        """The places [M] of those of the next N rows that would be kept now."""
        if self._keep == 1.0:
            return np.arange(n)
        found = []
        for start in range(0, n, _BLOCK):
            places = np.arange(start, min(start + _BLOCK, n))
            found.append(places[uniform(places + self.seen) < self._keep])
        return np.concatenate(found) if found else np.arange(0)

    def add_kept(self, n: int, chosen: NDArray[np.int64], arrays: list[NDArray[Any]]) -> None:
        """The next N rows, of which `arrays` hold those that `choice` named."""
        self.add_chosen(n, Part(chosen, arrays))

    def add_chosen(self, n: int, part: Part) -> None:
        """The next N rows, of which `part` holds those that `choice` named, by their places."""
        self._parts.append(Part(part.rows + self.seen, part.arrays))
        self.seen += n
        self._n += len(part)
        while self._n > self.most:
            self._halve()

    def _halve(self) -> None:
        self._keep /= 2
        self._parts = [part.take(uniform(part.rows) < self._keep) for part in self._parts]
        self._n = sum(map(len, self._parts))

    def joined(self) -> Part:
        """All rows that were kept, in their order. Raises ValueError when nothing was added."""
        width = len(self._parts[0].arrays) if self._parts else 0
        rows = np.concatenate([part.rows for part in self._parts])
        return Part(rows, [joined([part.arrays[i] for part in self._parts]) for i in range(width)])


def uniform(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number in [0, 1) for each row number, always the same one (splitmix64)."""
    x = rows.astype(np.uint64)
    x += np.uint64(1)
    x *= np.uint64(0x9E3779B97F4A7C15)
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x / 2.0**64


def joined(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    """One array of them all, of the widest type; text wins over numbers, since a column holds one or the other."""
    arrays = [array for array in arrays if len(array)] or arrays[:1]
    if any(array.dtype.kind not in "fiub" for array in arrays):
        arrays = [array.astype(object) for array in arrays]
    return np.concatenate(arrays)
