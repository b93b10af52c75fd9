"""What the judge is given: windows of counts for both arms, and the rule that they are judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

StageKind = Literal["guard", "confirm", "bake"]
Outcome = Literal["promote", "rollback", "undecided"]

#: Planned looks of a confirming stage.
LOOKS = 6
#: Fewer complete windows than this tell nothing of how much windows differ: nothing is promoted on them.
MINIMUM_WINDOWS = 8
#: The windowed trip, and a guard stage, need some too.
MINIMUM_TRIP_WINDOWS = 5
#: Candidate requests that a guard stage waits for.
GUARD_REQUESTS = 300


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Events among requests in one window, for both arms.

    A metric has its own requests: the proxy's and the server's are not the same number.
    """

    candidate_events: int
    candidate_requests: int
    champion_events: int
    champion_requests: int

    def __post_init__(self) -> None:
        for arm in ("candidate", "champion"):
            events, requests = getattr(self, f"{arm}_events"), getattr(self, f"{arm}_requests")
            if not (_is_count(events) and _is_count(requests) and events <= requests):
                raise ValueError(f"{arm}: {events!r} events of {requests!r} requests are no counts")


@dataclass(frozen=True, kw_only=True)
class Window:
    """One stretch of time of a stage, usually a minute, and what both arms answered in it.

    Parameters
    ----------
    start, end : float
        Seconds since 1970, by the clock of the source of the counts.
    counts : mapping of str to Counts
        By metric.
    void : str
        Why the window cannot be used, such as an arm that was not scraped in it; empty if it can.
    complete : bool
        False for the window that is still filling. It counts for the gross trip alone.
    """

    start: float
    end: float
    counts: Mapping[str, Counts] = field(default_factory=dict)
    void: str = ""
    complete: bool = True


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A share of requests that is judged.

    Parameters
    ----------
    name : str
        Such as ``error``.
    margin : float
        By how much the candidate's share may exceed the champion's: 0.0025 is a quarter of a percentage point.
    limit : float or None
        The share that the service's objective allows; None where it has none. A window in which the champion is
        clearly over it is void for promotion, and the bake is judged against it.
    """

    name: str
    margin: float
    limit: float | None = None

    def __post_init__(self) -> None:
        if not (0 < self.margin < 1 and (self.limit is None or 0 < self.limit < 1)):
            raise ValueError(f"{self.name}: margin and limit lie between 0 and 1, both excluded")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How one stage is judged.

    Parameters
    ----------
    stage : str
        The stage's name, as in ``rollout.json``.
    kind : {"guard", "confirm", "bake"}
        A guard lets pass what is not visibly worse; a confirming stage promotes only what is shown to be no worse
        than the margins; a bake has no champion beside it and is held against the limits.
    metrics : tuple of Metric
        All of them must pass.
    planned_requests : int
        Candidate requests at the last planned look of a confirming stage; what a guard or a bake waits for.
    minimum_windows : int
        Complete windows without which nothing is promoted.
    """

    stage: str
    kind: StageKind
    metrics: tuple[Metric, ...]
    planned_requests: int
    minimum_windows: int = MINIMUM_WINDOWS

    def __post_init__(self) -> None:
        if not self.metrics:
            raise ValueError("a stage without metrics would promote anything")
        if len({metric.name for metric in self.metrics}) != len(self.metrics):
            raise ValueError("a metric is named twice")
        if self.kind not in ("guard", "confirm", "bake"):
            raise ValueError(f"no such kind of stage: {self.kind!r}")
        if self.planned_requests < 1:
            raise ValueError("a stage must plan for at least one request")
        if self.minimum_windows < 2:
            raise ValueError("one window alone does not tell how much windows differ")
        if self.kind == "bake" and all(metric.limit is None for metric in self.metrics):
            raise ValueError("a bake has no champion beside it: it needs a metric with a limit")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
