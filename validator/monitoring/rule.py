"""One rule, and what rules are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from validator.monitoring.settings import Limits, MonitorSettings
from validator.monitoring.subject import Subject

Severity = Literal["page", "ticket", "info", "none"]


@dataclass(frozen=True, kw_only=True)
class Record:
    """A recording rule."""

    name: str
    expr: str


@dataclass(frozen=True, kw_only=True)
class Alert:
    """An alerting rule. `lasting` is how long its expression must hold; texts are Prometheus' templates."""

    name: str
    expr: str
    severity: Severity
    summary: str
    description: str
    lasting: str = ""
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Group:
    """Rules that are evaluated one after the other, every `interval` seconds (None: as Prometheus does)."""

    name: str
    rules: tuple[Record | Alert, ...]
    interval: str | None = None


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What rules are made from: the model, what is promised, and how it is scraped."""

    subject: Subject
    limits: Limits
    settings: MonitorSettings
    runbooks: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "runbooks", f"{self.settings.runbooks}/")

    @property
    def model(self) -> tuple[str, str, str]:
        """The matcher that every selector of the model's own metrics has."""
        return ("model", "=", self.subject.model)

    @property
    def job(self) -> str:
        """The label `job` of its servers; proxy and rollout have it with an ending."""
        return f"preflight-{self.subject.model}"
