"""`monitor.toml`: what is promised, what is scraped, and who is told. Secrets stand in files that it names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from validator.errors import SettingsError
from validator.rollout.settings import Address, RolloutSettings, Url, read_judge_settings
from validator.serving.server.opening import DEFAULT_SLO_MS

CONFIG_NAME = "monitor.toml"
RUNBOOKS = "https://model-preflight.github.io/model-preflight/runbooks/"
_LARGEST = 2**20
_HINT = "https://model-preflight.github.io/model-preflight/monitoring/ shows a whole file"
_MAIL = re.compile(r"[^\s@<>,;]{1,64}@[A-Za-z0-9.-]{1,253}")
_CHANNEL = re.compile(r"[#@]?[A-Za-z0-9._-]{1,80}")


def _mail(value: str) -> str:
    if not _MAIL.fullmatch(value):
        raise ValueError("one e-mail address is wanted")
    return value


def _channel(value: str) -> str:
    if not _CHANNEL.fullmatch(value):
        raise ValueError("a channel such as #models is wanted")
    return value


def _file(value: str) -> str:
    if not value.startswith("/") or not value.isprintable():
        raise ValueError("the absolute path of a file, as Alertmanager sees it, is wanted")
    return value


SecretFile = Annotated[str, AfterValidator(_file)]
Mail = Annotated[str, AfterValidator(_mail)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Webhook(_Table):
    """`[webhook]`, `[watchdog]`: an address that is sent alerts as JSON."""

    url: Url = Field(description="where alerts are posted")
    token_file: SecretFile | None = Field(None, description="file with the bearer token to post with")


class Email(_Table):
    """`[email]`: a mailbox."""

    to: Mail
    sender: Mail
    smarthost: Address = Field(description="host:port of the mail server; TLS is required")
    username: str | None = None
    password_file: SecretFile | None = None


class Slack(_Table):
    """`[slack]`: a channel. The webhook's address is a secret of its own."""

    url_file: SecretFile = Field(description="file with the address of Slack's incoming webhook")
    channel: Annotated[str, AfterValidator(_channel)]


class MonitorSettings(_Table):
    """The whole file. Shares in percent; what is None comes from the artifact or the rollout."""

    slo_percent: float | None = Field(None, ge=95, lt=100, description="share that must be answered well")
    slow_percent: float | None = Field(
        None, ge=95, lt=100, description="share that must be answered within slo_ms"
    )
    slo_ms: float | None = Field(None, gt=0, le=1e6, description="what counts as slow")
    retrain_after_days: float = Field(90, gt=0, le=3650, description="age at which a model is due")
    scrape_interval_s: int = Field(15, ge=1, le=60, description="seconds between two scrapes")
    targets: tuple[Address, ...] = Field(
        ("127.0.0.1:8080",), min_length=1, description="servers of the model, host:port"
    )
    proxy: Address | None = Field(None, description="HAProxy's metrics, host:port")
    rollout: Address | None = Field(None, description="what `rollout run --metrics` answers on")
    quality: Address | None = Field(None, description="what `monitor page --serve` answers on")
    prometheus: Address = Field("127.0.0.1:9090", description="where Prometheus listens")
    alertmanager: Address = Field("127.0.0.1:9093", description="where Alertmanager listens")
    replicas: int = Field(1, ge=1, le=10_000, description="servers a version, for the budget")
    versions: int = Field(2, ge=1, le=100, description="versions at one time, for the budget")
    max_series: int = Field(100_000, ge=100, description="series of this model that may be planned")
    runbooks: Url = Field(RUNBOOKS.rstrip("/"), description="where the pages about each alert are")
    webhook: Webhook | None = None
    email: Email | None = None
    slack: Slack | None = None
    watchdog: Webhook | None = Field(None, description="who expects to hear every two minutes")


class Limits(_Table):
    """What is promised, and by what a rollout is watched."""

    slo_percent: float
    slow_percent: float
    slo_ms: float
    stalled_s: float
    lease_s: float

    @property
    def error_budget(self) -> float:
        """The share of requests that may fail."""
        return round(1 - self.slo_percent / 100, 9)

    @property
    def slow_budget(self) -> float:
        """The share of requests that may be slow."""
        return round(1 - self.slow_percent / 100, 9)


def read_settings(path: Path | None) -> MonitorSettings:
    """Read the file; the defaults without one.

    Raises
    ------
    SettingsError
        If it cannot be read, or holds a wrong name or value: the first is named.
    """
    if path is None:
        return MonitorSettings()
    try:
        if path.stat().st_size > _LARGEST:
            raise SettingsError(f"{path} is too large for a configuration file", hint=_HINT)
        return parse_settings(tomllib.loads(path.read_text("utf-8")), name=str(path))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}", hint=_HINT) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is no TOML: {error}", hint=_HINT) from error


def parse_settings(values: dict[str, Any], *, name: str) -> MonitorSettings:
    """Settings from values; errors name the place as `name`."""
    try:
        return MonitorSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        told = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{name}: {where + ': ' if where else ''}{told}", hint=_HINT) from error


def with_rollout(
    settings: MonitorSettings, path: Path | None, *, model: str, profile_slo_ms: float | None
) -> tuple[MonitorSettings, Limits, RolloutSettings | None]:
    """The settings completed from `rollout.toml`, the limits, and the rollout if it moves the traffic itself.

    What `monitor.toml` says wins over the rollout's file, that over the artifact's own limit, that over the server's.

    Raises
    ------
    SettingsError
        If the rollout is of another model, or promises less than can be watched.
    """
    judge = None if path is None else read_judge_settings(path)
    if judge is not None and judge.model != model:
        raise SettingsError(
            f"{path} is for the model {judge.model}, the artifact holds {model}",
            hint="give the rollout.toml of this model, or none",
        )
    slo_ms = settings.slo_ms or (judge.slo_ms if judge else None) or profile_slo_ms or DEFAULT_SLO_MS
    rollout = judge if isinstance(judge, RolloutSettings) else None
    limits = Limits(
        slo_percent=_promised(settings.slo_percent, judge.slo_percent if judge else None, 99.5, path),
        slow_percent=_promised(settings.slow_percent, judge.slow_percent if judge else None, 99.0, path),
        slo_ms=slo_ms,
        stalled_s=max(4.0 * settings.scrape_interval_s, 3 * rollout.interval_s if rollout else 0.0),
        lease_s=min(120.0, 0.4 * rollout.lease_s) if rollout else 120.0,
    )
    if rollout is not None and "targets" not in settings.model_fields_set:
        settings = settings.model_copy(
            update={"targets": tuple(slot.address for slot in rollout.slots.values())}
        )
    return settings, limits, rollout


def _promised(own: float | None, rollout: float | None, default: float, path: Path | None) -> float:
    value = own or rollout or default
    if value < 95:
        raise SettingsError(
            f"{path}: {value:g} % is promised, and burn rates are only watched from 95 % on",
            hint="promise 95 % or more, or set slo_percent and slow_percent in monitor.toml",
        )
    return value
