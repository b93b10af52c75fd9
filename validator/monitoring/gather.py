"""From Prometheus' history to what a page shows: everything is asked here, nothing is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from validator.monitoring.charts import Band, Chart, Points
from validator.monitoring.settings import Limits
from validator.prometheus import Prometheus, Series
from validator.promql import number, quoted, select
from validator.rollout.state import ENDED
from validator.serving.metrics.latency import bound_label

#: Points of a line, at most.
POINTS = 240
_BINS = ("bin", "=~", "[0-9]+|other")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A feature or output now: shares of its bins [B] in the reference and in the last day, and its PSI over time."""

    name: str
    bins: tuple[str, ...]
    before: tuple[float, ...]
    now: tuple[float, ...]
    rows: float
    psi: float | None
    floor: float | None
    special: tuple[tuple[str, float, float], ...]
    past: Points

    @property
    def status(self) -> str:
        """`fail`, `none` where it cannot be told, `warn`, `ok`."""
        if self.psi is None or self.floor is None:
            return "none"
        if self.psi > max(self.floor, 0.2):
            return "fail"
        if self.floor > 0.2:
            return "none"
        return "warn" if self.psi > max(self.floor, 0.1) else "ok"


@dataclass(frozen=True, kw_only=True)
class Alerted:
    """An alert and the spans of time in which it fired."""

    name: str
    severity: str
    about: str
    spans: tuple[Band, ...]
    firing: bool


@dataclass(frozen=True, kw_only=True)
class Seen:
    """All that a page shows."""

    model: str
    start: float
    end: float
    versions: tuple[tuple[str, str, str, float], ...]
    charts: tuple[Chart, ...]
    quality: tuple[Chart, ...]
    features: tuple[Column, ...]
    outputs: tuple[Column, ...]
    alerts: tuple[Alerted, ...]
    rollouts: tuple[Band, ...]
    watched: bool
    notes: tuple[str, ...] = field(default=())

    @property
    def is_empty(self) -> bool:
        """Prometheus knows nothing of the model in this time."""
        return not self.versions and not any(points for chart in self.charts for _, points in chart.lines)


def document(seen: Seen) -> dict[str, object]:
    """What `monitor page --json` prints: what stands now, without the lines of the charts."""

    def column(one: Column) -> dict[str, object]:
        return {
            "name": one.name,
            "status": one.status,
            "psi": one.psi,
            "psi_floor": one.floor,
            "rows": one.rows,
        }

    return {
        "schema_version": 1,
        "model": seen.model,
        "start": seen.start,
        "end": seen.end,
        "versions": [
            {"version": version, "verdict": verdict, "override": override, "created": created}
            for version, verdict, override, created in seen.versions
        ],
        "features": [column(one) for one in seen.features],
        "outputs": [column(one) for one in seen.outputs],
        "alerts": [
            {"name": one.name, "severity": one.severity, "firing": one.firing, "times": len(one.spans)}
            for one in seen.alerts
        ],
        "watched": seen.watched,
        "notes": list(seen.notes),
    }


def gather(
    prometheus: Prometheus,
    model: str,
    limits: Limits,
    *,
    seconds: float,
    end: float | None = None,
    shortest_s: float = 60.0,
) -> Seen:
    """Ask for everything about one model in the last `seconds`; points of a line are at least `shortest_s` apart.

    Raises
    ------
    SampleError
        If Prometheus cannot be asked, or answers with nonsense.
    """
    now = prometheus.now() if end is None else end
    asked = _Asked(prometheus, model, start=now - seconds, end=now, step=max(shortest_s, seconds / POINTS))
    rollouts = asked.rollouts()
    watchdog = asked.spans(select("ALERTS", asked.of_model, ("alertname", "=", "PreflightWatchdog")), "")
    features, outputs = asked.columns("feature"), asked.columns("output")
    notes = (
        [] if features or outputs else ["Drift is not recorded: load the rules that `monitor init` writes."]
    )
    return Seen(
        model=model,
        start=asked.start,
        end=now,
        versions=asked.versions(),
        charts=tuple(asked.charts(limits, rollouts)),
        quality=tuple(asked.quality(rollouts)),
        features=features,
        outputs=outputs,
        alerts=asked.alerts(),
        rollouts=rollouts,
        watched=bool(watchdog),
        notes=tuple(notes),
    )


class _Asked:
    def __init__(self, prometheus: Prometheus, model: str, *, start: float, end: float, step: float) -> None:
        self.prometheus, self.start, self.end, self.step = prometheus, start, end, step
        self.of_model = ("model", "=", model)
        #: Rates over one step, so that nothing between two points is missed.
        self.window = f"{max(60, round(step))}s"

    def range(self, query: str) -> list[Series]:
        return self.prometheus.range(query, start=self.start, end=self.end, step=self.step)

    def versions(self) -> tuple[tuple[str, str, str, float], ...]:
        """Version, verdict, override and when it was made, of those there are now."""
        info = self.prometheus.values(select("preflight_model_info", self.of_model), self.end)
        made = self.prometheus.values(
            select("preflight_model_created_timestamp_seconds", self.of_model), self.end
        )
        created = {labels.get("version", ""): value for labels, value in made}
        found = {
            (labels.get("version", ""), labels.get("verdict", ""), labels.get("override", ""))
            for labels, _ in info
        }
        return tuple(sorted((*one, created.get(one[0], 0.0)) for one in found))

    def charts(self, limits: Limits, bands: tuple[Band, ...]) -> list[Chart]:
        """Traffic, outcomes, the share within the limit, burn rate."""
        requests = select("preflight_requests_total", self.of_model, over=self.window)
        bad = select(
            "preflight_requests_total",
            self.of_model,
            ("outcome", "=~", "error|invalid_output|shed"),
            over=self.window,
        )
        asked = select(
            "preflight_requests_total", self.of_model, ("outcome", "!=", "refused"), over=self.window
        )
        le = ("le", "=", bound_label(limits.slo_ms / 1e3))
        within = select("preflight_request_seconds_bucket", self.of_model, le, over=self.window)
        count = select("preflight_request_seconds_count", self.of_model, over=self.window)
        slow = f"clamp_min(1 - sum(rate({within})) / sum(rate({count})), 0) / {number(limits.slow_budget)}"
        failed = f"sum(rate({bad})) / sum(rate({asked})) / {number(limits.error_budget)}"
        share = f"clamp_max(sum by (version) (rate({within})) / sum by (version) (rate({count})), 1)"
        return [
            self._chart(
                "Requests a second, by version",
                self._by("version", f"sum by (version) (rate({requests}))"),
                bands,
            ),
            self._chart(
                "Requests a second, by outcome",
                self._by("outcome", f"sum by (outcome) (rate({requests})) > 0"),
                bands,
            ),
            self._chart(
                f"Answered within {limits.slo_ms:g} ms",
                self._by("version", share),
                bands,
                unit="%",
                limit=limits.slow_percent / 100,
                floor_zero=False,
                about=f"Dashed: {limits.slow_percent:g} % were promised.",
            ),
            self._chart(
                "Burn rate",
                (*self._one("failed", failed), *self._one("slow", slow)),
                bands,
                limit=1.0,
                about="1, dashed, uses up in 30 days what 30 days may bear; 14.4 for an hour pages.",
            ),
        ]

    def quality(self, bands: tuple[Band, ...]) -> list[Chart]:
        """Live quality by metric, a line for each version, where it is measured."""
        lines = self.range(select("preflight_live_quality", self.of_model))
        ends = {
            end: self.range(select(f"preflight_live_quality_{end}", self.of_model)) for end in ("low", "high")
        }
        found = []
        for metric in sorted({line.label("metric") for line in lines}):
            drawn = [
                (line.label("version"), line.samples) for line in lines if line.label("metric") == metric
            ]
            for end, others in ends.items():
                drawn += [
                    (f"{line.label('version')}, {end}er end", line.samples)
                    for line in others
                    if line.label("metric") == metric
                ]
            found.append(
                self._chart(
                    f"Live quality: {metric}",
                    tuple(drawn),
                    bands,
                    floor_zero=False,
                    about="With its 95 % interval.",
                )
            )
        return found

    def _chart(
        self, title: str, lines: tuple[tuple[str, Points], ...], bands: tuple[Band, ...], **more: Any
    ) -> Chart:
        return Chart(
            title=title, lines=lines, start=self.start, end=self.end, step=self.step, bands=bands, **more
        )

    def _by(self, label: str, query: str) -> tuple[tuple[str, Points], ...]:
        return tuple(sorted((line.label(label), line.samples) for line in self.range(query)))

    def _one(self, name: str, query: str) -> tuple[tuple[str, Points], ...]:
        return tuple((name, line.samples) for line in self.range(query))

    def columns(self, kind: str) -> tuple[Column, ...]:
        """Features or outputs of the version that has most rows now, worst first."""
        rows = self._now(f"preflight:{kind}:rows1d", kind)
        by_version: dict[str, float] = {}
        for (version, _), value in rows.items():
            by_version[version] = max(by_version.get(version, 0.0), value)
        if not by_version:
            return ()
        version = max(by_version, key=lambda one: by_version[one])
        of_version = ("version", "=", version)
        psi, floor = self._now(f"preflight:{kind}:psi", kind), self._now(f"preflight:{kind}:psi_floor", kind)
        now, then = (
            self._bins(kind, "rows1d", of_version, _BINS),
            self._bins(kind, "reference", of_version, _BINS),
        )
        special_now = self._bins(kind, "special_share1d", of_version)
        special_then = self._bins(kind, "special_reference", of_version)
        past = {
            line.label(kind): line.samples
            for line in self.range(select(f"preflight:{kind}:psi", self.of_model, of_version))
        }
        found = []
        for name in then:
            order = sorted(then[name], key=lambda one: (not one.isdigit(), int(one) if one.isdigit() else 0))
            counts = now.get(name, {})
            special = special_now.get(name, {})
            found.append(
                Column(
                    name=name,
                    bins=tuple(order),
                    before=_shares([then[name][one] for one in order]),
                    now=_shares([counts.get(one, 0.0) for one in order]),
                    rows=rows.get((version, name), 0.0),
                    psi=psi.get((version, name)),
                    floor=floor.get((version, name)),
                    special=tuple(
                        (one, special_then.get(name, {}).get(one, 0.0), share)
                        for one, share in sorted(special.items())
                    ),
                    past=past.get(name, ()),
                )
            )
        return tuple(sorted(found, key=_worst_first))

    def _now(self, metric: str, kind: str) -> dict[tuple[str, str], float]:
        values = self.prometheus.values(select(metric, self.of_model), self.end)
        return {(labels.get("version", ""), labels.get(kind, "")): value for labels, value in values}

    def _bins(self, kind: str, name: str, *matchers: tuple[str, str, str]) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = {}
        query = select(f"preflight:{kind}_bin:{name}", self.of_model, *matchers)
        for labels, value in self.prometheus.values(query, self.end):
            found.setdefault(labels.get(kind, ""), {})[labels.get("bin", "")] = value
        return found

    def alerts(self) -> tuple[Alerted, ...]:
        """What fired, those that fire now first."""
        query = select(
            "ALERTS", self.of_model, ("alertstate", "=", "firing"), ("alertname", "!=", "PreflightWatchdog")
        )
        found = []
        for line in self.range(query):
            labels = dict(line.labels)
            own = ("__name__", "alertname", "alertstate", "severity", "model")
            about = ", ".join(f"{name} {value}" for name, value in sorted(labels.items()) if name not in own)
            spans = _spans(line.samples, self.step, f"{labels.get('alertname', '')} {about}")
            found.append(
                Alerted(
                    name=labels.get("alertname", ""),
                    severity=labels.get("severity", ""),
                    about=about,
                    spans=spans,
                    firing=bool(spans) and spans[-1].end >= self.end - self.step,
                )
            )
        order = {"page": 0, "ticket": 1, "info": 2}
        return tuple(
            sorted(found, key=lambda one: (not one.firing, order.get(one.severity, 3), one.name, one.about))
        )

    def rollouts(self) -> tuple[Band, ...]:
        """When a rollout was under way."""
        ended = "|".join(sorted(ENDED))
        state = select("preflight_rollout_state", self.of_model, ("state", "!~", ended))
        return self.spans(f"max({state}) == 1", "a rollout was under way")

    def spans(self, query: str, name: str) -> tuple[Band, ...]:
        return tuple(band for line in self.range(query) for band in _spans(line.samples, self.step, name))


def _spans(points: Points, step: float, name: str) -> tuple[Band, ...]:
    found: list[list[float]] = []
    for at, _ in points:
        if not found or at - found[-1][1] > 1.5 * step:
            found.append([at, at])
        found[-1][1] = at
    return tuple(Band(start=start, end=end, name=name) for start, end in found)


def _shares(counts: Sequence[float]) -> tuple[float, ...]:
    total = sum(counts)
    return tuple(count / total if total > 0 else 0.0 for count in counts)


def _worst_first(column: Column) -> tuple[int, float, str]:
    return (
        ("fail", "warn", "none", "ok").index(column.status),
        -(column.psi or 0.0),
        column.name,
    )


def models(prometheus: Prometheus) -> list[str]:
    """The models that Prometheus knows now."""
    found = prometheus.values(f"count by (model) ({{__name__={quoted('preflight_model_info')}}})")
    return sorted(labels.get("model", "") for labels, _ in found)
