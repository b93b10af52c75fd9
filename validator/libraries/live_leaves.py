"""What a live tree model says of its own inside: the leaf that a row meets in each tree, and its raw scores.

Leaves are numbered within their tree in the order of the library's own numbering, from 0: the order in which the
exact converter keeps them.
"""

from __future__ import annotations

import re
import warnings
from typing import Any, Optional, Tuple


def final_and_given(model: Any, given: Any) -> Tuple[Any, Any]:
    """The estimator that answers, and what the steps before it make of the input."""
    steps = getattr(model, "steps", None)
    if not steps:
        return model, given
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _, step in steps[:-1]:
            if step is not None and step != "passthrough":
                given = step.transform(given)
    return final_and_given(steps[-1][1], given)


def leaves(model: Any, given: Any) -> Optional[Any]:
    """The leaf that each row meets in each tree, by number: integers [N, T]; None where the library does not say."""
    library, name = type(model).__module__.split(".")[0], type(model).__name__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if library == "lightgbm":
            return _matrix(model.predict(given, pred_leaf=True))
        if library == "xgboost":
            return _xgboost(model, given)
        if library == "catboost" and model.get_all_params().get("grow_policy") == "SymmetricTree":
            return _matrix(model.calc_leaf_indexes(given))
        if library == "sklearn" and callable(getattr(model, "apply", None)):
            return _sklearn(model, given, name)
    return None


def raw_scores(model: Any, given: Any) -> Optional[Any]:
    """Scores [N] or [N, K] before the transform to outputs; None where the library does not give them."""
    library, name = type(model).__module__.split(".")[0], type(model).__name__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if library == "lightgbm":
            return model.predict(given, raw_score=True)
        if library == "xgboost":
            return model.predict(given, output_margin=True)
        if library == "catboost":
            # Rankers answer with raw scores, and know no other way.
            raw = {} if "Ranker" in name else {"prediction_type": "RawFormulaVal"}
            return model.predict(given, **raw)
        if library == "sklearn" and "GradientBoostingClassifier" in name:
            return model.decision_function(given)
    return None


def sums_of(values: Any, starts: Any, met: Any) -> Any:
    """The fingerprint [N] of rows that meet the leaves `met` [N, T'], numbered from 0 in each tree.

    The leaves of tree t are values[starts[t]:starts[t + 1]]. The last T' trees are the model's; those before them
    only hold a base score. Raises ValueError for leaves or trees that do not exist.
    """
    import numpy as np

    extra = len(starts) - 1 - met.shape[1]
    counts = np.diff(starts)
    if extra < 0 or (counts[:extra] != 1).any():
        raise ValueError(f"the ONNX file has {len(counts)} trees, the model {met.shape[1]}")
    if (met < 0).any() or (met >= counts[extra:]).any():
        raise ValueError("the library met a leaf that its tree does not have")
    return values[starts[extra:-1] + met].sum(axis=1) + values[:extra].sum()


def _matrix(found: Any) -> Any:
    import numpy as np

    array = np.asarray(found)
    return array.reshape(len(array), -1).astype(np.int64)


def _sklearn(model: Any, given: Any, name: str) -> Any:
    """`apply` gives nodes; among a tree's nodes, the leaves keep their order."""
    import numpy as np

    nodes = _matrix(model.apply(given))
    if "GradientBoosting" in name:
        trees = [tree for stage in model.estimators_ for tree in stage]
    else:
        trees = list(getattr(model, "estimators_", [model]))
    for place, tree in enumerate(trees):
        rank = np.cumsum(tree.tree_.children_left < 0) - 1
        nodes[:, place] = rank[nodes[:, place]]
    return nodes


def _xgboost(model: Any, given: Any) -> Any:
    import numpy as np

    if hasattr(model, "get_booster"):
        nodes, booster = _matrix(model.apply(given)), model.get_booster()
    else:
        nodes, booster = _matrix(model.predict(given, pred_leaf=True)), model
    for place, text in enumerate(booster.get_dump()[: nodes.shape[1]]):
        known = np.sort(np.array(re.findall(r"(\d+):leaf=", text), dtype=np.int64))
        nodes[:, place] = np.searchsorted(known, nodes[:, place])
    return nodes
