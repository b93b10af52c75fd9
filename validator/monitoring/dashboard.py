"""Grafana's dashboard of one model, in the classic form that provisioning takes, and its provisioning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from validator.monitoring.rule import Watched
from validator.promql import number, select

SCHEMA = 36
_SOURCE = {"type": "prometheus", "uid": "preflight"}
_WIDTH = 24


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture. `queries` are (PromQL, legend); `limit` is drawn as a line."""

    title: str
    about: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 8
    limit: float | None = None
    instant: bool = False


def panels(watched: Watched) -> Iterator[tuple[str, tuple[Panel, ...]]]:
    """Rows of panels, by title. None of their queries is empty on a healthy model."""
    yield "Service", tuple(_service(watched))
    yield "Drift", tuple(_drift(watched))
    operation = tuple(_operation(watched))
    yield "Operation", operation


def _service(watched: Watched) -> Iterator[Panel]:
    model, limits = watched.model, watched.limits
    requests = select("preflight_requests_total", model, over="5m")
    yield Panel(
        title="Requests a second, by version",
        about="Answered and not.",
        queries=((f"sum by (version) (rate({requests}))", "{{version}}"),),
        unit="reqps",
    )
    yield Panel(
        title="How they ended",
        about="refused: by the contract. shed: too busy.",
        queries=((f"sum by (outcome) (rate({requests}))", "{{outcome}}"),),
        unit="reqps",
    )
    for kind, budget, title in (
        ("error", limits.error_budget, "Failed, last hour"),
        ("slow", limits.slow_budget, f"Slower than {limits.slo_ms:g} ms, last hour"),
    ):
        yield Panel(
            title=title,
            about=f"Promised: {budget:.3%} at most.",
            queries=((select(f"preflight:{kind}:ratio1h", model), "share"),),
            unit="percentunit",
            limit=budget,
        )
    burn = tuple(
        (
            f"{select(f'preflight:{kind}:ratio{window}', model)} / {number(budget)}",
            f"{word} {window}",
        )
        for kind, budget, word in (
            ("error", limits.error_budget, "failed"),
            ("slow", limits.slow_budget, "slow"),
        )
        for window in ("1h", "6h", "3d")
    )
    yield Panel(
        title="Burn rate",
        about="1 uses the budget of 30 days in 30 days; 14.4 pages.",
        queries=burn,
        limit=1.0,
    )
    yield Panel(
        title="Alerts that fire",
        about="The watchdog always does.",
        queries=(
            (
                "sum by (alertname) (" + select("ALERTS", model, ("alertstate", "=", "firing")) + ")",
                "{{alertname}}",
            ),
        ),
        kind="bargauge",
        instant=True,
    )


def _drift(watched: Watched) -> Iterator[Panel]:
    model = watched.model
    yield Panel(
        title="PSI by feature, 24 hours",
        about="Drift is above 0.2 and above the feature's own floor.",
        queries=((select("preflight:feature:psi", model), "{{feature}} {{version}}"),),
        width=12,
        limit=0.2,
    )
    yield Panel(
        title="What chance explains, by feature",
        about="The floor. Above 0.2 drift could not be seen.",
        queries=((f"min by (feature) ({select('preflight:feature:psi_floor', model)})", "{{feature}}"),),
        width=12,
        limit=0.2,
    )
    for kind, which in (("feature", "$feature"), ("output", "$output")):
        own = (kind, "=", which)
        bins = ("bin", "=~", "[0-9]+|other")
        now = select(f"preflight:{kind}_bin:rows1d", model, own, bins)
        total = select(f"preflight:{kind}:rows1d", model, own)
        then = select(f"preflight:{kind}_bin:reference", model, own, bins)
        whole = select(f"preflight:{kind}:reference_rows", model, own)
        yield Panel(
            title=f"{which}: shares of its bins, now and in the reference",
            about="The last 24 hours beside what the version was judged with.",
            queries=(
                (f"sum by (bin) ({now}) / scalar(sum({total}))", "now {{bin}}"),
                (f"max by (bin) ({then}) / scalar(max({whole}))", "reference {{bin}}"),
            ),
            kind="bargauge",
            unit="percentunit",
            width=12,
            instant=True,
        )
    special = ("bin", "!~", "[0-9]+|other")
    yield Panel(
        title="Special values, 24 hours",
        about="Missing, zero, beyond the range, unseen: shares of the rows.",
        queries=(
            (
                f"max by (feature, bin) ({select('preflight:feature_bin:special_share1d', model, special)})",
                "{{feature}} {{bin}}",
            ),
        ),
        unit="percentunit",
        width=12,
    )
    yield Panel(
        title="PSI by output, 24 hours",
        about="How the answers are spread.",
        queries=((select("preflight:output:psi", model), "{{output}} {{version}}"),),
        width=12,
        limit=0.2,
    )


def _operation(watched: Watched) -> Iterator[Panel]:
    model, settings = watched.model, watched.settings
    yield Panel(
        title="Age in days",
        about=f"Due for training after {settings.retrain_after_days:g}.",
        queries=(
            (
                f"(time() - max by (version) ({select('preflight_model_created_timestamp_seconds', model)})) / 86400",
                "{{version}}",
            ),
        ),
        limit=settings.retrain_after_days,
    )
    yield Panel(
        title="Requests under way",
        about="By server.",
        queries=((select("preflight_inflight", model), "{{instance}}"),),
    )
    if settings.rollout is not None:
        yield Panel(
            title="Traffic by role",
            about="What the rollout gives to champion and candidate.",
            queries=((select("preflight_rollout_weight", model), "{{role}} {{version}}"),),
            unit="percent",
        )
    if settings.quality is not None:
        yield Panel(
            title="Live quality",
            about="On rows whose true answers are known by now.",
            queries=((select("preflight_live_quality", model), "{{metric}} {{version}}"),),
        )


def queries(watched: Watched) -> Iterator[str]:
    """All queries, with every variable as whatever it may be."""
    for _, row in panels(watched):
        for panel in row:
            yield from (expr for expr, _ in panel.queries)


def document(watched: Watched) -> dict[str, Any]:
    """The dashboard as Grafana's classic JSON."""
    found: list[dict[str, Any]] = []
    top = 0
    for title, row in panels(watched):
        found.append(_row(len(found) + 1, title, top))
        top += 1
        left, height = 0, 8
        for panel in row:
            if left + panel.width > _WIDTH:
                left, top = 0, top + height
            place = {"x": left, "y": top, "w": panel.width, "h": height}
            found.append(_panel(len(found) + 1, panel, place))
            left += panel.width
        top += height
    name = watched.subject.model
    return {
        "uid": f"preflight-{name}"[:40],
        "title": f"Model {name}",
        "tags": ["model-preflight"],
        "editable": True,
        "schemaVersion": SCHEMA,
        "timezone": "utc",
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {"list": [_variable(watched, kind) for kind in ("feature", "output")]},
        "annotations": {"list": [_rollouts(watched)] if watched.settings.rollout else []},
        "panels": found,
    }


def _row(number_: int, title: str, top: int) -> dict[str, Any]:
    place = {"x": 0, "y": top, "w": _WIDTH, "h": 1}
    return {"id": number_, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(number_: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"value": None, "color": "green"}]
    if panel.limit is not None:
        steps.append({"value": panel.limit, "color": "red"})
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.kind == "timeseries":
        style = "line" if panel.limit is not None else "off"
        defaults["custom"] = {"lineWidth": 2, "spanNulls": False, "thresholdsStyle": {"mode": style}}
    return {
        "id": number_,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + i),
                "expr": expr,
                "legendFormat": legend,
                "datasource": _SOURCE,
                "instant": panel.instant,
                "range": not panel.instant,
            }
            for i, (expr, legend) in enumerate(panel.queries)
        ],
    }


def _variable(watched: Watched, kind: str) -> dict[str, Any]:
    series = select(f"preflight:{kind}:psi", watched.model)
    return {
        "name": kind,
        "label": kind,
        "type": "query",
        "datasource": _SOURCE,
        "query": f"label_values({series}, {kind})",
        "refresh": 2,
        "multi": False,
        "includeAll": False,
    }


def _rollouts(watched: Watched) -> dict[str, Any]:
    state = select("preflight_rollout_state", watched.model)
    return {
        "name": "Rollouts",
        "enable": True,
        "datasource": _SOURCE,
        "iconColor": "blue",
        "expr": f"changes({state}[1m]) > 0 and {state} == 1",
    }


def provisioning(prometheus: str) -> dict[str, Any]:
    """Files below `grafana/provisioning`, by name."""
    return {
        "datasources/preflight.yml": {
            "apiVersion": 1,
            "datasources": [
                {
                    "name": "Prometheus",
                    "uid": _SOURCE["uid"],
                    "type": "prometheus",
                    "access": "proxy",
                    "url": f"http://{prometheus}",
                    "isDefault": True,
                }
            ],
        },
        "dashboards/preflight.yml": {
            "apiVersion": 1,
            "providers": [
                {
                    "name": "model-preflight",
                    "type": "file",
                    "allowUiUpdates": False,
                    "options": {"path": "/etc/grafana/dashboards"},
                }
            ],
        },
    }
