"""The zygote: imports the libraries once, then forks one locked-down child per job.

It never sees a byte of a model or a sample. It takes orders from the supervisor over a socket, one JSON object
a message: `preload` (import modules), `fork` (start a job; the child's channel comes along as a descriptor), `split`
(start another zygote with all that is imported so far, which takes orders from the socket that comes along), `reap`
(wait for a while, then kill, and tell how the child ended). When the socket closes it kills what is left.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import sys
import time
from typing import Any, Dict, Set

from validator.sandbox.lockdown import prepare

_MAX_MESSAGE = 1 << 20
_CHANNEL = 3  # the descriptor under which a child finds its channel
_POLL_S = 0.002


def serve(fd: int, supervisor: int) -> None:
    """Obey orders from the socket `fd` until it closes or the process `supervisor` ends."""
    gc.disable()  # what is imported stays: looking through it over and over finds nothing
    _follow(supervisor)
    prepare()
    _take_orders(socket.socket(fileno=fd))


def _take_orders(control: socket.socket) -> None:
    children: Set[int] = set()
    try:
        while True:
            data, fds, _, _ = socket.recv_fds(control, _MAX_MESSAGE, 4)
            if not data:
                return
            order = json.loads(data)
            reply = _obey(order, fds, control, children)
            control.send(json.dumps(reply).encode())
    except ConnectionError:
        return  # the supervisor is gone, perhaps before it read an answer
    finally:
        for pid in children:
            _kill(pid)


def _obey(order: Dict[str, Any], fds: Any, control: socket.socket, children: Set[int]) -> Dict[str, Any]:
    if order["op"] == "preload":
        return {"failed": preload(order["modules"]), "python": sys.version.split()[0]}
    if order["op"] in ("fork", "split"):
        pid = _fork(order, fds, control) if order["op"] == "fork" else _split(fds[0], control)
        children.add(pid)
        for fd in fds:
            os.close(fd)
        return {"pid": pid}
    ended = _reap(order["pid"], order["grace_s"])
    children.discard(order["pid"])
    return ended


def _reap(pid: int, grace_s: float) -> Dict[str, Any]:
    """How the child ended: by itself within the grace, else killed."""
    deadline = time.monotonic() + grace_s
    killed = False
    found, status, usage = os.wait4(pid, os.WNOHANG)
    while not found:
        if time.monotonic() >= deadline:
            _kill(pid)
            killed = True
        else:
            time.sleep(_POLL_S)
        found, status, usage = os.wait4(pid, 0 if killed else os.WNOHANG)
    return {
        "status": status,
        "killed": killed,
        "peak_bytes": usage.ru_maxrss * 1024,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
    }


def preload(modules: Any) -> Dict[str, str]:
    """Import what the jobs will need; returns why each missing one could not be."""
    failed = {}
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:  # a broken library may raise anything while it is imported
            failed[name] = f"{type(error).__name__}: {error}"[:500]
    return failed


def _fork(order: Dict[str, Any], fds: Any, control: socket.socket) -> int:
    zygote = os.getpid()
    gc.freeze()  # a child's collector neither walks nor, by walking, copies what all of them share
    pid = os.fork()
    if pid:
        return pid
    gc.enable()
    code = 70
    try:
        control.close()
        _arrange(fds)
        from validator.sandbox.inside.child import run

        run(_CHANNEL, order, zygote)
        code = 0
    finally:
        os._exit(code)  # a child must never return into the zygote's loop
    return 0


def _split(fd: int, control: socket.socket) -> int:
    """Another zygote, which ends with this one."""
    zygote = os.getpid()
    gc.freeze()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        control.close()
        _follow(zygote)
        _take_orders(socket.socket(fileno=fd))
        code = 0
    finally:
        os._exit(code)
    return 0


def _arrange(fds: Any) -> None:
    """The channel at 3, further descriptors after it, standard streams on /dev/null."""
    spare = [os.dup(fd) for fd in fds]
    spare = [fd if fd > 20 else _high(fd) for fd in spare]
    null = os.open(os.devnull, os.O_RDWR)
    for target in (0, 1, 2):
        os.dup2(null, target)
    for i, fd in enumerate(spare):
        os.dup2(fd, _CHANNEL + i)
        os.close(fd)


def _high(fd: int) -> int:
    import fcntl

    moved = fcntl.fcntl(fd, fcntl.F_DUPFD, 32)
    os.close(fd)
    return moved


def _kill(pid: int) -> None:
    """The child's whole process group, or the child alone while it has none of its own yet."""
    for target in (-pid, pid):
        try:
            os.kill(target, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def _follow(parent: int) -> None:
    """Die with the parent, even when it is killed outright (Linux)."""
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
