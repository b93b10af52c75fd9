"""The zygote: imports the libraries once, then forks one locked-down child per job.

It never sees a byte of a model or a sample. It takes orders from the supervisor over a socket, one JSON object
a message: `preload` (import modules), `fork` (start a job; the child's channel comes along as a descriptor),
`reap` (kill if asked, then wait, and tell how the child ended). When the socket closes it kills what is left.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import sys
from typing import Any, Dict, Set

_MAX_MESSAGE = 1 << 20
_CHANNEL = 3  # the descriptor under which a child finds its channel


def serve(fd: int) -> None:
    """Obey orders from the socket `fd` until it closes."""
    control = socket.socket(fileno=fd)
    children: Set[int] = set()
    _follow_parent()
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
    if order["op"] == "fork":
        pid = _fork(order, fds, control)
        children.add(pid)
        for fd in fds:
            os.close(fd)
        return {"pid": pid}
    pid = order["pid"]
    if order["kill"]:
        _kill(pid)
    _, status, usage = os.wait4(pid, 0)
    children.discard(pid)
    return {
        "status": status,
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
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        control.close()
        _arrange(fds)
        from validator.worker.child import run

        run(_CHANNEL, order)
        code = 0
    except BaseException as error:  # a child must never return into the zygote's loop
        os.write(2, f"worker: {type(error).__name__}: {error}\n"[:2000].encode("utf-8", "replace"))
    finally:
        os._exit(code)
    return 0


def _arrange(fds: Any) -> None:
    """The channel at 3, further descriptors after it, standard streams on /dev/null."""
    spare = [os.dup(fd) for fd in fds]
    spare = [fd if fd > 20 else _high(fd) for fd in spare]
    null = os.open(os.devnull, os.O_RDWR)
    for target in (0, 1) if os.environ.get("PREFLIGHT_WORKER_STDERR") else (0, 1, 2):
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


def _follow_parent() -> None:
    """Die with the supervisor, even when it is killed outright (Linux)."""
    if sys.platform.startswith("linux"):
        import ctypes

        parent = os.getppid()
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
