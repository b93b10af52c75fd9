"""What the rest of the product knows of one model library: its record, the only thing that names it elsewhere.

A record can be read where the library is not installed, and by Python 3.9 with the standard library alone: whatever
needs numpy or the library itself is imported by the function that needs it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from validator.python39 import dataclass


class Checked(NamedTuple):
    """What a look at a file found: the release that wrote it, empty where it does not say, and facts to show."""

    version: str
    facts: Mapping[str, str] = {}


class Check(Protocol):
    """A look at a file's bytes before its library sees them."""

    def __call__(self, data: bytes, *, nodes: int) -> Checked: ...


@dataclass(frozen=True, kw_only=True)
class Format:
    """A file format that a library itself writes and reads. It holds numbers, never code."""

    name: str
    """as results, settings and workers call it"""
    shown: str
    """as people call it"""
    begins: re.Pattern[bytes]
    """matches the first bytes of such a file, and of no other"""
    model_class: str
    """the class of what the library makes of it"""
    check: Check
    """of the file's bytes and the most nodes that its trees may have.

    Raises DocumentError, saying what is wrong; or another ValueError, TypeError, KeyError, AttributeError or
    OverflowError where a part is missing or of another kind."""
    remedy: str
    """what to do with a file in which that found damage"""
    by_path: bool = False
    """whether the library reads it from a path alone"""


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A format that is recognised to be refused by name."""

    begins: re.Pattern[bytes]
    what: str
    """what such a file is, and why it cannot be judged"""
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Library:
    """One model library."""

    name: str
    """its top-level module"""
    distributions: tuple[str, ...]
    """the packages that may install it; the first is the one to recommend"""
    formats: tuple[Format, ...] = ()
    refused: tuple[Refused, ...] = ()
    told_as: str = ""
    """what its files tell a version of, where that is not the library's first distribution"""
