"""Encoders of categories for skl2onnx, whose own ones cut fractions off before they compare and know no rare ones.

Each column is looked up among the categories of training; its place there decides what is answered. A missing text
is the empty one: an ONNX tensor of text has no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.errors import ConversionError
from validator.pipelines.step_nodes import DOUBLE, Nodes, number_type
from validator.python39 import pairs

_NOWHERE = -1


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of these converters."""
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    update(OneHotEncoder, "ExactOneHotEncoder", _one_hot_shapes, _one_hot, overwrite=True)
    update(OrdinalEncoder, "ExactOrdinalEncoder", _ordinal_shapes, _ordinal, overwrite=True)
    for encoder in target_encoders():
        update(encoder, "ExactTargetEncoder", _target_shapes, _target, overwrite=True)


def target_encoders() -> tuple[type, ...]:
    """scikit-learn's class; none before its release 1.3."""
    from sklearn import preprocessing

    found = getattr(preprocessing, "TargetEncoder", None)
    return () if found is None else (found,)


def _one_hot_shapes(operator: Any) -> None:
    width = sum(_one_hot_columns(operator.raw_operator, place)[1] for place in _features(operator))
    operator.outputs[0].type = number_type(operator)([None, width])


def _ordinal_shapes(operator: Any) -> None:
    operator.outputs[0].type = number_type(operator)([None, len(operator.raw_operator.categories_)])


def _target_shapes(operator: Any) -> None:
    operator.outputs[0].type = number_type(operator)([None, len(operator.raw_operator.encodings_)])


def _features(operator: Any) -> range:
    return range(len(operator.raw_operator.categories_))


def _one_hot(scope: Any, operator: Any, container: Any) -> None:
    step, nodes, columns = operator.raw_operator, Nodes(scope, operator, container), []
    for feature, place in enumerate(_places(nodes, operator)):
        targets, width = _one_hot_columns(step, feature)
        if width:
            target = nodes.add("Gather", nodes.constant(targets), place)
            hot = nodes.add("Equal", target, nodes.constant(np.arange(width)[None, :]))
            columns.append(nodes.add("Cast", hot, to=DOUBLE))
    nodes.finish(nodes.add("Concat", *columns, axis=1))


def _one_hot_columns(step: Any, feature: int) -> tuple[npt.NDArray[np.int64], int]:
    """For each category, and last for one that training never saw, its column among so many of the feature's."""
    grouped = _grouped(step, feature)
    width = int(grouped.max(initial=-1)) + 1
    shared = step.handle_unknown in ("infrequent_if_exist", "warn") and _has_rare(step, feature)
    targets = np.append(grouped, width - 1 if shared else _NOWHERE)
    dropped = getattr(step, "_drop_idx_after_grouping", getattr(step, "drop_idx_", None))
    if dropped is not None and dropped[feature] is not None:
        left_out = int(dropped[feature])
        targets = np.where(targets == left_out, _NOWHERE, targets - (targets > left_out))
        width -= 1
    return targets.astype(np.int64), width


def _ordinal(scope: Any, operator: Any, container: Any) -> None:
    step, nodes, columns = operator.raw_operator, Nodes(scope, operator, container), []
    for feature, place in enumerate(_places(nodes, operator)):
        codes = _grouped(step, feature).astype(np.float64)
        codes[[_is_missing(value) for value in step.categories_[feature]]] = getattr(
            step, "encoded_missing_value", np.nan
        )
        unseen = step.unknown_value if step.handle_unknown == "use_encoded_value" else np.nan
        columns.append(nodes.add("Gather", nodes.constant(np.append(codes, unseen)), place))
    nodes.finish(nodes.add("Concat", *columns, axis=1))


def _target(scope: Any, operator: Any, container: Any) -> None:
    """One column a feature, of several classes one for each: the category's own mean, else that of all rows."""
    step, nodes, columns = operator.raw_operator, Nodes(scope, operator, container), []
    places = list(_places(nodes, operator))
    overall = np.atleast_1d(step.target_mean_)
    for index, means in enumerate(step.encodings_):
        feature, label = divmod(index, len(overall))
        columns.append(nodes.add("Gather", nodes.constant(np.append(means, overall[label])), places[feature]))
    nodes.finish(nodes.add("Concat", *columns, axis=1))


def _grouped(step: Any, feature: int) -> npt.NDArray[np.int64]:
    """Each category's number, where those that are rare share the last one."""
    count = len(step.categories_[feature])
    found = (
        step._default_to_infrequent_mappings[feature] if getattr(step, "_infrequent_enabled", False) else None
    )
    if found is None:
        return np.arange(count)
    # Of a missing value, the last category, OrdinalEncoder keeps no number here: it has a code of its own.
    return np.append(found, np.zeros(count - len(found))).astype(np.int64)


def _has_rare(step: Any, feature: int) -> bool:
    enabled = getattr(step, "_infrequent_enabled", False)
    return enabled and step._default_to_infrequent_mappings[feature] is not None


def _places(nodes: Nodes, operator: Any) -> Iterator[str]:
    """For each feature the place of the row's value among its categories [N, 1]; their count if it is in none."""
    for (column, is_text), known in pairs(nodes.columns(), operator.raw_operator.categories_):
        yield _place_of_text(nodes, column, known) if is_text else _place_of_number(nodes, column, known)


def _place_of_text(nodes: Nodes, column: str, known: Any) -> str:
    words = ["" if _is_missing(value) else str(value) for value in known]
    if len(set(words)) < len(words):
        raise ConversionError(
            "an encoder tells categories apart that are one text in ONNX, such as a missing and an empty one",
            hint="fill missing values with a word of their own before training",
        )
    return nodes.add(
        "LabelEncoder",
        column,
        op_domain="ai.onnx.ml",
        op_version=2,
        keys_strings=[word.encode() for word in words],
        values_int64s=list(range(len(words))),
        default_int64=len(words),
    )


def _place_of_number(nodes: Nodes, column: str, known: Any) -> str:
    missing = np.array([_is_missing(value) for value in known])
    numbers = np.array([np.nan if gone else float(value) for gone, value in pairs(missing, known)])
    same = nodes.add("Equal", column, nodes.constant(numbers[None, :]))
    if missing.any():
        both = nodes.add("And", nodes.add("IsNaN", column), nodes.constant(missing[None, :]))
        same = nodes.add("Or", same, both)
    count = float(len(numbers))
    back = nodes.constant((np.arange(count) - count)[:, None])
    found = nodes.add("MatMul", nodes.add("Cast", same, to=DOUBLE), back)
    return nodes.add("Cast", nodes.add("Add", found, nodes.constant(np.array([count]))), to=7)  # INT64


def _is_missing(value: Any) -> bool:
    return value is None or bool(value != value)
