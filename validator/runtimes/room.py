"""How many rows a model can be asked for at once: what each takes in memory, told apart from what any call takes."""

from __future__ import annotations

from collections.abc import Callable

_SIZES = (1, 16, 256, 768)
#: What the memory of one call may grow by.
BUDGET_BYTES = 512 * 2**20
#: A growth that is no matter of a library's own buffers: of any call but the last, and of the last.
_SURE_BYTES, _SOME_BYTES = 64 * 2**20, 16 * 2**20
#: Seconds of one call after which no larger one is made.
_SLOW_S = 2.0


def rows_at_once(
    ask: Callable[[int], object], peak: Callable[[], int | None], clock: Callable[[], float]
) -> int | None:
    """Rows of one call that stays within `BUDGET_BYTES`; None for a model of which any number does.

    `ask` asks for so many rows, `peak` is the process's peak memory in bytes. Two calls of different sizes are
    compared, so that what a first call takes whatever its size counts for nothing. The number is a power of four: it
    is the same from run to run though memory is not.
    """
    before, last = peak(), 0
    for rows in _SIZES:
        started = clock()
        ask(rows)
        after = peak()
        if before is None or after is None:
            return None
        grown = after - before
        final = rows == _SIZES[-1] or clock() - started > _SLOW_S
        if last and grown >= (_SOME_BYTES if final else _SURE_BYTES):
            return _power_of_four(BUDGET_BYTES * (rows - last) // grown)
        if final:
            return None
        before, last = after, rows
    return None


def _power_of_four(number: int) -> int:
    """The largest one that is not above the number, at least 1."""
    return int(4 ** ((max(1, number).bit_length() - 1) // 2))
