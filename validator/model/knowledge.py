"""What the model knows of its columns beside what the sample shows of them: the model first, the sample second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from validator.results import FeatureSpec, Scalar

_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a model tells of one column. `values` are the categories of its training, None where it tells none;
    `missing` whether it was trained with missing values, or takes them, None where it does not tell;
    `answers_others` whether it answers categories that it never saw.
    """

    values: tuple[Scalar, ...] | None = None
    missing: bool | None = None
    answers_others: bool = True


Knowledge = Mapping[str, Known]


def with_knowledge(seen: Sequence[FeatureSpec], known: Knowledge) -> tuple[FeatureSpec, ...]:
    """The features with the model's categories before the sample's own, and missing where the model has them so."""
    return tuple(
        _joined(feature, known[feature.name]) if feature.name in known else feature for feature in seen
    )


def _joined(seen: FeatureSpec, known: Known) -> FeatureSpec:
    return seen.model_copy(
        update={"missing": seen.missing or known.missing is True, "categories": _categories(seen, known)}
    )


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
    return told


def _listed(name: str, values: Sequence[Scalar]) -> list[str]:
    """The values of one column, the first of them by name; nothing for none."""
    if not values:
        return []
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return [f"{', '.join(repr(value)[:80] for value in values[:_SHOWN])}{more} in {name!r}"]
