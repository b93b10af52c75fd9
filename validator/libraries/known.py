"""Every model library that is known here. Another one is a folder beside these, and a line in `LIBRARIES`."""

from __future__ import annotations

from typing import Optional, Tuple

from validator.libraries import catboost, lightgbm, sklearn, xgboost
from validator.libraries.library import Format, Library

LIBRARIES: Tuple[Library, ...] = (
    lightgbm.LIBRARY,
    xgboost.LIBRARY,
    catboost.LIBRARY,
    sklearn.LIBRARY,
)


def library_named(name: str) -> Optional[Library]:
    """The library whose top-level module has that name."""
    return next((library for library in LIBRARIES if library.name == name), None)


def format_named(name: str) -> Optional[Tuple[Library, Format]]:
    """A library's own file format, and the library."""
    return next(
        ((library, form) for library in LIBRARIES for form in library.formats if form.name == name), None
    )
