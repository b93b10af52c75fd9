"""`rollout.toml`: whose versions are rolled out, and how. It lives on the host that serves, not in a pull request."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from validator.errors import SettingsError

CONFIG_NAME = "rollout.toml"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ADDRESS = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,45}\]|\*)?:([0-9]{1,5})")
_LARGEST = 2**20


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("a name is 1 to 63 of a-z, 0-9 and -, and neither begins nor ends with -")
    return value


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("an address such as http://host:8080 is wanted")
    if parts.username or parts.password:
        raise ValueError("no user and password in an address: name a file with a token")
    return value.rstrip("/")


def _address(value: str) -> str:
    match = _ADDRESS.fullmatch(value)
    if match is None or not 0 < int(match[2]) < 65536:
        raise ValueError("host:port is wanted")
    return value


Name = Annotated[str, AfterValidator(_name)]
Url = Annotated[str, AfterValidator(_url)]
Address = Annotated[str, AfterValidator(_address)]
Percent = Annotated[int, Field(ge=1, le=50)]
Share = Annotated[float, Field(gt=0, lt=0.5)]


_HINT = "https://model-preflight.github.io/model-preflight/rollout/ shows a whole file"
_Settings = TypeVar("_Settings", bound="JudgeSettings")


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Slot(_Table):
    """`[slots.blue]`, `[slots.green]`: the two places that a version can be served from."""

    address: Address = Field(description="host:port that the proxy sends requests to")
    url: Url = Field(description="where this rollout asks for metrics and renews the lease")
    token_file: Path | None = Field(None, description="file with the token that the lease is renewed with")


class Proxy(_Table):
    """`[haproxy]`: the proxy that moves the traffic."""

    config: Path = Field(description="HAProxy's configuration file, which this rollout writes")
    socket: Path = Field(description="HAProxy's admin socket")
    bind: Address = Field(description="where clients connect, such as :8080")
    metrics_bind: Address = Field(description="where Prometheus reads the proxy's counts, such as :8404")
    timeout_s: float = Field(5.0, gt=0, le=300, description="seconds after which an answer is given up")
    resolve: bool = Field(
        False,
        description="ask the system's DNS for the slots' names all the time, as containers need that come and go",
    )
    check_s: float = Field(1.0, ge=0.2, le=60, description="seconds between two checks of readiness")
    connections: int = Field(
        200, ge=1, le=100_000, description="requests that one slot is given at once; more wait"
    )


class KServe(_Table):
    """`[kserve]`: the InferenceService whose `spec.canary` moves the traffic, and how the cluster is reached."""

    namespace: Name = Field(description="namespace of the InferenceService")
    service: Name | None = Field(None, description="its name; the model's by default")
    kubeconfig: Path | None = Field(
        None, description="how to reach the cluster; without it, as a pod in it: by its service account"
    )


class Margins(_Table):
    """`[margins]`: by how much the candidate's shares may exceed the champion's.

    `shadow_different` is the share of answers that may differ in the shadow before it is warned of.
    """

    guard_error: Share = 0.01
    guard_slow: Share = 0.02
    guard_refused: Share = 0.01
    confirm_error: Share | None = None
    confirm_slow: Share | None = None
    confirm_refused: Share = 0.01
    shadow_invalid: Share = 0.001
    shadow_different: Share = 0.05


class JudgeSettings(_Table):
    """What a stage is judged by. Times in seconds, minutes or hours as their names say; shares in percent."""

    model: Name = Field(description="the model's name, as in the metrics' label")
    directory: Path = Field(description="folder of rollout.json, the log, the page and the evidence")
    prometheus: Url = Field(description="address of Prometheus")
    margins: Margins = Margins()
    slo_percent: float = Field(
        99.5, gt=50, lt=100, description="share of requests that must be answered well"
    )
    slow_percent: float = Field(99.0, gt=50, lt=100, description="share that must be answered within slo_ms")
    slo_ms: float = Field(gt=0, description="what counts as slow; must be a bucket of the servers' histogram")
    shadow: bool = Field(
        False, description="begin with a stage in which the candidate only sees copies of requests"
    )
    guards: tuple[Percent, ...] = Field(
        (5, 25), description="candidate's percent of traffic in the guard stages"
    )
    confirm: Percent = Field(50, description="candidate's percent of traffic in the confirming stage")
    guard_requests: int = Field(300, ge=50, le=10**7, description="candidate requests of a guard stage")
    window_s: float = Field(
        60, ge=1, le=3600, description="length of a window; longer where it would hold fewer than two scrapes"
    )
    scrape_s: float | None = Field(
        None, gt=0, le=3600, description="seconds between two scrapes; what Prometheus shows by default"
    )
    warmup_s: float = Field(30, ge=0, le=3600, description="seconds after a move that are not counted")
    bake_minutes: float = Field(30, gt=0, le=10_000, description="how long the champion is kept warm in full")
    deadline_hours: float = Field(24, gt=0, le=24 * 30, description="when it must be decided")
    on_deadline: Literal["rollback", "hold"] = Field("rollback", description="what is done if it is not")

    @model_validator(mode="after")
    def _rises(self) -> Self:
        shares = (*self.guards, self.confirm)
        if any(first >= second for first, second in itertools.pairwise(shares)):
            raise ValueError("guards and confirm: each stage must take more traffic than the one before it")
        return self

    @property
    def error_budget(self) -> float:
        """The share of requests that may fail."""
        return 1 - self.slo_percent / 100

    @property
    def slow_budget(self) -> float:
        """The share of requests that may be slow."""
        return 1 - self.slow_percent / 100


class LoopSettings(JudgeSettings):
    """What every rollout that moves the traffic itself has, whoever does it for it."""

    interval_s: float = Field(5, ge=0.2, le=300, description="seconds between two steps")
    lease_s: float = Field(
        300, ge=1, le=86_400, description="how long the candidate serves without a renewal"
    )

    @model_validator(mode="after")
    def _steps_in_time(self) -> Self:
        if self.lease_s < 3 * self.interval_s:
            raise ValueError(
                "lease_s: must be at least three times interval_s, or one slow step ends the rollout"
            )
        return self

    @property
    def proxy_counts(self) -> bool:
        """Whether a proxy counts, too, what servers failed to answer."""
        return False

    @property
    def ready_again_s(self) -> float:
        """How long a candidate whose lease had ended may take until it is ready again; 0 without a lease."""
        return 0.0


class RolloutSettings(LoopSettings):
    """The whole file where HAProxy moves the traffic."""

    slots: dict[Literal["blue", "green"], Slot] = Field(description="the two places to serve from")
    haproxy: Proxy

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if set(self.slots) != {"blue", "green"}:
            raise ValueError("slots: both slots.blue and slots.green are needed")
        if self.slots["blue"].address == self.slots["green"].address:
            raise ValueError("slots: both have the same address")
        return self

    @property
    def proxy_counts(self) -> bool:
        return True

    @property
    def ready_again_s(self) -> float:
        return 5 * self.haproxy.check_s


class ClusterSettings(LoopSettings):
    """The whole file where KServe moves the traffic."""

    kserve: KServe

    @model_validator(mode="after")
    def _without_shadow(self) -> Self:
        if self.shadow:
            raise ValueError("shadow: KServe sends no copies of requests; leave it out")
        return self


def read_settings(path: Path) -> RolloutSettings | ClusterSettings:
    """Read `rollout.toml`; relative paths in it are from its folder. `[kserve]` or `[haproxy]` says which kind it is.

    Raises
    ------
    SettingsError
        If it cannot be read, or holds a wrong name or value: the first is named.
    """
    if "kserve" in _values(path):
        return _read(path, ClusterSettings)
    return _read(path, RolloutSettings)


def read_proxy_settings(path: Path) -> RolloutSettings:
    """The same where only HAProxy will do."""
    return _read(path, RolloutSettings)


def parse_settings(text: str, *, folder: Path) -> RolloutSettings:
    """The settings of a text that is known to be right; relative paths in it are from `folder`."""
    return _anchored(RolloutSettings.model_validate(tomllib.loads(text)), folder)


def read_judge_settings(path: Path) -> JudgeSettings:
    """The same for a judge alone: what says who moves the traffic may be left out, as where Argo does."""
    if {"slots", "haproxy", "kserve"} & set(_values(path)):
        return read_settings(path)
    return _read(path, JudgeSettings)


def _read(path: Path, kind: type[_Settings]) -> _Settings:
    try:
        settings = kind.model_validate(_values(path))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        told = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{path}: {where + ': ' if where else ''}{told}", hint=_HINT) from error
    return _anchored(settings, path.resolve().parent)


def _values(path: Path) -> dict[str, object]:
    try:
        if path.stat().st_size > _LARGEST:
            raise SettingsError(f"{path} is too large for a configuration file", hint=_HINT)
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}", hint=_HINT) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is no TOML: {error}", hint=_HINT) from error


def _anchored(settings: _Settings, folder: Path) -> _Settings:
    changes: dict[str, object] = {"directory": folder / settings.directory}
    if isinstance(settings, RolloutSettings):
        changes["slots"] = {
            name: slot.model_copy(update={"token_file": slot.token_file and folder / slot.token_file})
            for name, slot in settings.slots.items()
        }
        proxy = settings.haproxy
        changes["haproxy"] = proxy.model_copy(
            update={"config": folder / proxy.config, "socket": folder / proxy.socket}
        )
    elif isinstance(settings, ClusterSettings) and settings.kserve.kubeconfig is not None:
        changes["kserve"] = settings.kserve.model_copy(
            update={"kubeconfig": folder / settings.kserve.kubeconfig}
        )
    return settings.model_copy(update=changes)
