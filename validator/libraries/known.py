"""Every model library that is known here. Another one is a folder beside these, and its name here."""

from __future__ import annotations

from typing import Any, Optional, Tuple

from validator.libraries import (
    catboost,
    lightgbm,
    sklearn,
    xgboost,
)
from validator.libraries.library import Format, Library
from validator.libraries.live import Live
from validator.libraries.plain import library_of

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


def recorded_as(name: str) -> Optional[Library]:
    """The library whose files tell a version under that name."""
    return next((library for library in LIBRARIES if library.recorded_as == name), None)


def package_and_version(name: str, version: str) -> Tuple[str, str]:
    """The distribution and its version: the releases that write a format, where the file records that alone."""
    library, era = recorded_as(name), era_of(name, version)
    if library is None or era is None:
        return name, version
    first, end = era
    releases = f"{first[0]}.{first[1]} or later" if end[0] > 90 else f"before {end[0]}.{end[1]}"
    if end == (0, 0):
        releases = "of an unknown release"
    return library.distribution, f"{releases} ({name.removeprefix(library.name).strip()} {version})"


def era_of(name: str, version: str) -> Optional[Tuple[Tuple[int, int], Tuple[int, int]]]:
    """The releases that write such a version, from the first to before the last, where it is not a release's own."""
    library = recorded_as(name)
    return library.eras.get(version, ((0, 0), (0, 0))) if library is not None and library.eras else None


def live_of(model: Any) -> Live:
    """What asks this model; where no library here made its class, as scikit-learn's estimators are asked."""
    library = library_named(library_of(model))
    return Live() if library is None else library.live()
