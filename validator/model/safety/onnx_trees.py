"""Checking the tree operators of ai.onnx.ml: ONNX Runtime follows their indices without looking back.

Attributes as in the operators' schemas (onnx/docs/Operators-ml.md). ONNX Runtime 1.32 fails on trees deeper than
about 10,000 levels and hangs on infinite thresholds, so both are refused well before.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

_MOST_DEPTH = 5_000
_MOST_FEATURES = 1 << 24
_OLD = ("TreeEnsembleClassifier", "TreeEnsembleRegressor")


def check_trees(node: Any, n_features: int | None, most: int) -> str:
    """What is wrong with a tree operator, or empty. `n_features` is the width of its input, where that is known."""
    if node.domain != "ai.onnx.ml":
        return ""
    attributes = {attribute.name: attribute for attribute in node.attribute}
    try:
        if node.op_type in _OLD:
            return _check_old(attributes, n_features, most)
        return _check_new(attributes, n_features, most) if node.op_type == "TreeEnsemble" else ""
    except KeyError as error:
        return f"it lacks {error}"


def _check_old(attributes: dict[str, Any], n_features: int | None, most: int) -> str:
    trees, ids = attributes["nodes_treeids"].ints, attributes["nodes_nodeids"].ints
    modes = attributes["nodes_modes"].strings
    sides = attributes["nodes_truenodeids"].ints, attributes["nodes_falsenodeids"].ints
    features = attributes["nodes_featureids"].ints
    count = len(ids)
    if count > most:
        return f"it has more than {most:,} nodes"
    if any(len(values) != count for values in (trees, modes, features, *sides)):
        return "its node attributes differ in length"
    if _bad_values(attributes.get("nodes_values")):
        return "it has an infinite threshold"
    places = {key: place for place, key in enumerate(zip(trees, ids))}  # noqa: B905 - Python 3.9
    if len(places) != count:
        return "a node is there twice"
    if _out_of_range(features, n_features):
        return "a feature number is out of range"
    children: list[tuple[int, ...]] = []
    for place in range(count):
        if modes[place] == b"LEAF":
            children.append(())
            continue
        pair = tuple(places.get((trees[place], side[place]), -1) for side in sides)
        if -1 in pair:
            return f"a child of node {ids[place]} of tree {trees[place]} does not exist"
        children.append(pair)
    below = {child for pair in children for child in pair}
    return _check_shape(children, [place for place in range(count) if place not in below])


def _check_new(attributes: dict[str, Any], n_features: int | None, most: int) -> str:
    features = attributes["nodes_featureids"].ints
    count, leaves = len(features), len(attributes["leaf_targetids"].ints)
    if max(count, leaves) > most:
        return f"it has more than {most:,} nodes"
    sides = []
    for side in ("true", "false"):
        ids, is_leaf = attributes[f"nodes_{side}nodeids"].ints, attributes[f"nodes_{side}leafs"].ints
        if len(ids) != count or len(is_leaf) != count:
            return "its node attributes differ in length"
        pairs = list(zip(ids, is_leaf))  # noqa: B905 - Python 3.9
        lost = [child for child, leaf in pairs if not 0 <= child < (leaves if leaf else count)]
        if lost:
            return f"child {lost[0]} does not exist"
        sides.append([-1 if leaf else child for child, leaf in pairs])
    children = [tuple({side[place] for side in sides} - {-1}) for place in range(count)]
    roots = list(attributes["tree_roots"].ints)
    if any(not 0 <= root < count for root in roots):
        return "a root does not exist"
    if _out_of_range(features, n_features):
        return "a feature number is out of range"
    targets = attributes["n_targets"].i
    if any(not 0 <= target < targets for target in attributes["leaf_targetids"].ints):
        return "a leaf belongs to a target that does not exist"
    if _bad_values(attributes.get("nodes_splits")):
        return "it has an infinite threshold"
    return _check_shape(children, roots)


def _out_of_range(features: Sequence[int], n_features: int | None) -> bool:
    return bool(features) and (min(features) < 0 or max(features) >= (n_features or _MOST_FEATURES))


def _check_shape(children: list[tuple[int, ...]], roots: list[int]) -> str:
    """Follow every tree from its root: no node twice, none deeper than ONNX Runtime can go."""
    seen = bytearray(len(children))
    level, depth = list(roots), 0
    while level:
        depth += 1
        if depth > _MOST_DEPTH:
            return f"a tree is deeper than {_MOST_DEPTH:,}"
        following: list[int] = []
        for place in level:
            if seen[place]:
                return "a node has two parents, or is in a cycle"
            seen[place] = 1
            following.extend(children[place])
        level = following
    return "" if all(seen) else "some of its nodes are in a cycle, or in no tree"


def _bad_values(attribute: Any) -> bool:
    if attribute is None:
        return False
    if attribute.floats:
        return any(map(math.isinf, attribute.floats))
    tensor = attribute.t
    code, width = {1: ("f", 4), 11: ("d", 8)}.get(tensor.data_type, ("", 1))
    if code and tensor.raw_data:
        count = len(tensor.raw_data) // width
        return any(map(math.isinf, struct.unpack(f"<{count}{code}", tensor.raw_data[: count * width])))
    return any(map(math.isinf, [*tensor.float_data, *tensor.double_data]))
