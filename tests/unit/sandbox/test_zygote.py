"""Zygotes that go on from another: what they share, and that none outlives the one it came of."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from validator.environments.interpreter import own
from validator.errors import WorkerError
from validator.sandbox.zygote import Zygote

ENVIRON = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


def gone(pid: int) -> bool:
    """Whether a process ends. An orphan's last trace stays until whoever adopts it looks."""

    def alive() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False

    deadline = time.monotonic() + 60
    while alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not alive()


def imports(zygote: Zygote) -> None:
    zygote.preload(["json"])
    zygote.settle()


def test_what_is_imported_after_a_split_is_missed_by_the_origin_and_by_siblings_alone() -> None:
    trunk = Zygote.start(own(), ENVIRON)
    trunk.preload(["json", "no_such_module_a"])
    one, other = trunk.split(), trunk.split()
    one.preload(["no_such_module_b"])
    assert set(one.settle()) == {"no_such_module_b"}
    assert other.settle() == {}
    assert set(trunk.settle()) == {"no_such_module_a"}
    assert one.python
    assert len({trunk.process.pid, one._pid, other._pid}) == 3  # type: ignore[union-attr]
    pids = [one._pid, other._pid]
    for zygote in (one, other, trunk):
        zygote.close()
    assert all(gone(pid) for pid in pids)
    assert trunk.process is not None
    assert trunk.process.returncode == 0


def test_one_that_is_slow_is_not_called_dead() -> None:
    trunk = Zygote.start(own(), ENVIRON)
    os.kill(trunk.process.pid, signal.SIGSTOP)  # type: ignore[union-attr]
    trunk.control.settimeout(0.05)
    with pytest.raises(WorkerError, match=r"not answered within 0\.05 s"):
        imports(trunk)
    os.kill(trunk.process.pid, signal.SIGCONT)  # type: ignore[union-attr]
    trunk.close()


def test_all_end_with_the_origin() -> None:
    trunk = Zygote.start(own(), ENVIRON)
    split = trunk.split()
    trunk.settle()
    assert trunk.process is not None
    trunk.process.kill()
    assert gone(split._pid)
    with pytest.raises(WorkerError, match="ended unexpectedly"):
        imports(split)
    split.close()
    trunk.close()


def test_one_that_dies_is_told_by_how_it_died_and_leaves_the_others() -> None:
    trunk = Zygote.start(own(), ENVIRON)
    one, other = trunk.split(), trunk.split()
    trunk.settle()
    os.kill(one._pid, 11)
    with pytest.raises(WorkerError, match=r"status 11"):
        imports(one)
    other.preload(["json"])
    assert other.settle() == {}
    for zygote in (one, other, trunk):
        zygote.close()
