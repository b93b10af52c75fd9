"""The one pass over the data: counts of every row, and an even part of the rows for the model's answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.drift import arrays
from validator.drift.reading import Data
from validator.drift.tally import Tally
from validator.durations import seconds_of
from validator.errors import SampleError, UsageError
from validator.profile import CategoryColumn, NumericColumn, Profile
from validator.profile.columns import Encoded
from validator.profile.thinning import Part, Thinned

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The model answers for so many rows at most.
MOST_ANSWERED = 50_000
MOST_WINDOWS = 400
_DECODED_AHEAD = 2
#: What a calendar can show: the years 1 to 9999, in seconds since 1970.
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns beside the features are read: the time of a row, its group, its true answer, its id."""

    time: str | None = None
    group: str | None = None
    target: str | None = None
    id: str | None = None

    @property
    def present(self) -> tuple[str, ...]:
        return tuple(name for name in (self.time, self.group, self.target, self.id) if name is not None)


@dataclass(frozen=True, kw_only=True)
class Window:
    """How data is cut: so many rows, or with `seconds` so long a time."""

    length: int
    seconds: bool

    @staticmethod
    def parse(text: str, *, timed: bool) -> Window:
        """From `1000` (rows) or `7d`, `24h`, `30min` (time). Raises UsageError."""
        given = text.strip()
        seconds = seconds_of(given)
        length = int(given) if given.isdecimal() and len(given) < 10 else int(seconds or 0)
        if not length:
            raise UsageError(
                f"window {text!r} is neither rows nor time", hint="give for instance 1000, 7d, 24h or 30min"
            )
        if (seconds is not None) != timed:
            raise UsageError(
                "a window of time needs the column that holds it, one of rows takes none",
                hint="give --window 7d together with --time COLUMN, or --window 1000 alone",
            )
        return Window(length=length, seconds=timed)


@dataclass(kw_only=True)
class Scan:
    """What a pass found: the whole's counts, each window's, and the part of the rows that was kept.

    `kept` holds the features in the profile's order, then the columns beside them in the order of `extra`, then each
    row's window.
    """

    whole: Tally
    windows: dict[int, Tally] = field(default_factory=dict)
    kept: Part
    extra: tuple[str, ...]
    all_kept: bool
    start: int = 0

    def beside(self, name: str) -> NDArray[Any]:
        """A column beside the features, of the rows that were kept."""
        return self.kept.arrays[len(self.whole.profile.features) + self.extra.index(name)]


def scan(data: Data, profile: Profile, beside: Columns, window: Window | None = None) -> Scan:
    """Read all rows once. Raises SampleError where the data does not fit the profile or the windows."""
    features = [column.name for column in profile.features]
    _check_columns(data, features, beside)
    grouped = beside.group is not None
    whole = Tally(profile, grouped=grouped)
    windows: dict[int, Tally] = {}
    kept = Thinned(MOST_ANSWERED)
    numeric = {column.name for column in profile.features if isinstance(column, NumericColumn)}
    wanted = list(dict.fromkeys([*features, *beside.present]))
    text = [name for name in features if name not in numeric]
    start: int | None = None
    words = {one for column in profile.features if isinstance(column, CategoryColumn) for one in column.cells}
    batches = data.batches(wanted, numeric=sorted(numeric), text=text, categories=words)
    for batch in _ahead(batches):
        columns = dict(zip(wanted, batch.columns, strict=True))
        values = {
            name: arrays.numbers(columns[name], name)
            if name in numeric
            else arrays.categories(columns[name], name)
            for name in features
        }
        groups = arrays.plain(columns[beside.group]) if beside.group else None
        rows = whole.rows
        whole.add(values, groups)
        place = np.broadcast_to(np.int64(0), batch.num_rows)
        if window is not None:
            if window.seconds:
                seconds = _seconds(columns[str(beside.time)], str(beside.time))
                start = int(seconds.min()) if start is None and len(seconds) else start
                place = (seconds - (start or 0)) // window.length
            else:
                place = np.arange(rows, rows + batch.num_rows) // window.length
            _add_windows(windows, place, values, groups, profile)
        chosen = kept.room_for(batch.num_rows)
        some = [value[chosen] for value in values.values()]
        features_kept = [one.decoded() if isinstance(one, Encoded) else one for one in some]
        extra = [arrays.plain(columns[name].take(chosen)) for name in beside.present]
        kept.add_chosen(batch.num_rows, Part(chosen, [*features_kept, *extra, place[chosen]]))
    if not whole.rows:
        raise SampleError(f"{data.path} holds no row", hint="give data with rows; no data is not judged")
    return Scan(
        whole=whole,
        windows=dict(sorted(windows.items())),
        kept=kept.joined(),
        extra=beside.present,
        all_kept=len(kept) == whole.rows,
        start=start or 0,
    )


def _add_windows(
    windows: dict[int, Tally],
    place: NDArray[np.int64],
    values: Mapping[str, Any],
    groups: NDArray[Any] | None,
    profile: Profile,
) -> None:
    for key in np.unique(place).tolist():
        if key not in windows and len(windows) >= MOST_WINDOWS:
            raise SampleError(
                f"the data falls into more than {MOST_WINDOWS} windows", hint="give a longer --window"
            )
        tally = windows.setdefault(key, Tally(profile, grouped=groups is not None))
        which = place == key
        if which.all():
            tally.add(values, groups)
        else:
            tally.add(
                {name: array[which] for name, array in values.items()},
                None if groups is None else groups[which],
            )


def _check_columns(data: Data, features: list[str], beside: Columns) -> None:
    missing = [name for name in features if name not in data.columns]
    if missing:
        raise SampleError(
            f"{data.path} lacks {len(missing)} of the model's {len(features)} features: "
            + ", ".join(map(repr, missing[:10])),
            hint="give the columns the model was judged on, under the same names",
        )
    for name in beside.present:
        if name not in data.columns:
            raise SampleError(
                f"{data.path} has no column {name!r}",
                hint=f"its columns are {', '.join(map(repr, data.columns[:20]))}",
            )


def _seconds(array: Any, name: str) -> NDArray[np.int64]:
    """Times as whole seconds. Raises SampleError for what is no time, and for rows without one."""
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    try:
        if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
            array = _times(array)
        if pa.types.is_date(array.type) or pa.types.is_timestamp(array.type):
            array = array.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
    except pa.ArrowException as error:
        raise SampleError(
            f"column {name!r} holds no times: {error}", hint="give dates or timestamps"
        ) from error
    if not pa.types.is_integer(array.type):
        raise SampleError(
            f"column {name!r} holds {array.type}, no times",
            hint="give dates, timestamps, or whole seconds since 1970",
        )
    if array.null_count:
        raise SampleError(
            f"column {name!r} has rows without a time", hint="leave them out, or judge without --time"
        )
    found: NDArray[np.int64] = array.to_numpy(zero_copy_only=False).astype(np.int64)
    if len(found) and not _FIRST_SECOND <= found.min() <= found.max() <= _LAST_SECOND:
        raise SampleError(
            f"column {name!r} holds times outside the years 1 to 9999",
            hint="whole numbers are taken as seconds since 1970: are these milliseconds?",
        )
    return found


def _times(texts: Any) -> Any:
    """ISO 8601 with or without an offset as times."""
    import pyarrow as pa

    try:
        return texts.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        return texts.cast(pa.timestamp("us", "UTC"))


def _ahead(batches: Iterator[Any]) -> Iterator[Any]:
    """The same batches, the next two decoded while one is counted."""
    with ThreadPoolExecutor(1) as pool:
        following = deque(pool.submit(next, batches, None) for _ in range(_DECODED_AHEAD))
        while (batch := following.popleft().result()) is not None:
            following.append(pool.submit(next, batches, None))
            yield batch
