"""Facts about a live model as plain values: what JSON can carry, whatever library version they come from."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional, Tuple

Header = Dict[str, Any]
Arrays = Dict[str, Any]
Export = Tuple[Header, Arrays]


class NotExpressible(Exception):  # noqa: N818 - an outcome of looking at a model rather than a mistake
    """The model is no exact tree ensemble; the message says why, `hint` what would make it one."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def plain(value: Any) -> Any:
    """The value as JSON has it: numpy scalars and arrays unpacked, numbers that are not finite as None, else text."""
    import numpy as np

    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return str(value)[:200]


def library_of(model: Any) -> str:
    """The top-level package that defines the model's class."""
    return type(model).__module__.split(".")[0]


def class_name(model: Any) -> str:
    return f"{type(model).__module__}.{type(model).__qualname__}"


def library_version(library: str) -> Optional[str]:
    """The version of an imported library, None where it is not imported or has none."""
    import sys

    found = getattr(sys.modules.get(library), "__version__", None)
    return None if found is None else str(found)


def version_tuple(version: Optional[str]) -> Tuple[int, ...]:
    """The leading numbers of a version: "1.3.2rc1" is (1, 3, 2)."""
    import re

    return tuple(int(part) for part in re.findall(r"\d+", version or "")[:3])


def feature_names(model: Any) -> Optional[List[str]]:
    """The column names a scikit-learn style estimator was fitted with, or None."""
    found = getattr(model, "feature_names_in_", None)
    return None if found is None else [str(name) for name in found]


def class_labels(model: Any) -> Optional[List[Any]]:
    """A classifier's labels in the order of its probabilities: integers (booleans as 0 and 1) or strings.

    Raises NotExpressible where they are neither, or where there are several outputs.
    """
    found = getattr(model, "classes_", None)
    if found is None:
        return None
    if isinstance(found, list) and found and hasattr(found[0], "__len__") and not isinstance(found[0], str):
        raise NotExpressible(
            f"a classifier of {len(found)} outputs",
            "train a MultiOutputClassifier, and save each of its `estimators_`",
        )
    labels = [plain(item) for item in found]
    if all(isinstance(label, str) for label in labels):
        return labels
    whole = [_whole(label) for label in labels]
    if None in whole:
        raise NotExpressible(
            f"class labels that are neither all integers nor all strings: {str(labels)[:80]}",
            "encode the target as integers or strings",
        )
    return whole


def _whole(label: Any) -> Optional[int]:
    if isinstance(label, float) and label.is_integer():
        return int(label)
    return int(label) if isinstance(label, (bool, int)) else None
