"""How good answers are, by scikit-learn's own metrics."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

#: Metrics of which more is better; of the others less is.
HIGHER_IS_BETTER = frozenset({"auc", "accuracy", "f1", "r2", "ndcg"})
METRICS = {
    "binary": ("auc", "log_loss", "brier", "accuracy", "f1"),
    "multiclass": ("log_loss", "accuracy", "f1"),
    "regression": ("rmse", "mae", "r2"),
}


def measure(task: str, truth: Any, label: Any, values: Any, classes: Any) -> Dict[str, Optional[float]]:
    """The task's metrics of N rows. A metric that has no value here (one class only, say) is None.

    `truth` [N], `label` [N] or None, `values` [N, K]: probabilities in the order of `classes`, or predictions.
    """
    import numpy as np

    found: Dict[str, Optional[float]] = {}
    for name in METRICS.get(task, ()):
        try:
            value = float(_functions(task, truth, label, values, classes)[name]())
        except (ValueError, ZeroDivisionError):
            value = float("nan")
        found[name] = value if np.isfinite(value) else None
    return found


def _functions(
    task: str, truth: Any, label: Any, values: Any, classes: Any
) -> Dict[str, Callable[[], float]]:
    import numpy as np
    from sklearn import metrics

    if task == "regression":
        flat = values[:, 0] if values.shape[1] == 1 else values
        return {
            "rmse": lambda: metrics.root_mean_squared_error(truth, flat),
            "mae": lambda: metrics.mean_absolute_error(truth, flat),
            "r2": lambda: metrics.r2_score(truth, flat),
        }
    codes = _codes(truth, classes)
    chosen = _codes(label, classes)
    everyone = np.arange(len(classes))
    if task == "multiclass":
        return {
            "log_loss": lambda: metrics.log_loss(codes, values, labels=everyone),
            "accuracy": lambda: metrics.accuracy_score(codes, chosen),
            "f1": lambda: metrics.f1_score(
                codes, chosen, average="macro", labels=everyone, zero_division=0.0
            ),
        }
    positive = values[:, 1]
    return {
        "auc": lambda: metrics.roc_auc_score(codes, positive),
        "log_loss": lambda: metrics.log_loss(codes, values, labels=everyone),
        "brier": lambda: metrics.brier_score_loss(codes, positive),
        "accuracy": lambda: metrics.accuracy_score(codes, chosen),
        "f1": lambda: metrics.f1_score(codes, chosen, zero_division=0.0),
    }


def _codes(values: Any, classes: Any) -> Any:
    """Class labels as their positions in `classes`. Raises ValueError for a label that is none of them."""
    import numpy as np

    position = {str(name): i for i, name in enumerate(classes)}
    position |= {str(float(name)): i for i, name in enumerate(classes) if isinstance(name, (int, float))}
    try:
        return np.array([position[str(value)] for value in np.asarray(values).tolist()], dtype=np.int64)
    except KeyError as error:
        raise ValueError(
            f"the sample's true answers hold {error}, which is none of the model's classes"
        ) from None
