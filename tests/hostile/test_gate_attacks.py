"""Hostile pickles through the real command: refused without `--trust-pickle`, and harmless with it.

No attack reads a canary, opens a socket, writes outside its scratch or touches another process; none makes a model
pass that would fail; each ends in a finding that names what happened.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from gate_attempts import ATTEMPTS
from gate_pickles import RAN, honest_rows, hostile_pickle

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Landlock and seccomp")

_ROOT = Path(__file__).parents[2]
_CANARY = "canary-6b1f0c"
_SECRETS = (
    "GITHUB_TOKEN",
    "INPUT_GITHUB-TOKEN",
    "INPUT_GITHUB_TOKEN",
    "PREFLIGHT_GITHUB_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
)
_COMMAND = "::error::forged by the model"
#: Where the process id of the command goes: it is known only once the command starts.
UNKNOWN_PID = b"@@@@@@@"
_QUICK = ("--latency-budget-s", "0.3", "--baseline", "none")


@dataclass
class Scene:
    """A workspace with canaries in it and around it, a server and a bystander: what an attack could reach."""

    root: Path
    server: socket.socket
    bystander: subprocess.Popen[bytes]
    change: dict[str, Any] = field(default_factory=dict)

    @property
    def workspace(self) -> Path:
        return self.root / "workspace"

    @property
    def stray(self) -> list[Path]:
        """Files that nobody else makes, where anybody may write."""
        return [Path(folder) / f"taken-{self.root.name}" for folder in ("/dev/shm", "/tmp", "/var/tmp")]

    def world(self) -> dict[str, Any]:
        work, root = self.workspace, self.root
        return {
            "supervisor": UNKNOWN_PID.decode(),
            "bystander": self.bystander.pid,
            "port": self.server.getsockname()[1],
            "workspace": str(self.workspace),
            "canaries": [str(path) for path in (work / "canary", root / "canary", work / ".git" / "config")],
            "outside": [str(path) for path in (work / "taken", root / "precious", work / "sample.csv")],
            "stray": [str(path) for path in self.stray],
            "command": f"\n{_COMMAND}\n##[error]{_COMMAND}\n",
        }

    def validate(self, code: str, *flags: str, trust: bool = True) -> Ran:
        """The real command on a pickle that runs the code."""
        (self.workspace / "model.pkl").write_bytes(hostile_pickle(code, self.world()))
        trusted = ("--trust-pickle", "a test of the isolation") if trust else ()
        return self.run("validate", "model.pkl", "--data", "sample.csv", *trusted, *_QUICK, *flags)

    def run(self, *arguments: str) -> Ran:
        kept = {
            name: os.environ[name]
            for name in ("PATH", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
            if name in os.environ
        }
        done = subprocess.run(
            [sys.executable, "-m", "validator.cli", *arguments],
            cwd=self.workspace,
            env={**kept, "PYTHONPATH": str(_ROOT), **dict.fromkeys(_SECRETS, _CANARY)},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
            preexec_fn=self._name_the_supervisor,
            **self.change,
        )
        return Ran(done.returncode, done.stdout, done.stderr, self.workspace / "preflight")

    def _name_the_supervisor(self) -> None:
        """In the child that becomes the command: its process id goes into the attack's world."""
        path = self.workspace / "model.pkl"
        path.write_bytes(path.read_bytes().replace(UNKNOWN_PID, b"%07d" % os.getpid()))

    def harm(self) -> list[str]:
        """What is no longer as it was, and where a canary has got to."""
        found = []
        self.server.setblocking(False)
        try:
            self.server.accept()
            found.append("somebody connected")
        except BlockingIOError:
            pass
        if (
            self.bystander.poll() is not None
            or "\nState:\tT" in Path(f"/proc/{self.bystander.pid}/status").read_text()
        ):
            found.append("the bystander was signalled")
        if (self.root / "precious").read_text() != "precious" or (self.workspace / "taken").exists():
            found.append("a file outside was written")
        written = (path for path in (self.workspace / "preflight").rglob("*") if path.is_file())
        found += [f"{path} was written" for path in self.stray if path.exists()]
        found += [f"{path} gives it away" for path in written if _CANARY in path.read_text(errors="replace")]
        return found


@dataclass
class Ran:
    """How the command ended."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def is_judged(self) -> bool:
        return (self.folder / "result.json").exists()

    @property
    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "result.json").read_text())
        return found

    def check(self, id: str, runtime: str = "") -> dict[str, Any]:
        return next(c for c in self.result["checks"] if c["id"] == id and c["runtime"] == runtime)

    def failing(self) -> dict[str, str]:
        """Messages of required checks that failed or erred, by id and runtime."""
        return {
            check["id"] + (f"/{check['runtime']}" if check["runtime"] else ""): check["message"]
            for check in self.result["checks"]
            if check["status"] in ("fail", "error") and check["required"]
        }

    def ends(self, place: str, *words: str) -> None:
        """The run failed, in that check, in these words; and nothing it printed came from the model's own hand."""
        assert self.code == 1, self.err
        message = self.failing()[place]
        assert all(word in message for word in words), message
        assert self.result["verdict"] == "fail"
        assert "Traceback" not in self.out + self.err
        assert _CANARY not in self.out + self.err


_ANOTHER = 23456


def _as(who: str) -> dict[str, Any]:
    """What makes a subprocess run as that user."""
    if who == "as_is":
        return {}
    if os.geteuid() != 0:
        pytest.skip("only root can start a process as another user")
    change = {"user": _ANOTHER, "group": _ANOTHER, "extra_groups": []}
    try:
        readable = subprocess.run([sys.executable, "-c", "import sklearn"], capture_output=True, **change)
    except OSError:
        pytest.skip("another user cannot run this interpreter")
    if readable.returncode:
        pytest.skip("another user cannot read this interpreter's libraries")
    return change


@pytest.fixture
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    change = _as(getattr(request, "param", "as_is"))
    with tempfile.TemporaryDirectory(prefix="scene-") as folder:
        yield from _scene(Path(folder), change)


def _scene(root: Path, change: dict[str, Any]) -> Iterator[Scene]:
    workspace = root / "workspace"
    (workspace / ".git").mkdir(parents=True)
    for canary in (workspace / "canary", root / "canary", workspace / ".git" / "config"):
        canary.write_text(_CANARY)
    (root / "precious").write_text("precious")
    (root / "precious").chmod(0o666)
    honest_rows().to_csv(workspace / "sample.csv", index=False)
    (workspace / "model.pkl").touch()
    if change:
        for path in (root, *root.rglob("*")):
            os.chown(path, _ANOTHER, _ANOTHER)
    server = socket.create_server(("127.0.0.1", 0))
    bystander = subprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(600)"], **change)
    found = Scene(root, server, bystander, change)
    try:
        yield found
        assert found.harm() == []
    finally:
        server.close()
        bystander.kill()
        bystander.wait()


USERS = pytest.mark.parametrize("scene", ["as_is", "another_user"], indirect=True)


@USERS
def test_without_trust_it_is_refused_by_name_place_and_remedy(scene: Scene) -> None:
    ran = scene.validate("open(world['canaries'][0] + '.ran', 'w')", trust=False)
    ran.ends("load.safety", "builtins.eval", "at byte")
    assert ran.check("load.safety")["hint"]
    assert len([check for check in ran.result["checks"] if check["status"] == "pass"]) < 5


@USERS
def test_no_attempt_from_inside_a_worker_gets_anything(scene: Scene) -> None:
    ran = scene.validate(ATTEMPTS + "\ntell([got, len(refused)])")
    ran.ends("load.model/native", RAN)
    told = ran.check("load.model", "native")["message"].split(RAN + ": ")[1]
    assert told.startswith("[{}, "), told
    assert int(told[5:].rstrip("]")) > 80
    assert ran.check("load.safety")["status"] == "warn"
    assert "a test of the isolation" in ran.check("load.safety")["message"]
    assert _COMMAND not in ran.out + ran.err


def test_the_attempts_succeed_where_nothing_is_locked_down(scene: Scene) -> None:
    """Without the control the test above would pass for attempts that could never work."""
    world = {**scene.world(), "supervisor": os.getpid(), "outside": [str(scene.root / "own")]}
    program = (
        "import json, os, sys, threading\nfd = 3\nworld = json.loads(sys.argv[1])\n"
        "os.fork = os.killpg = os.kill = os.setpriority = os.sched_setaffinity = lambda *_: 1 / 0\n"
        "threading.Thread.start = lambda self: 1 / 0\n" + ATTEMPTS + "\nprint(json.dumps(sorted(got)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(world)],
        cwd=scene.root,
        env={"GITHUB_TOKEN": _CANARY},
        capture_output=True,
        text=True,
        check=True,
    )
    got = set(json.loads(done.stdout.splitlines()[-1]))
    wanted = {f"read {path}" for path in world["canaries"]} | {
        "environment",
        "read /proc/self/environ",
        "connect",
    }
    assert wanted | {"list processes", "link", "fifo", "socket pair", f"write {scene.root / 'own'}"} <= got
    scene.server.accept()[0].close()
    for made in (*scene.stray, scene.root.parent / "taken"):
        made.unlink(missing_ok=True)


FATAL = {
    "exec": ("os.execv('/bin/true', ['true'])", "seccomp"),
    "ptrace": ("import ctypes; ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0); tell('lived')", "seccomp"),
    "segfault": ("import ctypes; ctypes.string_at(0)", "crashed (SIGSEGV)"),
    "abort": ("os.abort()", "crashed (SIGABRT)"),
    "exit": ("os._exit(0)", "ended with exit code 0"),
    "polite exit": ("sys.exit(0)", "SystemExit"),
    "memory": ("hoard = [bytearray(1 << 26) for _ in range(10_000)]", "memory"),
    "recursion": ("f = lambda: f()\nf()", "RecursionError"),
    "sleep": (
        "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)",
        "time limit of 10 s",
    ),
    "spin": ("while True: pass", "time limit of 10 s"),
    "closed channel": ("import time; os.close(fd); time.sleep(600)", "closed its channel"),
    "flood": ("while True: os.write(fd, b'x' * 65536)", "malformed answer"),
    "huge header": (
        "os.write(fd, b'MPF1' + b'\\xff' * 12); import time; time.sleep(600)",
        "beyond the limit",
    ),
    "huge body": (
        "os.write(fd, b'MPF1' + b'\\x02\\0\\0\\0' + b'\\0\\0\\0\\0\\x01\\0\\0\\0' + b'{}')\n"
        "while True: os.write(fd, bytes(1 << 16))",
        "beyond the limit",
    ),
    "drip": ("import time\nwhile True: os.write(fd, b'M'); time.sleep(0.3)", "time limit of 10 s"),
}
#: The rest takes longer or says nothing new; all of them run in `make test-long`.
_SOON = ("exec", "memory", "sleep", "closed channel")


@pytest.mark.parametrize(
    "name", [name if name in _SOON else pytest.param(name, marks=pytest.mark.long) for name in FATAL]
)
def test_a_worker_that_dies_or_hangs_is_a_failed_check_with_its_cause(scene: Scene, name: str) -> None:
    code, words = FATAL[name]
    # Long enough for every other step on a busy machine: only what hangs reaches it.
    seconds = "10" if "10 s" in words else "60"
    ran = scene.validate(code, "--worker-timeout-s", seconds, "--worker-memory-mb", "1024")
    ran.ends("load.model/native", words)
    assert ran.check("load.model", "native")["hint"]
