"""A small typed client of GitHub's REST API: retries, rate limits, pages, pacing, one deadline for everything.

A read is repeated after any failure. A write that may have happened although its reply was lost is looked for
before it is repeated. The token appears in the Authorization header and nowhere else.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from validator.answers import Effects
from validator.github import retry
from validator.github.refusals import Need, RefusedError, UnreachableError
from validator.github.session import BrokenError, JsonBody, LimitedError, Session

PAGE_SIZE = 100
DEADLINE_SECONDS = 120.0

_ITEMS = TypeAdapter(list[Any])

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


class GitHubApi:
    """One session with the API under `base_url` (`https://api.github.com`, or `https://host/api/v3`).

    `effects` hold the HTTP transport, clock and sleep, so that tests need neither time nor network.
    `deadline_seconds` bounds all calls together. `read_only` only changes what a refusal advises, `seed` makes the
    spread of retries repeatable. Raises PublishError when the token cannot be a token.
    """

    def __init__(
        self,
        *,
        base_url: str,
        token: str,
        user_agent: str,
        effects: Effects | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
        read_only: bool = False,
        seed: int | None = None,
    ) -> None:
        self._session = Session(
            base_url=base_url,
            token=token,
            user_agent=user_agent,
            effects=effects or Effects(),
            deadline_seconds=deadline_seconds,
            read_only=read_only,
        )
        self._jitter = random.Random(seed)  # noqa: S311 - spreads retries, guards nothing

    def __repr__(self) -> str:
        return f"GitHubApi(base_url={self._session.base_url!r})"

    def __enter__(self) -> GitHubApi:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    @property
    def is_personal(self) -> bool:
        """Whether the token is a person's: only then does GitHub tell whose it is."""
        return self._session.is_personal

    def pause(self, seconds: float) -> None:
        """Wait, but not past the deadline."""
        self._session.pause(seconds)

    def pace(self) -> None:
        """Wait until the next write is polite."""
        self._session.pace()

    def get(self, path: str, model: type[M], *, need: Need, params: Mapping[str, str] | None = None) -> M:
        """One object. Raises RefusedError when GitHub says no, UnreachableError when it says nothing."""
        return self._repeat(
            lambda: _parsed(self._session.send("GET", path, need, params=params), model), need
        )

    def pages(
        self,
        path: str,
        model: type[M],
        *,
        need: Need,
        params: Mapping[str, str] | None = None,
        max_pages: int = 100,
        stop: Callable[[M], bool] = lambda _: False,
    ) -> list[M]:
        """All items of a list, following the `Link` header over at most `max_pages` pages of 100.

        No further page is read once an item satisfies `stop`. Raises as `get`, and UnreachableError where there
        are more pages: half a list could hide what is sought.
        """
        found: list[M] = []
        query: Mapping[str, str] | None = {**(params or {}), "per_page": str(PAGE_SIZE)}
        address: str | None = path
        for _ in range(max_pages):
            items, address = self._page(address, query, model, need)
            found += items
            if address is None or any(map(stop, items)):
                return found
            query = None
        raise UnreachableError(
            f"could not {need.action}: more than {max_pages} pages", hint="remove what is not needed there"
        )

    def create(
        self,
        path: str,
        body: JsonBody,
        model: type[M],
        *,
        need: Need,
        landed: Callable[[], M | None],
    ) -> M:
        """POST. `landed` looks whether an earlier try, whose reply was lost, has done it after all."""
        return self._write("POST", path, body, model, need, landed)

    def update(
        self,
        path: str,
        body: JsonBody,
        model: type[M],
        *,
        need: Need,
        landed: Callable[[], M | None] | None = None,
    ) -> M:
        """PATCH. Repeated freely, unless `landed` is given because doing it twice would differ from doing it once."""
        return self._write("PATCH", path, body, model, need, landed)

    def delete(self, path: str, *, need: Need) -> None:
        """DELETE; that it is gone already is as good."""

        def once() -> None:
            if (status := self._session.send("DELETE", path, need).status_code) != 204:
                raise BrokenError(f"GitHub said {status} where 204 confirms")

        try:
            self._repeat(once, need)
        except RefusedError as error:
            if error.status not in (404, 410):
                raise

    def _page(
        self, address: str | None, query: Mapping[str, str] | None, model: type[M], need: Need
    ) -> tuple[list[M], str | None]:
        def once() -> tuple[list[M], str | None]:
            response = self._session.send("GET", address or "", need, params=query)
            return _parsed_list(response, model), response.links.get("next", {}).get("url")

        return self._repeat(once, need)

    def _write(
        self,
        method: str,
        path: str,
        body: JsonBody,
        model: type[M],
        need: Need,
        landed: Callable[[], M | None] | None,
    ) -> M:
        return self._repeat(
            lambda: _parsed(self._session.send(method, path, need, body=body), model), need, landed
        )

    def _repeat(self, once: Callable[[], T], need: Need, landed: Callable[[], T | None] | None = None) -> T:
        """The value of `once`, tried again while that can help. Raises RefusedError or UnreachableError."""
        failures = limits = 0
        while True:
            try:
                return once()
            except LimitedError as error:
                reason = str(error)
                wait = retry.limit_wait(error.headers, limits, self._session.effects.now())
                limits += 1
                self._wait(wait, need, reason, exhausted=limits >= retry.ATTEMPTS_UNDER_LIMIT)
                continue
            except BrokenError as error:
                reason = str(error)
            wait = retry.backoff(failures, self._jitter)
            failures += 1
            exhausted = failures >= retry.ATTEMPTS_AFTER_FAILURE
            if landed is None:
                self._wait(wait, need, reason, exhausted=exhausted)
                continue
            self._session.pause(wait)
            if (found := landed()) is not None:
                return found
            if exhausted:
                raise self._unreachable(need, reason)

    def _wait(self, seconds: float, need: Need, reason: str, *, exhausted: bool) -> None:
        if exhausted or seconds >= self._session.remaining:
            raise self._unreachable(need, reason)
        self._session.pause(seconds)

    def _unreachable(self, need: Need, reason: str) -> UnreachableError:
        return UnreachableError(
            f"could not {need.action}: {reason}",
            hint="GitHub may be having trouble or limiting this repository: run the job again later",
        )


def _parsed(response: httpx.Response, model: type[M]) -> M:
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        raise BrokenError(f"a reply that is no {model.__name__} ({error.error_count()} faults)") from None


def _parsed_list(response: httpx.Response, model: type[M]) -> list[M]:
    try:
        return [model.model_validate(item) for item in _ITEMS.validate_json(response.content)]
    except ValidationError as error:
        raise BrokenError(
            f"a reply that is no list of {model.__name__} ({error.error_count()} faults)"
        ) from None
