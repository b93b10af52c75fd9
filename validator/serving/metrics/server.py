"""The metrics of one serving process, under the names that rules, dashboards and judges of rollouts read.

Counts are plain numbers and lists, written by the event loop's thread alone and shown by a collector when somebody
asks: counting a row costs microseconds. Every series is there, at 0, from the first scrape on, since Prometheus
cannot see the first increment of a series that is born with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from validator.serving.metrics.bins import LiveBins
from validator.serving.metrics.latency import LatencyBuckets

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

Outcome = Literal["ok", "refused", "invalid_output", "error", "shed"]
OUTCOMES: tuple[Outcome, ...] = ("ok", "refused", "invalid_output", "error", "shed")
SHADOW_RESULTS = ("same", "close", "different", "error", "dropped")
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, kw_only=True)
class Served:
    """Who is serving: labels of the metrics.

    `digest` identifies the artifact, `override` is the reason for serving what would be refused, "" for none,
    `created_s` when the version was made, in seconds since 1970.
    """

    model: str
    version: str
    digest: str
    verdict: str
    override: str
    created_s: float


class ServerMetrics:
    """Everything that is counted in one process.

    Parameters
    ----------
    served
        The version that the counts are of.
    slo_s
        The promised limit of a request's duration, in seconds.
    bins
        Counts of features' and outputs' values; empty where the artifact has no profile.
    """

    def __init__(self, served: Served, *, slo_s: float, bins: LiveBins) -> None:
        self.served = served
        self.bins = bins
        self.latency = LatencyBuckets(slo_s)
        self.slo_s = slo_s
        self.rows = 0
        self.outcomes: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
        self.shadow: dict[str, dict[str, int]] = {}
        self.log: dict[str, int] = {}
        self.inflight: Callable[[], int] = lambda: 0
        self.lease_expires_s: Callable[[], float | None] = lambda: None

    def answered(self, outcome: Outcome, seconds: float, rows: int) -> None:
        """Count one request. Those that were shed have no duration: a quick no is not a fast answer."""
        self.outcomes[outcome] += 1
        if outcome != "shed":
            self.latency.observe(seconds)
        if outcome == "ok":
            self.rows += rows

    def shadow_counts(self, against: str) -> dict[str, int]:
        """The counts by result of a shadow of version `against`: whoever compares adds to them."""
        return self.shadow.setdefault(against, dict.fromkeys(SHADOW_RESULTS, 0))

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        from prometheus_client import generate_latest

        return bytes(generate_latest(self))

    def collect(self) -> Iterator[Metric]:
        """All families, as prometheus-client's collectors give them."""
        yield from self._requests()
        yield from self._identity()
        yield from self.bins.collect(self._labels())
        yield from self._optional()

    def _labels(self) -> dict[str, str]:
        return {"model": self.served.model, "version": self.served.version}

    def _requests(self) -> Iterator[Metric]:
        from prometheus_client.metrics_core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        labels = self._labels()
        names, values = list(labels), list(labels.values())
        requests = CounterMetricFamily(
            "preflight_requests", "Prediction requests by how they ended.", labels=[*names, "outcome"]
        )
        for outcome, count in self.outcomes.items():
            requests.add_metric([*values, outcome], count)
        yield requests
        rows = CounterMetricFamily("preflight_rows", "Rows that were answered.", labels=names)
        rows.add_metric(values, self.rows)
        yield rows
        seconds = HistogramMetricFamily(
            "preflight_request_seconds",
            "Seconds from the proxy's arrival stamp, or from when the server began to read, to the answer.",
            labels=names,
        )
        seconds.add_metric(values, self.latency.cumulative(), self.latency.total_s)
        yield seconds
        inflight = GaugeMetricFamily("preflight_inflight", "Requests being answered now.", labels=names)
        inflight.add_metric(values, self.inflight())
        yield inflight

    def _identity(self) -> Iterator[Metric]:
        from prometheus_client.metrics_core import GaugeMetricFamily

        labels, served = self._labels(), self.served
        info = GaugeMetricFamily(
            "preflight_model_info",
            "The version that serves: 1.",
            labels=[*labels, "digest", "verdict", "override"],
        )
        info.add_metric([*labels.values(), served.digest, served.verdict, served.override], 1)
        yield info
        created = GaugeMetricFamily(
            "preflight_model_created_timestamp_seconds", "When the version was made.", labels=list(labels)
        )
        created.add_metric(list(labels.values()), served.created_s)
        yield created
        slo = GaugeMetricFamily(
            "preflight_slo_seconds", "The promised limit of a request's duration.", labels=list(labels)
        )
        slo.add_metric(list(labels.values()), self.slo_s)
        yield slo

    def _optional(self) -> Iterator[Metric]:
        """What there is only with a shadow, a lease or a log."""
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        labels = self._labels()
        names, values = list(labels), list(labels.values())
        if self.shadow:
            shadow = CounterMetricFamily(
                "preflight_shadow",
                "Requests also put to another version, by how its answer compares.",
                labels=[*names, "against", "result"],
            )
            for against, results in self.shadow.items():
                for result, count in results.items():
                    shadow.add_metric([*values, against, result], count)
            yield shadow
        if self.log:
            log = CounterMetricFamily(
                "preflight_log_rows", "Rows for the prediction log, by result.", labels=[*names, "result"]
            )
            for result, count in self.log.items():
                log.add_metric([*values, result], count)
            yield log
        expires = self.lease_expires_s()
        if expires is not None:
            lease = GaugeMetricFamily(
                "preflight_lease_expires_timestamp_seconds",
                "When the server stops being ready unless its lease is renewed; absent without a lease.",
                labels=names,
            )
            lease.add_metric(values, expires)
            yield lease


def recent(metrics: ServerMetrics, *, now: Callable[[], float] = time.time) -> Mapping[str, float | int]:
    """A few totals for the page's charts, as JSON values."""
    cumulative = metrics.latency.cumulative()
    within = cumulative[metrics.latency.bounds.index(metrics.slo_s)][1]
    return {
        "time": now(),
        "rows": metrics.rows,
        "seconds": metrics.latency.total_s,
        "slow": cumulative[-1][1] - within,
        "answered": cumulative[-1][1],
        **metrics.outcomes,
    }
