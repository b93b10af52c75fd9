"""A registry's challenge, and what answers it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_SCHEME = re.compile(rf"\s*({_WORD})(?:\s+|$)")
_PARAMETER = re.compile(rf'\s*,?\s*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))')
_LONGEST = 8192
# What ghcr.io names in challenges that belong to no repository.
_ANY = "user/image"


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """What a `WWW-Authenticate` header asks for: `scheme` is `basic` or `bearer`; the rest is of bearer alone."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def read_challenges(headers: Sequence[str]) -> list[Challenge]:
    """The challenges that can be answered, a token's first. What cannot be read is passed over."""
    found: list[Challenge] = []
    for header in headers:
        position, text = 0, header[:_LONGEST]
        while (scheme := _SCHEME.match(text, position)) is not None:
            position = scheme.end()
            parameters: dict[str, str] = {}
            while (pair := _PARAMETER.match(text, position)) is not None:
                value = pair[3] if pair[2] is None else re.sub(r"\\(.)", r"\1", pair[2])
                parameters[pair[1].lower()] = value
                position = pair.end()
            name = scheme[1].lower()
            if name == "basic":
                found.append(Challenge(scheme=name))
            elif name == "bearer" and parameters.get("realm"):
                wanted = {key: parameters.get(key, "") for key in ("realm", "service", "scope")}
                found.append(Challenge(scheme=name, **wanted))
            position = _past_comma(text, position)
    return sorted(found, key=lambda one: one.scheme != "bearer")


def scope_for(repository: str, actions: frozenset[str], asked: str) -> str:
    """The scope to ask a token for: what is needed, and what the registry asks for beside it.

    Some registries ask for less than a request needs (`pull` alone, for a write), or for a repository that stands
    for any. One that calls the repository otherwise than its path does is asked by its own name.
    """
    kind, _, rest = asked.partition(":")
    name, _, given = rest.rpartition(":")
    if kind != "repository" or " " in asked or not name or name == _ANY:
        name, given = repository, ""
    return f"repository:{name}:{','.join(sorted(actions | set(filter(None, given.split(',')))))}"


def _past_comma(text: str, position: int) -> int:
    while position < len(text) and text[position] in ", ":
        position += 1
    return position
