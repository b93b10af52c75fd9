"""What Prometheus knows: values, time series and raw samples over its HTTP API."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from validator.answers import answer_of
from validator.errors import PreflightError, UsageError, in_words
from validator.promql import select

_LARGEST = 64 * 2**20
_MOST_SERIES = 2_000
#: A double counts one by one up to here.
_MOST_COUNTED = 2.0**53
#: Go's zero time: the last evaluation of a rule that never was.
_NEVER = "0001-01-01"
_HINT = "see that Prometheus runs there, and that the address is its own"


class SourceError(PreflightError):
    """Prometheus cannot be asked, or gives no sensible answer: nothing is known."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One series: its labels, and its samples as (seconds since 1970, value), in order of time."""

    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]

    @property
    def instance(self) -> tuple[str, str]:
        """Where it was scraped."""
        return self.labels.get("job", ""), self.labels.get("instance", "")

    def label(self, name: str) -> str:
        """A label's value; a label that is not there is an empty one, as everywhere in PromQL."""
        return self.labels.get(name, "")


@dataclass(frozen=True, kw_only=True)
class Prometheus:
    """Asks one Prometheus. Whatever it does not answer whole raises SourceError.

    Parameters
    ----------
    url : str
    client : httpx.Client
        With its timeouts; follows no redirects.
    """

    url: str
    client: httpx.Client

    def now(self) -> float:
        """The server's own clock, in seconds since 1970."""
        with self._understanding("`time()` has no value"):
            return float(self._ask("query", query="time()")["result"][1])

    def instant(self, query: str, at: float | None = None) -> list[dict[str, Any]]:
        """The result's elements, with `metric` and `value`. A number without labels is one element."""
        data = self._ask("query", query=query, **({} if at is None else {"time": f"{at:.3f}"}))
        with self._understanding(query):
            if data["resultType"] == "scalar":
                return [{"metric": {}, "value": data["result"]}]
            return list(data["result"])

    def values(self, query: str, at: float | None = None) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each element that is a number."""
        with self._understanding(query):
            found = [(dict(one["metric"]), float(one["value"][1])) for one in self.instant(query, at)]
        return [(labels, value) for labels, value in found if math.isfinite(value)]

    def unevaluated(self) -> frozenset[str]:
        """Names that loaded rules record, and that Prometheus has not evaluated once since it started."""
        with self._understanding("its list of rules"):
            rules = [
                (str(rule["name"]), str(rule["lastEvaluation"]))
                for group in self._ask("rules")["groups"]
                for rule in group["rules"]
                if rule["type"] == "recording"
            ]
        done = {name for name, at in rules if not at.startswith(_NEVER)}
        return frozenset(name for name, _ in rules) - done

    def range(self, query: str, *, start: float, end: float, step: float) -> list[Series]:
        """Time series, without the points that are no numbers."""
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        data = self._ask("query_range", query=query, **times)
        with self._understanding(query):
            return [_series(one, only_finite=True) for one in data["result"][:_MOST_SERIES]]

    def samples(self, metric: str, labels: Mapping[str, str], *, seconds: float, at: float) -> list[Series]:
        """All samples of a counter's series in so many seconds before `at`, as they were scraped."""
        matchers = [(name, "=", value) for name, value in labels.items()]
        selector = select(metric, *matchers, over=f"{max(1, math.ceil(seconds))}s")
        data = self._ask("query", query=selector, time=f"{at:.3f}")
        if data.get("resultType") != "matrix":
            raise SourceError(f"{self.url}: {selector} is answered with no samples", hint=_HINT)
        with self._understanding(f"{selector} has samples that are no numbers"):
            found = [_series(one) for one in data["result"]]
            if not all(0 <= value <= _MOST_COUNTED for one in found for _, value in one.samples):
                raise ValueError("a counter below zero, or none")
        for one in found:
            times = [moment for moment, _ in one.samples]
            # As they were asked for, to the millisecond that is asked with; each of them once.
            if not all(
                a < b for a, b in itertools.pairwise([at - math.ceil(seconds) - 1, *times, at + 0.001])
            ):
                raise SourceError(
                    f"{self.url}: {selector} is answered with samples out of order, or of other times",
                    hint=_HINT,
                )
        return found

    def _ask(self, path: str, **form: str) -> dict[str, Any]:
        method, data = ("POST", form) if form else ("GET", None)
        try:
            with self.client.stream(method, f"{self.url}/api/v1/{path}", data=data) as response:
                body = answer_of(response, most=_LARGEST)
            answer = json.loads(body)
        except httpx.HTTPError as error:
            raise SourceError(f"cannot ask {self.url}: {in_words(error)}", hint=_HINT) from error
        except (ValueError, RecursionError) as error:
            raise SourceError(
                f"{self.url} answers with status {response.status_code} and no JSON", hint=_HINT
            ) from error
        if not isinstance(answer, dict) or answer.get("status") != "success":
            told = answer.get("error", "") if isinstance(answer, dict) else ""
            raise SourceError(
                f"{self.url} refuses the query: {str(told)[:300]}",
                hint=f"the query: {form.get('query', path)[:300]}",
            )
        if answer.get("warnings"):
            raise SourceError(
                f"{self.url} gives an incomplete answer: {str(answer['warnings'])[:300]}", hint=_HINT
            )
        if not isinstance(data := answer.get("data"), dict):
            raise SourceError(f"{self.url} gives no sensible answer: it holds no data", hint=_HINT)
        return data

    @contextmanager
    def _understanding(self, what: str) -> Iterator[None]:
        try:
            yield
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise SourceError(f"{self.url} gives no sensible answer: {what[:300]}", hint=_HINT) from error


@contextmanager
def prometheus_at(url: str, transport: httpx.BaseTransport | None = None) -> Iterator[Prometheus]:
    """Prometheus at this `address`."""
    with httpx.Client(timeout=60, transport=transport) as client:
        yield Prometheus(url=url, client=client)


def address(url: str) -> str:
    """An address as it may be asked. Raises UsageError for one that is none."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_one = False
    if not is_one:
        raise UsageError(f"{url!r} is no address", hint="give --prometheus http://host:9090")
    return url.rstrip("/")


def _series(one: Any, *, only_finite: bool = False) -> Series:
    points = ((float(at), float(value)) for at, value in one["values"])
    return Series(
        labels={str(name): str(value) for name, value in one["metric"].items()},
        samples=tuple(point for point in points if not only_finite or math.isfinite(point[1])),
    )
