"""CatBoost's trees as one table of nodes, leaves and branches mixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.errors import ConversionError
from validator.libraries.layout import malformed
from validator.python39 import dataclass
from validator.trees.ensemble import Flags, Floats, Ints, Refs

_LIBRARY = "CatBoost"
MAX_OBLIVIOUS_DEPTH = 16
"""CatBoost's own limit."""


@dataclass(frozen=True, kw_only=True)
class NodeTable:
    """Rows [R]: a branch goes `left` where x <= border; a leaf has `value` [R, K] and `cover`,
    its weight in training (NaN where the file has none)."""

    left: Ints
    right: Ints
    is_leaf: Flags
    feature: Refs
    border: npt.NDArray[np.float32]
    missing_left: Flags
    value: Floats
    cover: Floats
    roots: Ints


@dataclass(frozen=True, kw_only=True)
class _Features:
    """By number among the float features: the column, and whether NaN goes left."""

    column: npt.NDArray[np.int32]
    missing_left: Flags

    @classmethod
    def of(cls, model: Mapping[str, Any]) -> _Features:
        listed = model["features_info"].get("float_features") or []
        column = np.zeros(len(listed), dtype=np.int32)
        missing_left = np.zeros(len(listed), dtype=bool)
        for entry in listed:
            index = int(entry["feature_index"])
            column[index] = entry["flat_feature_index"]
            treatment = entry["nan_value_treatment"]
            if treatment not in ("AsIs", "AsFalse", "AsTrue"):
                raise malformed(_LIBRARY, f"missing values are treated {str(treatment)[:20]!r}")
            missing_left[index] = treatment != "AsTrue"
        return cls(column=column, missing_left=missing_left)

    def of_split(self, split: Mapping[str, Any]) -> tuple[int, float, bool]:
        """The column, the border and the way of NaN. Raises ConversionError for splits on anything but numbers."""
        if split.get("split_type", "FloatFeature") != "FloatFeature":
            raise ConversionError(
                f"the CatBoost model splits on a {str(split['split_type'])[:40]}, which ONNX trees cannot",
                hint="encode categories as numbers before training, for example by an OrdinalEncoder in front",
            )
        index = int(split["float_feature_index"])
        if not 0 <= index < len(self.column):
            raise malformed(_LIBRARY, f"a split on feature {index} of {len(self.column)}")
        return int(self.column[index]), float(split["border"]), bool(self.missing_left[index])


def tables(model: Mapping[str, Any], *, n_targets: int) -> NodeTable:
    """All trees of the model's JSON. Raises ConversionError for splits that cannot be expressed."""
    features = _Features.of(model)
    parts = (
        [_oblivious(tree, features, n_targets) for tree in model["oblivious_trees"]]
        if "oblivious_trees" in model
        else [_free(tree, features, n_targets) for tree in model["trees"]]
    )
    if not parts:
        raise ConversionError("the CatBoost model has no trees", hint="train it for at least one iteration")
    starts = np.cumsum([0, *(len(part.left) for part in parts)])[:-1]
    offset = np.repeat(starts, [len(part.left) for part in parts])
    border = np.concatenate([part.border for part in parts])
    if np.isnan(border).any():
        raise malformed(_LIBRARY, "a border is NaN")
    return NodeTable(
        left=np.concatenate([part.left for part in parts]) + offset,
        right=np.concatenate([part.right for part in parts]) + offset,
        is_leaf=np.concatenate([part.is_leaf for part in parts]),
        feature=np.concatenate([part.feature for part in parts]),
        border=border,
        missing_left=np.concatenate([part.missing_left for part in parts]),
        value=np.concatenate([part.value for part in parts]),
        cover=np.concatenate([part.cover for part in parts]),
        roots=starts.astype(np.int64),
    )


@cache
def _complete(depth: int) -> tuple[Ints, Ints, Ints]:
    """Children and level of each node of a complete tree in level order; at level l, node p is row 2**l - 1 + p.

    Here p has bit i set where split i < l was taken, so leaf p of the last level is CatBoost's leaf p.
    """
    rows = np.arange(2 ** (depth + 1) - 1, dtype=np.int64)
    level = np.repeat(np.arange(depth + 1), 2 ** np.arange(depth + 1))
    width = 2**level
    path = rows + 1 - width
    left = 2 * width - 1 + path
    return left, left + width, level


def _oblivious(tree: Mapping[str, Any], features: _Features, n_targets: int) -> NodeTable:
    splits: Sequence[Any] = tree.get("splits") or []
    depth = len(splits)
    if depth > MAX_OBLIVIOUS_DEPTH:
        raise malformed(_LIBRARY, f"an oblivious tree of depth {depth}")
    left, right, level = _complete(depth)
    read = [features.of_split(split) for split in splits] + [(0, 0.0, False)]
    values = np.asarray(tree["leaf_values"], dtype=np.float64).reshape(2**depth, n_targets)
    weights = np.asarray(tree.get("leaf_weights") or np.full(2**depth, np.nan), dtype=np.float64)
    return NodeTable(
        left=left,
        right=right,
        is_leaf=level == depth,
        feature=np.array([column for column, _, _ in read], dtype=np.int32)[level],
        border=np.array([border for _, border, _ in read], dtype=np.float32)[level],
        missing_left=np.array([missing for _, _, missing in read], dtype=bool)[level],
        value=np.concatenate([np.zeros((2**depth - 1, n_targets)), values]),
        cover=np.concatenate([np.zeros(2**depth - 1), weights.reshape(2**depth)]),
        roots=np.zeros(1, dtype=np.int64),
    )


def _free(tree: Mapping[str, Any], features: _Features, n_targets: int) -> NodeTable:
    """A tree of nested branches, flattened breadth first without recursion."""
    queue: list[Mapping[str, Any]] = [tree]
    left, right, read, values, weights = [], [], [], [], []
    no_value = [0.0] * n_targets
    for node in queue:
        if "split" not in node:
            value = node["value"]
            values.append(value if isinstance(value, list) else [value])
            weights.append(node.get("weight", np.nan))
            left.append(-1)
            right.append(-1)
            read.append((0, 0.0, False))
            continue
        left.append(len(queue))
        right.append(len(queue) + 1)
        queue += [node["left"], node["right"]]
        read.append(features.of_split(node["split"]))
        values.append(no_value)
        weights.append(0.0)
    return NodeTable(
        left=np.array(left, dtype=np.int64),
        right=np.array(right, dtype=np.int64),
        is_leaf=np.array(left) < 0,
        feature=np.array([column for column, _, _ in read], dtype=np.int32),
        border=np.array([border for _, border, _ in read], dtype=np.float32),
        missing_left=np.array([missing for _, _, missing in read], dtype=bool),
        value=np.array(values, dtype=np.float64).reshape(len(values), n_targets),
        cover=np.array(weights, dtype=np.float64),
        roots=np.zeros(1, dtype=np.int64),
    )
