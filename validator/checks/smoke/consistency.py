"""The smoke checks of consistency: the same rows, asked for in another way, are answered the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from validator.checks.check import CheckOutcome, failed, passed, seen
from validator.outputs import Outputs, concatenate, same
from validator.runtimes.runtime import Runtime
from validator.sandbox.worker_pool import Raised
from validator.table import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Evidence of a method that raises where it ought to answer: all that is asked of it later fails for the same cause.
NO_ANSWER = "method that raises"
_THREADS = 8
_ROWWISE_ROWS = 50
_THREAD_ROUNDS = 3
#: Seconds for all calls from threads: of a model that needs longer for its rows, fewer are asked, down to the least.
_THREADS_S, _LEAST_ROWS = 30.0, 16
#: A row alone and the same row in a batch may take different code paths of BLAS; no model needs more than this.
_ROWWISE_TOLERANCE = {"f4": 1e-5, "f8": 1e-9}


def repeatable(runtime: Runtime, rows: Table) -> CheckOutcome:
    """The same rows twice."""
    first, second = runtime.predict(rows), runtime.predict(rows)
    if same(first, second):
        return passed(f"{len(rows)} rows, bit-identical")
    return failed(f"two calls on the same {len(rows)} rows differ{_first_difference(first, second)}")


def _first_difference(first: Outputs, second: Outputs) -> str:
    import numpy as np

    for name, array in first.present.items():
        other = second.present.get(name)
        if other is None or other.shape != array.shape:
            return f": {name} has another shape"
        unequal = np.argwhere(np.asarray(array != other))
        if len(unequal):
            where = tuple(int(i) for i in unequal[0])
            return f": {name} of row {where[0]} is {array[where]!s:.40}, then {other[where]!s:.40}"
    return ""


def rowwise(runtime: Runtime, rows: Table) -> CheckOutcome:
    """Each row alone, and among others."""
    import numpy as np

    few = rows.take(slice(0, _ROWWISE_ROWS))
    together = runtime.predict(few)
    worst = 0.0
    for i in range(len(few)):
        alone = runtime.predict(few.take(slice(i, i + 1)))
        for name, array in together.present.items():
            other = alone.present[name]
            if array.dtype.kind != "f":
                if not np.array_equal(array[i : i + 1], other):
                    return failed(
                        f"row {i} alone has {name} {other[0]!s:.60}, in the batch {array[i]!s:.60}",
                        hint=_other_way(runtime, few, i, alone),
                    )
                continue
            difference = _relative(array[i : i + 1], other)
            worst = max(worst, difference)
            if difference > _ROWWISE_TOLERANCE.get(array.dtype.str[1:], 1e-5):
                return failed(
                    f"row {i} alone gives other {name} than in a batch: {_shown_row(other, 0)} alone, "
                    f"{_shown_row(array, i)} in the batch",
                    seen("largest relative difference", difference, "1e-9 (float32: 1e-5)"),
                    hint=_other_way(runtime, few, i, alone),
                )
    return passed(
        f"{len(few)} rows agree", seen("largest relative difference", worst, "1e-9 (float32: 1e-5)")
    )


def _other_way(runtime: Runtime, rows: Table, row: int, alone: Outputs) -> str:
    """What to do where not the batch makes the difference, but the method for one row; nothing where it does."""
    names = runtime.methods
    if not names or "single" not in names or "predict" not in names:
        return ""
    whole = runtime.predict(rows.take(slice(row, row + 1)), "predict")
    if same(whole, runtime.predict(rows, "predict").take(slice(row, row + 1))) and not same(whole, alone):
        return f"{names['single']} goes another way to its answer than {names['predict']}: let both go the same way"
    return ""


def _shown_row(array: NDArray[Any], row: int) -> str:
    """The first values of one answer."""
    return ", ".join(f"{float(value):.6g}" for value in array[row].reshape(-1)[:3])


def _relative(a: NDArray[Any], b: NDArray[Any]) -> float:
    """The largest difference relative to the values' size, at least one; NaN equals NaN."""
    import numpy as np

    if a.shape != b.shape:
        return float("inf")
    both_nan = np.isnan(a) & np.isnan(b)
    with np.errstate(invalid="ignore"):
        gap = np.abs(a - b) / np.maximum(1.0, np.abs(a))
    gap = np.where(both_nan | (a == b), 0.0, gap)
    return float(np.where(np.isnan(gap), np.inf, gap).max(initial=0.0))


def methods(runtime: Runtime, rows: Table) -> CheckOutcome:
    """The same rows by every method. What only one of them gives, a label beside probabilities say, may differ."""
    names = ", ".join(runtime.methods.values())
    answers = {}
    for role, method in runtime.methods.items():
        try:
            answers[role] = runtime.predict(rows, role).present
        except Raised as error:
            message = f"{method} does not answer the sample's own rows: {error.said}"
            return failed(message, seen(NO_ANSWER, method), hint=error.hint)
    (first, expected), *others = answers.items()
    if not others:
        return passed(f"{names} is the only method that answers")
    for role, answer in others:
        shared = answer.keys() & expected.keys()
        if not shared:
            return failed(
                f"{runtime.methods[role]} gives {', '.join(answer)}, {runtime.methods[first]} {', '.join(expected)}"
            )
        differs = _first_other(expected, answer)
        if differs and role == "single" and first == "predict":
            # Where other rows make the difference, another check says so: held to one row at a time, both may agree.
            alone = [runtime.predict(rows.take(slice(i, i + 1)), first) for i in range(len(rows))]
            differs = _first_other(concatenate(alone).present, answer)
        if differs:
            return failed(
                f"{runtime.methods[role]} answers other {differs} than {runtime.methods[first]} to the same rows"
            )
    return passed(f"{names} agree on {len(rows)} rows")


def _first_other(expected: Mapping[str, NDArray[Any]], answer: Mapping[str, NDArray[Any]]) -> str:
    """The first of the outputs in both that differs by more than code paths do; empty for none."""
    import numpy as np

    for name in sorted(answer.keys() & expected.keys()):
        a, b = expected[name], answer[name]
        is_float = a.dtype.kind == "f" and b.dtype.kind == "f"
        if _relative(a, b) > _ROWWISE_TOLERANCE["f4"] if is_float else not np.array_equal(a, b):
            return name
    return ""


def threads(runtime: Runtime, rows: Table, *, clock: Callable[[], float] = time.perf_counter) -> CheckOutcome:
    """From several threads, each with the rows in another order: only then is one's answer not another's too."""
    started = clock()
    runtime.predict(rows)
    whole = (clock() - started) * _THREADS * (1 + _THREAD_ROUNDS)
    if whole > _THREADS_S:
        rows = rows.take(slice(0, max(_LEAST_ROWS, int(len(rows) * _THREADS_S / whole))))
    tables = [rows.turned(i * len(rows) // _THREADS) for i in range(_THREADS)]
    alone = [runtime.predict(table) for table in tables]
    for _ in range(_THREAD_ROUNDS):
        for expected, answer in zip(alone, runtime.from_threads(tables), strict=True):
            if not same(expected, answer):
                return failed(
                    f"a thread's answer differs from the answer alone{_first_difference(expected, answer)}"
                )
    return passed(f"{_THREADS} threads, {len(rows)} rows each, all identical")
