"""HTTP under the application: bounded patience with slow callers, and an end that loses no answer."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from validator.serving.server.limits import Limits
from validator.serving.server.service import Application, Service


def _closing(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    return head % (status, len(body)) + body


_LATE = _closing(
    b"408 Request Timeout",
    b'{"error":"the request was not whole in time","type":"TimeoutError","hint":"send it at once"}',
)
_LONG = _closing(
    b"431 Request Header Fields Too Large",
    b'{"error":"the headers are too long","type":"HeadersTooLargeError","hint":"send fewer, or shorter ones"}',
)
#: More bytes than this without an end of a head, or anything of a body, are refused.
_HEAD_BYTES = 64 * 1024
#: Idle connections are kept longer than proxies keep theirs, so that it is the proxy who closes them.
_KEEP_ALIVE_S = 75
_LOOK_EVERY_S = 0.5
_KNOCKS = 100
_MOMENT_S = 2.0


class OnePacket:
    """A transport that sends the head of an answer together with what follows it: one system call, one packet."""

    __slots__ = ("_held", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held = b""

    def write(self, data: bytes) -> None:
        """Hold back a head; send anything else, with the head before it."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.writelines((held, data))
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1"):
            self._held = data
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Send a head that nothing follows."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)

    def close(self) -> None:
        """Send what is held, then close."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which also knows since when a request has been arriving, and an answer leaving."""

    _pending = 0
    _owed: tuple[str, int] | None = None
    _since = 0.0
    _stuck_since: float | None = None

    def connection_made(self, transport: Any) -> None:
        """A new connection owes us a request."""
        self.packets = OnePacket(transport)
        super().connection_made(self.packets)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """What came; a head that does not end is refused before it fills the memory."""
        self._pending += len(data)
        super().data_received(data)
        if self._pending > _HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_LONG)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._pending = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body came."""
        self._pending = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        """An answer was written, perhaps without a body."""
        self.packets.flush()
        super().on_response_complete()

    def give_up_if_late(self, now: float, patience_s: float) -> None:
        """Close a connection whose request has not come in time, or whose caller does not take the answer.

        Looked at now and then, so that requests which come in time pay nothing for it.
        """
        if self.transport.is_closing() and not self.transport.get_write_buffer_size():
            return
        owed = self._is_owed()
        if owed is None or owed != self._owed:
            self._owed, self._since = owed, now
        elif now - self._since > patience_s:
            if owed[0] == "body" and not self.cycle.response_started:
                self.transport.write(_LATE)
            self.transport.close()
        if not self.transport.get_write_buffer_size():
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = now
        elif now - self._stuck_since > 3 * patience_s:
            self.transport.abort()

    def _is_owed(self) -> tuple[str, int] | None:
        """What the caller has yet to send: the rest of a body, or a request; None while it waits for us, or idles."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            return ("body", id(cycle)) if cycle.more_body else None
        return ("head", id(cycle)) if self.timeout_keep_alive_task is None else None


class DrainingServer(uvicorn.Server):
    """On SIGTERM first says that it is not ready, goes on answering for `drain_s`, and only then closes.

    Each answer of that time closes its connection, so that callers go elsewhere of their own accord. A second signal
    ends the waiting.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        listening: socket.socket,
        *,
        drain_s: float,
        limits: Limits,
    ) -> None:
        super().__init__(config)
        self._listening = listening
        self._service = service
        self._drain_s = drain_s
        self._limits = limits
        service.tasks = self.server_state.tasks

    async def main_loop(self) -> None:
        """Serve, then drain."""
        watch = asyncio.create_task(self._watch())
        try:
            await super().main_loop()
            self._service.is_draining = True
            self.should_exit = False
            end = asyncio.get_running_loop().time() + self._drain_s
            while asyncio.get_running_loop().time() < end and not self.should_exit:
                await asyncio.sleep(0.05)
            await self._turn_away()
            await self._hear_out()
        finally:
            watch.cancel()

    async def _turn_away(self) -> None:
        """Let nobody new in, without dropping those who are in already and were not seen yet.

        Closing a listening socket resets the connections that wait in it, requests and all. So its queue is made to
        hold one, and it is closed in the moment in which that one is ours. Who knocks meanwhile is refused when he
        knocks again. It is so on Linux; elsewhere the moment is simply short. (A packet filter would do as well, but
        newer kernels let only administrators of the network set one.)
        """
        with contextlib.suppress(OSError):
            self._listening.listen(0)
            for _ in range(_KNOCKS):
                if _fills_queue_alone(self._listening):
                    break
                await asyncio.sleep(0.002)  # those who stand there are let in
        for server in self.servers:
            server.close()

    async def _hear_out(self) -> None:
        """Who had been let in by then gets a moment to ask: closing on a request that is on its way resets it."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _MOMENT_S
        await asyncio.sleep(0.1)
        while loop.time() < end and any(one.cycle is None for one in self._patient()):
            await asyncio.sleep(0.02)

    def _patient(self) -> list[PatientProtocol]:
        return [one for one in self.server_state.connections if isinstance(one, PatientProtocol)]

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM and SIGINT: begin to drain; the second one ends the draining."""
        del sig, frame
        self.should_exit = True

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            for connection in self._patient():
                connection.give_up_if_late(loop.time(), self._limits.read_s)


def _fills_queue_alone(listening: socket.socket) -> bool:
    """Whether a connection of our own came to stand in a queue that holds one: nobody else does then, or can."""
    with socket.socket(listening.family, socket.SOCK_STREAM) as own:
        own.setblocking(False)
        own.connect_ex(listening.getsockname())
        with contextlib.suppress(OSError):  # it was not let in, as somebody else stands there
            own.getpeername()
            return True
        return False


def bind(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
    except OSError:
        found.close()
        raise
    return found


def run(
    application: Application,
    service: Service,
    listening: socket.socket,
    *,
    limits: Limits,
    drain_s: float,
    started: Callable[[], None],
) -> None:
    """Serve until a signal, and return when everything is answered. `started` is called when requests are taken."""
    config = uvicorn.Config(
        application,
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=limits.connections,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=30,
        backlog=512,
    )
    server = DrainingServer(config, service, listening, drain_s=drain_s, limits=limits)

    async def serve() -> None:
        config.load()
        task = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started and not task.done():
            await asyncio.sleep(0.005)
        if server.started:
            started()
        await task

    gc.collect()
    gc.freeze()  # what was loaded stays: no collection looks through it again
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(serve())
