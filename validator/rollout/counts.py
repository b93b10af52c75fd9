"""The windows of a stage, from raw samples of both servers and of the proxy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from validator.prometheus import Series, SourceError
from validator.report.escape import clean
from validator.rollout.judge import Counts, Window
from validator.rollout.samples import SILENT_SCRAPES, Scrapes, counted, scrapes
from validator.rollout.state import SlotName

#: Scrapes of an instance whose distances tell how often it is scraped, and how far back they are looked for.
_SCRAPES_TO_TELL, _TELLING_S = 3, 1200.0
#: Scrapes that a window holds at least: the arms are scraped at different moments, and compared window by window.
SCRAPES_A_WINDOW = 2
#: Ten weeks of windows of a minute.
MOST_WINDOWS = 100_000
#: What a server counts as failed.
_FAILED = frozenset({"error", "invalid_output", "shed"})


class Source(Protocol):
    """Where counts come from."""

    def now(self) -> float:
        """Its clock."""

    def samples(self, metric: str, labels: Mapping[str, str], *, seconds: float, at: float) -> list[Series]:
        """Raw samples of the `seconds` before `at`."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """How an arm is found: the version in the servers' labels, the slot in the proxy's.

    `digest` is that of the artifact it must serve, empty where that is not known.
    """

    version: str
    slot: SlotName
    digest: str = ""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A stage's windows so far.

    The ages are those of the newest scrape of each arm, infinite where there is none; `interval_s` is the time
    between scrapes, and `interval_known` whether both arms were scraped often enough to tell it. `window_s` is the
    length of the windows. `trouble` says why nothing can be concluded at this moment, such as a third version, and
    `impostor` that the candidate's version is another artifact than it was.
    """

    windows: tuple[Window, ...]
    candidate_age_s: float
    champion_age_s: float
    interval_s: float
    interval_known: bool
    window_s: float
    trouble: str = ""
    impostor: str = ""

    def is_fresh(self, age_s: float) -> bool:
        """Whether an arm was scraped within three intervals."""
        return age_s <= 3 * self.interval_s

    @property
    def counted_until(self) -> float | None:
        """The end of the newest window in which both arms were scraped throughout."""
        return max(
            (window.end for window in self.windows if window.complete and not window.void), default=None
        )

    @property
    def delay_s(self) -> float:
        """Time after which a new window must have come: it is complete once a later scrape can have come."""
        return self.window_s + SILENT_SCRAPES * self.interval_s


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """Which counts, of which versions.

    `interval_s` is the time between scrapes where it is known; else it is read from the samples.
    """

    model: str
    candidate: Arm
    champion: Arm
    slo_s: float
    window_s: float
    proxy: bool
    shadow: bool = False
    interval_s: float | None = None


def measure(source: Source, what: Measuring, started: float, now: float, *, alone: bool = False) -> Measured:
    """The windows from `started` to `now`, the last one incomplete. `alone`: no champion beside it, as in the bake.

    Raises
    ------
    SourceError
        If the source cannot be asked, or the servers lack a bucket at the limit.
    """
    seconds = max(now - started, 0) + asked_before(what.interval_s) + 2 * what.window_s
    ask = _asking(source, {"model": what.model}, seconds=seconds, at=now)
    requests = ask("preflight_requests_total")
    arms = {arm.version: [one for one in requests if one.labels.get("version") == arm.version]
            for arm in (what.candidate, what.champion)}  # fmt: skip
    ages = {version: _age(series, now) for version, series in arms.items()}
    interval, known = _usual(arms.values()) if what.interval_s is None else (what.interval_s, True)
    length = window_length(what.window_s, interval)
    since = now - 3 * interval
    shown = ask("preflight_model_info")
    impostors = [_impostor(shown, arm, since) for arm in (what.candidate, what.champion)]
    troubles = [_versions(requests, what, since), *impostors]
    if (now - started) / length > MOST_WINDOWS:
        raise SourceError(
            f"the stage began {(now - started) / 86_400:.3g} days ago by Prometheus' clock: "
            "more windows than can be judged",
            hint="see that its clock is right, or set a longer window_s",
        )
    edges, complete = _edges(started, now, length, interval)
    windows: tuple[Window, ...] = ()
    if len(edges) > 1:
        counts, passed = _metrics(ask, source, what, arms, edges, seconds, now)
        troubles += [_besides(version, complete, *both) for version, both in passed.items()]
        judged = {} if what.shadow else {"candidate": scrapes(arms[what.candidate.version], what.interval_s)}
        if not alone:
            judged["champion"] = scrapes(arms[what.champion.version], what.interval_s)
        voids = [_void(judged, start, end) for start, end in itertools.pairwise(edges)]
        windows = tuple(
            Window(
                start=edges[i],
                end=edges[i + 1],
                counts={name: values[i] for name, values in counts.items()},
                void=voids[i] if i < complete else "",
                complete=i < complete,
            )
            for i in range(len(edges) - 1)
        )
    return Measured(
        windows=windows,
        candidate_age_s=ages[what.candidate.version],
        champion_age_s=ages[what.champion.version],
        interval_s=interval,
        interval_known=known,
        window_s=length,
        trouble=next(filter(None, troubles), ""),
        impostor=impostors[0],
    )


def asked_before(interval_s: float | None) -> float:
    """Seconds asked for beyond the stage's start: each counter has a sample before it, or scrapes tell how often."""
    return _TELLING_S if interval_s is None else max(300.0, 4 * interval_s)


def _asking(
    source: Source, labels: Mapping[str, str], *, seconds: float, at: float
) -> Callable[[str], list[Series]]:
    return lambda metric: source.samples(metric, labels, seconds=seconds, at=at)


def window_length(wanted_s: float, interval_s: float) -> float:
    """The windows' length: as wanted, or longer where scrapes come too rarely for it."""
    return max(wanted_s, SCRAPES_A_WINDOW * interval_s)


def _usual(arms: Iterable[Sequence[Series]]) -> tuple[float, bool]:
    """The usual time between scrapes, and whether each arm has an instance that was scraped often enough to tell.

    Of each arm it is its best instance's, of the arms the longer one.
    """
    found = [list(scrapes(series).values()) for series in arms]
    usual = max((min(one.interval for one in arm) for arm in found if arm), default=15.0)
    return usual, all(any(len(one.times) >= _SCRAPES_TO_TELL for one in arm) for arm in found)


def _edges(started: float, now: float, window: float, interval: float) -> tuple[list[float], int]:
    """The windows' edges, and how many windows are complete: a window is, once a later scrape can have come."""
    whole = max(0, math.floor((now - SILENT_SCRAPES * interval - started) / window))
    edges = [started + i * window for i in range(whole + 1)]
    return ([*edges, now] if now > edges[-1] else edges), whole


def _age(series: Sequence[Series], now: float) -> float:
    newest = max((one.samples[-1][0] for one in series if one.samples), default=-math.inf)
    return now - newest


def _versions(requests: Sequence[Series], what: Measuring, since: float) -> str:
    """Why the versions that are scraped are not the two that are compared; empty if they are."""
    if what.candidate.version == what.champion.version:
        return "candidate and champion have the same version: their counts cannot be told apart"
    expected = {what.candidate.version, what.champion.version}
    recent = {one.labels.get("version", "") for one in requests if one.samples and one.samples[-1][0] > since}
    if strange := sorted(recent - expected):
        return f"version {strange[0]} of the model is served too, which is neither candidate nor champion"
    return ""


def _impostor(shown: Sequence[Series], arm: Arm, since: float) -> str:
    """That the arm's version is served from another artifact; a server that shows none is not asked."""
    for one in shown:
        digest, recent = one.label("digest"), bool(one.samples) and one.samples[-1][0] > since
        if arm.digest and recent and one.label("version") == arm.version and digest != arm.digest:
            return (
                f"version {arm.version} is served from the artifact {clean(digest, limit=80) or 'of no digest'}, "
                f"not from {arm.digest}, with which the rollout began"
            )
    return ""


def _besides(version: str, complete: int, requests: Sequence[int], passed: Sequence[int]) -> str:
    """That a version counts requests that the proxy did not give it, by which its failures would be thinned out.

    Scrapes of both are up to an interval apart, of at least ten: a quarter more says something.
    """
    own, given = sum(requests[:complete]), sum(passed[:complete])
    if own <= 1.25 * given + 50:
        return ""
    return (
        f"version {version} counted {own:,} requests in this stage, and the proxy gave it {given:,}: it is asked by "
        "others too, or scraped twice, or another server has its version"
    )


def _void(judged: Mapping[str, Mapping[tuple[str, str], Scrapes]], start: float, end: float) -> str:
    """Why a window compares nothing. An instance may come or go: one must have been there throughout."""
    for name, instances in judged.items():
        if all(one.silent(start, end) for one in instances.values()):
            return f"the {name} was not scraped throughout"
    return ""


def _metrics(
    ask: Callable[[str], list[Series]],
    source: Source,
    what: Measuring,
    arms: Mapping[str, Sequence[Series]],
    edges: Sequence[float],
    seconds: float,
    now: float,
) -> tuple[dict[str, list[Counts]], dict[str, tuple[Sequence[int], Sequence[int]]]]:
    """Counts by metric; of each version what it counted and what the proxy gave it, where there is a proxy."""
    if what.shadow:
        return {"invalid_output": _shadow(ask, what, edges)}, {}
    buckets = ask("preflight_request_seconds_bucket")
    proxied = _Proxied(source, seconds, now) if what.proxy else None
    error, slow, refused = [], [], []
    passed: dict[str, tuple[Sequence[int], Sequence[int]]] = {}
    for arm in (what.candidate, what.champion):
        own = arms[arm.version]
        requests = counted(own, edges)
        failed = counted_among(own, edges, _FAILED)
        events, asked = failed, requests
        if proxied is not None:
            told, seen = proxied.counts(arm.slot, edges)
            passed[arm.version] = requests, seen
            if sum(told) > sum(failed):
                events, asked = told, seen
        error.append((events, asked))
        slow.append(_slow(buckets, arm, what.slo_s, edges))
        refused.append((counted_among(own, edges, frozenset({"refused"})), requests))
    return {"error": _joined(*error), "slow": _joined(*slow), "refused": _joined(*refused)}, passed


def counted_among(series: Iterable[Series], edges: Sequence[float], outcomes: frozenset[str]) -> list[int]:
    """What was counted of some outcomes. The instance's other series say when it was first scraped."""
    series = list(series)
    quiet = [
        Series(labels=one.labels, samples=[(at, 0.0) for at, _ in one.samples])
        for one in series
        if one.labels.get("outcome") not in outcomes
    ]
    return counted([one for one in series if one.labels.get("outcome") in outcomes] + quiet, edges)


def _slow(
    buckets: Sequence[Series], arm: Arm, slo_s: float, edges: Sequence[float]
) -> tuple[list[int], list[int]]:
    own = [one for one in buckets if one.labels.get("version") == arm.version]
    within = [one for one in own if _is_bound(one, slo_s)]
    every = [one for one in own if _is_bound(one, math.inf)]
    if own and not within:
        raise SourceError(
            f"version {arm.version} has no bucket at {slo_s * 1000:g} ms: what is slow cannot be counted exactly",
            hint="start the server with --slo-ms as in rollout.toml's slo_ms",
        )
    total, quick = counted(every, edges), counted(within, edges)
    # A scrape is one moment, but a restart between two can leave the bucket ahead of the count.
    return [max(0, a - q) for a, q in zip(total, quick, strict=True)], total


def _is_bound(series: Series, bound: float) -> bool:
    try:
        value = float(series.labels.get("le", "nan"))
    except ValueError:
        return False
    return value == bound or math.isclose(value, bound, rel_tol=1e-9)


def _shadow(ask: Callable[[str], list[Series]], what: Measuring, edges: Sequence[float]) -> list[Counts]:
    """The candidate's answers to copies of requests that the champion answered: where it fails, the champion did not.

    What was dropped compares nothing.
    """
    series = [
        Series(labels={**one.labels, "outcome": one.labels.get("result", "")}, samples=one.samples)
        for one in ask("preflight_shadow_total")
        if one.labels.get("against") == what.candidate.version
    ]
    compared = counted_among(series, edges, frozenset({"same", "close", "different", "error"}))
    failed = counted_among(series, edges, frozenset({"error"}))
    return _joined((failed, compared), ([0] * len(compared), compared))


def _joined(candidate: tuple[list[int], list[int]], champion: tuple[list[int], list[int]]) -> list[Counts]:
    return [
        Counts(
            candidate_events=min(a, n),
            candidate_requests=n,
            champion_events=min(c, d),
            champion_requests=d,
        )
        for a, n, c, d in zip(*candidate, *champion, strict=True)
    ]


class _Proxied:
    """What HAProxy counted for a slot: a crashed server cannot count its own failures.

    Failed are answers of 5xx, answers that broke off or never came, and requests that were passed on to the other
    slot. Asked are all answers with those.
    """

    def __init__(self, source: Source, seconds: float, now: float) -> None:
        self._source, self._seconds, self._now = source, seconds, now

    def counts(self, slot: SlotName, edges: Sequence[float]) -> tuple[list[int], list[int]]:
        """Failed and asked, in each window."""
        codes = self._of("haproxy_server_http_responses_total", slot)
        if not codes:
            raise SourceError(
                "the proxy's own counts are not scraped: what a dead server failed to answer would be missed",
                hint="let Prometheus scrape haproxy.metrics_bind of rollout.toml",
            )
        broken = self._of("haproxy_server_response_errors_total", slot)
        passed = self._of("haproxy_server_redispatch_warnings_total", slot)
        lost = [a + b for a, b in zip(counted(broken, edges), counted(passed, edges), strict=True)]
        failed = counted([one for one in codes if one.labels.get("code") == "5xx"], edges)
        answered = counted(codes, edges)
        return (
            [a + b for a, b in zip(failed, lost, strict=True)],
            [a + b for a, b in zip(answered, lost, strict=True)],
        )

    def _of(self, metric: str, slot: SlotName) -> list[Series]:
        labels = {"proxy": "model", "server": slot}
        return self._source.samples(metric, labels, seconds=self._seconds, at=self._now)
