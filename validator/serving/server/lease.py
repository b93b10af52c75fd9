"""A lease on being ready: whoever watches a candidate renews it; without renewal it is taken out of traffic."""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_S = 7 * 24 * 3600.0


class Lease:
    """Time left until the server stops being ready. Counted on a clock that nobody sets.

    Parameters
    ----------
    seconds
        How long a lease holds, unless a renewal says otherwise; None starts without one.
    monotonic, wall
        The clocks: one for deciding, one for telling.
    """

    def __init__(
        self,
        seconds: float | None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._seconds = seconds
        self._until = None if seconds is None else monotonic() + seconds

    @property
    def seconds(self) -> float | None:
        """How long a renewal holds that does not say."""
        return self._seconds

    def renew(self, seconds: float | None = None) -> float | None:
        """Hold for so many seconds from now, or for what was agreed last. Returns the seconds left.

        Raises ValueError where neither says how long, or the number is not within (0, 7 days].
        """
        chosen = self._seconds if seconds is None else seconds
        if chosen is None or not 0 < chosen <= LONGEST_S:
            raise ValueError(f"a lease lasts more than 0 and at most {LONGEST_S:.0f} seconds")
        self._seconds = chosen
        self._until = self._monotonic() + chosen
        return self.left()

    def drop(self) -> None:
        """From now on the server is ready without a lease."""
        self._until = None

    def left(self) -> float | None:
        """Seconds left, 0 when expired, None without a lease."""
        return None if self._until is None else max(0.0, self._until - self._monotonic())

    @property
    def is_expired(self) -> bool:
        return self._until is not None and self._monotonic() >= self._until

    def expires_s(self) -> float | None:
        """When it ends or ended, in seconds since 1970 by the clock on the wall; None without a lease."""
        return None if self._until is None else self._wall() + self._until - self._monotonic()
