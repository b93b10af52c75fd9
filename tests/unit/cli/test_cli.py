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
    ("line", "told", "hint"),
    [
        ("inspect m --quiet", "`model-preflight inspect` takes no --quiet", "see `model-preflight inspect --help`"),
        ("inspect m --alow=x", "`model-preflight inspect` takes no --alow", "did you mean --allow?"),
        ("rollout plan --josn", "`model-preflight rollout plan` takes no --josn", "did you mean --json?"),
        ("--bogus", "`model-preflight` takes no --bogus", "see `model-preflight --help`"),
        ("test a --out", "--out needs a value", "see `model-preflight test --help`"),
        ("completion bash x", "`model-preflight completion` takes no further argument, and was given 'x'",
         "see `model-preflight completion --help`"),
        ("inspect", "`model-preflight inspect` needs MODEL", "see `model-preflight inspect --help`"),
        ("convert", "`model-preflight convert` needs MODEL and --output", "see `model-preflight convert --help`"),
        ("registry", "`model-preflight registry` needs ACTION", "see `model-preflight registry --help`"),
        ("registry pish", "`model-preflight registry` has no action 'pish'",
         "did you mean `push`? it has push, list, show, pull, promote, rollback, history and prune"),
        ("valdate m", "`model-preflight` has no command 'valdate'", "did you mean `validate`? it has validate, "),
        ("completion csh", "bash|zsh|fish is 'csh'", "did you mean `zsh`? give bash, zsh or fish"),
        ("rollout emit --engine nginx", "--engine is 'nginx'", "give haproxy, kserve or argo"),
        ("rollout emit --engine argo --share x", "--share is 'x'", "give a whole number"),
    ],
)  # fmt: skip
def test_a_line_that_is_not_understood_is_answered_with_a_way_on(line, told, hint, capsys) -> None:
    assert main(line.split()) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"model-preflight: {told}"
    assert second.startswith(f"  hint: {hint}")


def test_these_are_all_commands() -> None:
    found = next(action for action in build_parser()._actions if action.dest == "command").choices
    assert set(found) == set(COMMANDS)
