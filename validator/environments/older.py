"""What old releases need, or cannot work with, and do not say themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from packaging.specifiers import Specifier, SpecifierSet
from packaging.version import InvalidVersion, Version

#: The first releases that work with NumPy 2. Older ones allow any version and break when they are imported.
_NUMPY_2 = {"scikit-learn": "1.4.2", "pandas": "2.2.2", "scipy": "1.13.0", "lightgbm": "4.4.0",
            "xgboost": "2.1.0", "catboost": "1.2.8"}  # fmt: skip
_ANY = SpecifierSet()


def constraints(names: Mapping[str, SpecifierSet]) -> Iterator[str]:
    """Bounds for what is asked for by name with these specifiers, where it sets none itself."""
    if not len(names.get("numpy", _ANY)) and any(
        name in names and _older(names[name], first) for name, first in _NUMPY_2.items()
    ):
        yield "numpy<2"
    if _older(names.get("scikit-learn", _ANY), "1.1"):
        yield "onnx<1.17"  # the last skl2onnx for it uses what later ones lack
    if _older(names.get("xgboost", _ANY), "1.7") and not len(names.get("pandas", _ANY)):
        yield "pandas<2"


def undeclared(names: Mapping[str, SpecifierSet]) -> Iterator[str]:
    """What is needed although nothing asks for it: NumPy by us, setuptools by XGBoost when it is imported."""
    yield "numpy"
    if _older(names.get("xgboost", _ANY), "1.7"):
        yield "setuptools<80"


def _older(specifier: SpecifierSet, first: str) -> bool:
    """Whether only releases before `first` will do."""
    return not specifier.contains(first) and any(_ends_before(part, Version(first)) for part in specifier)


def _ends_before(part: Specifier, first: Version) -> bool:
    try:
        version = Version(part.version.removesuffix(".*"))
    except InvalidVersion:
        return False
    return part.operator in ("==", "===", "<=", "<", "~=") and version <= first
