"""The real effects: HAProxy, Prometheus, the servers, the clocks."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from validator.prometheus import Prometheus
from validator.rollout.settings import ClusterSettings, JudgeSettings, LoopSettings, RolloutSettings
from validator.rollout.slots import Identity, Server, SlotError, SlotServer
from validator.rollout.state import SlotName
from validator.rollout.step import Parts
from validator.rollout.traffic import EngineError
from validator.rollout.traffic.cluster import Access, Cluster, from_kubeconfig, in_cluster
from validator.rollout.traffic.haproxy import HAProxy
from validator.rollout.traffic.kserve import KServe

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
class Predictor:
    """One predictor of an InferenceService: what it serves is in the cluster, what passed is in Prometheus.

    Its pods hold no lease: a rollout that dies is started again by Kubernetes.
    """

    slot: SlotName
    engine: KServe
    source: Prometheus
    model: str

    def identity(self) -> Identity:
        """The one version that is scraped with the digest of this predictor's artifact.

        Raises
        ------
        SlotError
            If none is scraped with it, or several.
        """
        digest = self.engine.artifacts().get(self.slot)
        if digest is None:
            raise SlotError(
                f"the InferenceService has no canary called {self.slot}",
                hint="apply what `rollout emit --engine kserve --share 0` writes, and wait until it is ready",
            )
        labels = {"model": self.model, "digest": digest}
        series = self.source.samples("preflight_model_info", labels, seconds=120, at=self.source.now())
        found = {
            tuple(one.labels.get(name, "") for name in ("version", "verdict", "override")) for one in series
        }
        if len(found) != 1:
            raise SlotError(
                f"Prometheus saw {len(found)} versions of {self.model} with the digest {digest}, not one",
                hint="see that it scrapes the pods of the InferenceService",
            )
        version, verdict, override = found.pop()
        return Identity(model=self.model, version=version, digest=digest, verdict=verdict, override=override)

    def rehearse_lease(self, seconds: float) -> None:
        """There is no lease."""

    def renew(self, seconds: float) -> None:
        """There is no lease."""

    def drop_lease(self) -> None:
        """There is no lease."""


@dataclass(frozen=True, kw_only=True)
class RealParts(Parts):
    """As a step needs them, and the servers as `start` and `plan` do."""

    servers: Mapping[SlotName, Server]


@contextmanager
def asking(settings: JudgeSettings) -> Iterator[Prometheus]:
    """Prometheus alone, for a judge that moves nothing."""
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=False, trust_env=False) as client:
        yield Prometheus(url=settings.prometheus, client=client)


@contextmanager
def opened(settings: LoopSettings) -> Iterator[RealParts]:
    """The parts that `rollout.toml` names. Connections are closed at the end. No proxy of the environment is used."""
    with asking(settings) as source:
        if isinstance(settings, ClusterSettings):
            with _cluster(settings) as cluster:
                engine = KServe(settings=settings, cluster=cluster)
                predictors: dict[SlotName, Predictor] = {
                    slot: Predictor(slot=slot, engine=engine, source=source, model=settings.model)
                    for slot in ("blue", "green")
                }
                yield RealParts(
                    engine=engine, source=source, slots=predictors, clock=SystemClock(), servers=predictors
                )
        elif isinstance(settings, RolloutSettings):
            with httpx.Client(timeout=_TIMEOUT, follow_redirects=False, trust_env=False) as client:
                servers: dict[SlotName, SlotServer] = {
                    name: SlotServer(name=name, slot=slot, client=client)
                    for name, slot in settings.slots.items()
                }
                yield RealParts(
                    engine=HAProxy(settings),
                    source=source,
                    slots=servers,
                    clock=SystemClock(),
                    servers=servers,
                )
        else:
            raise EngineError(
                "rollout.toml names nobody who moves the traffic", hint="add [haproxy] or [kserve]"
            )


@contextmanager
def _cluster(settings: ClusterSettings) -> Iterator[Cluster]:
    path = settings.kserve.kubeconfig
    access: Access = in_cluster(os.environ) if path is None else from_kubeconfig(path)
    with httpx.Client(
        timeout=_TIMEOUT, follow_redirects=False, trust_env=False, verify=access.trust or True
    ) as client:
        yield Cluster(access=access, client=client)
