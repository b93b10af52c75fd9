"""A supervisor, a zygote and a worker per attack, as small as they can be: `python cell.py {"lock": true}`.

The supervisor holds a token in its environment, and what an attacker looks for lies around it. It starts a zygote
without the token, which forks a child for each attack; the child locks itself down and attacks. After each, the
supervisor looks at everything that could have been harmed and prints a line of JSON.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parents[2])]

import exhaustion_attacks  # noqa: E402, F401 - each registers its attacks
import file_attacks  # noqa: E402, F401
import kernel_attacks  # noqa: E402, F401
import network_attacks  # noqa: E402, F401
import process_attacks  # noqa: E402, F401
from stage import ATTACKS, CPU_LIMIT, World  # noqa: E402

from validator.sandbox.lockdown import LockdownPolicy, apply, landlock, protect_supervisor, worker_exit  # noqa: E402

TOKEN = "canary-of-the-supervisor"
_SECONDS = 60
_MARK = b"\n\x00end\n"


class Supervisor:
    """The world around the workers, and whether it is still as it was."""

    def __init__(self, root: Path) -> None:
        self.workspace, self.outside = root / "workspace", root / "outside"
        self.signals: list[int] = []
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGHUP, signal.SIGCONT):
            signal.signal(number, lambda number, _: self.signals.append(number))
        protect_supervisor(["PREFLIGHT_TOKEN"])
        self.workspace.mkdir()
        (self.workspace / "canary").write_text(f"canary file: {TOKEN}")
        self.tcp, self.udp = socket.create_server(("127.0.0.1", 0)), socket.socket(type=socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.engine, self.abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        self.engine.bind(str(root / "engine.sock"))
        (root / "engine.sock").chmod(0o777)
        self.abstract.bind(f"\0preflight-{os.getpid()}")
        for server in (self.engine, self.abstract):
            server.listen()
        for server in (self.tcp, self.udp, self.engine, self.abstract):
            server.setblocking(False)
        self.bystander = self._start_bystander()
        self.niceness = os.getpriority(os.PRIO_PROCESS, 0)
        self.limits, self.affinity = _limits(os.getpid()), os.sched_getaffinity(0)
        self.restore()

    def _start_bystander(self) -> Any:
        program = [sys.executable, "-I", "-c", "import time; time.sleep(3600)"]
        return subprocess.Popen(program, cwd=self.workspace, env={"SECRET": TOKEN})

    def restore(self) -> None:
        """The folder outside the scratch as it is before each attack."""
        shutil.rmtree(self.outside, ignore_errors=True)
        (self.outside / "empty").mkdir(parents=True)
        (self.outside / "existing").write_text("precious")
        for server in (self.tcp, self.engine, self.abstract):
            while _is_waiting(server):
                server.accept()[0].close()
        while _is_waiting(self.udp):
            self.udp.recv(100)
        if self._changed(self.bystander.pid):
            self.bystander.kill()
            self.bystander.wait()
            self.bystander = self._start_bystander()
        for path in (self.outside, self.outside / "existing", self.outside / "empty"):
            path.chmod(0o755)
        self.before = self._state()

    def _state(self) -> Any:
        files = [
            self.workspace,
            *sorted(self.workspace.rglob("*")),
            self.outside,
            *sorted(self.outside.rglob("*")),
        ]
        facts = [(path, path.lstat()) for path in files]
        described = [
            (str(path), s.st_mode, s.st_uid, s.st_gid, s.st_size, s.st_nlink, s.st_mtime_ns)
            for path, s in facts
        ]
        return described, [os.listxattr(path, follow_symlinks=False) for path in files]

    def harm(self) -> list[str]:
        """All that is no longer as it was."""
        found = [f"the supervisor received signal {number}" for number in self.signals]
        self.signals.clear()
        if self._state() != self.before:
            found.append("files outside the scratch were touched")
        sockets = {"tcp": self.tcp, "udp": self.udp, "engine": self.engine, "abstract": self.abstract}
        found += [
            f"something arrived at the {name} socket"
            for name, server in sockets.items()
            if _is_waiting(server)
        ]
        for who, pid in (("supervisor", os.getpid()), ("bystander", self.bystander.pid)):
            found += [f"{who}: {fact}" for fact in self._changed(pid)]
        return found

    def _changed(self, pid: int) -> list[str]:
        if pid != os.getpid() and self.bystander.poll() is not None:
            return ["was killed"]
        found = []
        status = Path(f"/proc/{pid}/status").read_text()
        if "TracerPid:\t0\n" not in status or "State:\tT" in status or "State:\tt" in status:
            found.append("is traced or stopped")
        if (
            os.getpriority(os.PRIO_PROCESS, pid) != self.niceness
            or os.sched_getscheduler(pid) != os.SCHED_OTHER
        ):
            found.append("was given another priority")
        if os.sched_getaffinity(pid) != self.affinity:
            found.append("was pinned")
        if _limits(pid) != self.limits:
            found.append("was given other limits")
        return found


def _is_waiting(server: socket.socket) -> bool:
    return bool(select.select([server], [], [], 0)[0])


def _limits(pid: int) -> list[tuple[int, int]]:
    import resource

    return [
        resource.prlimit(pid, kind)
        for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_CPU, resource.RLIMIT_AS)
    ]


def supervise(options: dict[str, Any]) -> None:
    root = Path(tempfile.mkdtemp(prefix="preflight-cell-"))
    root.chmod(0o711)
    supervisor = Supervisor(root)
    zygote = subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve()), json.dumps({**options, "zygote": True})],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONDONTWRITEBYTECODE": "1", "OWN": TOKEN},
    )
    try:
        for name in options.get("only", sorted(ATTACKS)):
            scratch = root / f"scratch-{name}"
            scratch.mkdir()
            world = World(
                canary_file=str(supervisor.workspace / "canary"),
                outside=str(supervisor.outside),
                scratch=str(scratch),
                supervisor=os.getpid(),
                zygote=zygote.pid,
                bystander=supervisor.bystander.pid,
                tcp_port=supervisor.tcp.getsockname()[1],
                udp_port=supervisor.udp.getsockname()[1],
                unix_path=str(root / "engine.sock"),
                abstract_name=f"preflight-{os.getpid()}",
                channel=30,
            )
            print(json.dumps({"attack": name, "world": asdict(world)}), file=zygote.stdin, flush=True)
            result = json.loads(zygote.stdout.readline())
            result["leaked"] = TOKEN in result["answer"] or any(
                TOKEN.encode() in path.read_bytes() for path in scratch.rglob("*") if path.is_file()
            )
            result["odd_files"] = [
                p.name for p in scratch.rglob("*") if p.is_symlink() or not (p.is_file() or p.is_dir())
            ]
            print(json.dumps({**result, "attack": name, "harm": supervisor.harm()}), flush=True)
            supervisor.restore()
    finally:
        supervisor.bystander.kill()
        zygote.kill()
        shutil.rmtree(root, ignore_errors=True)


def breed(options: dict[str, Any]) -> None:
    """The zygote: a child for each line on standard input, an answer for each on standard output."""
    known = landlock.abi()
    landlock.abi = lambda: min(known, options.get("abi", known))  # as an older kernel would have it
    for line in sys.stdin:
        order = json.loads(line)
        world = World(**order["world"])
        left_open = os.open(world.canary_file, os.O_RDONLY)
        ours, theirs = socket.socketpair()
        policy = LockdownPolicy(
            scratch=world.scratch,
            keep_fds=(world.channel,),
            memory_bytes=512 << 20,
            cpu_seconds=1 if CPU_LIMIT in ATTACKS[order["attack"]].ends else 600,
            file_bytes=8 << 20,
            max_threads=16,
            parent_pid=os.getpid(),
        )
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            _attack(order["attack"], world, policy if options["lock"] else None, theirs.detach())
        theirs.close()
        answer = _receive(ours, pid)
        _, status, usage = os.wait4(pid, 0)
        ended = worker_exit.explain(
            status,
            policy=policy,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_bytes=usage.ru_maxrss * 1024,
            timed_out=time.monotonic() - started > _SECONDS,
        )
        for fd in (left_open, ours.detach()):
            os.close(fd)
        print(json.dumps({"answer": answer, "cause": ended.cause, "message": ended.message}), flush=True)


def _receive(channel: socket.socket, pid: int) -> str:
    """What the child says until it closes the channel, or for as long as it may run."""
    said, deadline = b"", time.monotonic() + _SECONDS
    while time.monotonic() < deadline and len(said) < 1 << 20 and not said.endswith(_MARK):
        if select.select([channel], [], [], 0.2)[0]:
            part = channel.recv(1 << 16)
            if not part:
                return said.decode("latin-1")
            said += part
    if not said.endswith(_MARK):
        os.kill(pid, signal.SIGKILL)
    return said.removesuffix(_MARK).decode("latin-1")


def _attack(name: str, world: World, policy: LockdownPolicy | None, channel: int) -> None:
    """In the child. Never returns."""
    os.dup2(channel, world.channel)
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    try:
        if policy is None:
            os.chdir(world.scratch)
        else:
            report = apply(policy)
            _say(world, {"report": report.to_json()})
            if not report.contained:
                os._exit(3)
        _say(world, {"got": repr(ATTACKS[name].run(world))[:10_000]})
    except Exception as error:  # whatever stopped the attack is the result
        _say(world, {"refused": f"{type(error).__name__}: {error}"[:500]})
    finally:
        os.write(world.channel, _MARK)
        os._exit(0)


def _say(world: World, message: dict[str, Any]) -> None:
    os.write(world.channel, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    (breed if settings.get("zygote") else supervise)(settings)
