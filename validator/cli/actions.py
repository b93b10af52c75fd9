"""Commands that have actions of their own: `registry push`, `rollout start`, `monitor init`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping


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
