"""Counting and timing of calls, and the caller's hook for metrics."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Literal

from validator.serving.errors import DeploymentError
from validator.serving.latency import LatencyHistogram, LatencyStats, summarise
from validator.serving.prediction import CallRecord

Method = Literal["predict", "predict_batch", "predict_single"]
_METHODS: tuple[Method, ...] = ("predict", "predict_batch", "predict_single")


class Meter:
    """Thread-safe. Calls that simply succeed are counted by their histogram alone."""

    def __init__(self, version: str, hook: Callable[[CallRecord], None] | None) -> None:
        self.hook = hook
        self.histograms: dict[str, LatencyHistogram] = {method: LatencyHistogram() for method in _METHODS}
        self._version = version
        self._lock = threading.RLock()
        self._unusual: Counter[str] = Counter()

    def answered(self, method: Method, rows: int, nanoseconds: int, outcome: str) -> None:
        self.histograms[method].record(nanoseconds)
        if outcome != "ok":
            self._count(outcome)
        self.tell(method, rows, nanoseconds, outcome)

    def refused(self, method: Method, nanoseconds: int, error: DeploymentError, rows: int) -> None:
        name = type(error).__name__
        self._count("refused", f"refused.{name}")
        self.tell(method, rows, nanoseconds, "refused", name)

    def tell(self, method: Method, rows: int, nanoseconds: int, outcome: str, error: str = "") -> None:
        """Call the hook. Metrics that fail must not take predictions with them: counted, and warned of once."""
        if self.hook is None:
            return
        record = CallRecord(
            method=method,
            rows=rows,
            latency_ns=nanoseconds,
            outcome=outcome,
            error=error,
            version=self._version,
        )
        try:
            self.hook(record)
        except Exception as failure:
            if self._count("hook_failures") == 1:
                import warnings

                warnings.warn(
                    f"the metrics hook raised {type(failure).__name__}: {failure}; further failures are only "
                    "counted, see Deployment.counts()",
                    RuntimeWarning,
                    stacklevel=4,
                )

    def stats(self, method: Method | None) -> LatencyStats:
        if method is None:
            return summarise(list(self.histograms.values()))
        return summarise([self.histograms[method]])

    def counts(self) -> dict[str, int]:
        with self._lock:
            unusual = dict(self._unusual)
        answered = sum(histogram.snapshot()[1] for histogram in self.histograms.values())
        seen = {name: unusual.pop(name, 0) for name in ("flagged", "fallback", "refused", "hook_failures")}
        return {"ok": answered - seen["flagged"] - seen["fallback"], **seen, **unusual}

    def _count(self, *names: str) -> int:
        """Count each, and return how often the last has been counted."""
        with self._lock:
            self._unusual.update(names)
            return self._unusual[names[-1]]
