"""How lists and tables are written where there is room for one string only: a flag, a variable, an action's input."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

#: Commas that end a requirement rather than stand in its version range or extras.
_BETWEEN_REQUIREMENTS = re.compile(r",(?![^\[]*\])(?!\s*(?:[<>=!~]|$))")


def split(value: object) -> object:
    """A list given as one string (a variable, an action input): one item a line, or separated by commas."""
    if isinstance(value, str):
        separator = "\n" if "\n" in value else ","
        return [item.strip() for item in value.split(separator) if item.strip()]
    return value


def _split_each(value: object) -> object:
    """A list of numbers or names, whose items may be lists themselves: a flag repeated, and given with commas."""
    if isinstance(value, (list, tuple)):
        return [part for item in value for part in (split(item) if isinstance(item, str) else [item])]  # type: ignore[attr-defined]
    return split(value)


def _pairs(value: object) -> object:
    """`name=number` items as a mapping."""
    items = _split_each(value)
    if isinstance(items, (list, tuple)):
        found: dict[str, str] = {}
        for item in items:
            name, equals, number = str(item).rpartition("=")  # a slice's name holds one: auc[region=north]
            if not equals:
                raise ValueError(f"expected name=number, got {item!r}")
            found[name.strip()] = number.strip()
        return found
    return items


def _renamings(value: object) -> object:
    """`ours=theirs` items as a mapping."""
    items = _split_each(value)
    if not isinstance(items, (list, tuple)):
        return items
    found: dict[str, str] = {}
    for item in items:
        ours, equals, theirs = str(item).partition("=")
        if not equals or not theirs.strip() or ours.strip() in found:
            raise ValueError(f"expected label=NAME, probabilities=NAME and the like, once each, got {item!r}")
        found[ours.strip()] = theirs.strip()
    return found


def split_requirements(value: object) -> object:
    """As `split`, but a comma within one requirement (`numpy>=1.20,<2`, `pandas[excel,aws]`) does not separate."""
    if isinstance(value, str) and "\n" not in value:
        return [item.strip() for item in _BETWEEN_REQUIREMENTS.split(value) if item.strip()]
    return split(value)


#: In a file each may be a list or table, and what is written in a flag as well: so says the schema for editors.
Items = Annotated[tuple[str, ...], BeforeValidator(split, json_schema_input_type=str | tuple[str, ...])]
#: Items that hold no comma of their own, so that one of them may be several.
Names = Annotated[tuple[str, ...], BeforeValidator(_split_each, json_schema_input_type=str | tuple[str, ...])]
Requirements = Annotated[
    tuple[str, ...], BeforeValidator(split_requirements, json_schema_input_type=str | tuple[str, ...])
]
_Size = Annotated[int, Field(ge=1, le=10_000_000)]
Sizes = Annotated[
    tuple[_Size, ...], BeforeValidator(_split_each, json_schema_input_type=str | tuple[_Size, ...])
]
OutputNames = Annotated[
    dict[Literal["label", "probabilities", "prediction", "score"], str],
    BeforeValidator(_renamings, json_schema_input_type=str | tuple[str, ...] | dict[str, str]),
]
Limits = Annotated[
    dict[str, float], BeforeValidator(_pairs, json_schema_input_type=str | tuple[str, ...] | dict[str, float])
]
