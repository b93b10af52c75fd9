"""The real effects: HAProxy, Prometheus, the servers, the clocks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from validator.rollout.prometheus import Prometheus
from validator.rollout.settings import JudgeSettings, RolloutSettings
from validator.rollout.slots import SlotServer
from validator.rollout.state import SlotName
from validator.rollout.step import Parts
from validator.rollout.traffic.haproxy import HAProxy

_TIMEOUT = httpx.Timeout(10.0, connect=3.0)
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """The machine's clocks."""

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """On Linux the same for all processes since the machine's start."""
        return time.monotonic()

    def boot(self) -> str:
        """Empty where the system does not say: then the clock on the wall is used."""
        return _BOOT.read_text("ascii").strip() if _BOOT.exists() else f"process {id(self)}"


@dataclass(frozen=True, kw_only=True)
class RealParts(Parts):
    """As a step needs them, and the servers as `start` and `plan` do."""

    servers: Mapping[SlotName, SlotServer]


@contextmanager
def asking(settings: JudgeSettings) -> Iterator[Prometheus]:
    """Prometheus alone, for a judge that moves nothing."""
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=False, trust_env=False) as client:
        yield Prometheus(url=settings.prometheus, client=client)


@contextmanager
def opened(settings: RolloutSettings) -> Iterator[RealParts]:
    """The parts that `rollout.toml` names. Connections are closed at the end. No proxy of the environment is used."""
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=False, trust_env=False) as client:
        servers: dict[SlotName, SlotServer] = {
            name: SlotServer(name=name, slot=slot, client=client) for name, slot in settings.slots.items()
        }
        yield RealParts(
            engine=HAProxy(settings),
            source=Prometheus(url=settings.prometheus, client=client),
            slots=servers,
            clock=SystemClock(),
            servers=servers,
        )
