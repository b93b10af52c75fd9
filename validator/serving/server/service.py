"""The ASGI application: predictions by the shortest way, everything else through Starlette.

Predictions of a few rows are computed on the event loop itself: they take microseconds, less than handing them to a
thread. Larger bodies are read, computed and written in a few threads beside it.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sized
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

from validator.serving.metrics.server import Outcome, ServerMetrics
from validator.serving.server.access import check_token
from validator.serving.server.lease import Lease
from validator.serving.server.limits import Limits
from validator.serving.server.predictor import Form, Predictor, Reply
from validator.serving.server.problem import RequestError, problem_document
from validator.serving.server.requests import RequestReader

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Bodies up to this size are answered on the event loop.
INLINE_BYTES = 32 * 1024
MOST_HEADERS = 200
#: A proxy's stamp that is older is no stamp.
_OLDEST_STAMP_S = 3_600.0
_JSON = (b"content-type", b"application/json")
_BINARY = (b"content-type", b"application/octet-stream")
_CLOSE = (b"connection", b"close")


class Disconnected(Exception):  # noqa: N818 - not an error
    """The caller went away before the request was whole."""


class Service:
    """One model, ready or not, behind HTTP.

    Parameters
    ----------
    predictor, reader, metrics, lease, limits
        What answers, reads, counts and bounds.
    token
        Bearer token that predictions need, None for none.
    rest
        The application for every other path.

    Attributes
    ----------
    tasks
        The requests under way, as the server keeps them; None for an own count.
    is_warm, is_draining
        Whether the model has answered its golden requests, and whether the process is about to end.
    """

    def __init__(
        self,
        *,
        predictor: Predictor,
        reader: RequestReader,
        metrics: ServerMetrics,
        lease: Lease,
        limits: Limits,
        token: str | None,
    ) -> None:
        self.tasks: Sized | None = None
        self.is_warm = False
        self.is_draining = False
        self.lease = lease
        self.metrics = metrics
        self.predictor = predictor
        self.rest: Application | None = None
        self._limits = limits
        self._token = token
        self._own_count = 0
        prefix = secrets.token_hex(6)
        self._ids = (f"{prefix}{n:010x}" for n in itertools.count(1))
        model, version = metrics.served.model, metrics.served.version
        tensors = (reader.tensors, predictor.write_tensors)
        self._forms: dict[str, Form] = {
            f"/v2/models/{model}/infer": tensors,
            f"/v2/models/{model}/versions/{version}/infer": tensors,
            "/predict": (reader.rows, predictor.write_rows),
        }
        self._threads = ThreadPoolExecutor(limits.batches, thread_name_prefix="batch")
        self._turns = asyncio.Semaphore(limits.batches)
        metrics.inflight = self.in_flight
        metrics.lease_expires_s = lease.expires_s

    @property
    def is_ready(self) -> bool:
        """Whether a proxy should send requests here."""
        return self.is_warm and not self.is_draining and not self.lease.is_expired

    def why_not_ready(self) -> str:
        """The reason, as told by `ready`; empty when ready."""
        if self.is_draining:
            return "draining: the process is about to end"
        if not self.is_warm:
            return "warming up"
        return "the lease expired: nobody renewed it" if self.lease.is_expired else ""

    def in_flight(self) -> int:
        """Requests under way."""
        return self._own_count if self.tasks is None else len(self.tasks)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            if scope["method"] == "POST":
                form = self._forms.get(scope["path"])
                if form is not None:
                    await self._predict(scope, receive, send, form)
                    return
            if self.rest is not None:
                await self.rest(scope, receive, self._closing(send) if self.is_draining else send)
        elif scope["type"] == "lifespan" and self.rest is not None:
            await self.rest(scope, receive, send)

    async def _predict(self, scope: Scope, receive: Receive, send: Send, form: Form) -> None:
        started = time.perf_counter()
        prediction_id = next(self._ids)
        headers = dict(scope["headers"])
        self._own_count += 1
        try:
            json_length = self._admit(headers, len(scope["headers"]))
            message = await receive()
            body = message.get("body", b"")
            if message.get("more_body") or len(body) > INLINE_BYTES or message["type"] != "http.request":
                body = await self._rest_of_body(message, receive)
            if len(body) <= INLINE_BYTES:
                reply = self.predictor.compute(form, body, json_length, prediction_id)
            else:
                reply = await self._beside(form, body, json_length, prediction_id)
        except RequestError as error:
            content = orjson.dumps(problem_document(error.kind, error.message, error.hint))
            outcome: Outcome = "shed" if error.status == 503 else "refused"
            reply = Reply(error.status, content, outcome, headers=error.headers)
        except Disconnected:
            return
        finally:
            self._own_count -= 1
        if reply.status != 401:
            self.predictor.settle(reply, prediction_id, _seconds(started, headers.get(b"x-request-start")))
        await self._send(send, reply, prediction_id)

    def _admit(self, headers: Mapping[bytes, bytes], n_headers: int) -> int | None:
        """Look at the head: whether the body is read at all, and where its JSON ends. Raises RequestError."""
        if self._token is not None:
            check_token(self._token, headers.get(b"authorization"))
        if n_headers > MOST_HEADERS:
            raise RequestError(
                f"the request has {n_headers} headers",
                hint=f"send at most {MOST_HEADERS}",
                status=431,
                kind="HeadersTooLargeError",
            )
        if self.in_flight() > self._limits.in_flight:
            raise _busy("too many requests are under way")
        announced = headers.get(b"content-length", b"0")
        if len(announced) > 12 or not announced.isdigit() or int(announced) > self._limits.body_bytes:
            raise _too_large(self._limits.body_bytes)
        if b"content-encoding" in headers and headers[b"content-encoding"] != b"identity":
            raise RequestError(
                "the body is compressed", hint="send it as it is", status=415, kind="UnsupportedEncodingError"
            )
        if b"inference-header-content-length" in headers:
            return _json_length(headers[b"inference-header-content-length"])
        return None

    async def _rest_of_body(self, message: MutableMapping[str, Any], receive: Receive) -> bytes:
        """The whole body. Its being late is the protocol's business: the connection is closed then."""
        most = self._limits.body_bytes
        parts = bytearray()
        while True:
            if message["type"] == "http.disconnect":
                raise Disconnected
            parts += message.get("body", b"")
            if len(parts) > most:
                raise _too_large(most)
            if not message.get("more_body"):
                return bytes(parts)
            message = await receive()

    async def _beside(self, form: Form, body: bytes, json_length: int | None, prediction_id: str) -> Reply:
        """A large request, in a thread, when it is its turn."""
        try:
            await asyncio.wait_for(self._turns.acquire(), self._limits.wait_s)
        except TimeoutError:
            raise _busy("large requests are waiting for their turn") from None
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, self.predictor.compute, form, body, json_length, prediction_id
            )
        finally:
            self._turns.release()

    async def _send(self, send: Send, reply: Reply, prediction_id: str) -> None:
        headers = [
            _JSON if reply.json_length is None else _BINARY,
            (b"content-length", str(len(reply.body)).encode()),
            (b"x-prediction-id", prediction_id.encode()),
            *reply.headers,
        ]
        if reply.json_length is not None:
            headers.append((b"inference-header-content-length", str(reply.json_length).encode()))
        if self.is_draining or reply.status in (413, 503):
            headers.append(_CLOSE)
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    def _closing(self, send: Send) -> Send:
        async def wrapped(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), _CLOSE]}
            await send(message)

        return wrapped


def _seconds(started: float, stamp: bytes | None) -> float:
    """How long the request took: from the proxy's arrival stamp where there is a plausible one."""
    elapsed = time.perf_counter() - started
    if stamp is None:
        return elapsed
    since = time.time() - _stamp_s(stamp)
    return max(elapsed, since) if since <= _OLDEST_STAMP_S else elapsed


def _stamp_s(stamp: bytes) -> float:
    """Seconds since 1970 of `t=…` or a plain number of seconds, milliseconds, microseconds or nanoseconds; else 0."""
    text = stamp.removeprefix(b"t=")
    if len(text) > 25 or not text.replace(b".", b"", 1).isdigit():
        return 0.0
    number = float(text)
    while number > 1e11:
        number /= 1e3
    return number


def _json_length(value: bytes) -> int:
    if len(value) > 12 or not value.isdigit():
        raise RequestError("Inference-Header-Content-Length is no number", hint="give the length of the JSON")
    return int(value)


def _too_large(most: int) -> RequestError:
    return RequestError(
        f"the body is larger than {most:,} bytes",
        hint="send several requests",
        status=413,
        kind="BodyTooLargeError",
    )


def _busy(why: str) -> RequestError:
    return RequestError(
        why,
        hint="try again in a second, or let more replicas serve",
        status=503,
        kind="OverloadedError",
        headers=((b"retry-after", b"1"),),
    )
