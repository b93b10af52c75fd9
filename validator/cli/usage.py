"""What is wrong with a command line, in the words of all other messages; argparse has its own."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_MISSING = re.compile(r"the following arguments are required: (.+)")
_CHOICE = re.compile(r"argument (\S+): invalid choice: '(.*)' \(choose from (.+)\)", re.DOTALL)
_KIND = re.compile(r"argument (\S+): invalid \w+ value: '(.*)'", re.DOTALL)
_ALONE = re.compile(r"argument (\S+): expected (?:one|at least one) argument")
_UNKNOWN = re.compile(r"unrecognized arguments: (.+)", re.DOTALL)


def in_our_words(message: str, command: str, flags: Iterable[str]) -> tuple[str, str]:
    """What is wrong, and what to do about it; the latter is empty where help alone can say.

    Parameters
    ----------
    message : str
        As argparse has it.
    command : str
        What was called, such as `model-preflight registry push`.
    flags : iterable of str
        Those that the command takes.
    """
    if found := _MISSING.fullmatch(message):
        names = [one.rpartition("/")[2] for one in found[1].split(", ")]
        return f"`{command}` needs {_listed(names, 'and')}", ""
    if found := _CHOICE.fullmatch(message):
        return _chosen(
            found[1], found[2], re.findall(r"'([^']+)'", found[3]) or found[3].split(", "), command
        )
    if found := _KIND.fullmatch(message):
        return f"{_flag(found[1])} is {found[2]!r}", "give a whole number"
    if found := _ALONE.fullmatch(message):
        return f"{_flag(found[1])} needs a value", ""
    if found := _UNKNOWN.fullmatch(message):
        return _unknown(found[1], command, list(flags))
    return message, ""


def _chosen(place: str, given: str, known: list[str], command: str) -> tuple[str, str]:
    close = difflib.get_close_matches(given, known, n=1)
    way = f"did you mean `{close[0]}`? " if close else ""
    if place in ("COMMAND", "ACTION"):
        return f"`{command}` has no {place.lower()} {given!r}", f"{way}it has {_listed(known, 'and')}"
    return f"{_flag(place)} is {given!r}", f"{way}give {_listed(known, 'or')}"


def _unknown(given: str, command: str, flags: list[str]) -> tuple[str, str]:
    if not given.startswith("-"):
        return f"`{command}` takes no further argument, and was given {given!r}", ""
    name = given.partition("=")[0]
    close = difflib.get_close_matches(name, [one for one in flags if one.startswith("--")], n=1, cutoff=0.6)
    return f"`{command}` takes no {name}", f"did you mean {close[0]}?" if close else ""


def _flag(place: str) -> str:
    """The long one of `-o/--output`."""
    return place.rpartition("/")[2]


def _listed(names: list[str], word: str) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"
