"""Prometheus as the store of counts: raw samples over its HTTP API."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from validator.errors import PreflightError
from validator.rollout.samples import Series

_LARGEST = 64 * 2**20
_HINT = "see that Prometheus runs and that rollout.toml names its address; until then nothing is decided"


class SourceError(PreflightError):
    """The counts cannot be read: nothing can be decided on them."""


@dataclass(frozen=True, kw_only=True)
class Prometheus:
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
        """The server's own clock, in seconds since 1970."""
        value = self._ask("time()")
        try:
            return float(value["result"][1])
        except (LookupError, TypeError, ValueError) as error:
            raise SourceError(f"{self.url}: `time()` has no value", hint=_HINT) from error

    def samples(self, metric: str, labels: Mapping[str, str], *, seconds: float, at: float) -> list[Series]:
        """All samples of a metric's series in so many seconds before `at`, as they were scraped."""
        selector = selects(metric, labels)
        value = self._ask(f"{selector}[{max(1, math.ceil(seconds))}s]", at=at)
        if value.get("resultType") != "matrix":
            raise SourceError(f"{self.url}: {selector} is answered with no samples", hint=_HINT)
        try:
            return [_series(one) for one in value["result"]]
        except (LookupError, TypeError, ValueError) as error:
            raise SourceError(
                f"{self.url}: {selector} is answered with samples of no numbers", hint=_HINT
            ) from error

    def _ask(self, query: str, at: float | None = None) -> dict[str, Any]:
        form = {"query": query} | ({} if at is None else {"time": f"{at:.3f}"})
        body = bytearray()
        try:
            with self.client.stream("POST", f"{self.url}/api/v1/query", data=form) as response:
                for part in response.iter_bytes():
                    body += part
                    if len(body) > _LARGEST:
                        raise SourceError(
                            f"{self.url}: the answer is larger than any stage needs", hint=_HINT
                        )
            answer = json.loads(body)
        except httpx.HTTPError as error:
            raise SourceError(
                f"cannot ask {self.url}: {str(error) or type(error).__name__}", hint=_HINT
            ) from error
        except ValueError as error:
            raise SourceError(
                f"{self.url} answers with status {response.status_code} and no JSON", hint=_HINT
            ) from error
        if not isinstance(answer, dict) or answer.get("status") != "success":
            told = answer.get("error", "") if isinstance(answer, dict) else ""
            raise SourceError(f"{self.url} refuses the query: {str(told)[:300]}", hint=_HINT)
        if answer.get("warnings"):
            raise SourceError(
                f"{self.url} gives an incomplete answer: {str(answer['warnings'])[:300]}", hint=_HINT
            )
        return dict(answer["data"])


def selects(metric: str, labels: Mapping[str, str]) -> str:
    """A PromQL selector. Values become string literals, whatever is in them."""
    return f"{metric}{{{','.join(f'{name}={quoted(value)}' for name, value in labels.items())}}}"


def quoted(value: str) -> str:
    """A PromQL string literal: JSON's escapes are among Go's, which PromQL takes."""
    return json.dumps(value, ensure_ascii=False)


def _series(one: Any) -> Series:
    samples = [(float(at), float(value)) for at, value in one["values"]]
    if not all(math.isfinite(value) and value >= 0 for _, value in samples):
        raise ValueError("a counter below zero, or none")
    return Series(labels={str(k): str(v) for k, v in one["metric"].items()}, samples=samples)
