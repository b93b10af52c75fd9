"""What one block of timed calls tells, and how far the worker's word for it is borne out.

The worker times its calls, for the channel must cost nothing; but a model can tamper with its worker. So the
supervisor keeps an account of its own: its clock around the block, and the kernel's word on how long the worker
waited for a processor. The worker is believed as far as the two accounts agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What a block costs besides its calls: the request, the reply, and a loop around the calls.
_CHANNEL_NS = 1_000_000
_LOOP_NS = 5_000
#: How far the worker's account of lost time may exceed the kernel's, which is taken a moment later.
_SLACK_NS = 200_000


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One block of calls, in nanoseconds.

    `spans_ns` and `lost_ns` [calls] are the worker's word: each call by its clock, and the part in which other
    processes had the processor. `wall_ns` is the whole block by the supervisor's clock; `queued_ns` how long the
    worker was ready and had no processor, and `own_queued_ns` the same of the supervisor, by the kernel (None where
    it does not tell). `peak_bytes` is the worker's peak memory.
    """

    spans_ns: NDArray[Any]
    wall_ns: int
    peak_bytes: int
    lost_ns: NDArray[Any] | None = None
    queued_ns: int | None = None
    own_queued_ns: int | None = None

    @property
    def own_ns(self) -> NDArray[Any]:
        """Each call without the time that it lost to other processes, where the kernel bears that out [calls]."""
        if self.lost_ns is None or not self._lost_is_borne_out:
            return self.spans_ns
        own: NDArray[Any] = self.spans_ns - self.lost_ns
        return own

    @property
    def interrupted(self) -> int:
        """How many calls lost time to other processes, as far as that is borne out."""
        return int((self.lost_ns > 0).sum()) if self.lost_ns is not None and self._lost_is_borne_out else 0

    @property
    def unexplained_ns(self) -> int:
        """The part of the block that neither the claimed calls nor the kernel nor a channel's cost explains."""
        queued = (self.queued_ns or 0) + (self.own_queued_ns or 0)
        if self._lost_is_borne_out and self.lost_ns is not None:
            queued -= int(self.lost_ns.sum())  # that part of the queue is inside the claimed calls
        explained = int(self.spans_ns.sum()) + max(queued, 0) + _CHANNEL_NS + _LOOP_NS * len(self.spans_ns)
        return max(self.wall_ns - explained, 0)

    @property
    def _lost_is_borne_out(self) -> bool:
        if self.lost_ns is None or self.queued_ns is None:
            return False
        plausible = bool((self.lost_ns >= 0).all() and (self.lost_ns <= self.spans_ns).all())
        return plausible and int(self.lost_ns.sum()) <= self.queued_ns + _SLACK_NS


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """How many distinct inputs are ready, and the smallest step of the worker's clock."""

    inputs: int
    resolution_ns: int = 0
