"""Checking XGBoost's JSON and UBJSON models: counts that agree, trees that are trees, features that exist.

Fields as in XGBoost's model schema (doc/model.schema in its repository).
"""

from __future__ import annotations

from typing import Any

from validator.documents import MOST_NODES, DocumentError, most_nodes
from validator.libraries.library import Checked
from validator.libraries.xgboost.document import load

_PER_NODE = ("left_children", "right_children", "parents", "split_indices", "split_conditions", "default_left",
             "base_weights")  # fmt: skip


def check_file(data: bytes, *, nodes: int = MOST_NODES) -> Checked:
    """The release that wrote a model file, empty where it does not say, and the model's facts.

    Raises DocumentError, or another ValueError, TypeError, KeyError, AttributeError or OverflowError where a field
    is missing or wrong.
    """
    document = load(data, nodes=nodes)
    facts = check_model(document, most_nodes(data, nodes))
    version = ".".join(str(int(part)) for part in list(document.get("version", ()))[:3])
    return Checked(version, facts)


def check_serialised(data: bytes, *, nodes: int = MOST_NODES) -> None:
    """Check the form in which a pickled Booster keeps its model: a document of configuration and model, or the model.

    Raises DocumentError; the old binary form (XGBoost 1.x) is let through to the library's own reader.
    """
    if not data.startswith(b"{"):
        return
    document = load(data, nodes=nodes)
    try:
        check_model(document.get("Model", document), most_nodes(data, nodes))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DocumentError(f"it lacks what a model has: {error!r}") from error


def check_model(document: Any, most: int) -> dict[str, str]:
    """The model's facts. Raises DocumentError, or KeyError and the like where a field is missing."""
    learner = document["learner"]
    n_features = int(learner["learner_model_param"]["num_feature"])
    _need(0 <= n_features <= 10_000_000, f"it claims {n_features:,} features")
    booster = learner["gradient_booster"]
    kind = str(booster["name"])
    facts = {
        "booster": kind, "features": str(n_features), "objective": str(learner["objective"]["name"])[:200],
    }  # fmt: skip
    _need(kind in ("gbtree", "dart", "gblinear"), f"its booster {kind[:40]!r} is unknown")
    if kind == "gblinear":
        weights = booster["model"]["weights"]
        _need(
            len(weights) % (n_features + 1) == 0,
            f"it has {len(weights):,} weights for {n_features:,} features",
        )
        return facts
    inner = booster.get("gbtree", booster)
    trees = inner["model"]["trees"]
    _need(
        len(trees) == int(inner["model"]["gbtree_model_param"]["num_trees"]),
        "it has not as many trees as it says",
    )
    _need(len(inner["model"]["tree_info"]) == len(trees), "it has not as many tree groups as trees")
    _check_groups(learner, inner["model"], trees)
    # Beside the trees until XGBoost 3.3, among them since.
    weights = booster.get("weight_drop") or inner["model"].get("weight_drop") or []
    _need(
        len(weights) == len(trees) or (kind != "dart" and not weights),
        "it has not as many tree weights as trees",
    )
    nodes = 0
    for number, tree in enumerate(trees):
        nodes += _check_tree(tree, number, n_features)
        _need(nodes <= most, f"it has more than {most:,} nodes")
    return {**facts, "trees": str(len(trees)), "nodes": str(nodes)}


def _check_groups(learner: Any, model: Any, trees: Any) -> None:
    parameters = learner["learner_model_param"]
    groups = max(int(parameters.get("num_class", 0)), int(parameters.get("num_target", 1)), 1)
    info = list(model["tree_info"])
    _need(all(0 <= group < groups for group in info), "a tree belongs to a class that does not exist")
    starts = list(model.get("iteration_indptr", (0, len(trees))))
    ordered = all(first <= second for first, second in zip(starts, starts[1:]))  # noqa: RUF007 - Python 3.9
    _need(starts[0] == 0 and starts[-1] == len(trees) and ordered, "its iterations do not cover its trees")


def _check_tree(tree: Any, number: int, n_features: int) -> int:
    count = int(tree["tree_param"]["num_nodes"])
    width = max(int(tree["tree_param"].get("size_leaf_vector", 1)), 1)
    _need(count >= 1, f"tree {number} has no node")
    for key in _PER_NODE:
        length = len(tree[key])
        full = length == count or (key == "base_weights" and width > 1)
        _need(full, f"tree {number}: {key} has {length:,} values for {count:,} nodes")
    left, right, features = (
        list(tree["left_children"]),
        list(tree["right_children"]),
        list(tree["split_indices"]),
    )
    seen = bytearray(count)
    waiting = [0]
    while waiting:
        node = waiting.pop()
        _need(not seen[node], f"tree {number}: node {node} has two parents or is in a cycle")
        seen[node] = 1
        if left[node] == -1:
            # A leaf; with several targets its right child is the place of its values.
            _need(-1 <= right[node] < count, f"tree {number}, leaf {node} has no values")
            continue
        _need(
            0 <= features[node] < n_features,
            f"tree {number} splits on feature {features[node]}, which is missing",
        )
        for child in (left[node], right[node]):
            _need(0 < child < count, f"tree {number}, node {node}: child {child} does not exist")
            waiting.append(child)
    _check_categories(tree, number, count)
    return count


def _check_categories(tree: Any, number: int, count: int) -> None:
    nodes, sizes = list(tree.get("categories_nodes", ())), list(tree.get("categories_sizes", ()))
    segments, total = list(tree.get("categories_segments", ())), len(tree.get("categories", ()))
    _need(len(nodes) == len(sizes) == len(segments), f"tree {number} has category sets of different counts")
    for node, start, size in zip(nodes, segments, sizes):
        inside = 0 <= node < count and start >= 0 and size >= 0 and start + size <= total
        _need(inside, f"tree {number} has a category set outside of its list")


def _need(condition: bool, reason: str) -> None:
    if not condition:
        raise DocumentError(reason)
