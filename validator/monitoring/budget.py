"""How many series a model makes, and what Prometheus needs for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from validator.errors import SettingsError
from validator.monitoring.rule import Group, Record, Watched
from validator.monitoring.rules import groups as all_groups
from validator.profile import Column
from validator.serving.metrics.latency import BOUNDS
from validator.serving.metrics.server import OUTCOMES

#: Measured with Prometheus 2.42: see docs/monitoring.md.
BYTES_A_SERIES = 8_000
BYTES_A_SAMPLE = 1.6
_KEPT_DAYS = 30
#: `up` and what else Prometheus adds to each scrape.
_OF_SCRAPE = 5
#: inflight, info, created, slo, lease, rows, profile rows.
_SINGLE = 7


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Series: `each` server shows so many, `recorded` rules so many of each version."""

    each: int
    recorded: int
    replicas: int
    versions: int
    scrape_interval_s: int

    @property
    def total(self) -> int:
        return self.versions * (self.replicas * self.each + self.recorded)

    @property
    def memory_mb(self) -> float:
        """What the head block of Prometheus needs for them."""
        return self.total * BYTES_A_SERIES / 1e6

    @property
    def disk_mb(self) -> float:
        """What 30 days of them take."""
        scraped = self.versions * self.replicas * self.each / self.scrape_interval_s
        recorded = self.versions * self.recorded / 60
        return (scraped + recorded) * 86_400 * _KEPT_DAYS * BYTES_A_SAMPLE / 1e6


def budget(watched: Watched) -> Budget:
    """The series that are planned for.

    Raises
    ------
    SettingsError
        If they are more than `max_series` allows.
    """
    subject, settings = watched.subject, watched.settings
    columns = (*subject.features, *subject.outputs)
    found = Budget(
        each=_shown(columns, subject.outputs),
        recorded=_recorded(columns, all_groups(watched)),
        replicas=settings.replicas,
        versions=settings.versions,
        scrape_interval_s=settings.scrape_interval_s,
    )
    if found.total > settings.max_series:
        raise SettingsError(
            f"{subject.model} would make {found.total:,} series, more than max_series = {settings.max_series:,}",
            hint="raise max_series in monitor.toml if Prometheus bears them, or see docs/monitoring.md on scaling",
        )
    return found


def _slots(columns: Sequence[Column]) -> int:
    return sum(len(column.bins) + len(column.specials) for column in columns)


def _shown(columns: Sequence[Column], outputs: Sequence[Column]) -> int:
    buckets = len(BOUNDS) + 2 + 2  # the limit's own and +Inf; sum and count
    correlations = sum(
        value > 0
        for column in columns
        for value in max(column.floors, key=lambda floor: floor.rows, default=_NO_FLOOR).special.values()
    )
    return (
        2 * _slots(columns)
        + 2 * len(columns)
        + correlations
        + sum(len(getattr(column, "edges", ())) for column in outputs)
        + len(OUTCOMES)
        + buckets
        + _SINGLE
        + _OF_SCRAPE
    )


def _recorded(columns: Sequence[Column], groups: Sequence[Group]) -> int:
    slots, specials = _slots(columns), sum(len(column.specials) for column in columns)
    bins = slots - specials
    found = 0
    for name in {rule.name for group in groups for rule in group.rules if isinstance(rule, Record)}:
        _, level, what = name.split(":")
        if not level.endswith("_bin"):
            found += len(columns) if level in ("feature", "output") else 1
        elif level == "feature_bin":  # its twin of outputs is in `columns` too
            found += specials if what.startswith("special") else bins if what.startswith("judged") else slots
    return found


class _NoFloor:
    rows = 0.0
    special: dict[str, float] = {}  # noqa: RUF012 - nobody changes it


_NO_FLOOR = _NoFloor()


def lines(found: Budget) -> list[str]:
    """For the terminal."""
    return [
        f"{found.total:,} series: {found.versions} versions x ({found.replicas} replicas x {found.each:,} "
        f"+ {found.recorded:,} recorded)",
        f"Prometheus needs about {found.memory_mb:,.0f} MB of memory and {found.disk_mb:,.0f} MB of disk "
        f"for {_KEPT_DAYS} days of them",
    ]
