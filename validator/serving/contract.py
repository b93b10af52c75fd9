"""The contract as the deployment enforces it, read from JSON without the schema's library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from validator.artifact.read import CONTRACT_FILE, TamperedArtifactError
from validator.serving.errors import OptionError

OnRange = Literal["refuse", "flag", "ignore"]
Kind = Literal["float", "integer", "bool", "string", "category"]
_CLASSIFIERS = ("binary", "multiclass")
_TASKS = (*_CLASSIFIERS, "multilabel", "regression", "ranking", "outlier", "unknown")


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One input. `categories` are the values that were seen, None for no such list; `missing` whether NaN, None and
    nulls are allowed; `infinite` whether infinities are. `fixed_range` says that minimum and maximum were
    promised, rather than seen in the sample.
    """

    name: str
    kind: Kind
    dtype: str
    categories: tuple[Any, ...] | None = None
    missing: bool = False
    infinite: bool = False
    minimum: float | None = None
    maximum: float | None = None
    fixed_range: bool = False

    @property
    def has_limits(self) -> bool:
        return self.minimum is not None or self.maximum is not None

    @cached_property
    def index(self) -> Mapping[Any, int] | None:
        """Position by category; None where the contract lists none."""
        if self.categories is None:
            return None
        return {value: position for position, value in enumerate(self.categories)}

    @cached_property
    def kinds(self) -> frozenset[type]:
        """What its categories are: text, numbers (float stands for both kinds) or truth values."""
        return frozenset(map(plain_type, self.categories)) if self.categories else frozenset({str})


@dataclass(frozen=True, kw_only=True)
class ServedContract:
    """What goes in and what comes out. `classes` is empty where unknown; the range is of `prediction` and `score`."""

    features: tuple[Feature, ...]
    task: str
    classes: tuple[Any, ...]
    n_outputs: int
    output_minimum: float | None
    output_maximum: float | None
    probabilities_sum_to_one: bool = True
    flags_range: bool = False
    onnx_outputs: Mapping[str, str] = field(default_factory=dict)

    def holding(self, on_range: OnRange | None) -> ServedContract:
        """The same contract with only those ranges in it that callers are held to.

        Without `on_range` these are the ranges that were fixed; "ignore" drops all, "refuse" and "flag" keep all.
        """
        if on_range is not None and on_range not in ("refuse", "flag", "ignore"):
            raise OptionError(f"on_range is {on_range!r}", hint="give 'refuse', 'flag' or 'ignore'")
        kept = tuple(
            feature
            if feature.kind in ("float", "integer")
            and (feature.fixed_range if on_range is None else on_range != "ignore")
            else replace(feature, minimum=None, maximum=None)
            for feature in self.features
        )
        return replace(self, features=kept, flags_range=on_range == "flag")

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    @property
    def is_classifier(self) -> bool:
        """Whether each row has one of the classes, and a probability for each of them."""
        return self.task in _CLASSIFIERS

    @property
    def sums_to_one(self) -> bool:
        """Whether each row of probabilities is one distribution over the classes."""
        return self.is_classifier and self.probabilities_sum_to_one


def parse_contract(document: Mapping[str, Any]) -> ServedContract:
    """The contract from `contract.json`'s object. Raises TamperedArtifactError, saying what is wrong in it."""
    task = document.get("task")
    if task not in _TASKS:
        raise _malformed(f"task is {task!r}")
    infinite = _boolean(document, "allow_infinite")
    missing = _boolean(document, "allow_missing")
    features = tuple(
        _feature(item, missing=missing, infinite=infinite) for item in _list(document, "features")
    )
    names = [feature.name for feature in features]
    if not names or len(set(names)) != len(names):
        raise _malformed("it names no feature, or one twice")
    n_outputs = document.get("n_outputs")
    if type(n_outputs) is not int or n_outputs < 1:
        raise _malformed(f"n_outputs is {n_outputs!r}")
    return ServedContract(
        features=features,
        task=task,
        classes=_scalars(_list(document, "classes")),
        n_outputs=n_outputs,
        output_minimum=_number(document, "output_minimum"),
        output_maximum=_number(document, "output_maximum"),
        # Artifacts from before this was written hold models whose probabilities do.
        probabilities_sum_to_one=_boolean(
            {"probabilities_sum_to_one": True, **document}, "probabilities_sum_to_one"
        ),
        onnx_outputs=_outputs(document.get("onnx_outputs", {})),
    )


def _outputs(found: Any) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
        raise _malformed("onnx_outputs is no mapping of names")
    return found


def plain_type(value: Any) -> type:
    """The type as a category's: whole and other numbers are of one kind, truth values are no numbers."""
    for kind in (bool, str):
        if isinstance(value, kind):
            return kind
    return float if isinstance(value, (int, float)) else type(value)


def _feature(item: Any, *, missing: bool, infinite: bool) -> Feature:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise _malformed("a feature has no name")
    dtype = item.get("dtype")
    kind = _kind(dtype) if isinstance(dtype, str) else None
    if kind is None or not isinstance(dtype, str):
        raise _malformed(f"feature {item['name']!r} has dtype {dtype!r}, which cannot be served")
    listed = item.get("categories")
    if listed is not None and not isinstance(listed, list):
        raise _malformed(f"the categories of {item['name']!r} are no list")
    if kind == "category" and listed is None:
        raise _malformed(f"category feature {item['name']!r} lists no categories")
    return Feature(
        name=item["name"],
        kind=kind,
        dtype=dtype,
        categories=None if listed is None else _scalars(listed),
        missing=missing and _boolean(item, "missing"),
        infinite=infinite,
        minimum=_number(item, "minimum"),
        maximum=_number(item, "maximum"),
        fixed_range="fixed_range" in item and _boolean(item, "fixed_range"),
    )


def _kind(dtype: str) -> Kind | None:
    if dtype in ("bool", "string", "category"):
        return dtype  # type: ignore[return-value]
    if dtype.startswith("float"):
        return "float"
    return "integer" if dtype.startswith(("int", "uint")) else None


def _list(document: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = document.get(key)
    if not isinstance(value, list):
        raise _malformed(f"{key} is no list")
    return value


def _boolean(document: Mapping[str, Any], key: str) -> bool:
    value = document.get(key)
    if not isinstance(value, bool):
        raise _malformed(f"{key} is {value!r}, neither true nor false")
    return value


def _number(document: Mapping[str, Any], key: str) -> float | None:
    value = document.get(key)
    if value is None:
        return None
    if value in ("Infinity", "-Infinity"):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _malformed(f"{key} is {value!r}, no number")
    return float(value)


def _scalars(values: Sequence[Any]) -> tuple[Any, ...]:
    for value in values:
        if not isinstance(value, (bool, int, float, str)):
            raise _malformed(f"{value!r} is no category or class")
    return tuple(values)


def _malformed(what: str) -> TamperedArtifactError:
    return TamperedArtifactError(f"{CONTRACT_FILE}: {what}", file=CONTRACT_FILE)
