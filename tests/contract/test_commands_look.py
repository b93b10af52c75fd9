"""All commands look alike: help of one screen with an example, the same words for the same things, completion."""

from __future__ import annotations

import argparse
import ast
import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path

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


@pytest.fixture(params=[80, 40])
def columns(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> int:
    monkeypatch.setenv("COLUMNS", str(request.param))
    return int(request.param)


@functools.cache
def every(columns: int) -> dict[str, argparse.ArgumentParser]:
    """All parsers, made for a terminal of so many columns."""
    assert os.environ["COLUMNS"] == str(columns)
    return dict(parsers(build_parser()))


def test_every_command_and_action_is_looked_at() -> None:
    assert {name for name in ALL if name and " " not in name} == set(_COMMANDS)
    assert {name.partition(" ")[0] for name in ALL if " " in name} == {"registry", "rollout", "monitor"}
    assert set(look.EXAMPLES) == set(ALL), "an example for each, and for nothing else"
    assert set(look.FIRST) <= set(_COMMANDS)


@pytest.mark.parametrize("name", ALL)
def test_help_fits_a_screen_and_ends_in_an_example(name: str, columns: int) -> None:
    parser = every(columns)[name]
    lines = parser.format_help().splitlines()
    assert lines[0].startswith("usage: model-preflight")
    assert parser.description == "" or parser.description.endswith(".")
    codes = lines[lines.index("exit codes:") + 1 : lines.index("example:") - 1]
    assert [line for line in codes if not line.startswith("     ")] == [
        line for line in codes if re.match(r"  [0-4]  [a-zA-Z]", line)
    ], "a code a line"
    assert lines[lines.index("example:") + 1].startswith("  ")
    assert not [line for line in lines[lines.index("example:") + 1 :] if line and not line.startswith("  ")]
    if columns == 80:
        assert len(lines) <= SCREEN
    # What stands two columns in is a command, to be copied as it is.
    broken = [line for line in lines if not re.match(r"  (  +|bash|zsh|fish)", line)]
    assert max(map(len, broken)) <= columns - 2, max(broken, key=len)
    prose = lines[: lines.index("example:")]
    assert max(map(len, prose)) < 80


def test_defaults_are_told_in_one_way() -> None:
    for name, parser in ALL.items():
        for action in parser._actions:
            text = action.help or ""
            assert "by default" not in text, f"{name} {action.dest}: {text}"
            assert text.count("default: ") + text.count("default, ") == len(
                re.findall(r"\(default(, [^():]+)?: ", text)
            ), (name, text)
            assert action.choices is None or action.metavar is not None, f"{name} {action.dest}"


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


def test_hints_begin_small_and_end_without_a_full_stop() -> None:
    """Where they are written down as such: each is what stands behind `hint: `."""
    odd, seen = [], 0
    for path in sorted(Path(look.__file__).parents[1].rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "hint":
                text = _literal(node.value)
                seen += bool(text)
                begins_large = text[:1].isupper() and not text.startswith(("GitHub", "KServe", "XGBoost"))
                if begins_large or (text.endswith(".") and not text.endswith("...")):
                    odd.append(f"{path.name}:{node.value.lineno}: {text}")
    assert seen > 400
    assert not odd


def _literal(node: ast.expr) -> str:
    """A text, with `…` for what is only known later; empty where it is no text."""
    if isinstance(node, ast.Constant):
        return str(node.value or "")
    parts = node.values if isinstance(node, ast.JoinedStr) else ()
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)
