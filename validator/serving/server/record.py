"""The prediction log: what was asked and answered, as Parquet files that `drift` and every table tool read.

Off unless a folder is named. It stores every feature's value that is not left out: whoever switches it on decides
for how long the data may be kept. Rows are written by a thread of its own; when the disk cannot follow, rows are
dropped and counted, and answers go on.
"""

from __future__ import annotations

import secrets
import sys
import threading
import time
from collections.abc import Callable, MutableMapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from validator.errors import UsageError
from validator.serving.prediction import Prediction, SinglePrediction
from validator.serving.server.predictor import OUTPUTS, columns_of
from validator.serving.server.requests import Asked

#: A file is written when so many rows wait, or after so many seconds.
ROWS_A_FILE = 50_000
SECONDS_A_FILE = 60.0
#: Rows that may wait beside those; what comes beyond is dropped.
MOST_WAITING = 4 * ROWS_A_FILE
RESULTS = ("written", "dropped")
_ID, _TIME, _VERSION = "preflight_id", "preflight_time", "preflight_version"
_ANSWER = "preflight_{}"
Item = tuple[str, float, Asked, "SinglePrediction | Prediction"]


class PredictionLog:
    """Writes `predictions-<UTC time>-<random>.parquet`, each whole or not at all; removes the oldest beyond a size.

    Columns: `preflight_id`, `preflight_time`, `preflight_version`, every feature under its own name but those left
    out, and `preflight_label`, `preflight_probabilities` and so on. Only answered rows are stored.

    Parameters
    ----------
    folder
        Made if need be. Other files in it are left alone.
    version
        The serving version.
    counts
        Rows `written` and `dropped` are added to it.
    omit
        Features that are not stored.
    most_bytes
        What all files together may take.

    Raises
    ------
    UsageError
        Where the folder cannot be written to, or pyarrow is not installed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        version: str,
        counts: MutableMapping[str, int],
        omit: Sequence[str] = (),
        most_bytes: int = 2**30,
        seconds_a_file: float = SECONDS_A_FILE,
        rows_a_file: int = ROWS_A_FILE,
        now: Callable[[], float] = time.time,
    ) -> None:
        _check(folder)
        counts.update(dict.fromkeys(RESULTS, 0))
        self._folder, self._version, self._counts = folder, version, counts
        self._omit, self._most_bytes, self._now = frozenset(omit), most_bytes, now
        self._seconds, self._rows = seconds_a_file, rows_a_file
        self._waiting: list[Item] = []
        self._n_waiting = 0
        self._news = threading.Condition()
        self._closed = False
        self._told = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def observe(
        self, prediction_id: str, asked: Asked, answer: SinglePrediction | Prediction | None, _refusal: str
    ) -> None:
        """Take note of an answered request; costs a microsecond, and never waits for the disk."""
        if answer is None:
            return
        with self._news:
            if self._n_waiting + asked.n_rows > MOST_WAITING:
                self._counts["dropped"] += asked.n_rows
                return
            self._waiting.append((prediction_id, self._now(), asked, answer))
            self._n_waiting += asked.n_rows
            if self._n_waiting >= self._rows:
                self._news.notify()

    def close(self, timeout_s: float) -> None:
        """Write what is waiting, for at most so long, and end."""
        with self._news:
            self._closed = True
            self._news.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        closed = False
        while not closed:
            with self._news:
                if not self._closed and self._n_waiting < self._rows:
                    self._news.wait(self._seconds)
                closed = self._closed
                items, self._waiting = self._waiting, []
                n_rows, self._n_waiting = self._n_waiting, 0
            if items:
                self._write(items, n_rows)

    def _write(self, items: list[Item], n_rows: int) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        stamp = datetime.fromtimestamp(self._now(), UTC).strftime("%Y%m%dT%H%M%SZ")
        target = self._folder / f"predictions-{stamp}-{secrets.token_hex(4)}.parquet"
        staged = target.with_suffix(".writing")
        try:
            columns = {name: _array(values) for name, values in self._columns(items).items()}
            pq.write_table(pa.table(columns), staged, compression="zstd")
            staged.replace(target)
            self._forget(keep=target)
        except (
            Exception
        ) as error:  # whatever the disk or a value does: dropped, counted and told, and the log goes on
            self._counts["dropped"] += n_rows
            self._tell(error)
            staged.unlink(missing_ok=True)
            return
        self._counts["written"] += n_rows

    def _columns(self, items: list[Item]) -> dict[str, Any]:
        import pyarrow as pa

        columns: dict[str, list[Any]] = {_ID: [], _TIME: []}
        for prediction_id, when, asked, answer in items:
            columns[_ID] += [prediction_id] * asked.n_rows
            columns[_TIME] += [when] * asked.n_rows
            for name, values in columns_of(asked).items():
                if name not in self._omit:
                    columns.setdefault(name, []).extend(
                        values.tolist() if hasattr(values, "tolist") else values
                    )
            single = isinstance(answer, SinglePrediction)
            for name in OUTPUTS:
                value = getattr(answer, name)
                if value is not None:
                    columns.setdefault(_ANSWER.format(name), []).extend([value] if single else value.tolist())
        times = pa.array([int(when * 1e6) for when in columns.pop(_TIME)], type=pa.timestamp("us", tz="UTC"))
        return {**columns, _TIME: times, _VERSION: [self._version] * len(times)}

    def _forget(self, keep: Path) -> None:
        """Remove the oldest files beyond the size: their names sort by time."""
        files = sorted(self._folder.glob("predictions-*.parquet"), reverse=True)
        total = 0
        for file in files:
            total += file.stat().st_size
            if total > self._most_bytes and file != keep:
                file.unlink(missing_ok=True)

    def _tell(self, error: Exception) -> None:
        """Once: a full disk would fill the process's log too."""
        if not self._told:
            self._told = True
            print(
                f"serve: the prediction log cannot be written, rows are dropped: {type(error).__name__}: "
                f"{str(error)[:300]}",
                file=sys.stderr,
            )


def _array(values: Any) -> Any:
    """A column as Arrow holds it; what came in several types (2**60 beside 1.5) as floats or text."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowException, ValueError, OverflowError):
        held = [value for value in values if value is not None]
        kind = float if all(isinstance(value, int | float) for value in held) else _text
        return pa.array([None if value is None else kind(value) for value in values])


def _text(value: object) -> str:
    return str(value).encode(errors="replace").decode()


def _check(folder: Path) -> None:
    try:
        import pyarrow.parquet as _  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "the prediction log needs pyarrow", hint="pip install pyarrow, or leave out --log"
        ) from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".preflight-{secrets.token_hex(8)}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"the log folder {folder} cannot be written to: {error.strerror}",
            hint="choose another with --log",
        ) from error
