"""What Python 3.11 has and 3.9 lacks, for code that also runs in the environment that a model was trained in."""
# ruff: noqa: UP036, UP042, B905 - ruff takes 3.11 for the oldest

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

if sys.version_info >= (3, 11):
    from dataclasses import dataclass
    from enum import StrEnum
else:
    import dataclasses
    import enum

    def dataclass(*, kw_only: bool = False, **options: Any) -> Any:
        """As of Python 3.10: with `kw_only`, fields are given by name, and those with a default may come first."""

        def made(kind: Any) -> Any:
            found = dataclasses.dataclass(init=False, **options)(kind)
            found.__init__ = _set_by_name
            return found

        return made if kw_only else dataclasses.dataclass(**options)

    def _set_by_name(self: Any, **given: Any) -> None:
        for field in dataclasses.fields(self):
            if field.name in given:
                value = given.pop(field.name)
            elif field.default is not dataclasses.MISSING:
                value = field.default
            elif field.default_factory is not dataclasses.MISSING:
                value = field.default_factory()
            else:
                raise TypeError(f"{type(self).__name__} needs {field.name}")
            object.__setattr__(self, field.name, value)
        if given:
            raise TypeError(f"{type(self).__name__} has no {', '.join(given)}")
        if hasattr(self, "__post_init__"):
            self.__post_init__()

    class StrEnum(str, enum.Enum):
        """Members are strings, and print as such."""

        __str__ = str.__str__


__all__ = ["StrEnum", "dataclass", "pairs"]

_First = TypeVar("_First")
_Second = TypeVar("_Second")


def pairs(first: Iterable[_First], second: Iterable[_Second]) -> Iterator[tuple[_First, _Second]]:
    """`zip` of two that must be equally long. Raises ValueError where they are not."""
    left, right = list(first), list(second)
    if len(left) != len(right):
        raise ValueError(f"{len(left)} and {len(right)} values cannot be paired")
    yield from zip(left, right)
