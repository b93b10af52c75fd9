"""Counts of data against a profile: they add, whatever machine each part was counted on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.drift.rule import Observed
from validator.errors import SampleError
from validator.profile import CategoryColumn, Counts, Profile, profile_json
from validator.profile.columns import Column, Encoded, bins_of_cells
from validator.profile.windows import floor_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[Any] | Encoded

TALLY_SCHEMA = 1
#: Groups are dealt out to so many parts of the data, whose differences show what it is that rows of a group share.
GROUP_PARTS = 40
_LAG_ROWS = 20_000
#: No product of the numbers of two bins is larger.
_MOST_LAG = 21**2
_MOST_BYTES = 2**28
_HINT = "make it anew with `model-preflight drift count`"


class Tally:
    """What was counted of some data: rows by bin, and how rows follow each other.

    Parameters
    ----------
    profile
        The reference whose bins are counted in.
    grouped
        Whether `add` is given the groups of rows.
    """

    def __init__(self, profile: Profile, *, grouped: bool = False) -> None:
        self.profile = profile
        self.features = Counts(profile.features)
        self.outputs = Counts(profile.outputs)
        self.grouped = grouped
        self._lags = {column.name: np.zeros(6, dtype=np.int64) for column in profile.features}
        self._output_lags = {column.name: np.zeros(6, dtype=np.int64) for column in profile.outputs}
        self._parts = [
            np.zeros((GROUP_PARTS if grouped else 0, column.n_cells), dtype=np.int64)
            for column in profile.features
        ]
        self._looked = 0

    @property
    def rows(self) -> int:
        return self.features.rows

    def add(self, values: Mapping[str, Values], groups: NDArray[Any] | None = None) -> None:
        """Count a batch of rows: an array [N] for each feature by name; `groups` [N] says which group a row is of."""
        self.features.add(values)
        if self._looked < _LAG_ROWS:
            n = self._follow(values)
            self._looked += n
        if self.grouped:
            if groups is None:
                raise ValueError("this tally counts groups, and was given none")
            self._deal(values, groups)

    def add_outputs(self, values: Mapping[str, NDArray[Any]], *, in_order: bool) -> None:
        """Count the model's answers: an array [N] for each output. `in_order`: rows are neighbours in the data."""
        self.outputs.add(values)
        for column in self.profile.outputs if in_order else ():
            self._output_lags[column.name] += _lag_sums(column, values[column.name][:_LAG_ROWS])

    def merge(self, other: Tally) -> None:
        """Add what another one counted. Raises ValueError where it counted in other bins."""
        if self.grouped != other.grouped:
            raise ValueError("one part counts groups, the other does not")
        self.features.merge(other.features)
        self.outputs.merge(other.outputs)
        for mine, theirs in ((self._lags, other._lags), (self._output_lags, other._output_lags)):
            for name in mine:
                mine[name] += theirs[name]
        for a, b in zip(self._parts, other._parts, strict=True):
            np.add(a, b, out=a)
        self._looked += other._looked

    def feature(self, i: int) -> Observed:
        """What was seen of the feature at that position."""
        return _observed(self.features, i, self._lags, self._design(i))

    def output(self, i: int) -> Observed:
        """What was seen of the output at that position; its groups are as alike as those of the features."""
        design = max((self._design(j) for j in range(len(self._parts))), default=1.0)
        return _observed(self.outputs, i, self._output_lags, design)

    def to_json(self) -> bytes:
        """The counts as a file of their own, for `from_json`: canonical."""
        document = {
            "schema_version": TALLY_SCHEMA,
            "profile_sha256": profile_digest(self.profile),
            "rows": self.features.rows,
            "output_rows": self.outputs.rows,
            "features": dict(zip(self._lags, self.features.cells, strict=True)),
            "outputs": dict(zip(self._output_lags, self.outputs.cells, strict=True)),
            "lags": {name: sums.tolist() for name, sums in self._lags.items()},
            "output_lags": {name: sums.tolist() for name, sums in self._output_lags.items()},
            "groups": [part.tolist() for part in self._parts] if self.grouped else None,
        }
        return (json.dumps(document, sort_keys=True, ensure_ascii=True) + "\n").encode("ascii")

    @classmethod
    def from_json(cls, content: bytes, profile: Profile, *, name: str) -> Tally:
        """Read what `to_json` wrote. Raises SampleError, naming the file, where it is not whole."""
        try:
            document = json.loads(content) if len(content) <= _MOST_BYTES else None
            if not isinstance(document, dict) or document.get("schema_version") != TALLY_SCHEMA:
                raise SampleError(f"{name} holds no counts of drift", hint=_HINT)
            if document["profile_sha256"] != profile_digest(profile):
                raise SampleError(
                    f"{name} was counted against another model's profile",
                    hint="count with the artifact that is judged",
                )
            return cls._of(document, profile)
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise SampleError(f"{name} holds no whole counts: {error}", hint=_HINT) from error

    @classmethod
    def _of(cls, document: Mapping[str, Any], profile: Profile) -> Tally:
        tally = cls(profile, grouped=document["groups"] is not None)
        for counts, key, rows in (
            (tally.features, "features", "rows"),
            (tally.outputs, "outputs", "output_rows"),
        ):
            counts.rows = _whole(document[rows])
            for column, cells in zip(counts.columns, counts.cells, strict=True):
                found = [_whole(count) for count in document[key][column.name]]
                if len(found) != len(cells) or sum(found) != counts.rows:
                    raise ValueError(f"the counts of {column.name} do not add up")
                cells[:] = found
        if tally.outputs.rows > tally.rows:
            raise ValueError("more rows were answered than counted")
        for lags, key in ((tally._lags, "lags"), (tally._output_lags, "output_lags")):
            for name, sums in lags.items():
                found = [_whole(one) for one in document[key][name]]
                if len(found) != len(sums) or found[0] > tally.rows or max(found) > _MOST_LAG * found[0]:
                    raise ValueError(f"the neighbours of {name} do not add up")
                sums[:] = found
        for i, part in enumerate(tally._parts if tally.grouped else ()):
            part[:] = [[_whole(one) for one in row] for row in document["groups"][i]]
            if part.sum(0).tolist() != tally.features.cells[i]:
                raise ValueError(f"the groups of {tally.features.columns[i].name} do not add up")
        return tally

    def _follow(self, values: Mapping[str, Values]) -> int:
        n = 0
        for column in self.profile.features:
            head = values[column.name][: _LAG_ROWS - self._looked]
            n = len(head)
            self._lags[column.name] += _lag_sums(column, head)
        return n

    def _deal(self, values: Mapping[str, Values], groups: NDArray[Any]) -> None:
        part = _parts_of(groups)
        for column, counts in zip(self.profile.features, self._parts, strict=True):
            flat = part * column.n_cells + _cells(column, values[column.name])
            np.add(counts, np.bincount(flat, minlength=counts.size).reshape(counts.shape), out=counts)

    def _design(self, i: int) -> float:
        """How many rows count as one, since rows of a group are alike."""
        if not self.grouped:
            return 1.0
        column = self.profile.features[i]
        bins = self._parts[i] @ column.membership[: len(column.bins)].T
        floor = floor_of(bins, 1)
        if floor is None:
            return float(max(self.rows, 1))
        width = max(1, int((bins.sum(0) > 0).sum()) - 1)
        return 1.0 + floor.between * floor.rows / width


def profile_digest(profile: Profile) -> str:
    """The profile's SHA-256: counts of different profiles do not add."""
    return hashlib.sha256(profile_json(profile)).hexdigest()


def _observed(counts: Counts, i: int, lags: Mapping[str, NDArray[np.int64]], design: float) -> Observed:
    n, a, b, aa, bb, ab = map(int, lags[counts.columns[i].name])
    spread = (n * aa - a * a) * (n * bb - b * b)
    lag = (n * ab - a * b) / spread**0.5 if spread > 0 else 0.0
    return Observed(slots=counts.slots(i), lag=lag, lag_rows=n, design=design)


def _lag_sums(column: Column, values: Values) -> NDArray[np.int64]:
    """Sums over pairs of neighbours from which their correlation follows: they add."""
    bins = bins_of_cells(column)[_cells(column, values)]
    first, second = bins[:-1], bins[1:]
    both = (first >= 0) & (second >= 0)
    a, b = first[both], second[both]
    sums = [len(a), a.sum(), b.sum(), (a * a).sum(), (b * b).sum(), (a * b).sum()]
    return np.array(sums, dtype=np.int64)


def _cells(column: Column, values: Values) -> NDArray[np.int64]:
    if isinstance(values, Encoded):
        if isinstance(column, CategoryColumn):
            lookup = np.array([column.cell(value) for value in (*values.categories, None)], dtype=np.int64)
            found: NDArray[np.int64] = lookup[values.codes]
            return found
        return column.cells_of(values.decoded().astype(np.float64))
    return column.cells_of(values)


def _parts_of(groups: NDArray[Any]) -> NDArray[np.int64]:
    """The part that each row's group is dealt to: by a hash of its name, the same on every machine."""
    names, place = np.unique(
        np.array([str(one) for one in groups.tolist()], dtype=object), return_inverse=True
    )
    digests = (hashlib.blake2b(name.encode(), digest_size=4).digest() for name in names.tolist())
    parts = np.array([int.from_bytes(one, "big") % GROUP_PARTS for one in digests], dtype=np.int64)
    return parts[place]


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise ValueError(f"{str(value)[:80]!r} is no count")
    return value
