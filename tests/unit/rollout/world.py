"""A site in memory: a proxy with weights in its memory and its file, counters that are scraped, leases, clocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.unit.rollout.simulation import SETTINGS
from validator.prometheus import Series, SourceError
from validator.rollout.run import one_step
from validator.rollout.settings import RolloutSettings
from validator.rollout.slots import SlotError
from validator.rollout.stages import weights
from validator.rollout.state import Event, Rollout, ServedVersion, SlotName, read_state, write_state
from validator.rollout.step import Parts, Step
from validator.rollout.traffic import EngineError, SlotSeen, Weights

SCRAPE_S = 15.0
#: Wide margins, so that a confirming stage needs few requests.
EASY = {"slo_percent": 98.0, "slow_percent": 98.0, "bake_minutes": 8.0}
VERSIONS: dict[SlotName, str] = {"blue": "v1", "green": "v2"}


@dataclass
class FakeEngine:
    """A proxy. `breaks_after` lets so many of its writings succeed, then it is gone."""

    now: Weights = field(default_factory=lambda: weights("blue", 0))
    file: Weights = field(default_factory=lambda: weights("blue", 0))
    up: dict[SlotName, bool] = field(default_factory=lambda: {"blue": True, "green": True})
    gone: bool = False
    breaks_after: int | None = None
    log: list[str] = field(default_factory=list)

    def read(self) -> Mapping[SlotName, SlotSeen]:
        if self.gone:
            raise EngineError("cannot ask HAProxy", hint="start it")
        return {
            slot: SlotSeen(weight=self.now.of(slot), up=up, status="UP" if up else "DOWN")
            for slot, up in self.up.items()
        }

    def move(self, to: Weights, *, safer_first: bool) -> None:
        for what in ("file", "socket") if safer_first else ("socket", "file"):
            if self.breaks_after is not None:
                if self.breaks_after == 0:
                    raise EngineError("HAProxy went away", hint="start it")
                self.breaks_after -= 1
            if what == "file":
                self.file = to
            elif self.gone:
                raise EngineError("cannot ask HAProxy", hint="start it")
            else:
                self.now = to
            self.log.append(f"{what} {to.blue}/{to.green}")

    def restart(self) -> None:
        """It comes back with what its file says."""
        self.now, self.gone, self.breaks_after = self.file, False, None


@dataclass
class FakeSlot:
    """A server's lease."""

    until: float | None = None
    refuses: bool = False
    clock: FakeClock | None = None

    def renew(self, seconds: float) -> None:
        if self.refuses:
            raise SlotError("PUT /lease is answered with status 401", hint="correct the token")
        assert self.clock is not None
        self.until = self.clock.real + seconds

    def rehearse_lease(self, seconds: float) -> None:
        self.renew(seconds)

    def drop_lease(self) -> None:
        if self.refuses:
            raise SlotError("DELETE /lease is answered with status 401", hint="correct the token")
        self.until = None


@dataclass
class FakeClock:
    """`real` goes on; the one on the wall may be set."""

    real: float = 1_000_000.0
    set_by: float = 0.0
    started: str = "first"

    def wall(self) -> float:
        return self.real + self.set_by

    def monotonic(self) -> float:
        return self.real

    def boot(self) -> str:
        return self.started


class World:
    """Everything together. `advance` lets traffic flow and Prometheus scrape."""

    def __init__(self, folder: Path, **changes: object) -> None:
        self.settings: RolloutSettings = SETTINGS.model_copy(update={"directory": folder, **EASY, **changes})
        self.clock = FakeClock()
        self.engine = FakeEngine()
        self.slots: dict[SlotName, FakeSlot] = {
            "blue": FakeSlot(clock=self.clock), "green": FakeSlot(clock=self.clock)
        }  # fmt: skip
        self.parts = Parts(engine=self.engine, source=self, slots=self.slots, clock=self.clock)
        self.per_second = 200.0
        self.fails: dict[SlotName, dict[str, float]] = {"blue": {}, "green": {}}
        self.down = False
        self.unscraped: set[str] = set()
        self.extra_version = ""
        #: By slot: the artifact that it shows.
        self.digests: dict[SlotName, str] = {"blue": "sha256:0", "green": "sha256:0"}
        #: By slot: requests that come besides those of the proxy, as a share of them.
        self.besides: dict[SlotName, float] = {}
        #: By slot: upper edges of an output's bins but the last, and the shares of the bins.
        self.answers: dict[SlotName, tuple[list[float], list[float]]] = {}
        self._totals: dict[tuple[SlotName, str], float] = defaultdict(float)
        self._samples: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = defaultdict(list)
        self._scraped = self.clock.real
        self.advance(120)

    # a source

    def now(self) -> float:
        if self.down:
            raise SourceError("cannot ask Prometheus", hint="start it")
        return self.clock.real

    def samples(self, metric: str, labels: Mapping[str, str], *, seconds: float, at: float) -> list[Series]:
        if self.down:
            raise SourceError("cannot ask Prometheus", hint="start it")
        found = []
        for key, samples in self._samples.items():
            named = dict(key)
            if named["__name__"] != metric or any(named.get(name) != value for name, value in labels.items()):
                continue
            inside = [sample for sample in samples if at - seconds < sample[0] <= at]
            if inside:
                found.append(Series(labels=named, samples=inside))
        return found

    # what happens

    def advance(self, seconds: float) -> None:
        end = self.clock.real + seconds
        while self._scraped + SCRAPE_S <= end:
            self._traffic(SCRAPE_S)
            self._scraped += SCRAPE_S
            self._scrape(self._scraped)
        self.clock.real = end

    def restart_server(self, slot: SlotName) -> None:
        """Its counters begin at 0 again."""
        for key in list(self._totals):
            if key[0] == slot and not key[1].startswith("proxy"):
                self._totals[key] = 0.0

    def _traffic(self, seconds: float) -> None:
        total = sum(self.engine.now.of(slot) for slot in self.engine.up if self.engine.up[slot]) or 1
        for slot, up in self.engine.up.items():
            asked = self.per_second * seconds * self.engine.now.of(slot) / total if up else 0.0
            fails = self.fails[slot]
            bad = {name: asked * fails.get(name, 0) for name in ("error", "invalid_output", "refused")}
            for name, count in bad.items():
                self._totals[slot, name] += count
            self._totals[slot, "ok"] += asked * (1 + self.besides.get(slot, 0.0)) - sum(bad.values())
            self._totals[slot, "slow"] += asked * fails.get("slow", 0)
            self._totals[slot, "asked"] += asked
            if slot == "blue":
                wrong = self.fails["green"].get("shadow", 0) * asked
                self._totals[slot, "shadow error"] += wrong
                other = self.fails["green"].get("different", 0) * asked
                self._totals[slot, "shadow different"] += other
                self._totals[slot, "shadow same"] += asked - wrong - other
            for place, share in enumerate(self.answers[slot][1] if slot in self.answers else ()):
                self._totals[slot, f"output {place}"] += share * (asked - sum(bad.values()))
            failed = bad["error"] + bad["invalid_output"]
            self._totals[slot, "proxy 5xx"] += failed
            self._totals[slot, "proxy 2xx"] += asked - failed
            self._totals[slot, "proxy redispatched"] += fails.get("redispatched", 0) * asked

    def _scrape(self, at: float) -> None:
        for slot, version in VERSIONS.items():
            if slot not in self.unscraped:
                base = {"job": "model", "instance": slot, "model": "m", "version": version}
                self._put(at, 1.0, "preflight_model_info", base, digest=self.digests[slot])
                for outcome in ("ok", "refused", "invalid_output", "error", "shed"):
                    self._put(
                        at, self._totals[slot, outcome], "preflight_requests_total", base, outcome=outcome
                    )
                asked, slow = self._totals[slot, "asked"], self._totals[slot, "slow"]
                self._put(at, asked, "preflight_request_seconds_bucket", base, le="+Inf")
                self._put(at, asked - slow, "preflight_request_seconds_bucket", base, le="0.05")
                self._scrape_answers(at, slot, base)
            if "proxy" not in self.unscraped:
                proxy = {"job": "proxy", "instance": "proxy", "proxy": "model", "server": slot}
                for code in ("2xx", "5xx"):
                    total = self._totals[slot, f"proxy {code}"]
                    self._put(at, total, "haproxy_server_http_responses_total", proxy, code=code)
                total = self._totals[slot, "proxy redispatched"]
                self._put(at, total, "haproxy_server_redispatch_warnings_total", proxy)
        if self.settings.shadow:
            base = {"job": "model", "instance": "blue", "model": "m", "version": "v1", "against": "v2"}
            for result in ("same", "close", "different", "error", "dropped"):
                self._put(
                    at,
                    self._totals["blue", f"shadow {result}"],
                    "preflight_shadow_total",
                    base,
                    result=result,
                )
        if self.extra_version:
            base = {"job": "model", "instance": "third", "model": "m", "version": self.extra_version}
            self._put(at, 1.0, "preflight_requests_total", base, outcome="ok")

    def _scrape_answers(self, at: float, slot: SlotName, base: Mapping[str, str]) -> None:
        edges, shares = self.answers.get(slot, ((), ()))
        own = {**base, "output": "prediction"}
        for place, upper in enumerate(edges):
            self._put(at, 1.0, "preflight_profile_edge", own, bin=str(place), upper=repr(upper))
        for place in range(len(shares)):
            total = self._totals[slot, f"output {place}"]
            self._put(at, total, "preflight_output_bin_total", own, bin=str(place))

    def _put(self, at: float, value: float, name: str, labels: Mapping[str, str], **more: str) -> None:
        key = tuple(sorted({"__name__": name, **labels, **more}.items()))
        self._samples[key].append((at, float(int(value))))

    # the rollout

    def begin(self) -> None:
        arm = {"digest": "sha256:0"}
        write_state(
            self.settings.directory,
            Rollout(
                schema_version=1, id="r", model="m", state="planned", share=0, stage_started=None, intent=None,
                champion=ServedVersion(slot="blue", version="v1", **arm), planned_requests=300, strikes=0, seq=0,
                candidate=ServedVersion(slot="green", version="v2", **arm), held_for="", resume=None, reason="",
                deadline_s=self.settings.deadline_hours * 3600, spent_s=0.0, last_step=self.clock.wall(),
                seen=(self.clock.boot(), self.clock.monotonic()),
                history=(Event(at=0, before="", after="planned", why="", by="test"),),
            ),
        )  # fmt: skip

    def step(self) -> Step:
        done = one_step(self.settings, self.parts)
        assert done is not None
        return done

    def live(self, seconds: float, every: float = 5.0) -> Rollout:
        """Steps and traffic, until it has ended or the time is over. An expired lease takes the candidate out."""
        end = self.clock.real + seconds
        while self.clock.real < end and not self.state().is_ended:
            self.tick(every)
            self.step()
        return self.state()

    def tick(self, seconds: float) -> None:
        """Time without steps."""
        self.advance(seconds)
        until = self.slots["green"].until
        if until is not None:
            self.engine.up["green"] = self.engine.up["green"] and self.clock.real < until

    def to(self, *stages: str, seconds: float = 6 * 3600) -> Rollout:
        """Live until a stage."""
        end = self.clock.real + seconds
        while self.state().stage not in stages:
            assert self.clock.real < end, f"{self.state().stage}: {self.state().reason}"
            assert not self.state().is_ended, f"{self.state().stage}: {self.state().reason}"
            self.tick(30)
            self.step()
        return self.state()

    def state(self) -> Rollout:
        state = read_state(self.settings.directory)
        assert state is not None
        return state
