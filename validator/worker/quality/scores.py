"""The task's metrics of gathered rows, by scikit-learn, in pieces where the whole would take too much memory."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, Optional, Tuple

from validator.worker.quality import METRICS
from validator.worker.quality.rows import Rows

_PIECE = 1 << 20


def measure(rows: Rows) -> Dict[str, Optional[float]]:
    """Metrics by name. One that has no value here (one class only, say) is None."""
    import numpy as np

    found: Dict[str, Optional[float]] = {}
    for name in measurable(rows):
        try:
            value = float(_METRICS[name](rows)) if len(rows) else float("nan")
        except (ValueError, ZeroDivisionError):
            value = float("nan")
        found[name] = value if np.isfinite(value) else None
    return found


def measurable(rows: Rows) -> Tuple[str, ...]:
    """The task's metrics that such answers have: a score is no probability, and ranks rows of two classes only."""
    names = METRICS.get(rows.task, ())
    if rows.has_probabilities or rows.task not in ("binary", "multiclass"):
        return names
    return tuple(name for name in names if name in ("auc", "accuracy", "f1"))


def _pieces(rows: Rows) -> Iterator[Rows]:
    for start in range(0, len(rows), _PIECE):
        yield rows.take(slice(start, start + _PIECE))


def _mean(rows: Rows, total: Callable[[Rows], Any]) -> Any:
    """The mean over all rows of what scikit-learn sums over a piece."""
    return sum(total(piece) for piece in _pieces(rows)) / len(rows)


def auc(rows: Rows) -> float:
    """Area under the ROC curve. ValueError with one class only.

    Beyond a million rows scikit-learn's takes 70 bytes a row and a stable sort; the pairs that are in order are
    counted directly then, which is the same number.
    """
    positive = rows.truth == 1
    if positive.all() or not positive.any():
        raise ValueError("one class only")
    if len(rows) > _PIECE:
        return float(placements(rows.value[~positive], rows.value[positive]).mean())
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive, rows.value))


def placements(others: Any, mine: Any) -> Any:
    """The share of `others` [K] below each of `mine` [M], ties by half: float64 [M]."""
    import numpy as np

    below = np.sort(others)
    order = np.argsort(mine)
    found = np.empty(len(mine), dtype=np.float64)
    for start in range(0, len(mine), _PIECE):
        part = order[start : start + _PIECE]
        asked = mine[part]  # ascending, so that the search walks through memory
        left = np.searchsorted(below, asked, "left")
        found[part] = (left + np.searchsorted(below, asked, "right")) / (2.0 * len(below))
    return found


def _log_loss(rows: Rows) -> float:
    import numpy as np
    from sklearn.metrics import log_loss

    def total(piece: Rows) -> Any:
        # Of several classes only the true one's probability counts: as if it were asked "is it that one?"
        truth = piece.truth if piece.task == "binary" else np.ones(len(piece), dtype=np.int16)
        return log_loss(truth, piece.value, labels=[0, 1], normalize=False)

    return float(_mean(rows, total))


def _brier(rows: Rows) -> float:
    from sklearn.metrics import brier_score_loss

    return float(
        _mean(rows, lambda piece: brier_score_loss(piece.truth, piece.value, labels=[0, 1]) * len(piece))
    )


def _accuracy(rows: Rows) -> float:
    from sklearn.metrics import accuracy_score

    return float(_mean(rows, lambda piece: accuracy_score(piece.truth, piece.label, normalize=False)))


def _f1(rows: Rows) -> float:
    """Of the second class, or the plain mean over several; from how often each pair of truth and label occurs."""
    import numpy as np
    from sklearn.metrics import f1_score

    if rows.label is None:
        raise ValueError("no labels")
    width = rows.n_classes + 1  # the last is for labels that are no class
    counts = np.zeros(width * width, dtype=np.int64)
    for piece in _pieces(rows):
        cell = piece.truth.astype(np.int64) * width + np.asarray(piece.label) % width
        counts += np.bincount(cell, minlength=width * width)
    cells = np.flatnonzero(counts)
    truth, label = cells // width, cells % width
    if rows.task == "binary":
        return float(f1_score(truth == 1, label == 1, sample_weight=counts[cells], zero_division=0.0))
    everyone = np.arange(rows.n_classes)
    return float(
        f1_score(
            truth, label, labels=everyone, average="macro", sample_weight=counts[cells], zero_division=0.0
        )
    )


def _rmse(rows: Rows) -> float:
    import numpy as np
    from sklearn.metrics import mean_squared_error

    def total(piece: Rows) -> Any:
        return mean_squared_error(piece.truth, piece.value, multioutput="raw_values") * len(piece)

    return float(np.sqrt(_mean(rows, total)).mean())


def _mae(rows: Rows) -> float:
    from sklearn.metrics import mean_absolute_error

    return float(_mean(rows, lambda piece: mean_absolute_error(piece.truth, piece.value) * len(piece)))


def _r2(rows: Rows) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(rows.truth, rows.value))


def query_ndcg(rows: Rows) -> Any:
    """NDCG of each query with two rows or more: float64 [Q]. ValueError where nothing tells queries apart."""
    import numpy as np
    from sklearn.metrics import ndcg_score

    if rows.group is None:
        raise ValueError("no column tells the queries apart")
    order = np.argsort(rows.group, kind="stable")
    cuts = np.flatnonzero(np.diff(rows.group[order])) + 1
    queries = [part for part in np.split(order, cuts) if len(part) > 1]
    return np.array([ndcg_score([rows.truth[part]], [rows.value[part]]) for part in queries])


_METRICS: Dict[str, Callable[[Rows], float]] = {
    "auc": auc,
    "log_loss": _log_loss,
    "brier": _brier,
    "accuracy": _accuracy,
    "f1": _f1,
    "rmse": _rmse,
    "mae": _mae,
    "r2": _r2,
    "ndcg": lambda rows: float(query_ndcg(rows).mean()),
}
