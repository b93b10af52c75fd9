"""ServiceMonitor and PrometheusRule, for the operator of Prometheus."""

from __future__ import annotations

import re
from typing import Any

from validator.monitoring.rule import Watched
from validator.monitoring.rules import document

_GROUP = "monitoring.coreos.com/v1"


def manifests(watched: Watched) -> dict[str, Any]:
    """One List of both."""
    return {"apiVersion": "v1", "kind": "List", "items": [service_monitor(watched), prometheus_rule(watched)]}


def resource_name(model: str) -> str:
    """The model's name as Kubernetes takes it: a-z, 0-9 and -."""
    return re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")[:50].strip("-") or "model"


def _metadata(watched: Watched) -> dict[str, Any]:
    name = resource_name(watched.subject.model)
    return {"name": f"preflight-{name}", "labels": {"app.kubernetes.io/name": name}}


def service_monitor(watched: Watched) -> dict[str, Any]:
    """Scrapes the Service with the label `app.kubernetes.io/name` of the model, at its port `http`."""
    return {
        "apiVersion": _GROUP,
        "kind": "ServiceMonitor",
        "metadata": _metadata(watched),
        "spec": {
            "selector": {"matchLabels": {"app.kubernetes.io/name": resource_name(watched.subject.model)}},
            "sampleLimit": 50_000,
            "endpoints": [
                {
                    "port": "http",
                    "path": "/metrics",
                    "interval": f"{watched.settings.scrape_interval_s}s",
                    "honorLabels": False,
                    "relabelings": [{"action": "replace", "targetLabel": "job", "replacement": watched.job}],
                }
            ],
        },
    }


def prometheus_rule(watched: Watched) -> dict[str, Any]:
    """The same rules as in the file."""
    return {
        "apiVersion": _GROUP,
        "kind": "PrometheusRule",
        "metadata": _metadata(watched),
        "spec": {"groups": document(watched)["groups"]},
    }
