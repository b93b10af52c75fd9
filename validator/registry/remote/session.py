"""Exchanges with one registry: its credentials, its redirects, retries, one deadline, and what may come back at most.

Every answer is a stranger's. Nothing is decoded, nothing is read beyond its limit, and an `Authorization` header goes
to the registry's own host alone.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx

from validator.answers import Effects
from validator.registry.errors import DamagedError, NotThereError, RegistryError
from validator.registry.reference import is_loopback
from validator.registry.remote.credentials import Credentials
from validator.registry.remote.tokens import Challenge, read_challenges, scope_for
from validator.registry.remote.watch import Watch

T = TypeVar("T")

DEADLINE_S = 900.0
_STEP_S = 60.0
_ATTEMPTS = 6
_MOST_REDIRECTS = 5
_SMALL = 4 * 2**20
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LONGEST_WAIT_S = 60.0
_ODD = timedelta(days=2)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer: `content` is empty where it went to a sink."""

    status: int
    headers: httpx.Headers
    content: bytes = field(default=b"", repr=False)
    url: str = ""


class Sink(Protocol):
    """Where a large answer goes. `begin` forgets what an earlier try left."""

    def begin(self) -> None: ...
    def take(self, part: bytes) -> None: ...


class _LaterError(Exception):
    """Nothing sensible came: it may help to ask again, after `wait` seconds where the registry says so."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class Session:
    """Exchanges with the registry at `host`, all of them within `deadline_s` seconds.

    Tokens are asked for to read `repository`, and where it `writes` to write it too, from the first on: some
    registries answer a write with a reader's token by a plain refusal.
    """

    def __init__(
        self,
        host: str,
        *,
        is_plain: bool,
        credentials: Credentials | None,
        effects: Effects,
        deadline_s: float = DEADLINE_S,
        repository: str = "",
        writes: bool = False,
    ) -> None:
        self.effects = effects
        self._repository = repository
        self._actions = frozenset(("pull", "push") if writes else ("pull",))
        self._offset: timedelta | None = None
        self._scheme = "http" if is_plain else "https"
        self._host = host
        self._base = f"{self._scheme}://{_address(host)}"
        self._credentials = credentials
        self._authorization = f"Bearer {credentials.bearer}" if credentials and credentials.bearer else ""
        self._ends = effects.clock() + deadline_s
        self._deadline_s = deadline_s
        self._timeout_s = _STEP_S
        self._jitter = random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._client = _client(host, effects)
        self._watch = Watch()

    @property
    def now(self) -> datetime | None:
        """The registry's own time of day, by its last answers; None where it tells none."""
        return None if self._offset is None else self.effects.now() + self._offset

    def __repr__(self) -> str:
        return f"Session({self._base!r})"

    def close(self) -> None:
        self._client.close()

    def get(
        self,
        path: str,
        *,
        accept: str = "",
        limit: int = _SMALL,
        sink: Sink | None = None,
        method: str = "GET",
    ) -> Reply:
        """Read; redirects are followed, without credentials where they lead elsewhere. 404 is NotThereError."""
        headers = {"Accept": accept} if accept else {}
        return self.repeat(
            lambda: self._followed(method, self._base + path, headers, limit, sink), f"{method} {path}"
        )

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        timeout_s: float | None = None,
    ) -> Reply:
        """One write, not repeated: the caller does that, within `repeat`. `path` may be a location of this host."""
        url = self._own(path)
        self._timeout_s = timeout_s or _STEP_S
        try:
            return self._judged(self._authorized(method, url, dict(headers or {}), _SMALL, None, content))
        finally:
            self._timeout_s = _STEP_S

    def repeat(self, once: Callable[[], T], what: str, *, patience_s: float | None = None) -> T:
        """The value of `once`, tried again while that can help, and time and patience are left."""
        failures = 0
        ends = self._ends if patience_s is None else min(self._ends, self.effects.clock() + patience_s)
        while True:
            try:
                return once()
            except _LaterError as error:
                failures += 1
                wait = error.wait if error.wait is not None else self._backoff(failures)
                if failures >= _ATTEMPTS or self.effects.clock() + wait >= ends:
                    raise RegistryError(
                        f"{self._host} could not be asked ({what}): {error}",
                        hint="the registry may be having trouble: try again later",
                    ) from None
                self.effects.sleep(wait)

    def location(self, reply: Reply) -> str:
        """Where an upload goes on, as a URL of this very host. Raises RegistryError for any other."""
        given = reply.headers.get("location", "")
        return self._own(self.joined(reply.url, given) if given else "")

    def joined(self, url: str, place: str) -> str:
        """Where an answer from `url` leads to. Raises RegistryError for what is no address."""
        try:
            return str(httpx.URL(url).join(place))
        except (httpx.InvalidURL, ValueError) as error:
            raise RegistryError(
                f"{self._host} leads to {place[:100]!r}, which is no address: {error!s:.100}",
                hint="ask whoever runs the registry",
            ) from None

    def _backoff(self, failures: int) -> float:
        return min(_LONGEST_WAIT_S, 2.0 ** (failures - 1)) * (1 + self._jitter.random() / 2)

    def _left(self) -> float:
        return self._ends - self.effects.clock()

    def _own(self, place: str) -> str:
        url = self._base + place if place.startswith("/") else place
        if not _same_server(url, self._base):
            raise RegistryError(
                f"{self._host} sends an upload to {url[:200]!r}, which is another server or protocol",
                hint="behind a proxy, tell the registry its address (`http.host`, X-Forwarded-Proto)",
            )
        return url

    def _followed(
        self, method: str, url: str, headers: dict[str, str], limit: int, sink: Sink | None
    ) -> Reply:
        for _ in range(_MOST_REDIRECTS + 1):
            reply = self._authorized(method, url, headers, limit, sink, b"")
            if reply.status not in _REDIRECTS:
                return self._judged(reply)
            target = httpx.URL(self.joined(url, reply.headers.get("location", "")))
            if target.scheme != "https" and self._scheme == "https":
                raise RegistryError(
                    f"{self._host} leads to {str(target)[:100]!r}, which is not encrypted",
                    hint="ask whoever runs the registry to serve blobs by https",
                )
            url = str(target)
        raise RegistryError(f"{self._host} leads in circles", hint="ask whoever runs the registry")

    def _authorized(
        self, method: str, url: str, headers: dict[str, str], limit: int, sink: Sink | None, content: bytes
    ) -> Reply:
        """One exchange; a challenge is answered once."""
        if not _same_server(url, self._base):
            return self._exchange(method, url, headers, limit, sink, content)
        authorized = headers | ({"Authorization": self._authorization} if self._authorization else {})
        reply = self._exchange(method, url, authorized, limit, sink, content)
        if reply.status != 401:
            return reply
        if method == "DELETE":
            self._actions |= {"delete"}
        self._authorization = self._answer(read_challenges(reply.headers.get_list("www-authenticate")))
        if not self._authorization:
            return reply
        return self._exchange(
            method, url, headers | {"Authorization": self._authorization}, limit, sink, content
        )

    def _see_time(self, url: str, headers: httpx.Headers) -> None:
        """What the registry's clock says, unless a cache or another server answered."""
        if "age" in headers or not _same_server(url, self._base):
            return
        try:
            moment = parsedate_to_datetime(headers.get("date", ""))
        except ValueError:
            return
        if moment.tzinfo is not None and abs(moment - self.effects.now()) < _ODD:
            self._offset = moment - self.effects.now()

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], limit: int, sink: Sink | None, content: bytes
    ) -> Reply:
        with self._told(), self._watch.over(self._left()):
            sent = {"content": content} if method in ("POST", "PUT", "PATCH") else {}
            timeout = max(0.1, min(self._timeout_s, self._left()))
            request = self._client.build_request(
                method,
                url,
                headers=headers,
                timeout=timeout,
                extensions={"trace": self._watch.trace},
                **sent,  # type: ignore[arg-type]
            )
            with closing(self._client.send(request, stream=True)) as response:
                self._see_time(url, response.headers)
                parts: list[bytes] = []
                if sink is not None and response.is_success:
                    sink.begin()
                    self._read(response, limit, sink.take)
                else:
                    self._read(response, limit if response.is_success else _SMALL, parts.append)
                return Reply(
                    status=response.status_code, headers=response.headers, content=b"".join(parts), url=url
                )

    def _read(self, response: httpx.Response, limit: int, take: Callable[[bytes], object]) -> None:
        """Every byte as it came, up to the limit and the deadline."""
        size = 0
        for part in response.iter_raw():
            size += len(part)
            if size > limit:
                if not response.is_success:
                    return
                raise DamagedError(
                    f"{self._host} sends more than the {limit:,} bytes that were asked for",
                    hint="ask whoever runs the registry; nothing of it was used",
                )
            self._hold_to_deadline()
            take(part)

    @contextmanager
    def _told(self) -> Iterator[None]:
        self._hold_to_deadline()
        try:
            yield
        except (httpx.TransportError, httpx.DecodingError) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise RegistryError(
                    f"{self._host} shows a certificate that is not trusted: {error!s:.200}",
                    hint="of an authority of your own, name the file with its certificate in SSL_CERT_FILE",
                ) from None
            self._hold_to_deadline()
            raise _LaterError(f"{type(error).__name__} {error}".strip()[:300]) from None
        except (httpx.InvalidURL, httpx.StreamError, ValueError) as error:
            raise RegistryError(
                f"{self._host} cannot be asked: {error!s:.200}", hint="check the reference"
            ) from None

    def _hold_to_deadline(self) -> None:
        if self._left() <= 0:
            raise RegistryError(
                f"{self._host} took longer than the {self._deadline_s:.0f} s that are allowed",
                hint="try again later, or from nearer to the registry",
            )

    def _judged(self, reply: Reply) -> Reply:
        """The reply, if it is one that was hoped for."""
        if reply.status < 300:
            return reply
        said = self._said(reply)
        if reply.status in _TRANSIENT:
            raise _LaterError(f"status {reply.status}{said}", self._retry_after(reply))
        if reply.status == 404:
            raise NotThereError(f"{self._host} does not have it{said}", hint="check the name and the tag")
        raise RegistryError(
            f"{self._host} refuses: status {reply.status}{said}", hint=self._advice(reply.status)
        )

    def _advice(self, status: int) -> str:
        if status == 400 and self._scheme == "http":
            return f"does it speak https? write oci+https://{self._host}/… then"
        if status not in (401, 403):
            return "look at what the registry says; its own settings decide"
        if self._credentials is None:
            return f"log in: docker login {self._host}; or give --username and --password-file"
        more = ""
        if self._credentials.origin == "GITHUB_TOKEN":
            more = ": a job's `permissions` need packages: read, or packages: write to store anything"
        known = f"the credentials from {self._credentials.origin}"
        return f"{known} may not do this: give others, or rights to them{more}"

    def _said(self, reply: Reply) -> str:
        """The registry's own word, as one short line."""
        try:
            first = json.loads(reply.content)["errors"][0]
            text = f"{first.get('code', '')} {first.get('message', '')}"
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            return ""
        text = re.sub(r"\s+", " ", text).strip()[:200]
        return f" ({text})" if text else ""

    def _retry_after(self, reply: Reply) -> float | None:
        after = reply.headers.get("retry-after", "").strip()
        if re.fullmatch(r"[0-9]{1,9}", after):
            return max(1.0, float(after))
        try:
            moment = parsedate_to_datetime(after)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(1.0, (moment - self.effects.now()).total_seconds())

    def _answer(self, challenges: list[Challenge]) -> str:
        """The `Authorization` that a challenge asks for; empty where there is nothing to answer it with."""
        known = self._credentials
        for challenge in challenges:
            if challenge.scheme == "bearer" and not (known and known.bearer):
                return f"Bearer {self._token(challenge)}"
            if challenge.scheme == "basic" and known is not None and known.password:
                return known.basic
        return ""

    def _token(self, challenge: Challenge) -> str:
        """Ask the realm for a token, without a name where there is none."""
        if not _is_realm(challenge.realm, self._scheme):
            raise RegistryError(
                f"{self._host} names {challenge.realm[:100]!r} for tokens, which is no {self._scheme} address",
                hint="ask whoever runs the registry",
            )
        scope = scope_for(self._repository, self._actions, challenge.scope)
        wanted = {"service": challenge.service, "scope": scope}
        query = {name: value for name, value in wanted.items() if value}
        known = self._credentials

        def once() -> Reply:
            if known is not None and known.identity_token:
                form = query | {
                    "grant_type": "refresh_token",
                    "refresh_token": known.identity_token,
                    "client_id": "model-preflight",
                }
                kind = {"Content-Type": "application/x-www-form-urlencoded"}
                return self._judged(
                    self._exchange("POST", challenge.realm, kind, _SMALL, None, urlencode(form).encode())
                )
            headers = {"Authorization": known.basic} if known is not None and known.password else {}
            url = f"{challenge.realm}{'&' if '?' in challenge.realm else '?'}{urlencode(query)}"
            return self._judged(self._exchange("GET", url, headers, _SMALL, None, b""))

        return _token_in(self.repeat(once, "a token"), self._host)


def _client(host: str, effects: Effects) -> httpx.Client:
    """Through the proxies and with the authorities that the environment names; to this very machine directly."""
    try:
        return httpx.Client(
            transport=effects.transport or (httpx.HTTPTransport() if is_loopback(host) else None),
            follow_redirects=False,
            headers={"User-Agent": "model-preflight", "Accept-Encoding": "identity"},
        )
    except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
        raise RegistryError(
            f"{host} cannot be asked by what the environment says: {error!s:.200}",
            hint="look at HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY (no SOCKS), SSL_CERT_FILE and SSL_CERT_DIR",
        ) from None


def _is_realm(text: str, scheme: str) -> bool:
    try:
        realm = urlsplit(text)
        return realm.scheme in ("https", scheme) and bool(realm.hostname) and not realm.username
    except ValueError:
        return False


def _token_in(reply: Reply, host: str) -> str:
    try:
        document: Any = json.loads(reply.content)
        token = document.get("token") or document.get("access_token")
    except (ValueError, AttributeError, RecursionError):
        token = None
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]{1,65536}", token):
        raise RegistryError(f"what {host} names for tokens gave none", hint="ask whoever runs the registry")
    return token


def _address(host: str) -> str:
    return "registry-1.docker.io" if host in ("docker.io", "index.docker.io") else host


def _same_server(url: str, base: str) -> bool:
    one, other = httpx.URL(url), httpx.URL(base)
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)
