"""What commands share: actions (`registry push`, `rollout start`), the flag `--json`, an address to listen on."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping

from validator.errors import UsageError


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """The flag `--json`. `what` it prints is a document that a program reads."""
    parser.add_argument(
        "--json",
        dest="json_output",
        action="store_true",
        default=None,
        help=f"print {what} to standard output instead of the view",
    )


def print_json(document: object) -> None:
    """One document on standard output, and nothing else there."""
    print(json.dumps(document, indent=1, allow_nan=False))


def add_actions(
    parser: argparse.ArgumentParser, actions: Mapping[str, str], epilog: str
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Each action's name with a parser for its flags. `actions` says what each does, in words that begin small."""
    choices = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, summary in actions.items():
        yield (
            name,
            choices.add_parser(
                name,
                help=summary,
                description=summary[0].upper() + summary[1:] + ".",
                epilog=epilog,
                allow_abbrev=False,
            ),
        )


def host_and_port(address: str) -> tuple[str, int]:
    """Host and port of HOST:PORT; an empty host is every address. Raises UsageError."""
    host, _, port = address.rpartition(":")
    if not (port.isdecimal() and port.isascii()) or int(port) > 65535:
        raise UsageError(
            f"{address!r} is no address to listen on", hint="give HOST:PORT, such as 127.0.0.1:8085"
        )
    return host, int(port)
