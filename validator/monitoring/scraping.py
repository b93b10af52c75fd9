"""Prometheus' configuration and what it scrapes, and Alertmanager's: who is told."""

from __future__ import annotations

from typing import Any

from validator.monitoring.rule import Watched
from validator.monitoring.settings import MonitorSettings, Webhook

#: How often the watchdog's receiver hears.
HEARTBEAT = "1m"


def prometheus(settings: MonitorSettings) -> dict[str, Any]:
    """`prometheus.yml`: the same for any number of models, each of which brings rules and targets of its own."""
    every = f"{settings.scrape_interval_s}s"
    return {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": ["rules/*.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [settings.alertmanager]}]}]},
        "scrape_configs": [
            {
                "job_name": "preflight",
                # What a server says of itself may not pass for another's.
                "honor_labels": False,
                "sample_limit": 50_000,
                "file_sd_configs": [{"files": ["targets/*.yml"]}],
            }
        ],
    }


def targets(watched: Watched) -> list[dict[str, Any]]:
    """`targets/MODEL.yml`: read anew by Prometheus whenever it changes."""
    settings = watched.settings
    found = [{"targets": list(settings.targets), "labels": {"job": watched.job}}]
    for ending, address in (
        ("-proxy", settings.proxy),
        ("-rollout", settings.rollout),
        ("-quality", settings.quality),
    ):
        if address is not None:
            found.append({"targets": [address], "labels": {"job": watched.job + ending}})
    return found


def alertmanager(settings: MonitorSettings) -> dict[str, Any]:
    """`alertmanager.yml`. Secrets are in files that it names."""
    routes: list[dict[str, Any]] = [
        {
            "matchers": ['alertname="PreflightWatchdog"'],
            "receiver": "watchdog",
            "group_by": ["model"],
            "group_wait": "0s",
            "group_interval": HEARTBEAT,
            "repeat_interval": HEARTBEAT,
        },
        {"matchers": ['severity="info"'], "receiver": "nobody"},
        {"matchers": ['severity="ticket"'], "receiver": "people", "repeat_interval": "1d"},
    ]
    return {
        "route": {
            "receiver": "people",
            "group_by": ["alertname", "model"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "4h",
            "routes": routes,
        },
        "inhibit_rules": [
            _inhibits(
                'alertname="PreflightMetricsAbsent"', 'alertname=~"PreflightTraffic.*|PreflightTargetDown"'
            ),
            _inhibits('alertname=~"Preflight.*BurnFast"', 'alertname=~"Preflight.*BurnSlow"'),
        ],
        "receivers": [_people(settings), _watchdog(settings.watchdog), {"name": "nobody"}],
    }


def _inhibits(source: str, target: str) -> dict[str, Any]:
    return {"source_matchers": [source], "target_matchers": [target], "equal": ["model"]}


def _people(settings: MonitorSettings) -> dict[str, Any]:
    found: dict[str, Any] = {"name": "people"}
    if settings.webhook is not None:
        found["webhook_configs"] = [_webhook(settings.webhook)]
    if settings.email is not None:
        mail = settings.email
        config: dict[str, Any] = {
            "to": mail.to,
            "from": mail.sender,
            "smarthost": mail.smarthost,
            "require_tls": True,
            "send_resolved": True,
        }
        if mail.username is not None:
            config["auth_username"] = mail.username
        if mail.password_file is not None:
            config["auth_password_file"] = mail.password_file
        found["email_configs"] = [config]
    if settings.slack is not None:
        found["slack_configs"] = [
            {
                "api_url_file": settings.slack.url_file,
                "channel": settings.slack.channel,
                "send_resolved": True,
                "title": "{{ .Status }}: {{ .CommonLabels.alertname }} {{ .CommonLabels.model }}",
                "text": "{{ range .Alerts }}{{ .Annotations.summary }}\n{{ .Annotations.runbook_url }}\n{{ end }}",
            }
        ]
    return found


def _watchdog(webhook: Webhook | None) -> dict[str, Any]:
    return {"name": "watchdog"} | ({"webhook_configs": [_webhook(webhook)]} if webhook else {})


def _webhook(webhook: Webhook) -> dict[str, Any]:
    found: dict[str, Any] = {"url": webhook.url, "send_resolved": True}
    if webhook.token_file is not None:
        found["http_config"] = {"authorization": {"credentials_file": webhook.token_file}}
    return found


def unheard(settings: MonitorSettings) -> list[str]:
    """What nobody would hear, in words."""
    found = []
    if not any((settings.webhook, settings.email, settings.slack)):
        found.append("nobody is told of alerts: name [webhook], [email] or [slack] in monitor.toml")
    if settings.watchdog is None:
        found.append("nobody would notice that Prometheus stopped: name [watchdog] in monitor.toml")
    return found
