"""The plainest tree there is."""

from __future__ import annotations

from typing import Any

import numpy as np

from validator.trees.ensemble import BranchMode, Task, TreeEnsemble


def chain(depth: int, **changes: Any) -> TreeEnsemble:
    """One tree: node i tests x <= i on feature 0, its true child is leaf i, its false child the next node."""
    fields: dict[str, Any] = {
        "library": "test",
        "task": Task.REGRESSION,
        "n_features": 1,
        "n_targets": 1,
        "feature": np.zeros(depth, dtype=np.int32),
        "threshold": np.arange(depth, dtype=np.float64),
        "comparison": np.full(depth, BranchMode.LE, dtype=np.uint8),
        "true_child": (~np.arange(depth)).astype(np.int32),
        "false_child": np.array([*range(1, depth), ~depth], dtype=np.int32),
        "missing_true": np.zeros(depth, dtype=bool),
        "zero_is_missing": np.zeros(depth, dtype=bool),
        "category_set": np.full(depth, -1, dtype=np.int32),
        "roots": np.zeros(1, dtype=np.int32),
        "leaf_value": np.arange(depth + 1, dtype=np.float64)[:, None],
        "leaf_target": np.zeros(depth + 1, dtype=np.int32),
        "base_score": np.zeros(1),
    }
    return TreeEnsemble(**{**fields, **changes})
