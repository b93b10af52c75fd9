"""The attacks inside the image as a runner starts it: unprivileged, the engine's socket mounted, as two users."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gate_attempts import ATTEMPTS
from gate_pickles import RAN, honest_rows, hostile_pickle

from tests.container.conftest import docker, image

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE / "attacks"))
try:
    import cell
    from stage import ATTACKS, REFUSED
finally:
    sys.path.remove(str(_HERE / "attacks"))

__all__ = ["docker", "image"]
pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]
USERS = pytest.mark.parametrize("user", ["0:0", "1001:1001"])
_ENGINE = ("-v", "/var/run/docker.sock:/var/run/docker.sock")


def _docker(*arguments: str) -> Any:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=250)


@USERS
def test_attacks_get_nothing_inside_a_container(user: str, image: str) -> None:
    mounts = [f"{_HERE.parent}:/repo/tests:ro", f"{_HERE.parents[1] / 'validator'}:/repo/validator:ro"]
    volumes = [*_ENGINE, *(part for mount in mounts for part in ("-v", mount))]
    environ = ["-e", f"PREFLIGHT_TOKEN={cell.TOKEN}", "-e", "PYTHONDONTWRITEBYTECODE=1"]
    program = ["--entrypoint", "python3", image, "/repo/tests/hostile/attacks/cell.py", '{"lock": true}']
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


@USERS
def test_the_gate_s_own_workers_give_nothing_away(user: str, image: str, tmp_path: Path) -> None:
    """The real command on a pickle that tries everything from inside its worker; the supervisor is process 1."""
    world = {
        "supervisor": "1",
        "bystander": 1,
        "port": 80,
        "workspace": "/checkout",
        "canaries": ["/checkout/canary", "/checkout/.git/config", "/var/run/docker.sock", "/etc/passwd"],
        "outside": ["/checkout/taken", "/checkout/sample.csv", "/opt/preflight/taken"],
        "stray": ["/tmp/taken", "/dev/shm/taken", "/var/tmp/taken"],
        "command": "\n::error::forged by the model\n",
    }
    (tmp_path / ".git").mkdir()
    for canary in (tmp_path / "canary", tmp_path / ".git" / "config"):
        canary.write_text(cell.TOKEN)
    honest_rows().to_csv(tmp_path / "sample.csv", index=False)
    (tmp_path / "model.pkl").write_bytes(hostile_pickle(ATTEMPTS + "\ntell([got, len(refused)])", world))
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o777)
    tokens = [
        part
        for name in ("GITHUB_TOKEN", "INPUT_GITHUB-TOKEN", "ACTIONS_RUNTIME_TOKEN")
        for part in ("-e", f"{name}={cell.TOKEN}")
    ]
    mounts = ["-v", f"{tmp_path}:/checkout", "-w", "/checkout", *_ENGINE]
    flags = ["--trust-pickle", "a test of the isolation", "--latency-budget-s", "0.3", "--baseline", "none"]
    given = ["validate", "model.pkl", "--data", "sample.csv", *flags]
    done = _docker("run", "--rm", "--user", user, *tokens, *mounts, image, *given)

    assert done.returncode == 1, done.stderr
    found = json.loads((tmp_path / "preflight" / "result.json").read_text())
    checks = {(check["id"], check["runtime"]): check for check in found["checks"]}
    told = checks["load.model", "native"]["message"]
    assert f"{RAN}: [{{}}, " in told, told
    assert "forged by the model" not in done.stdout + done.stderr
    assert cell.TOKEN not in done.stdout + done.stderr + (tmp_path / "preflight" / "result.json").read_text()
    assert not (tmp_path / "taken").exists()
    assert (tmp_path / "canary").read_text() == cell.TOKEN
    states = {layer["name"]: layer["state"] for layer in found["environment"]["isolation"]}
    assert {states[name] for name in ("descriptors", "landlock", "no_new_privs", "seccomp", "user")} == {
        "applied"
    }
