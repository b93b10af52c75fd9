"""What Prometheus remembers: instant values and time series over its HTTP API."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from validator.errors import SampleError, UsageError

_LARGEST = 64 * 2**20
_MOST_SERIES = 2_000
#: Go's zero time: the last evaluation of a rule that never was.
_NEVER = "0001-01-01"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One series: its labels and (seconds since 1970, value) in order of time; gaps are left out."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]

    def name(self, label: str) -> str:
        return self.labels.get(label, "")


@dataclass(frozen=True, kw_only=True)
class History:
    """Asks one Prometheus.

    Parameters
    ----------
    url : str
    client : httpx.Client
        With its timeouts; follows no redirects.
    """

    url: str
    client: httpx.Client

    def now(self) -> float:
        """The server's own clock."""
        try:
            return float(self._ask("query", {"query": "time()"})["result"][1])
        except (LookupError, TypeError, ValueError) as error:
            raise self._nonsense("`time()` has no value") from error

    def instant(self, query: str, at: float | None = None) -> list[dict[str, Any]]:
        """The result's elements, with `metric` and `value`. A number without labels is one element."""
        form = {"query": query} | ({} if at is None else {"time": f"{at:.3f}"})
        data = self._ask("query", form)
        if data.get("resultType") == "scalar":
            return [{"metric": {}, "value": data["result"]}]
        return list(data["result"])

    def values(self, query: str, at: float | None = None) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each element that is a number."""
        try:
            found = [(dict(one["metric"]), float(one["value"][1])) for one in self.instant(query, at)]
        except (LookupError, TypeError, ValueError) as error:
            raise self._nonsense(query) from error
        return [(labels, value) for labels, value in found if math.isfinite(value)]

    def unevaluated(self) -> frozenset[str]:
        """Names that loaded rules record, and that Prometheus has not evaluated once since it started."""
        try:
            rules = [
                (str(rule["name"]), str(rule["lastEvaluation"]))
                for group in self._ask("rules", None)["groups"]
                for rule in group["rules"]
                if rule["type"] == "recording"
            ]
        except (LookupError, TypeError) as error:
            raise self._nonsense("its list of rules") from error
        done = {name for name, at in rules if not at.startswith(_NEVER)}
        return frozenset(name for name, _ in rules) - done

    def lines(self, query: str, *, start: float, end: float, step: float) -> list[Line]:
        """Time series, without the points that are no numbers."""
        form = {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        data = self._ask("query_range", form)
        try:
            return [
                Line(
                    labels={str(k): str(v) for k, v in one["metric"].items()},
                    points=tuple(
                        (float(at), float(value))
                        for at, value in one["values"]
                        if math.isfinite(float(value))
                    ),
                )
                for one in data["result"][:_MOST_SERIES]
            ]
        except (LookupError, TypeError, ValueError) as error:
            raise self._nonsense(query) from error

    def _ask(self, path: str, form: Mapping[str, str] | None) -> dict[str, Any]:
        body = bytearray()
        method, data = ("GET", None) if form is None else ("POST", dict(form))
        try:
            with self.client.stream(method, f"{self.url}/api/v1/{path}", data=data) as response:
                for part in response.iter_bytes():
                    body += part
                    if len(body) > _LARGEST:
                        raise self._nonsense("the answer is absurdly large")
            answer = json.loads(bytes(body))
        except httpx.HTTPError as error:
            raise SampleError(
                f"cannot ask {self.url}: {str(error) or type(error).__name__}",
                hint="see that Prometheus runs, and that --prometheus is its address",
            ) from error
        except ValueError as error:
            raise self._nonsense("the answer is no JSON") from error
        if not isinstance(answer, dict) or answer.get("status") != "success":
            told = answer.get("error", "") if isinstance(answer, dict) else ""
            asked = path if form is None else form["query"]
            raise SampleError(
                f"{self.url} refuses the query: {str(told)[:300]}", hint=f"the query: {asked[:300]}"
            )
        return dict(answer["data"])

    def _nonsense(self, what: str) -> SampleError:
        return SampleError(
            f"{self.url} gives no sensible answer: {what[:300]}",
            hint="check that --prometheus is Prometheus' own address",
        )


@contextmanager
def history(url: str, transport: httpx.BaseTransport | None = None) -> Iterator[History]:
    """Prometheus at this address."""
    with httpx.Client(timeout=60, transport=transport) as client:
        yield History(url=url, client=client)


def address(url: str) -> str:
    """An address as it may be asked. Raises UsageError for one that is none."""
    parts = httpx.URL(url) if url.startswith(("http://", "https://")) else None
    if parts is None or not parts.host:
        raise UsageError(f"{url!r} is no address", hint="give --prometheus http://host:9090")
    return url.rstrip("/")
