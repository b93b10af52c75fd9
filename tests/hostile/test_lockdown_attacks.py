"""Every attack of `attacks/`, from inside a locked worker, as the user who runs the tests and as another.

None may obtain anything, leave a trace outside the scratch or touch another process, and each must end in the way it
declares. The control runs show that those marked so do succeed where nothing is locked down.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_ATTACKS = Path(__file__).with_name("attacks")
sys.path.insert(0, str(_ATTACKS))
try:
    import cell
    from stage import ATTACKS, REFUSED
finally:
    sys.path.remove(str(_ATTACKS))

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Landlock and seccomp")
_ANOTHER = 23456


def _user(who: str) -> tuple[str, dict[str, Any]]:
    """An interpreter, and the arguments that make a subprocess run as `who`."""
    if who == "as_is":
        return sys.executable, {}
    if os.geteuid() != 0:
        pytest.skip("only root can start a process as another user")
    change = {"user": _ANOTHER, "group": _ANOTHER, "extra_groups": []}
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        if _runs(python, change):
            return python, change
    pytest.skip("no interpreter that another user could read")


def _runs(python: str, change: dict[str, Any]) -> bool:
    try:
        tried = subprocess.run(
            [python, str(_ATTACKS / "cell.py"), '{"only": []}'], capture_output=True, **change
        )
    except OSError:
        return False
    return tried.returncode == 0


def _run(who: str, **options: Any) -> dict[str, Any]:
    python, change = _user(who)
    environ = {"PREFLIGHT_TOKEN": cell.TOKEN, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [python, str(_ATTACKS / "cell.py"), json.dumps(options)],
        capture_output=True,
        text=True,
        timeout=250,
        env=environ,
        cwd="/",
        **change,
    )
    assert done.returncode == 0, done.stderr
    return {row["attack"]: row for row in map(json.loads, done.stdout.splitlines())}


def _last_words(row: dict[str, Any]) -> dict[str, Any]:
    said = [json.loads(line) for line in row["answer"].splitlines() if line.strip()]
    return said[-1] if said else {}


@pytest.fixture(scope="module")
def locked() -> dict[str, Any]:
    """Results by user, each run once."""
    return {}


#: Landlock's ABI of kernels 5.13 and 6.8 knows neither signals nor abstract sockets; 5.13 does not know truncation.
_SETTINGS = {
    "as_is": ("as_is", {}),
    "another_user": ("another_user", {}),
    "kernel_6_8": ("another_user", {"abi": 4}),
    "kernel_5_13": ("another_user", {"abi": 1}),
}


def _names(setting: str) -> list[str]:
    """All attacks; on older kernels those that something refuses, since the rest never gets as far as Landlock."""
    everything = not setting.startswith("kernel")
    return [
        name
        for name, attack in sorted(ATTACKS.items())
        if everything or (attack.ends == (REFUSED,) and not name.startswith("exhaust"))
    ]


@pytest.mark.parametrize(
    ("setting", "name"), [(setting, name) for setting in _SETTINGS for name in _names(setting)]
)
def test_attack_gets_nothing(setting: str, name: str, locked: dict[str, Any]) -> None:
    if setting not in locked:
        who, options = _SETTINGS[setting]
        locked[setting] = _run(who, lock=True, only=_names(setting), **options)
    row = locked[setting][name]
    words = _last_words(row)

    assert json.loads(row["answer"].splitlines()[0])["report"]["contained"]
    assert "got" not in words
    assert not row["leaked"]
    assert row["harm"] == []
    assert row["odd_files"] == []
    ended = REFUSED if "refused" in words else row["cause"]
    assert ended in ATTACKS[name].ends, (words, row["message"])


@pytest.mark.parametrize("who", ["as_is", "another_user"])
def test_control_attacks_succeed_without_lockdown(who: str) -> None:
    names = [name for name, attack in ATTACKS.items() if attack.control]
    if who == "another_user" or os.geteuid() != 0:
        names.remove("make_device")
    rows = _run(who, lock=False, only=names)
    assert {name: _last_words(rows[name]) for name in names if "got" not in _last_words(rows[name])} == {}
    assert rows["read_canary"]["leaked"]
    assert rows["create_file_outside"]["harm"] == ["files outside the scratch were touched"]
    assert rows["signal_supervisor"]["harm"] == ["the supervisor received signal 10"]
    assert rows["pin_bystander"]["harm"] == ["bystander: was pinned"] or os.cpu_count() == 1
    assert rows["limit_bystander"]["harm"] == ["bystander: was given other limits"]
    assert rows["make_fifo"]["odd_files"] == ["fifo"]


def test_supervisor_forgets_its_token() -> None:
    """Even root, or who had the kernel's copy of the environment open before, does not find it there."""
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "copy = open('/proc/self/environ')\n"
        "from validator.sandbox.lockdown import protect_supervisor\n"
        "report = protect_supervisor(['PREFLIGHT_TOKEN', 'NOT_SET'])\n"
        "print('secret-value' in copy.read(), os.environ['PREFLIGHT_TOKEN'])\n"
        "print([layer.state for layer in report.layers])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(Path(__file__).parents[2])],
        env={"PREFLIGHT_TOKEN": "secret-value"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["False secret-value", "['applied', 'applied', 'applied']"]
