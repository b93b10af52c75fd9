"""What the command line does for every command alike."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from validator.cli.main import SECRETS, build_parser, main
from validator.sandbox.lockdown import kernel

COMMANDS = {
    "validate": ["m"],
    "inspect": ["m"],
    "convert": ["m", "--output", "o"],
    "init": ["m"],
    "publish": [],
    "drift": ["data"],
    "serve": ["folder"],
    "registry": ["list"],
    "rollout": ["status"],
    "test": ["folder"],
    "monitor": ["init", "--artifact", "folder"],
    "completion": ["bash"],
}
#: In place of the command: does the kernel still show a secret to those who read this process's variables?
_PROGRAM = """
import importlib, os, sys
from pathlib import Path
from validator.cli import main

def look(flags, environ):
    shown = [name for name in os.environ if os.environ[name] == "canary"]
    print(len(shown), b"canary" in Path("/proc/self/environ").read_bytes())
    return 0

importlib.import_module("validator.cli." + sys.argv[1]).run = look
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.mark.skipif(not kernel.machine(), reason="Linux only")
@pytest.mark.parametrize("command", COMMANDS)
def test_secrets_are_wiped_before_any_command_runs(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, command, *COMMANDS[command]],
        env={**os.environ, **dict.fromkeys(SECRETS, "canary")},
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{len(SECRETS)} False\n", done.stderr


@pytest.mark.parametrize(
    ("flag", "hint"),
    [
        ("--quiet", "this command takes no --quiet: see its --help"),
        ("--max-latency-ms=3", "this command takes no --max-latency-ms: see its --help"),
        ("--alow", "did you mean --allow?"),
        ("--nothing-of-the-kind", "see `model-preflight --help`"),
    ],
)
def test_a_flag_that_a_command_does_not_take_is_answered_with_a_way_on(flag, hint, capsys) -> None:
    assert main(["inspect", "m", flag]) == 2
    assert f"hint: {hint}\n" in capsys.readouterr().err


def test_these_are_all_commands() -> None:
    found = next(action for action in build_parser()._actions if action.dest == "command").choices
    assert set(found) == set(COMMANDS)
