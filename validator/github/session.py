"""One request to GitHub and what its reply means; the token, the clock and the pace of writing live here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from validator.answers import Effects
from validator.errors import PublishError
from validator.github import retry
from validator.github.refusals import Need, UnreachableError, refusal

API_VERSION = "2022-11-28"
REQUEST_SECONDS = 20.0
SECONDS_BETWEEN_WRITES = 1.0
MAX_REPLY_BYTES = 32 * 1024 * 1024
MAX_REDIRECTS = 3

JsonBody = Mapping[str, Any]


class LimitedError(Exception):
    """GitHub did nothing and says when to come back."""

    def __init__(self, headers: Mapping[str, str], said: str) -> None:
        super().__init__(said)
        self.headers = headers


class BrokenError(Exception):
    """No sensible reply: what was asked for may or may not have been done."""


class Session:
    """Requests to the server of `base_url`, until `deadline_seconds` are over. See `GitHubApi` for the parameters."""

    def __init__(
        self,
        *,
        base_url: str,
        token: str,
        user_agent: str,
        effects: Effects,
        deadline_seconds: float,
        read_only: bool,
    ) -> None:
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise PublishError(
                "the GitHub token is empty or holds characters that no token has",
                hint="pass `github-token: ${{ github.token }}`",
            )
        self.base_url = base_url.rstrip("/")
        self.effects = effects
        self._token = token
        self._read_only = read_only
        self._deadline_seconds = deadline_seconds
        self._ends = effects.clock() + deadline_seconds
        self._last_write: float | None = None
        self._client = httpx.Client(
            transport=effects.transport,
            follow_redirects=False,
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {token}",
                "User-Agent": user_agent,
                "X-GitHub-Api-Version": API_VERSION,
            },
        )

    def __repr__(self) -> str:
        return f"Session(base_url={self.base_url!r})"

    @property
    def is_personal(self) -> bool:
        return self._token.startswith(("ghp_", "github_pat_", "gho_", "ghu_"))

    @property
    def remaining(self) -> float:
        """Seconds until the deadline."""
        return self._ends - self.effects.clock()

    def close(self) -> None:
        self._client.close()

    def pause(self, seconds: float) -> None:
        """Wait, but not past the deadline."""
        self.effects.sleep(max(0.0, min(seconds, self.remaining)))

    def pace(self) -> None:
        """Wait until the next write is polite: GitHub asks for a second between them."""
        if self._last_write is not None:
            self.pause(self._last_write + SECONDS_BETWEEN_WRITES - self.effects.clock())

    def send(
        self,
        method: str,
        path: str,
        need: Need,
        *,
        params: Mapping[str, str] | None = None,
        body: JsonBody | None = None,
    ) -> httpx.Response:
        """One request. Follows redirects within the same server only.

        Raises LimitedError, BrokenError, RefusedError, and UnreachableError when the time is up.
        """
        url = path if path.startswith(("http://", "https://")) else self.base_url + path
        for _ in range(MAX_REDIRECTS + 1):
            response = self._exchange(method, url, params, body)
            if response.status_code not in (301, 302, 307, 308):
                return self._judged(response, need)
            url, params = str(response.url.join(response.headers.get("location", ""))), None
        raise BrokenError("too many redirects")

    def _exchange(
        self, method: str, url: str, params: Mapping[str, str] | None, body: JsonBody | None
    ) -> httpx.Response:
        self._check_server(url)
        if method != "GET":
            self.pace()
        if self.remaining <= 0:
            raise UnreachableError(
                f"the {self._deadline_seconds:.0f} s allowed for talking to GitHub are over",
                hint="run the job again later",
            )
        timeout = max(0.1, min(REQUEST_SECONDS, self.remaining))
        try:
            with self._client.stream(method, url, params=params, json=body, timeout=timeout) as response:
                return self._read(response)
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise BrokenError(self._scrub(f"{type(error).__name__} {error}".strip())) from None
        finally:
            if method != "GET":
                self._last_write = self.effects.clock()

    def _read(self, response: httpx.Response) -> httpx.Response:
        """The whole reply, unless it is absurdly large or drips past the deadline."""
        content = bytearray()
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > MAX_REPLY_BYTES:
                raise BrokenError(f"a reply of more than {MAX_REPLY_BYTES} bytes")
            if self.remaining < 0:
                raise BrokenError("a reply that came too slowly")
        kept = [
            (k, v) for k, v in response.headers.items() if k not in ("content-encoding", "content-length")
        ]
        return httpx.Response(
            response.status_code, headers=kept, content=bytes(content), request=response.request
        )

    def _judged(self, response: httpx.Response, need: Need) -> httpx.Response:
        status = response.status_code
        if 200 <= status < 300:
            return response
        said = self._scrub(_message(response))
        if retry.is_limited(status, response.headers, said):
            raise LimitedError(response.headers, f"rate limit: {said}")
        if status in retry.TRANSIENT:
            raise BrokenError(f"GitHub said {status} {said}".rstrip())
        raise refusal(status, said, need, read_only=self._read_only)

    def _check_server(self, url: str) -> None:
        ours, theirs = urlsplit(self.base_url), urlsplit(url)
        if (ours.scheme, ours.netloc.lower()) != (theirs.scheme, theirs.netloc.lower()):
            raise UnreachableError(
                f"GitHub's API points to another server, {theirs.scheme}://{theirs.hostname}",
                hint="check GITHUB_API_URL; the token is not sent elsewhere",
            )

    def _scrub(self, text: str) -> str:
        return text.replace(self._token, "***")


def _message(response: httpx.Response) -> str:
    """GitHub's own words for a refusal, one line of at most 300 characters."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return ""
    if not isinstance(body, dict):
        return ""
    errors = body.get("errors")
    details = [
        str(item.get("message") or item.get("code", "")) if isinstance(item, dict) else str(item)
        for item in (errors if isinstance(errors, list) else [])
    ]
    return " ".join(" ".join([str(body.get("message", "")), *details]).split())[:300]
