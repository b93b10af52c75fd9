"""bash completes what the parser knows, by its own means."""

from __future__ import annotations

import subprocess

import pytest

from validator.cli.main import build_parser, main
from validator.settings.table import choices

COMMANDS = next(action for action in build_parser()._actions if action.dest == "command").choices


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def completed(source: str, *words: str) -> list[str]:
    asked = 'COMP_WORDS=(model-preflight "$@"); COMP_CWORD=$#; _model_preflight'
    program = f'{source}\n{asked}\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(
        ["bash", "-u", "-c", program, "bash", *words], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_flags_and_their_words(capsys):
    source = script("bash", capsys)
    assert completed(source, "va") == ["validate"]
    assert set(completed(source, "")) == {*COMMANDS, "--help", "--version"}
    assert completed(source, "validate", "--max-lat") == ["--max-latency-ms"]
    assert completed(source, "inspect", "--max-lat") == []
    assert set(completed(source, "validate", "--task", "")) == set(choices("task"))
    assert completed(source, "validate", "model.pkl", "--isolation", "req") == ["require"]
    assert completed(source, "completion", "") == ["bash", "zsh", "fish"]
    assert "status" in completed(source, "rollout", "st")
    assert completed(source, "validate", "models/") == [], "files are the shell's own to complete"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_flag_of_every_command_is_in_the_script(shell, capsys):
    source = script(shell, capsys)
    for name, parser in COMMANDS.items():
        assert name in source
        for action in parser._actions:
            for flag in action.option_strings:
                if flag.startswith("--") and action.help != "==SUPPRESS==":
                    assert (flag.removeprefix("--") if shell == "fish" else flag) in source
    assert "deployment-methods" not in source, "earlier names are taken, not offered"


def test_bash_finds_nothing_wrong_with_its_script(capsys):
    subprocess.run(["bash", "-n"], input=script("bash", capsys), text=True, check=True)
