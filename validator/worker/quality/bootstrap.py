"""How sure it is that one model's metrics differ from another's on the same rows: a paired bootstrap.

Every metric here is a function of sums over rows (squared errors, hits, log losses; the AUC through its placement
values, whose mean it is, after DeLong, DeLong & Clarke-Pearson 1988). A resample weighs the rows of both models
alike, so what is hard for both cancels. Beyond `UNITS` rows, rows are put into that many random blocks that are
resampled as a whole, which has the same spread and a cost that does not grow. Rankers are resampled by query.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from validator.worker.quality.rows import Rows
from validator.worker.quality.scores import placements, query_ndcg

UNITS = 10_000
RESAMPLES = 1_000
CONFIDENCE = 0.95
_SEED = 20_251_105
_AT_ONCE = 100
_FEWEST = 10
_MOST_CLASSES = 50

Sums = Dict[str, Any]
Columns = Iterator[Tuple[str, Any]]
Interval = Tuple[float, float]


def intervals(candidate: Rows, base: Rows) -> Dict[str, Optional[Interval]]:
    """For each metric the `CONFIDENCE` interval of candidate minus base; None where too few rows have one."""
    import numpy as np

    ours, theirs = _sums(candidate), _sums(base)
    size = len(ours["rows"]) if ours else 0
    if size < _FEWEST or not theirs:
        return {}
    differences: Dict[str, List[Any]] = {}
    rng = np.random.default_rng(_SEED)
    for _ in range(RESAMPLES // _AT_ONCE):
        drawn = rng.integers(0, size, size=(_AT_ONCE, size))
        weights = np.stack([np.bincount(row, minlength=size) for row in drawn]).astype(np.float64)
        mine = _metrics(candidate, {name: weights @ column for name, column in ours.items()})
        other = _metrics(base, {name: weights @ column for name, column in theirs.items()})
        for name in mine.keys() & other.keys():
            differences.setdefault(name, []).append(mine[name] - other[name])
    return {name: _interval(np.concatenate(parts)) for name, parts in differences.items()}


def _interval(differences: Any) -> Optional[Interval]:
    """Resamples without a value (one class only) are left out, unless they are many."""
    import numpy as np

    finite = differences[np.isfinite(differences)]
    if len(finite) < 0.9 * len(differences):
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(finite, [tail, 1 - tail])
    return float(low), float(high)


def _units(count: int) -> Any:
    """Each row's block [N]: its own where they suffice, else one of `UNITS`, each stripe of rows in another order."""
    import numpy as np

    rng = np.random.default_rng(_SEED)
    if count <= UNITS:
        return np.arange(count)
    stripes = [rng.permutation(UNITS).astype(np.int32) for _ in range(-(-count // UNITS))]
    return np.concatenate(stripes)[:count]


def _sums(rows: Rows) -> Sums:
    """What each unit adds to the sums: float64 [U] by name. One column of rows is in memory at a time."""
    import numpy as np

    makers: Dict[str, Callable[[Rows], Columns]] = {
        "binary": _of_classes,
        "multiclass": _of_classes,
        "regression": _of_numbers,
        "ranking": _of_queries,
    }
    found: Sums = {}
    unit: Any = None
    for name, column in makers[rows.task](rows) if rows.task in makers else ():
        unit = _units(len(column)) if unit is None else unit
        found[name] = np.bincount(unit, weights=column)
    return found


def _of_classes(rows: Rows) -> Columns:
    import numpy as np

    if rows.label is None:
        raise ValueError("a classifier without labels")
    positive = rows.truth == 1
    of_truth = rows.value if rows.task == "multiclass" else np.where(positive, rows.value, 1 - rows.value)
    tiny = np.finfo(np.float64).eps
    yield "rows", np.ones(len(rows))
    if rows.has_probabilities:
        yield "log_loss", -np.log(np.clip(of_truth, tiny, 1 - tiny))
    yield "hits", rows.truth == rows.label
    for i in _measured(rows):
        yield f"true{i}", rows.truth == i
        yield f"said{i}", rows.label == i
        yield f"both{i}", (rows.truth == i) & (rows.label == i)
    if rows.task == "binary":
        if rows.has_probabilities:
            yield "squares", (rows.value - positive) ** 2
        if positive.any() and not positive.all():
            yield from _placed(positive, rows.value)


def _measured(rows: Rows) -> List[int]:
    """The classes whose F1 counts: the second of two, all of several; none where they are too many to resample."""
    if rows.task == "binary":
        return [1]
    return list(range(rows.n_classes)) if rows.n_classes <= _MOST_CLASSES else []


def _placed(positive: Any, value: Any) -> Columns:
    """The share of the other class on the right side of each row: the AUC is the mean over either class."""
    import numpy as np

    share = placements(value[~positive], value[positive])
    yield "auc", np.full(len(value), share.mean())
    column = np.zeros(len(value))
    column[positive] = share
    yield "of_positives", column
    column = np.zeros(len(value))
    column[~positive] = 1 - placements(value[positive], value[~positive])
    yield "of_negatives", column


def _of_numbers(rows: Rows) -> Columns:
    import numpy as np

    truth, value = (array.reshape(len(array), -1) for array in (rows.truth, rows.value))
    yield "rows", np.ones(len(rows))
    for i in range(truth.shape[1]):
        error, centred = value[:, i] - truth[:, i], truth[:, i] - truth[:, i].mean()
        yield f"squares{i}", error**2
        yield f"sizes{i}", np.abs(error)
        yield f"truth{i}", centred
        yield f"truths{i}", centred**2


def _of_queries(rows: Rows) -> Columns:
    import numpy as np

    values = query_ndcg(rows)
    yield "rows", np.ones(len(values))
    yield "ndcg", values


def _metrics(rows: Rows, sums: Sums) -> Dict[str, Any]:
    """The metrics [B] of B resamples from their sums [B]."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        if rows.task == "ranking":
            return {"ndcg": sums["ndcg"] / sums["rows"]}
        return _of_errors(sums) if rows.task == "regression" else _of_hits(rows, sums)


def _of_hits(rows: Rows, sums: Sums) -> Dict[str, Any]:
    import numpy as np

    count = sums["rows"]
    found = {"accuracy": sums["hits"] / count}
    if "log_loss" in sums:
        found["log_loss"] = sums["log_loss"] / count
    f1 = [
        2 * sums[f"both{i}"] / np.maximum(sums[f"true{i}"] + sums[f"said{i}"], 1.0) for i in _measured(rows)
    ]
    if f1:
        found["f1"] = sum(f1) / len(f1)
    if "squares" in sums:
        found["brier"] = sums["squares"] / count
    if "auc" in sums:
        # To first order: what resampling either class does to the mean, around the mean itself.
        either = sums["of_positives"] / sums["true1"] + sums["of_negatives"] / (count - sums["true1"])
        found["auc"] = either - sums["auc"] / count
    return found


def _of_errors(sums: Sums) -> Dict[str, Any]:
    import numpy as np

    count = sums["rows"]
    targets = range(sum(name.startswith("sizes") for name in sums))
    spread = [sums[f"truths{i}"] - sums[f"truth{i}"] ** 2 / count for i in targets]
    return {
        "rmse": np.mean([np.sqrt(sums[f"squares{i}"] / count) for i in targets], axis=0),
        "mae": np.mean([sums[f"sizes{i}"] / count for i in targets], axis=0),
        "r2": np.mean([1 - sums[f"squares{i}"] / spread[i] for i in targets], axis=0),
    }
