"""The attacks inside a container as a runner starts it: unprivileged, the engine's socket mounted, as two users.

Needs a Docker engine, and an image with Python in it: the one `PREFLIGHT_TEST_IMAGE` names, else the product's own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE / "attacks"))
try:
    import cell
    from stage import ATTACKS, REFUSED
finally:
    sys.path.remove(str(_HERE / "attacks"))

_IMAGE = os.environ.get("PREFLIGHT_TEST_IMAGE", "model-preflight")
pytestmark = pytest.mark.container


def _docker(*arguments: str) -> Any:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=250)


@pytest.mark.parametrize("user", ["0:0", "1001:1001"])
def test_attacks_get_nothing_inside_a_container(user: str) -> None:
    if not shutil.which("docker") or _docker("image", "inspect", _IMAGE).returncode:
        pytest.skip(f"no Docker engine with an image {_IMAGE}")
    mounts = [f"{_HERE.parent}:/repo/tests:ro", f"{_HERE.parents[1] / 'validator'}:/repo/validator:ro"]
    volumes = [
        part for mount in (*mounts, "/var/run/docker.sock:/var/run/docker.sock") for part in ("-v", mount)
    ]
    environ = ["-e", f"PREFLIGHT_TOKEN={cell.TOKEN}", "-e", "PYTHONDONTWRITEBYTECODE=1"]
    program = ["--entrypoint", "python3", _IMAGE, "/repo/tests/hostile/attacks/cell.py", '{"lock": true}']
    done = _docker("run", "--rm", "--user", user, *environ, *volumes, *program)
    assert done.returncode == 0, done.stderr

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["attack"] for row in rows} == set(ATTACKS)
    for row in rows:
        words = json.loads(row["answer"].splitlines()[-1])
        assert "got" not in words, row
        assert not row["leaked"], row
        assert row["harm"] == row["odd_files"] == [], row
        assert (REFUSED if "refused" in words else row["cause"]) in ATTACKS[row["attack"]].ends, row
