"""What scalers and trees of scikit-learn tell of the numbers that they were trained on: whether there were fractions.

Each rule is sound in one direction: whole numbers alone cannot have led to what it looks for. Python 3.9 with numpy.
"""

from __future__ import annotations

from typing import Any, Dict, List

from validator.libraries.live import fractional

#: Attributes that hold a value of training for each column.
_VALUES = ("data_min_", "data_max_", "max_abs_")
_SHARE = 1e-9


def fractions_of(step: Any) -> Dict[int, str]:
    """float, by number, for the columns of a fitted scaler or tree ensemble that saw fractions in training."""
    found: Dict[int, str] = {}
    for name in _VALUES:
        values = getattr(step, name, None)
        if values is not None:
            found.update(_not_whole(values))
    found.update(_by_mean(step))
    found.update(_by_thresholds(step))
    return found


def _not_whole(values: Any) -> Dict[int, str]:
    import numpy as np

    numbers = np.asarray(values, dtype=np.float64).reshape(-1)
    return {
        int(column): "float"
        for column in np.flatnonzero(np.isfinite(numbers) & (numbers != np.round(numbers)))
    }


def _by_mean(step: Any) -> Dict[int, str]:
    """A mean times the count of rows is a sum, and whole for whole numbers, but for what rounding leaves."""
    import numpy as np

    mean, count = getattr(step, "mean_", None), getattr(step, "n_samples_seen_", None)
    if mean is None or count is None or type(step).__name__ != "StandardScaler":
        return {}
    counts = np.asarray(count, dtype=np.float64)
    total = np.asarray(mean, dtype=np.float64) * counts
    spread = np.sqrt(np.asarray(step.var_, dtype=np.float64)) if step.var_ is not None else 0.0
    slack = _SHARE * counts * (np.abs(mean) + spread + 1)
    apart = np.isfinite(total) & (np.abs(total - np.round(total)) > slack) & (slack < 0.1)
    return {int(column): "float" for column in np.flatnonzero(apart)}


def _by_thresholds(step: Any) -> Dict[int, str]:
    """Thresholds lie in the middle between two values of training, unless they were drawn at random."""
    import numpy as np

    if getattr(step, "_predictors", None) and getattr(step, "is_categorical_", None) is None:
        nodes = np.concatenate([tree.nodes for stage in step._predictors for tree in stage])
        nodes = nodes[nodes["is_leaf"] == 0]
        return fractional(nodes["feature_idx"], nodes["num_threshold"])
    trees = [step] if hasattr(step, "tree_") else _trees_in(getattr(step, "estimators_", None))
    if hasattr(step, "estimators_features_"):  # each of its trees numbers columns of its own
        return {}
    if not trees or any(getattr(one, "splitter", "random") != "best" for one in trees):
        return {}
    if any(getattr(one, "n_features_in_", None) != getattr(step, "n_features_in_", None) for one in trees):
        return {}
    feature = np.concatenate([one.tree_.feature for one in trees])
    threshold = np.concatenate([one.tree_.threshold for one in trees])
    return fractional(feature[feature >= 0], threshold[feature >= 0])


def _trees_in(held: Any) -> List[Any]:
    """An ensemble's estimators, one after the other, where all of them are trees."""
    import numpy as np

    if not isinstance(held, (list, np.ndarray)):
        return []
    flat = [one for part in held for one in (part if isinstance(part, np.ndarray) else [part])]
    return flat if all(hasattr(one, "tree_") for one in flat) else []
