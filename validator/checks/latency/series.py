"""What was measured of one runtime: blocks of calls, their figures, and whether the worker told the truth."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from validator.checks.latency.statistics import quantile_interval
from validator.runtimes.timing import Timing

if TYPE_CHECKING:
    from numpy.typing import NDArray

_QUANTILE = 0.99
#: Of the time around the blocks, the part that may stay unexplained whatever the limit, and nanoseconds beside it.
_GROSS_SHARE, _GROSS_NS = 0.5, 50_000_000
#: The same, where so little could hide calls over the limit.
_FINE_SHARE, _FINE_NS = 0.05, 10_000_000


@dataclass(kw_only=True)
class Series:
    """Blocks of calls of one runtime, in the order of the rounds in which it took part. Nanoseconds."""

    blocks: list[NDArray[Any]] = field(default_factory=list)
    wall_ns: int = 0
    unexplained_ns: int = 0
    peak_bytes: int = 0
    interrupted: int = 0

    def add(self, timing: Timing, *, lead: int = 0) -> None:
        """Another block. Its first `lead` calls are no figures, but must be accounted for like the others."""
        self.blocks.append(timing.own_ns[lead:])
        self.wall_ns += timing.wall_ns
        self.unexplained_ns += timing.unexplained_ns
        self.peak_bytes = max(self.peak_bytes, timing.peak_bytes)
        self.interrupted += timing.interrupted

    @property
    def calls(self) -> int:
        return sum(len(block) for block in self.blocks)

    @property
    def spans_ns(self) -> NDArray[Any]:
        """Every call, without the time that other processes took [calls]."""
        import numpy as np

        return np.concatenate(self.blocks)

    @property
    def medians_ns(self) -> NDArray[Any]:
        """The median of each block [blocks], 1 ns at least: what paired ratios are made of."""
        import numpy as np

        # A worker whose clock stands still claims no time at all, of which no ratio can be made.
        return np.array([max(float(np.median(block)), 1.0) for block in self.blocks])

    def p99_ms(self) -> float:
        import numpy as np

        return float(np.quantile(self.spans_ns, _QUANTILE, method="inverted_cdf")) / 1e6

    def p99_interval_ms(self, confidence: float) -> tuple[float, float]:
        low, high = quantile_interval(self.spans_ns, _QUANTILE, confidence)
        return max(low / 1e6, 0.0), high / 1e6

    def is_honest(self, limit_ms: float) -> bool:
        """Whether the claimed times account for the time that passed by our clock and the kernel's.

        What they leave unexplained is too much where it is half of the time, or where it could hide so many calls
        over the limit that the p99 would be over it. No call takes no time at all.
        """
        import numpy as np

        if np.median(self.spans_ns) == 0:
            return False
        if self.unexplained_ns > _GROSS_SHARE * self.wall_ns + _GROSS_NS:
            return False
        hidden_calls = math.ceil((1 - _QUANTILE) * self.calls)
        enough_ns = hidden_calls * max(limit_ms - self.p99_ms(), 0.0) * 1e6
        too_little = self.unexplained_ns <= _FINE_SHARE * self.wall_ns + _FINE_NS
        return too_little or self.unexplained_ns < enough_ns
