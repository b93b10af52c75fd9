"""Recording and alerting rules of one model, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from validator.monitoring import drift_rules, operation_rules, service_rules
from validator.monitoring.rule import Alert, Group, Record, Watched


def groups(watched: Watched) -> tuple[Group, ...]:
    """All rules. No group reads what another records: they are evaluated side by side."""
    name = f"preflight-{watched.subject.model}"
    return (
        Group(name=f"{name}-service", rules=tuple(service_rules.frequent(watched))),
        Group(name=f"{name}-burn", rules=tuple(service_rules.burning(watched)), interval="1m"),
        Group(name=f"{name}-operation", rules=tuple(operation_rules.rules(watched))),
        Group(name=f"{name}-drift", rules=tuple(drift_rules.rules(watched)), interval="2m"),
    )


def alerts(watched: Watched) -> Iterator[Alert]:
    """The alerting rules alone."""
    for group in groups(watched):
        for rule in group.rules:
            if isinstance(rule, Alert):
                yield rule


def document(watched: Watched) -> dict[str, Any]:
    """The rule file's content."""
    return {"groups": [_group(group, watched) for group in groups(watched)]}


def _group(group: Group, watched: Watched) -> dict[str, Any]:
    found: dict[str, Any] = {"name": group.name}
    if group.interval:
        found["interval"] = group.interval
    return found | {"rules": [_rule(rule, watched) for rule in group.rules]}


def _rule(rule: Record | Alert, watched: Watched) -> dict[str, Any]:
    if isinstance(rule, Record):
        return {"record": rule.name, "expr": rule.expr}
    found: dict[str, Any] = {"alert": rule.name, "expr": rule.expr}
    if rule.lasting:
        found["for"] = rule.lasting
    return found | {
        "labels": {"severity": rule.severity, **dict(rule.labels)},
        "annotations": {
            "summary": rule.summary,
            "description": rule.description,
            "runbook_url": f"{watched.runbooks}{rule.name}/",
        },
    }
