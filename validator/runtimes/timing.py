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
#: The same where nobody tells how long either side waited for a processor.
_UNTOLD_NS = 30_000_000
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
    def excused_ns(self) -> NDArray[Any]:
        """The time that each call lost to other processes, in all no more than the kernel bears out [calls]."""
        import numpy as np

        if self.lost_ns is None or self.queued_ns is None:
            return np.zeros_like(self.spans_ns)
        lost = np.clip(self.lost_ns, 0, self.spans_ns)
        total, most = int(lost.sum()), self.queued_ns + _SLACK_NS
        excused: NDArray[Any] = lost if total <= most else (lost * (most / total)).astype(np.int64)
        return excused

    @property
    def own_ns(self) -> NDArray[Any]:
        """Each call without the time that it lost to other processes [calls]."""
        own: NDArray[Any] = self.spans_ns - self.excused_ns
        return own

    @property
    def interrupted(self) -> int:
        """How many calls lost time to other processes."""
        return int((self.excused_ns > 0).sum())

    @property
    def unexplained_ns(self) -> int:
        """The part of the block that neither the claimed calls nor the kernel nor a channel's cost explains."""
        queued_outside = max((self.queued_ns or 0) - int(self.excused_ns.sum()), 0) + (
            self.own_queued_ns or 0
        )
        untold = self.queued_ns is None or self.own_queued_ns is None
        overhead = (_UNTOLD_NS if untold else _CHANNEL_NS) + _LOOP_NS * len(self.spans_ns)
        explained = int(self.spans_ns.sum()) + queued_outside + overhead
        return max(self.wall_ns - explained, 0)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """How many distinct inputs are ready, and the smallest step of the worker's clock."""

    inputs: int
    resolution_ns: int = 0
