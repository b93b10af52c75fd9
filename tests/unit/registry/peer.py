"""A registry in memory, as a transport: what `distribution` answers, and where a test says so, what a liar does."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx

from validator.answers import Effects
from validator.registry.claiming import Clock
from validator.registry.reference import parse
from validator.registry.remote.credentials import Credentials
from validator.registry.remote.repository import RemoteRepository

PLACE = "oci://registry.example/models/churn"
_UPLOAD = "/v2/models/churn/blobs/uploads/"
Lie = Callable[[httpx.Request, httpx.Response], httpx.Response]


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Peer(httpx.BaseTransport):
    """`auth` is `none`, `basic` or `token`; `before` sees each request first, `lie` changes what is answered."""

    auth: str = "none"
    password: str = "secret"
    page: int = 1000
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)
    before: Callable[[httpx.Request], httpx.Response | None] | None = None
    lie: Lie | None = None
    deletion: bool = True
    time: float = 0.0
    waits: list[float] = field(default_factory=list)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        early = self.before(request) if self.before is not None else None
        answer = early or self._answer(request)
        return _on_the_wire(self.lie(request, answer) if self.lie is not None else answer)

    def repository(self, place: str = PLACE, credentials: Credentials | None = None) -> RemoteRepository:
        return RemoteRepository(parse(place), credentials=credentials, effects=self.effects(), deadline_s=600)

    def effects(self) -> Effects:
        return Effects(transport=self, clock=lambda: self.time, now=self.now, sleep=self.sleep)

    def clock(self) -> Clock:
        return Clock(now=self.now, seconds=lambda: self.time, sleep=self.sleep)

    def now(self) -> datetime:
        return datetime(2026, 11, 29, tzinfo=UTC) + timedelta(seconds=self.time)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds

    def paths(self, method: str) -> list[str]:
        return [request.url.path for request in self.requests if request.method == method]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/token":
            return self._token(request)
        if (refused := self._refused(request)) is not None:
            return refused
        if path.startswith(_UPLOAD):
            return self._upload(request)
        if (match := re.fullmatch(r"/v2/models/churn/blobs/(.+)", path)) is not None:
            return self._blob(request, match[1])
        if (match := re.fullmatch(r"/v2/models/churn/manifests/(.+)", path)) is not None:
            return self._manifest(request, match[1])
        if path == "/v2/models/churn/tags/list":
            return self._list(request)
        return error(404, "NAME_UNKNOWN")

    def _refused(self, request: httpx.Request) -> httpx.Response | None:
        given = request.headers.get("authorization", "")
        if self.auth == "basic" and given != httpx.BasicAuth("anna", self.password)._auth_header:
            return error(401, "UNAUTHORIZED", {"www-authenticate": 'Basic realm="churn"'})
        wanted = "pull" if request.method in ("GET", "HEAD") else "pull,push"
        if self.auth == "token" and given not in ("Bearer t-pull,push", f"Bearer t-{wanted}"):
            scope = f'scope="repository:models/churn:{wanted}"'
            realm = 'Bearer realm="https://auth.example/token",service="registry.example"'
            return error(401, "UNAUTHORIZED", {"www-authenticate": f"{realm},{scope}"})
        return None

    def _token(self, request: httpx.Request) -> httpx.Response:
        right = request.headers.get("authorization") == httpx.BasicAuth("anna", self.password)._auth_header
        scope = request.url.params["scope"].rpartition(":")[2]
        if not right and scope != "pull":
            return error(401, "UNAUTHORIZED")
        return httpx.Response(200, json={"token": f"t-{scope}", "expires_in": 60})

    def _upload(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(202, headers={"location": f"{_UPLOAD}some-session?state=1"})
        content = request.content
        if request.url.params["digest"] != digest_of(content):
            return error(400, "DIGEST_INVALID")
        self.blobs[digest_of(content)] = content
        return httpx.Response(201)

    def _blob(self, request: httpx.Request, digest: str) -> httpx.Response:
        if digest not in self.blobs:
            return error(404, "BLOB_UNKNOWN")
        content = self.blobs[digest]
        return httpx.Response(
            200, headers={"content-length": str(len(content))}, content=_body(request, content)
        )

    def _manifest(self, request: httpx.Request, reference: str) -> httpx.Response:
        if request.method == "PUT":
            content = request.content
            blobs = [json.loads(content)["config"], *json.loads(content)["layers"]]
            if any(blob["digest"] not in self.blobs for blob in blobs):
                return error(404, "MANIFEST_BLOB_UNKNOWN")
            self.manifests[digest_of(content)] = content
            self.tags[reference] = digest_of(content)
            return httpx.Response(201)
        digest = reference if reference.startswith("sha256:") else self.tags.get(reference, "")
        if digest not in self.manifests:
            return error(404, "MANIFEST_UNKNOWN")
        if request.method == "DELETE":
            if not self.deletion:
                return error(405, "UNSUPPORTED")
            del self.manifests[digest]
            self.tags = {tag: named for tag, named in self.tags.items() if named != digest}
            return httpx.Response(202)
        content = self.manifests[digest]
        headers = {"docker-content-digest": digest, "content-length": str(len(content))}
        return httpx.Response(200, headers=headers, content=_body(request, content))

    def _list(self, request: httpx.Request) -> httpx.Response:
        if not self.tags and not self.manifests:
            return error(404, "NAME_UNKNOWN")
        size = min(self.page, int(request.url.params.get("n", 100)))
        after = request.url.params.get("last", "")
        rest = sorted(tag for tag in self.tags if tag > after)
        headers = {}
        if len(rest) > size:
            headers["link"] = f'</v2/models/churn/tags/list?n={size}&last={rest[size - 1]}>; rel="next"'
        return httpx.Response(200, headers=headers, json={"name": "models/churn", "tags": rest[:size]})


def _body(request: httpx.Request, content: bytes) -> bytes:
    return b"" if request.method == "HEAD" else content


def error(status: int, code: str, headers: dict[str, str] | None = None) -> httpx.Response:
    document = {"errors": [{"code": code, "message": f"no: {code}"}]}
    return httpx.Response(status, headers=headers, json=document)


def _on_the_wire(answer: httpx.Response) -> httpx.Response:
    """The same, its body not read yet."""
    if not answer.is_stream_consumed:
        return answer
    return httpx.Response(answer.status_code, headers=answer.headers, stream=_Once(answer.content))


class _Once(httpx.SyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content


class Drip(httpx.SyncByteStream):
    """A body in parts, as slow as its clock says; endless where nothing ends it."""

    def __init__(self, peer: Peer, part: bytes, *, seconds: float = 0.0, count: int = 10**9) -> None:
        self._peer, self._part, self._seconds, self._count = peer, part, seconds, count
        self.sent = 0

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self._count):
            self._peer.time += self._seconds
            self.sent += len(self._part)
            yield self._part
