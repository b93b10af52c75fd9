"""`completion`: a script by which bash, zsh or fish completes commands, flags and their words.

It is made from the parser itself, so it knows what `--help` knows; everything else completes to file names.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from validator.errors import Exit

_SHELLS = ("bash", "zsh", "fish")
_HOW = """to try it:
  bash  eval "$(model-preflight completion bash)"
  zsh   eval "$(model-preflight completion zsh)"
  fish  model-preflight completion fish | source
to keep it, put that line into ~/.bashrc, ~/.zshrc (after compinit) or ~/.config/fish/config.fish
"""
#: Words of a flag stand in its metavar, `a|b|c`, where they are not `choices`.
_BETWEEN = "|"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The shell."""
    parser.epilog = _HOW
    parser.add_argument(
        "shell", choices=_SHELLS, metavar="|".join(_SHELLS), help="the shell that is to complete"
    )


def run(flags: Mapping[str, Any], _environ: Mapping[str, str]) -> int:
    """Print the script."""
    from validator.cli.main import build_parser

    commands = {name: _Words.of(parser) for name, parser in _parsers(build_parser()).items()}
    print(_fish(commands) if flags["shell"] == "fish" else _bash(commands, zsh=flags["shell"] == "zsh"))
    return Exit.PASSED


class _Words:
    """What a command takes: flags with the words that may follow them, and the words of its first argument."""

    def __init__(self, summary: str) -> None:
        self.summary = summary
        self.flags: dict[str, tuple[str, ...]] = {}
        self.about: dict[str, str] = {}
        self.takes_value: set[str] = set()
        self.first: tuple[str, ...] = ()

    @classmethod
    def of(cls, parser: argparse.ArgumentParser) -> _Words:
        found = cls(parser.description or "")
        for action in parser._actions:
            if action.help == argparse.SUPPRESS:
                continue
            if isinstance(action, argparse._SubParsersAction):
                found.first = tuple(action.choices)
                for inner in action.choices.values():
                    found._add(cls.of(inner))
            elif not action.option_strings:
                found.first = found.first or tuple(map(str, action.choices or ()))
            for flag in (one for one in action.option_strings if one.startswith("--")):
                found.flags[flag] = _words(action)
                found.about[flag] = (action.help or "").replace("%%", "%").split(";")[0]
                if action.nargs != 0:
                    found.takes_value.add(flag)
        return found

    def _add(self, other: _Words) -> None:
        self.flags |= other.flags
        self.about |= other.about
        self.takes_value |= other.takes_value


def _words(action: argparse.Action) -> tuple[str, ...]:
    from validator.settings.table import Settings, choices

    if action.choices:
        return tuple(map(str, action.choices))
    if action.dest in Settings.model_fields:
        return choices(action.dest)
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    return tuple(metavar.split(_BETWEEN)) if _BETWEEN in metavar else ()


def _parsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (found,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    return dict(found.choices)


def _bash(commands: Mapping[str, _Words], *, zsh: bool) -> str:
    lines = ["autoload -U +X bashcompinit && bashcompinit"] if zsh else []
    lines += [
        "_model_preflight() {",
        '  local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" words=""',
        '  if [ "$COMP_CWORD" -eq 1 ]; then',
        f"    words={shlex.quote(' '.join([*commands, '--help', '--version']))}",
        "  else",
        '    case "${COMP_WORDS[1]} $before" in',
        *(
            f"      {shlex.quote(f'{name} {flag}')}) words={shlex.quote(' '.join(words))} ;;"
            for name, command in commands.items()
            for flag, words in command.flags.items()
            if words
        ),
        *(
            f"      {shlex.quote(f'{name} {name}')}) words={shlex.quote(' '.join(command.first))} ;;"
            for name, command in commands.items()
            if command.first
        ),
        "    esac",
        '    case "$current" in',
        '      -*) case "${COMP_WORDS[1]}" in',
        *(
            f"        {name}) words={shlex.quote(' '.join(command.flags))} ;;"
            for name, command in commands.items()
        ),
        "      esac ;;",
        "    esac",
        "  fi",
        '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
        "}",
        "complete -o default -F _model_preflight model-preflight",
    ]
    return "\n".join(lines)


def _fish(commands: Mapping[str, _Words]) -> str:
    start = "complete -c model-preflight"
    lines = []
    for name, command in commands.items():
        about = shlex.quote(command.summary)
        lines.append(f"{start} -f -n __fish_use_subcommand -a {name} -d {about}")
        lines += [f"{start} {part}" for part in _fish_of(name, command)]
    return "\n".join(lines)


def _fish_of(name: str, command: _Words) -> Iterator[str]:
    seen = shlex.quote(f"__fish_seen_subcommand_from {name}")
    if command.first:
        yield f"-f -n {seen} -a {shlex.quote(' '.join(command.first))}"
    for flag, words in command.flags.items():
        takes = f" -x -a {shlex.quote(' '.join(words))}" if words else " -r" * (flag in command.takes_value)
        yield f"-n {seen} -l {flag.removeprefix('--')}{takes} -d {shlex.quote(command.about[flag])}"
