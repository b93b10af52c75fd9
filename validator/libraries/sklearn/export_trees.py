"""scikit-learn's trees, forests, gradient boosting and isolation forests as arrays.

A header of kind "sklearn-trees" goes with these arrays over the N nodes of all T trees, tree after tree:
`node_count` int64 [T]; `left`, `right` int32 [N], within the tree, -1 at leaves; `feature` int32 [N]; `threshold`
float64 [N], left where x <= threshold; `missing_left` bool [N]; `value` float64 [N, W], what a leaf adds; `cover`
float64 [N], the rows (or their weight) that met the node in training; `target` int32 [T], the score that the tree
adds to. Works with scikit-learn 1.0 and later.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any, List, Sequence

from validator.libraries.plain import Arrays, Export, Header, NotExpressible, class_labels

SINGLE = ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor")
FORESTS = (
    "RandomForestClassifier",
    "RandomForestRegressor",
    "ExtraTreesClassifier",
    "ExtraTreesRegressor",
    "BaggingClassifier",
    "BaggingRegressor",
)
BOOSTED = ("GradientBoostingClassifier", "GradientBoostingRegressor")
ISOLATION = "IsolationForest"
NAMES = (*SINGLE, *FORESTS, *BOOSTED, ISOLATION)


def export(model: Any) -> Export:
    """Raises NotExpressible for a model whose answers are no sum over trees."""
    name = type(model).__name__
    if name in SINGLE:
        header, arrays = _forest(model, [model], divisor=1)
    elif name in FORESTS:
        header, arrays = _forest(model, list(model.estimators_), divisor=len(model.estimators_))
    elif name in BOOSTED:
        header, arrays = _boosted(model)
    else:
        header, arrays = _isolation(model)
    header.update(admits_missing=accepts(model, float("nan")), admits_infinity=accepts(model, float("inf")))
    return header, arrays


def accepts(model: Any, value: float) -> bool:
    """Whether the model answers a row of that value rather than refuse it, found by asking."""
    import numpy as np

    row = np.full((1, int(model.n_features_in_)), value)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            model.predict(row)
        except ValueError:
            return False
    return True


def tree_arrays(trees: Sequence[Any], features: Sequence[Any], values: Sequence[Any]) -> Arrays:
    """The nodes of some `tree_` objects; `features` map a tree's feature numbers to the model's, None for as is."""
    import numpy as np

    states = [tree.__getstate__()["nodes"] for tree in trees]
    missing = [
        nodes["missing_go_to_left"]
        if "missing_go_to_left" in nodes.dtype.names
        else np.zeros(len(nodes), bool)
        for nodes in states
    ]
    mapped = []
    for nodes, chosen in zip(states, features):
        feature = np.maximum(nodes["feature"], 0)
        mapped.append(feature if chosen is None else np.asarray(chosen)[feature])
    return {
        "node_count": np.array([len(nodes) for nodes in states], dtype=np.int64),
        "left": np.concatenate([nodes["left_child"] for nodes in states]).astype(np.int32),
        "right": np.concatenate([nodes["right_child"] for nodes in states]).astype(np.int32),
        "feature": np.concatenate(mapped).astype(np.int32),
        "threshold": np.concatenate([nodes["threshold"] for nodes in states]).astype(np.float64),
        "missing_left": np.concatenate(missing).astype(bool),
        "value": np.concatenate(values).astype(np.float64),
        "cover": np.concatenate([nodes["weighted_n_node_samples"] for nodes in states]).astype(np.float64),
        "target": np.zeros(len(states), dtype=np.int32),
    }


def _forest(model: Any, estimators: List[Any], divisor: int) -> Export:
    """A tree alone, or the mean of trees: probabilities of classes, or values of one or more outputs."""
    labels = class_labels(model)
    bagging = type(model).__name__.startswith("Bagging")
    if any(type(tree).__name__ not in SINGLE for tree in estimators):
        raise NotExpressible(
            "bagging of something other than trees", "bag decision trees, or use a random forest"
        )
    if labels is not None and len(labels) < 2:
        raise NotExpressible(
            "a classifier that was trained on a single class", "train on at least two classes"
        )
    chosen = list(model.estimators_features_) if bagging else [None] * len(estimators)
    counts = labels is not None and holds_counts(estimators[0])
    values = [
        tree.tree_.value[:, :, 0] if labels is None else _probabilities(tree, len(labels), bagging, counts)
        for tree in estimators
    ]
    arrays = tree_arrays([tree.tree_ for tree in estimators], chosen, values)
    targets = arrays["value"].shape[1]
    return {
        "base_score": [0.0] * targets,
        "divisor": float(divisor),
        "task": "regression" if labels is None else "classification",
        "transform": "identity",
        "label_rule": "argmax_probability",
        "classes": labels,
    }, arrays


def holds_counts(tree: Any) -> bool:
    """Whether the classifier's nodes hold weighted counts, made fractions when asked (before 1.4), or fractions.

    Asked of a copy whose every leaf holds a 2 for each class: the weights of the rows do not tell the two apart.
    """
    import numpy as np

    class Twos:
        def predict(self, rows: Any) -> Any:
            return np.full((len(rows), int(tree.n_classes_)), 2.0)

    twin = copy.copy(tree)
    twin.tree_ = Twos()
    row = np.zeros((1, int(tree.n_features_in_)), dtype=np.float32)
    return bool(np.asarray(twin.predict_proba(row, check_input=False))[0, 0] != 2.0)


def _probabilities(tree: Any, n_classes: int, bagging: bool, counts: bool) -> Any:
    """[nodes, n_classes] as `predict_proba` gives them."""
    import numpy as np

    value = np.array(tree.tree_.value[:, 0, : int(tree.n_classes_)], dtype=np.float64)
    if counts:
        total = value.sum(axis=1)[:, np.newaxis]
        total[total == 0.0] = 1.0
        value /= total
    if not bagging or value.shape[1] == n_classes:
        return value
    # A bootstrap that met only some classes numbers those alone.
    widened = np.zeros((len(value), n_classes))
    widened[:, np.asarray(tree.classes_, dtype=np.intp)] = value
    return widened


def _boosted(model: Any) -> Export:
    import numpy as np

    labels = class_labels(model)
    init = model.init_
    if not (isinstance(init, str) and init == "zero") and type(init).__name__ not in (
        "DummyClassifier",
        "DummyRegressor",
    ):
        raise NotExpressible(
            f"gradient boosting that starts from a {type(init).__name__}",
            "leave `init` at its default, or set init='zero'",
        )
    stages = model.estimators_
    flat = [tree for stage in stages for tree in stage]
    rate = float(model.learning_rate)
    arrays = tree_arrays(
        [tree.tree_ for tree in flat], [None] * len(flat), [rate * tree.tree_.value[:, :, 0] for tree in flat]
    )
    arrays["target"] = np.tile(np.arange(stages.shape[1], dtype=np.int32), stages.shape[0])
    first = np.zeros((1, int(model.n_features_in_)), dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        base = np.asarray(model._raw_predict_init(first), dtype=np.float64).reshape(-1)
    header: Header = {"base_score": base.tolist(), "divisor": 1.0, "task": "regression", "classes": labels}
    header.update(transform="identity", label_rule="argmax_probability")
    if labels is not None:
        header.update(task="classification", **_boosted_answers(model, stages.shape[1]))
    return header, arrays


def _boosted_answers(model: Any, n_targets: int) -> Header:
    """How scores become probabilities and labels. Before 1.4 the loss decided the label, by the probabilities."""
    import numpy as np

    loss = getattr(model, "_loss", None)
    decide = getattr(
        loss if loss is not None else getattr(model, "loss_", None), "_raw_prediction_to_decision", None
    )
    if n_targets > 1:
        rule = "argmax_raw" if decide is None else "argmax_probability"
        return {"transform": "softmax", "label_rule": rule}
    at_zero = 1 if decide is None else int(np.asarray(decide(np.zeros((1, 1)))).reshape(-1)[0])
    rule = "raw_not_negative" if at_zero else "argmax_probability"
    factor = 2.0 if model.loss == "exponential" else 1.0
    return {"transform": "sigmoid", "factor": factor, "label_rule": rule}


def _isolation(model: Any) -> Export:
    """Leaves hold path lengths: the depth and, for the rows that training left unsplit, their average depth."""
    import numpy as np
    from sklearn.ensemble._iforest import _average_path_length

    trees = [estimator.tree_ for estimator in model.estimators_]
    values = [_depths(tree) + _average_path_length(tree.n_node_samples) - 1.0 for tree in trees]
    subset = int(model._max_features) != int(model.n_features_in_)
    chosen = list(model.estimators_features_) if subset else [None] * len(trees)
    arrays = tree_arrays(trees, chosen, [value[:, np.newaxis] for value in values])
    # `max_samples_` is public; `_max_samples` is what the formula uses, where it is there.
    sample = int(getattr(model, "_max_samples", model.max_samples_))
    factor = len(trees) * float(_average_path_length([sample])[0])
    if factor == 0.0:
        # One row a tree: scikit-learn sets the exponent to 1 for every row.
        arrays["value"][:] = 0.0
        arrays["value"][0] = factor = 1.0
    return {
        "base_score": [0.0],
        "divisor": 1.0,
        "task": "outlier",
        "transform": "isolation",
        "factor": factor,
        "offset": float(model.offset_),
        "label_rule": "argmax_probability",
        "classes": None,
    }, arrays


def _depths(tree: Any) -> Any:
    """float64 [nodes]: the number of nodes from the root to each node, both counted."""
    import numpy as np

    depth = np.ones(tree.node_count, dtype=np.float64)
    frontier = np.zeros(1, dtype=np.int64)
    level = 1.0
    while len(frontier):
        depth[frontier] = level
        level += 1.0
        below = np.concatenate([tree.children_left[frontier], tree.children_right[frontier]])
        frontier = below[below >= 0]
    return depth
