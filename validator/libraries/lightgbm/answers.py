"""What a LightGBM model answers: its objective as task, transform and labels, and its pandas categories."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from validator.errors import ConversionError
from validator.libraries.lightgbm.forest import refusal
from validator.libraries.lightgbm.text import ModelText
from validator.python39 import dataclass, pairs
from validator.trees.ensemble import LabelRule, Task, Transform, TransformKind

_IDENTITY = ("regression", "regression_l1", "huber", "fair", "quantile", "mape", "custom", "none")
_EXP = ("poisson", "gamma", "tweedie")
_RANKING = ("lambdarank", "rank_xendcg")


@dataclass(frozen=True, kw_only=True)
class LightGbmAnswers:
    """Task, transform and labels."""

    task: Task
    transform: Transform
    label_rule: LabelRule = LabelRule.ARGMAX_PROBABILITY
    class_labels: tuple[int, ...] | tuple[str, ...] = ()

    @classmethod
    def of(
        cls, model: ModelText, targets: int, class_labels: Sequence[int] | Sequence[str] | None
    ) -> LightGbmAnswers:
        """From the objective's line. Raises ConversionError for an unknown objective or labels that do not fit."""
        name, options = _objective(model)
        task, transform = _meaning(name, options)
        if task is not Task.CLASSIFICATION:
            if class_labels is not None:
                raise ConversionError(
                    f"a LightGBM classifier with objective {name!r} gives no probabilities",
                    hint="train it with objective binary, multiclass or multiclassova, or save it as a regressor",
                )
            return cls(task=task, transform=transform)
        classes = 2 if targets == 1 else targets
        if (name == "binary") != (targets == 1):
            raise refusal(f"objective {name} with {targets} trees an iteration")
        labels = tuple(range(classes)) if class_labels is None else tuple(class_labels)
        if len(labels) == 1:
            raise ConversionError(
                f"the LightGBM classifier knows a single class, {str(labels[0])[:40]!r}: nothing is told apart",
                hint="train it on rows of every class",
            )
        if len(labels) != classes:
            raise refusal(f"{len(labels)} class labels for {classes} classes")
        return cls(task=task, transform=transform, class_labels=labels)  # type: ignore[arg-type]


def _objective(model: ModelText) -> tuple[str, dict[str, str]]:
    """The objective's name and options; `custom` where the model was trained with a function of the user's."""
    words = model.header.get(b"objective", b"custom").decode(errors="replace").split()
    if not words:
        raise refusal("its objective is empty")
    options = {key: value for key, _, value in (word.partition(":") for word in words[1:])}
    unknown = set(options) - {"sigmoid", "num_class", "sqrt"}
    if unknown:
        raise refusal(f"objective {words[0]!r} has the unknown option {min(unknown)[:40]!r}")
    return words[0], options


def _meaning(name: str, options: Mapping[str, str]) -> tuple[Task, Transform]:
    if "sqrt" in options:
        if name not in _IDENTITY:
            raise refusal(f"objective {name!r} with sqrt is unknown")
        return Task.REGRESSION, Transform(kind=TransformKind.SIGNED_SQUARE)
    if name in _IDENTITY:
        return Task.REGRESSION, Transform()
    if name in _EXP:
        return Task.REGRESSION, Transform(kind=TransformKind.EXP)
    if name in _RANKING:
        return Task.RANKING, Transform()
    if name in ("binary", "multiclassova"):
        return Task.CLASSIFICATION, Transform(kind=TransformKind.SIGMOID, factor=_factor(name, options))
    if name == "multiclass":
        return Task.CLASSIFICATION, Transform(kind=TransformKind.SOFTMAX)
    if name == "cross_entropy":
        return Task.REGRESSION, Transform(kind=TransformKind.SIGMOID)
    if name == "cross_entropy_lambda":
        return Task.REGRESSION, Transform(kind=TransformKind.LOG1P_EXP)
    raise refusal(f"the objective {name[:40]!r} is unknown", hint="use one of LightGBM's built-in objectives")


def _factor(name: str, options: Mapping[str, str]) -> float:
    try:
        factor = float(options["sigmoid"])
    except (KeyError, ValueError):
        raise refusal(f"objective {name} has no readable sigmoid") from None
    if not 0 < factor < float("inf"):
        raise refusal(f"objective {name} has sigmoid {factor}")
    return factor


def feature_categories(
    model: ModelText, n_features: int, columns: Sequence[int] | None
) -> Mapping[int, tuple[str | float, ...]]:
    """Feature index -> the pandas categories whose positions are the model's codes.

    The text lists categories by position among the training frame's category columns, without naming them. Where the
    caller does not know the columns they are inferred only if there is one possible answer. Raises ConversionError.
    """
    lists = model.pandas_categorical
    if not lists:
        return MappingProxyType({})
    chosen = sorted(columns) if columns is not None else _inferred_columns(model, n_features)
    if len(chosen) != len(lists) or (chosen and not 0 <= chosen[0] <= chosen[-1] < n_features):
        raise ConversionError(
            f"the LightGBM model was trained on {len(lists)} pandas category columns, and which ones is unclear",
            hint="give a data sample (--data) in which exactly those columns hold categories",
        )
    return MappingProxyType({index: _plain(values, index) for index, values in pairs(chosen, lists)})


def _plain(values: list[object], index: int) -> tuple[str | float, ...]:
    if all(isinstance(value, str) for value in values):
        return tuple(str(value) for value in values)
    if all(isinstance(value, (int, float)) for value in values):
        return tuple(float(value) for value in values)  # type: ignore[arg-type]
    raise ConversionError(
        f"the categories of column {index} mix text with numbers or hold other kinds of value",
        hint="train on categories that are all text or all numbers",
    )


def _inferred_columns(model: ModelText, n_features: int) -> list[int]:
    """The columns that the category lists belong to, if there is one possible answer; else none.

    A list may belong to a declared categorical feature, or, where its categories are ordered, to any feature of whole
    numbers. It must have a category for every code that was met in training, and lists keep the columns' order.
    """
    declared_text = model.parameters.get(b"categorical_feature", b"")
    infos = model.header.get(b"feature_infos", b"").split(b" ")
    if not re.fullmatch(rb"(\d+(,\d+)*)?", declared_text) or len(infos) != n_features:
        return []
    declared = {int(word) for word in declared_text.split(b",") if word}
    largest = {i: _largest_code(info) for i, info in enumerate(infos)}
    candidates = [i for i in range(n_features) if i in declared or _CODES.fullmatch(infos[i])]
    lists = model.pandas_categorical
    # ways[k]: how often the first k lists fit the candidates so far; chosen[k]: one such choice.
    ways = [1] + [0] * len(lists)
    chosen: list[list[int]] = [[] for _ in range(len(lists) + 1)]
    for column in candidates:
        for k in range(len(lists), 0, -1):
            if ways[k - 1] and largest[column] < len(lists[k - 1]):
                ways[k] += ways[k - 1]
                chosen[k] = [*chosen[k - 1], column]
    return chosen[-1] if ways[-1] == 1 else []


_CODES = re.compile(rb"none|\[\d+:\d+\]")


def _largest_code(info: bytes) -> int:
    """Of a feature's values in training, as `feature_infos` tells them: [least:largest], categories, or none."""
    numbers = [int(word) for word in re.findall(rb"-?\d+", info)] if b"." not in info else []
    return max(numbers, default=-1)
