"""All commands look alike: help of one screen with an example, the same words for the same things, completion."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from validator.cli import help as look
from validator.cli.completion import _bash, _Words
from validator.cli.main import _COMMANDS, build_parser

SCREEN = 40


def parsers(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner, child in action.choices.items():
                yield from parsers(child, f"{name} {inner}".strip())


ALL = dict(parsers(build_parser()))
FLAGS = {
    name: {flag: action for action in parser._actions for flag in action.option_strings}
    for name, parser in ALL.items()
}
#: What ends in a document that a program reads. `rollout judge` and `emit` print nothing else; `rollout run` goes on.
DOCUMENTS = {
    "validate", "inspect", "convert", "drift", "test",
    *(f"rollout {action}" for action in ("plan", "start", "step", "status", "wait", "abort")),
    *(name for name in ALL if name.startswith(("registry ", "monitor "))),
}  # fmt: skip


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_every_command_and_action_is_looked_at() -> None:
    assert {name for name in ALL if name and " " not in name} == set(_COMMANDS)
    assert {name.partition(" ")[0] for name in ALL if " " in name} == {"registry", "rollout", "monitor"}
    assert set(look.EXAMPLES) == set(ALL), "an example for each, and for nothing else"
    assert set(look.FIRST) <= set(_COMMANDS)


@pytest.mark.parametrize("name", ALL)
def test_help_fits_a_screen_and_shows_an_example(name: str) -> None:
    lines = ALL[name].format_help().splitlines()
    assert len(lines) <= SCREEN
    assert max(map(len, lines)) < 80, max(lines, key=len)
    assert lines[0].startswith("usage: model-preflight")
    assert any(line.startswith("example") for line in lines)
    assert any(line.startswith("exit codes:") for line in lines)
    assert ALL[name].description == "" or ALL[name].description.endswith(".")


@pytest.mark.parametrize("name", sorted(set(look.EXAMPLES) - {"completion"}))
def test_examples_are_commands_that_are_understood(name: str) -> None:
    """The parser takes them, and they are of the command that they stand under."""
    import shlex

    words = shlex.split(look.EXAMPLES[name].partition(" >")[0])
    assert words[0] == "model-preflight"
    given = vars(build_parser().parse_args(words[1:]))
    assert " ".join(filter(None, (given["command"], given.get("action")))).startswith(name or "validate")


@pytest.mark.parametrize("name", look.FIRST)
def test_what_a_screen_leaves_out_is_one_flag_away(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = ALL[name]
    assert set(look.FIRST[name]) <= {action.dest for action in parser._actions}
    assert "--help-all" in parser.format_help()
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--help-all"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for flag, action in FLAGS[name].items():
        assert action.help == argparse.SUPPRESS or flag in shown
    short = parser.format_help()
    assert len(short.splitlines()) < len(shown.splitlines())
    required = [action for action in parser._actions if action.required]
    assert all(_shown(action) in short for action in required)


def _shown(action: argparse.Action) -> str:
    return action.option_strings[-1] if action.option_strings else str(action.metavar)


def test_the_same_thing_has_the_same_flag_everywhere() -> None:
    for name, flags in FLAGS.items():
        assert all(flag == flag.lower() and "_" not in flag for flag in flags), name
        assert not set(flags) & {"--format", "--output-dir", "--out-dir", "--silent", "--key", "-j", "-q"}, (
            name
        )
        for flag, action in flags.items():
            if flag == "--json":
                assert (action.dest, action.nargs) == ("json_output", 0), name
            if flag in ("--out", "--log"):
                assert action.metavar == ("FILE" if name == "monitor page" else "DIR"), name
            if flag.endswith("-file") or flag == "--verify-key":
                assert action.metavar == "FILE", name
    assert {name for name, flags in FLAGS.items() if "--json" in flags} == DOCUMENTS


def test_help_texts_begin_and_end_alike() -> None:
    for name, parser in ALL.items():
        for action in parser._actions:
            text = action.help or ""
            if text != argparse.SUPPRESS and action.option_strings:
                assert text, f"{name} {action.option_strings[-1]} says nothing"
                assert not text.endswith("."), f"{name} {action.option_strings[-1]}"


def test_completion_knows_every_command_action_and_flag() -> None:
    words = {name: _Words.of(ALL[name]) for name in _COMMANDS}
    script = _bash(words, zsh=False)
    for name, flags in FLAGS.items():
        if not name:
            continue
        command, _, action = name.partition(" ")
        assert not action or action in words[command].first
        shown = {
            flag for flag, one in flags.items() if flag.startswith("--") and one.help != argparse.SUPPRESS
        }
        assert shown <= set(words[command].flags), name
        assert all(flag in script for flag in shown), name
