"""What old releases need, or cannot work with, and do not say themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from packaging.requirements import Requirement
from packaging.specifiers import Specifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from validator.libraries.known import LIBRARIES
from validator.libraries.library import OldReleases

#: The first releases that work with NumPy 2. Older ones allow any version and break when they are imported.
_NUMPY_2 = {"pandas": "2.2.2", "scipy": "1.13.0"} | {
    library.distribution: library.numpy_2 for library in LIBRARIES if library.numpy_2
}
_ANY = SpecifierSet()


def constraints(names: Mapping[str, SpecifierSet]) -> Iterator[str]:
    """Bounds for what is asked for by name with these specifiers, where it sets none itself."""
    if not len(names.get("numpy", _ANY)) and any(
        name in names and _older(names[name], first) for name, first in _NUMPY_2.items()
    ):
        yield "numpy<2"
    for old in _old_releases(names):
        for bound in old.constraints:
            if not len(names.get(Requirement(bound).name, _ANY)):
                yield bound


def undeclared(names: Mapping[str, SpecifierSet]) -> Iterator[str]:
    """What is needed although nothing asks for it: NumPy by us, and what old releases import."""
    yield "numpy"
    for old in _old_releases(names):
        yield from old.requirements


def _old_releases(names: Mapping[str, SpecifierSet]) -> Iterator[OldReleases]:
    for library in LIBRARIES:
        for old in library.old_releases:
            if _older(names.get(library.distribution, _ANY), old.before):
                yield old


def _older(specifier: SpecifierSet, first: str) -> bool:
    """Whether only releases before `first` will do."""
    return not specifier.contains(first) and any(_ends_before(part, Version(first)) for part in specifier)


def _ends_before(part: Specifier, first: Version) -> bool:
    try:
        version = Version(part.version.removesuffix(".*"))
    except InvalidVersion:
        return False
    return part.operator in ("==", "===", "<=", "<", "~=") and version <= first
