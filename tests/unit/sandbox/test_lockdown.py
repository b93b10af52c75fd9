"""What apply() does to a process, what it reports, and what it refuses: each in a forked child."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from validator.sandbox.lockdown import (
    APPLIED,
    UNAVAILABLE,
    LockdownLayer,
    LockdownPolicy,
    LockdownReport,
    landlock,
    paths,
)

_ROOT = Path(__file__).resolve().parents[3]
_PREAMBLE = """
import json, os, sys, signal, time
sys.path.insert(0, sys.argv[1])
from validator.sandbox.lockdown import *
scratch = sys.argv[2]
def tell(value):
    os.write(1, json.dumps(value).encode())
"""

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A folder that other users can reach: pytest's own are closed."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def _run(scratch: Path, program: str) -> Any:
    """What `program` tells, run in its own process with `scratch` and all names of the lockdown at hand."""
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", _PREAMBLE + textwrap.dedent(program), str(_ROOT), str(scratch)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@linux
def test_every_layer_is_applied_and_reported(scratch: Path) -> None:
    report = _run(scratch, "tell(apply(LockdownPolicy(scratch=scratch, keep_fds=[1])).to_json())")
    assert report["contained"]
    assert report["missing"] == []
    states = {layer["name"]: layer["state"] for layer in report["layers"]}
    assert list(states) == [
        *("session", "descriptors", "limits", "user", "threads"),
        *("not_dumpable", "parent_death", "no_new_privs", "landlock", "seccomp"),
    ]
    assert set(states.values()) == {APPLIED}


@linux
def test_layers_switched_off_are_reported_and_do_not_count_as_contained(scratch: Path) -> None:
    report = _run(
        scratch,
        """
        policy = LockdownPolicy(scratch=scratch, keep_fds=[1], landlock=False, seccomp=False, drop_user=False)
        tell(apply(policy).to_json())
        """,
    )
    assert not report["contained"]
    assert report["missing"] == ["user", "landlock", "seccomp"]
    assert {layer["state"] for layer in report["layers"] if layer["name"] in report["missing"]} == {"off"}


@linux
def test_a_process_with_threads_is_not_contained(scratch: Path) -> None:
    report = _run(
        scratch,
        """
        import threading
        threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
        tell(apply(LockdownPolicy(scratch=scratch, keep_fds=[1])).to_json())
        os._exit(0)
        """,
    )
    assert report["missing"] == ["landlock"]
    assert "2 threads" in next(layer["detail"] for layer in report["layers"] if layer["name"] == "landlock")


@linux
def test_scratch_is_home_and_writable(scratch: Path) -> None:
    (scratch / "given").write_text("from the supervisor")
    (scratch / "given").chmod(0o600)
    found = _run(
        scratch,
        """
        import tempfile
        apply(LockdownPolicy(scratch=scratch, keep_fds=[1]))
        with tempfile.NamedTemporaryFile() as file:
            inside = os.path.dirname(file.name) == scratch
        with open("kept", "w") as file:
            file.write("x")
        os.mkdir("folder")
        os.rename("kept", "renamed")
        tell([inside, open("given").read(), os.path.expanduser("~") == scratch, os.getcwd() == scratch])
        """,
    )
    assert found == [True, "from the supervisor", True, True]
    assert (scratch / "renamed").read_text() == "x"


@linux
def test_scratch_can_be_read_only(scratch: Path) -> None:
    (scratch / "given").write_text("given")
    found = _run(
        scratch,
        """
        apply(LockdownPolicy(scratch=scratch, keep_fds=[1], writable_scratch=False))
        said = [open("given").read()]
        for attempt in (lambda: open("new", "w"), lambda: open("given", "a"), lambda: os.unlink("given")):
            try:
                attempt()
            except OSError as error:
                said.append(type(error).__name__)
        tell(said)
        """,
    )
    assert found == ["given", *["PermissionError"] * 3]


def test_elsewhere_only_limits_and_descriptors_remain(scratch: Path) -> None:
    """Another platform, as far as one can be played here; the report must not claim what is not there."""
    report = _run(
        scratch,
        """
        import platform
        prepare()
        sys.platform, platform.machine = "freebsd14", lambda: "riscv64"
        tell(apply(LockdownPolicy(scratch=scratch, keep_fds=[1])).to_json())
        """,
    )
    assert report["missing"] == ["user", "no_new_privs", "landlock", "seccomp"]
    states = {layer["name"]: layer["state"] for layer in report["layers"]}
    assert [name for name, state in states.items() if state == APPLIED] == [
        "session",
        "descriptors",
        "limits",
    ]
    assert set(states.values()) == {APPLIED, UNAVAILABLE}


@linux
def test_kernel_without_landlock_is_not_contained(scratch: Path) -> None:
    report = _run(
        scratch,
        """
        from validator.sandbox.lockdown import landlock
        landlock.abi = lambda: 0
        tell(apply(LockdownPolicy(scratch=scratch, keep_fds=[1])).to_json())
        """,
    )
    assert report["missing"] == ["landlock"]


@linux
def test_kernel_that_refuses_the_filter_is_not_contained(scratch: Path) -> None:
    report = _run(
        scratch,
        """
        from validator.sandbox.lockdown import bpf
        bpf.encode = lambda program: b"\\0" * 8 * len(program)
        tell(apply(LockdownPolicy(scratch=scratch, keep_fds=[1])).to_json())
        """,
    )
    assert report["missing"] == ["seccomp"]


@linux
def test_additional_paths_are_readable_and_no_more(scratch: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "file").write_text("shared")
    (tmp_path / "hidden").write_text("hidden")
    found = _run(
        scratch,
        f"""
        apply(LockdownPolicy(scratch=scratch, keep_fds=[1], readable=[{str(shared)!r}]))
        def attempt(path, mode="r"):
            try:
                return open(path, mode).read()
            except OSError as error:
                return type(error).__name__
        tell([attempt({str(shared / "file")!r}), attempt({str(tmp_path / "hidden")!r}),
              attempt({str(shared / "file")!r}, "r+")])
        """,
    )
    assert found == ["shared", "PermissionError", "PermissionError"]


@linux
def test_what_libraries_measure_stays_readable(scratch: Path) -> None:
    found = _run(
        scratch,
        """
        import resource, decimal
        apply(LockdownPolicy(scratch=scratch, keep_fds=[1]))
        import fractions, sqlite3  # from the standard library, after the lockdown
        files = ["/proc/self/maps", "/proc/self/statm", "/proc/self/status", "/proc/cpuinfo", "/dev/urandom"]
        tell([bool(open(path, "rb").read(9)) for path in files] + [resource.getrusage(0).ru_maxrss > 0])
        """,
    )
    assert found == [True] * 6


@linux
def test_descriptors_are_closed_and_standard_streams_silenced(scratch: Path) -> None:
    found = _run(
        scratch,
        """
        pipes = [os.pipe() for _ in range(40)]
        keep = pipes[7][0]
        apply(LockdownPolicy(scratch=scratch, keep_fds=[1, keep]))
        still = []
        for fd in range(1000):
            try:
                os.fstat(fd)
                still.append(fd)
            except OSError:
                pass
        tell([still == [0, 1, 2, keep], os.read(0, 10) == b"", os.write(2, b"lost")])
        """,
    )
    assert found == [True, True, 4]


@linux
@pytest.mark.parametrize(
    ("keep", "error"), [("[1, 999]", "OSError"), ("[1, os.open('/', os.O_RDONLY)]", "ValueError")]
)
def test_descriptors_that_cannot_be_kept_are_refused(scratch: Path, keep: str, error: str) -> None:
    program = f"""
        try:
            apply(LockdownPolicy(scratch=scratch, keep_fds={keep}))
        except (OSError, ValueError) as error:
            tell(type(error).__name__)
        """
    assert _run(scratch, program) == error


def test_missing_scratch_is_refused(tmp_path: Path) -> None:
    program = """
        try:
            apply(LockdownPolicy(scratch=scratch, keep_fds=[1]))
        except NotADirectoryError as error:
            tell(str(error))
        """
    assert "no directory" in _run(tmp_path / "missing", program)


@linux
def test_limits_hold_and_cannot_be_raised(scratch: Path) -> None:
    found = _run(
        scratch,
        """
        import resource
        apply(LockdownPolicy(scratch=scratch, keep_fds=[1], cpu_seconds=7, open_files=30, file_bytes=12345))
        names = ["CORE", "CPU", "NOFILE", "FSIZE", "MEMLOCK"]
        tell([resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in names])
        """,
    )
    assert found == [[0, 0], [7, 8], [30, 30], [12345, 12345], [0, 0]]


@linux
@pytest.mark.parametrize("threads", [0, 4])
def test_number_of_threads(scratch: Path, threads: int) -> None:
    found = _run(
        scratch,
        f"""
        import threading
        report = apply(LockdownPolicy(scratch=scratch, keep_fds=[1], max_threads={threads}))
        hold, started = threading.Event(), 0
        try:
            for _ in range(10_000):
                threading.Thread(target=hold.wait, daemon=True).start()
                started += 1
        except RuntimeError:
            pass
        tell([started, report.state("threads"), "own user" in [l.detail for l in report.layers][4]])
        os._exit(0)
        """,
    )
    started, state, own_user = found
    assert state == APPLIED
    if own_user or threads == 0:
        assert started == threads
    else:
        assert threads <= started < 9_000


@linux
def test_worker_dies_with_its_parent(scratch: Path) -> None:
    """The parent is killed outright; the worker, asleep, must not outlive it."""
    worker = _run(
        scratch,
        """
        reader, writer = os.pipe()
        parent = os.fork()
        if parent == 0:
            me = os.getpid()
            if os.fork() == 0:
                apply(LockdownPolicy(scratch=scratch, keep_fds=[writer], parent_pid=me))
                os.write(writer, str(os.getpid()).encode())
                time.sleep(60)
                os._exit(0)
            time.sleep(60)
        os.close(writer)
        worker = int(os.read(reader, 100))
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        ended = os.read(reader, 1) == b""  # its end of the pipe closes as it dies
        tell([worker, ended])
        """,
    )
    assert worker[1]
    assert (
        not Path(f"/proc/{worker[0]}/cmdline").exists() or not Path(f"/proc/{worker[0]}/cmdline").read_text()
    )


@linux
def test_worker_whose_parent_is_already_gone_never_starts(scratch: Path) -> None:
    status = _run(
        scratch,
        """
        pid = os.fork()
        if pid == 0:
            apply(LockdownPolicy(scratch=scratch, parent_pid=os.getppid() + 1))
            os._exit(0)
        tell(os.waitpid(pid, 0)[1])
        """,
    )
    assert status == signal.SIGKILL


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_scratch_is_handed_over_but_not_what_it_links_to(scratch: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x")
    (scratch / "symlink").symlink_to(outside)
    (scratch / "second_name").hardlink_to(outside)
    (scratch / "own").write_text("x")
    detail = _run(
        scratch,
        "tell({l.name: l.detail for l in apply(LockdownPolicy(scratch=scratch, keep_fds=[1])).layers}['user'])",
    )
    if detail.startswith("user 0"):
        pytest.skip("this root may not change users")
    assert outside.stat().st_uid == 0
    assert (scratch / "own").stat().st_uid == scratch.stat().st_uid != 0
    assert str((scratch / "own").stat().st_uid) in detail


def test_report_names_what_is_missing() -> None:
    report = LockdownReport(
        (LockdownLayer("landlock", UNAVAILABLE, "no Landlock"), LockdownLayer("seccomp", APPLIED))
    )
    assert report.missing == ("descriptors", "user", "no_new_privs", "landlock")
    assert not report.contained
    assert report.state("landlock") == UNAVAILABLE
    with pytest.raises(KeyError):
        report.state("magic")
    assert json.loads(json.dumps(report.to_json()))["layers"][0]["detail"] == "no Landlock"


def test_policy_comes_from_json() -> None:
    policy = LockdownPolicy(**json.loads('{"scratch": "/s", "keep_fds": [3], "memory_bytes": 1}'))
    assert (policy.keep_fds, policy.memory_bytes, policy.parent_pid) == ([3], 1, None)


@pytest.mark.parametrize(
    ("version", "files", "tcp", "scopes"),
    [(1, 13, 0, 0), (2, 14, 0, 0), (3, 15, 0, 0), (4, 15, 3, 0), (5, 16, 3, 0), (6, 16, 3, 3), (7, 16, 3, 3)],
)
def test_landlock_governs_what_the_kernel_knows(version: int, files: int, tcp: int, scopes: int) -> None:
    assert landlock.handled(version) == ((1 << files) - 1, tcp, scopes)


def test_library_paths_leave_the_checkout_and_shared_places_out() -> None:
    found = [Path(path) for path in paths.library_paths()]
    for private in (
        _ROOT,
        _ROOT / "tests",
        Path("/tmp"),
        Path.home(),
        Path("/etc"),
        Path("/proc"),
        Path("/"),
    ):
        assert not any(private == path or path in private.parents for path in found), private
    assert _ROOT / "validator" in found
