"""Stumps as a TreeEnsemble."""

from __future__ import annotations

from typing import Any

import numpy as np

from validator.libraries import header as told
from validator.trees.ensemble import BranchMode, Task, TreeEnsemble

_LIBRARY = "Stumps"


def read_export(header: told.Header, arrays: told.Arrays) -> TreeEnsemble:
    one: dict[str, Any] = {
        "feature": np.array([int(told.number(header, "feature", 0, _LIBRARY))], dtype=np.int32),
        "threshold": np.array([told.number(header, "cut", 0.0, _LIBRARY)]),
        "comparison": np.array([BranchMode.LE], dtype=np.uint8),
        "true_child": np.array([~0], dtype=np.int32),
        "false_child": np.array([~1], dtype=np.int32),
        "missing_true": np.zeros(1, dtype=bool),
        "zero_is_missing": np.zeros(1, dtype=bool),
        "category_set": np.full(1, -1, dtype=np.int32),
    }
    return TreeEnsemble(
        library="stumps_of_somebody",
        task=Task.REGRESSION,
        n_features=told.count(header, "n_features", _LIBRARY),
        n_targets=1,
        roots=np.zeros(1, dtype=np.int32),
        leaf_value=told.array(arrays, "value", np.float64, (2,), _LIBRARY)[:, None],
        leaf_target=np.zeros(2, dtype=np.int32),
        base_score=np.zeros(1),
        **one,
    )
