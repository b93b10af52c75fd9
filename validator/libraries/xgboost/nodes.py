"""XGBoost's trees, each an object of arrays, as one set of arrays."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.libraries.layout import Layout, covers, lay_out, malformed
from validator.libraries.xgboost.model import Model
from validator.python39 import dataclass, pairs
from validator.trees.ensemble import Flags, Floats, Ints, Refs

_LIBRARY = "XGBoost"
_CATEGORICAL = 1


@dataclass(frozen=True, kw_only=True)
class Forest:
    """All trees' nodes [M] and leaves [L]; true children are the left ones."""

    layout: Layout
    feature: Refs
    condition: npt.NDArray[np.float32]
    default_left: Flags
    is_categorical: Flags
    category_set: Refs
    set_indptr: Ints
    set_values: Floats
    leaf_value: npt.NDArray[np.float32]
    """float32 [L, W]"""
    leaf_target: Refs
    tree_of_leaf: Ints
    leaf_cover: Floats | None

    @classmethod
    def of(cls, model: Model, n_trees: int) -> Forest:
        """The first `n_trees` trees. Raises ConversionError for arrays that do not fit together."""
        trees = model.trees[:n_trees]
        try:
            return cls._of(model, _Columns(trees))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise malformed(_LIBRARY, f"a tree lacks a part or has a wrong one ({error!r:.80})") from error

    @classmethod
    def _of(cls, model: Model, columns: _Columns) -> Forest:
        left, right = columns.get("left_children", np.int64), columns.get("right_children", np.int64)
        is_leaf = left == -1
        offset = columns.starts[columns.tree]
        # Nodes that pruning deleted stay in the arrays with children out of range: only what is reached counts.
        layout = lay_out(
            true_child=left + offset,
            false_child=right + offset,
            is_leaf=is_leaf,
            roots=columns.starts,
            library=_LIBRARY,
        )
        tree = columns.tree
        if (tree[layout.nodes] != tree[left[layout.nodes] + offset[layout.nodes]]).any():
            raise malformed(_LIBRARY, "a child lies outside its tree")
        condition = columns.get("split_conditions", np.float32)
        width, value = _leaf_values(columns, layout, right, condition, model.n_targets)
        sets = _category_sets(columns, layout)
        # Releases before 3.1 write NaN where a category set decides.
        if np.isnan(condition[layout.nodes][~sets["is_categorical"]]).any() or not np.isfinite(value).all():
            raise malformed(_LIBRARY, "a split condition is NaN, or a leaf's value not finite")
        tree_of_leaf = tree[layout.leaves]
        return cls(
            layout=layout,
            feature=columns.get("split_indices", np.int32)[layout.nodes],
            condition=condition[layout.nodes],
            default_left=columns.get("default_left", np.bool_)[layout.nodes],
            leaf_value=value,
            leaf_target=(
                model.tree_info[tree_of_leaf].astype(np.int32)
                if width == 1
                else np.zeros(len(tree_of_leaf), np.int32)
            ),
            tree_of_leaf=tree_of_leaf,
            leaf_cover=covers(columns.get("sum_hessian", np.float64)[layout.leaves]),
            **sets,
        )


class _Columns:
    """The trees' arrays, end to end."""

    def __init__(self, trees: Any) -> None:
        self.trees = trees
        self.counts = np.array([len(tree["left_children"]) for tree in trees], dtype=np.int64)
        if (self.counts < 1).any():
            raise malformed(_LIBRARY, "a tree without nodes")
        self.starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(self.counts)[:-1]])
        self.tree = np.repeat(np.arange(len(trees)), self.counts)

    def get(self, name: str, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """One value a node."""
        parts = [np.asarray(tree[name]) for tree in self.trees]
        if any(len(part) != count for part, count in pairs(parts, self.counts)):
            raise malformed(_LIBRARY, f"{name} has not one value for each node")
        return np.concatenate([part.astype(dtype) for part in parts])

    def ragged(self, name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Whole numbers of any count a tree, and the tree of each."""
        parts = [np.asarray(tree.get(name, ()), dtype=np.int64).reshape(-1) for tree in self.trees]
        return np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts])


def _leaf_values(
    columns: _Columns, layout: Layout, right: Ints, condition: npt.NDArray[np.float32], n_targets: int
) -> tuple[int, npt.NDArray[np.float32]]:
    """The width of the leaves and their values [L, width].

    A vector leaf's values are a row of `leaf_weights`, numbered by its right child, since 3.1; before, the row of
    `base_weights` with the node's own number.
    """
    sizes = {int(tree["tree_param"].get("size_leaf_vector", 1)) for tree in columns.trees}
    if sizes <= {0, 1}:
        return 1, condition[layout.leaves][:, None]
    if sizes != {n_targets}:
        raise malformed(_LIBRARY, f"leaves of sizes {sorted(sizes)} for {n_targets} targets")
    by_leaf = "leaf_weights" in columns.trees[0]
    name = "leaf_weights" if by_leaf else "base_weights"
    tables = [np.asarray(tree[name], dtype=np.float32).reshape(-1, n_targets) for tree in columns.trees]
    rows = np.array([len(table) for table in tables], dtype=np.int64)
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(rows)[:-1]])
    tree = columns.tree[layout.leaves]
    row = right[layout.leaves] if by_leaf else layout.leaves - columns.starts[tree]
    if ((row < 0) | (row >= rows[tree])).any():
        raise malformed(_LIBRARY, f"a leaf has no row in {name}")
    return n_targets, np.concatenate(tables)[starts[tree] + row]


def _category_sets(columns: _Columns, layout: Layout) -> dict[str, Any]:
    """The sets of categories that go right, one a categorical node, in the order of the nodes."""
    kinds = [np.asarray(tree.get("split_type", ())) for tree in columns.trees]
    if not any(len(kind) and kind.any() for kind in kinds):
        none = np.full(len(layout.nodes), -1, dtype=np.int32)
        flags = np.zeros(len(none), dtype=bool)
        empty = np.zeros(0, dtype=np.float64)
        return {
            "is_categorical": flags,
            "category_set": none,
            "set_indptr": np.zeros(1, dtype=np.int64),
            "set_values": empty,
        }
    is_categorical = (columns.get("split_type", np.int64) == _CATEGORICAL)[layout.nodes]
    node, tree = columns.ragged("categories_nodes")
    begin, _ = columns.ragged("categories_segments")
    size, _ = columns.ragged("categories_sizes")
    values, tree_of_value = columns.ragged("categories")
    if not len(node) == len(begin) == len(size):
        raise malformed(_LIBRARY, "its category sets do not fit its nodes")
    first = np.searchsorted(tree_of_value, np.arange(len(columns.trees)))
    per_tree = np.bincount(tree_of_value, minlength=len(columns.trees))
    if ((begin < 0) | (size < 0) | (begin + size > per_tree[tree])).any():
        raise malformed(_LIBRARY, "a category set lies outside its tree's categories")
    sets = {int(row): index for index, row in enumerate(columns.starts[tree] + node)}
    rows = layout.nodes[is_categorical]
    if any(int(row) not in sets for row in rows):
        raise malformed(_LIBRARY, "a categorical node without categories")
    chosen = [sets[int(row)] for row in rows]
    members = [
        np.unique(values[first[tree[i]] + begin[i] : first[tree[i]] + begin[i] + size[i]]) for i in chosen
    ]
    category_set = np.full(len(layout.nodes), -1, dtype=np.int32)
    category_set[is_categorical] = np.arange(len(rows), dtype=np.int32)
    return {
        "is_categorical": is_categorical,
        "category_set": category_set,
        "set_indptr": np.cumsum([0, *(len(part) for part in members)]).astype(np.int64),
        "set_values": np.concatenate(members).astype(np.float64),
    }


def category_lists(model: Model) -> Mapping[int, tuple[str | float, ...]]:
    """The values behind the codes of features trained from data frames, which the file lists since 3.1."""
    listed: dict[int, tuple[str | float, ...]] = {}
    for index, entry in enumerate(model.category_encodings):
        values = np.asarray(entry.get("values", ()))
        if not len(values):
            continue
        if "offsets" not in entry:
            listed[index] = tuple(float(value) for value in values)
            continue
        text = values.astype(np.int8).tobytes()
        offsets = [int(offset) for offset in entry["offsets"]]
        if offsets[0] != 0 or offsets[-1] != len(text) or sorted(offsets) != offsets:
            raise malformed(_LIBRARY, f"the category names of feature {index} do not fit")
        pairs = itertools.pairwise(offsets)
        listed[index] = tuple(text[start:end].decode("utf-8", "replace") for start, end in pairs)
    return listed
