"""What was started ends with the one that started it, also where that cannot say goodbye."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from validator.following import following

STARTS = """
import subprocess, sys
from validator.following import following
child = subprocess.Popen(following(["sleep", "600"]))
print(child.pid, flush=True)
sys.stdin.read()
"""


def is_there(pid: int) -> bool:
    """A zombie is none: whoever adopts it may take its time."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone tells a child")
def test_it_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_there(child)
        parent.kill()
    end = time.monotonic() + 60
    while is_there(child):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_it_does_not_begin_where_its_parent_has_ended_already() -> None:
    line = [*following(["echo", "began"])]
    assert line[4] == str(os.getpid())
    line[4] = "1"
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.stdout == ("" if sys.platform.startswith("linux") else "began\n")


def test_a_program_that_is_not_there_is_told() -> None:
    done = subprocess.run(following(["/no/such/program"]), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "cannot run /no/such/program: No such file or directory\n")


def test_it_becomes_the_program_so_that_signals_reach_that() -> None:
    with subprocess.Popen(following(["sleep", "600"])) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM
