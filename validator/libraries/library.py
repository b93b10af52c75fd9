"""What the rest of the product knows of one model library: its record, the only thing that names it elsewhere.

A record can be read where the library is not installed, and by Python 3.9 with the standard library alone: whatever
needs numpy or the library itself is imported by the function that needs it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from validator.python39 import dataclass

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from validator.libraries.live import Live
    from validator.trees.ensemble import TreeEnsemble


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
    read_alike: bool = False
    """whether `Library.read` takes such a file's bytes as it takes the exporter's"""
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
class KnownHazard:
    """A way in which stock converters are known to make another model of a library's trees."""

    id: str
    what: str
    """what it is about the trees"""
    elsewhere: str
    """what stock converters make of it"""
    applies: Callable[[TreeEnsemble], bool]
    shows: Callable[[Mapping[str, str]], bool] = lambda _facts: False
    """whether the facts that `Format.check` found tell it already"""


@dataclass(frozen=True, kw_only=True)
class Estimators:
    """Classes that a pipeline may hold and that are converted exactly inside it: a stem, and what may follow it."""

    module: str
    stem: str
    kinds: tuple[str, ...] = ("Classifier", "Regressor")
    unmarked: bool = False
    """whether its classifiers lack scikit-learn's mark of one, so that skl2onnx would give them one output"""


@dataclass(frozen=True, kw_only=True)
class OldReleases:
    """What releases before one need in an environment that is built for them, beyond what they ask for themselves."""

    before: str
    constraints: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Library:
    """One model library."""

    name: str
    """its top-level module"""
    shown: str
    """as people call it"""
    distributions: tuple[str, ...]
    """the packages that may install it; the first is the one to recommend"""
    live: Callable[[], Live]
    """what asks its models, in the process that holds them"""
    kind: str
    """the kind of the exports that `live().export` makes"""
    read: Callable[[Mapping[str, Any], Mapping[str, NDArray[Any]]], TreeEnsemble]
    """from such an export, in a process that never met the model. Raises ConversionError"""
    formats: tuple[Format, ...] = ()
    refused: tuple[Refused, ...] = ()
    estimators: tuple[Estimators, ...] = ()
    hazards: tuple[KnownHazard, ...] = ()
    trees_alone: bool = True
    """whether its models are trees over numbers and declared categories, which no converter but ours takes"""
    unseen: str = ""
    """what it makes of a category that it never saw, where that means nothing and need not be copied"""
    unnamed: str = ""
    """the name that it gives to column `{}` of a bare matrix"""
    numpy_2: str = ""
    """its first release that works with NumPy 2"""
    old_releases: tuple[OldReleases, ...] = ()
    mlflow_key: str = ""
    """under which MLflow notes its version"""
    told_as: str = ""
    """what its files tell the version of, where that is not the library"""
    eras: Mapping[str, tuple[tuple[int, int], tuple[int, int]]] = field(default_factory=dict)
    """by such a version, the first release that wrote it, and the first that no longer did"""

    pins: Mapping[str, str] = field(default_factory=dict)
    """by such a version, the release to install for it, where not every one that wrote it will do"""

    @property
    def distribution(self) -> str:
        return self.distributions[0]

    @property
    def recorded_as(self) -> str:
        """The name under which its files' version is told."""
        return self.told_as or self.distribution
