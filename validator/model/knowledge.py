"""What the model knows of its columns beside what the sample shows of them: the model first, the sample second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from validator.results import FeatureSpec, Scalar

_SHOWN = 5
#: What a column of the model's own type holds, where the sample's is of another.
_CALLED = {"float64": "fractions", "int64": "whole numbers alone", "bool": "truth values alone"}


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a model tells of one column. `values` are the categories of its training, None where it tells none;
    `missing` whether it was trained with missing values, or takes them, None where it does not tell;
    `answers_others` whether it answers categories that it never saw; `numbers` what numbers it was trained on: float,
    integer or bool, None where it does not tell. `whole` and `used` are the sample's: whether it holds no fractions
    there, and which categories its rows hold, where it is a column of categories.
    """

    values: tuple[Scalar, ...] | None = None
    missing: bool | None = None
    answers_others: bool = True
    numbers: str | None = None
    whole: bool = True
    used: frozenset[Scalar] | None = None


Knowledge = Mapping[str, Known]


def with_knowledge(seen: Sequence[FeatureSpec], known: Knowledge) -> tuple[FeatureSpec, ...]:
    """The features with the model's categories before the sample's own, and missing and of the types that the model
    has, as far as the sample's own values are of them.
    """
    return tuple(
        _joined(feature, known[feature.name]) if feature.name in known else feature for feature in seen
    )


def _joined(seen: FeatureSpec, known: Known) -> FeatureSpec:
    told = {"missing": seen.missing or known.missing is True, "categories": _categories(seen, known)}
    dtype = _dtype(seen, known)
    if dtype == "bool" != seen.dtype:
        told |= {"minimum": None, "maximum": None}
    return seen.model_copy(update={**told, "dtype": dtype})


def _dtype(seen: FeatureSpec, known: Known) -> str:
    """A sample of whole numbers does not make a model of floats one that takes no others, and the like."""
    if known.numbers == "float" and _is_whole(seen):
        return "float64"
    if known.numbers == "integer" and seen.dtype.startswith("float") and known.whole:
        return "int64"
    return "bool" if known.numbers == "bool" and _is_truth(seen, known) else seen.dtype


def _is_whole(seen: FeatureSpec) -> bool:
    return seen.dtype.startswith(("int", "uint"))


def _is_number(seen: FeatureSpec) -> bool:
    return seen.dtype.startswith(("float", "int", "uint"))


def _is_truth(seen: FeatureSpec, known: Known) -> bool:
    """Whether a column of numbers holds 0 and 1 alone."""
    if not _is_number(seen) or not known.whole or seen.minimum is None or seen.maximum is None:
        return False
    return seen.minimum >= 0 and seen.maximum <= 1


def _categories(seen: FeatureSpec, known: Known) -> tuple[Scalar, ...] | None:
    if seen.dtype not in ("string", "category") or not _is_text(known.values):
        return seen.categories
    if seen.categories is None:  # too many to be listed: free text, where the model bears that
        return None if known.answers_others else known.values
    return tuple(dict.fromkeys((*(known.values or ()), *seen.categories)))


def _is_text(values: Sequence[Scalar] | None) -> bool:
    return bool(values) and all(isinstance(value, str) for value in values or ())


def only_known(seen: Sequence[FeatureSpec], known: Knowledge) -> list[str]:
    """What the model knows and the sample does not show, in words."""
    told = []
    for feature in seen:
        one = known.get(feature.name, Known())
        if (
            feature.dtype in ("string", "category")
            and feature.categories is not None
            and _is_text(one.values)
        ):
            told += _listed(
                feature.name, [value for value in one.values or () if value not in feature.categories]
            )
        if one.missing and not feature.missing:
            told.append(f"missing values in {feature.name!r}")
        dtype = _dtype(feature, one)
        if dtype != feature.dtype:
            told.append(f"{_CALLED[dtype]} in {feature.name!r}")
    return told


def only_seen(seen: Sequence[FeatureSpec], known: Knowledge) -> list[str]:
    """What the sample shows and the model was not trained on, in words."""
    told = []
    for feature in seen:
        one = known.get(feature.name, Known())
        if one.values and _is_text(one.values) and feature.dtype not in ("string", "category"):
            told.append(f"{feature.dtype} in {feature.name!r}, where the model was trained on text")
        elif one.values and feature.categories is not None:
            told += _listed(feature.name, [value for value in feature.categories if value not in one.values])
        if one.missing is False and feature.missing:
            told.append(f"missing values in {feature.name!r}")
        told += _other_numbers(feature, one)
    return told


def only_promised(
    contract: Sequence[FeatureSpec], seen: Sequence[FeatureSpec], known: Knowledge
) -> list[str]:
    """What a contract allows and neither the sample shows nor the model was trained on, in words."""
    return [
        f"missing values in {promised.name!r}"
        for promised, shown in zip(contract, seen, strict=True)
        if promised.missing and not shown.missing and known.get(promised.name, Known()).missing is False
    ]


def _other_numbers(seen: FeatureSpec, known: Known) -> list[str]:
    """Numbers of another kind than the model was trained on, in words; nothing where the contract has its kind."""
    trained = f"in {seen.name!r}, where the model was trained on"
    if seen.dtype == "bool" and known.numbers in ("float", "integer"):
        return [f"truth values {trained} numbers"]
    if known.numbers == "integer" and seen.dtype.startswith("float") and not known.whole:
        return [f"fractions {trained} whole numbers"]
    if (
        known.numbers == "bool"
        and _is_number(seen)
        and seen.minimum is not None
        and not _is_truth(seen, known)
    ):
        return [f"numbers beside 0 and 1 {trained} truth values"]
    return []


def _listed(name: str, values: Sequence[Scalar]) -> list[str]:
    """The values of one column, the first of them by name; nothing for none."""
    if not values:
        return []
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return [f"{', '.join(repr(value)[:80] for value in values[:_SHOWN])}{more} in {name!r}"]
