"""What becomes of the objects that a wrapper's callers hand over, and whether its answers turn on their labels."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Tuple

from validator.outputs import Outputs, same
from validator.sandbox.inside.child import describe_error
from validator.table import Table
from validator.worker.wrapper_answers import in_order, labels_of

if TYPE_CHECKING:
    from validator.worker.jobs.wrapper import Given, WrapperModel


def reused(model: WrapperModel, method: str, rows: Table) -> Dict[str, Any]:
    given = model.inputs_by(method, rows)
    before = copy.deepcopy(given[2])
    raw = model.call(given)
    first = _apart(model.read(given, raw))
    kept = _alike(before, given[2])
    again = same(first, _apart(model.read(given, model.call(given)))) if kept else True
    model.call(model.inputs_by(method, rows.turned(1)))
    apart = same(first, model.read(given, raw))
    return {
        "method": method,
        "given": "row" if method == "single" else type(given[2]).__name__,
        "kept": kept,
        "again": again,
        "apart": apart,
        "fresh": not (kept and again and apart) or _is_fresh(model, method, given, rows.turned(1)),
        "ordered": in_order(raw, labels_of(given[2])),
    }


def _is_fresh(model: WrapperModel, method: str, given: Given, rows: Table) -> bool:
    """Whether an object that is given again with other values in it is answered as a new one with these values."""
    other = model.inputs_by(method, rows)
    expected = _apart(model.read(other, model.call(model.inputs_by(method, rows))))
    held, values = given[2], other[2]
    if isinstance(held, list):
        for row, new in zip(held, values):
            row.update(new)
    else:
        for name in values if isinstance(values, dict) else values.columns:
            held[name] = values[name]
    return same(expected, _apart(model.read(given, model.call(given))))


def _apart(outputs: Outputs) -> Outputs:
    """A copy that shares no memory with what was answered."""
    return Outputs(**{name: array.copy() for name, array in outputs.present.items()})


def _alike(before: Any, after: Any) -> bool:
    """Whether a table, mapping or list of mappings is as it was, in its names, order, types and values."""
    if hasattr(before, "equals") and hasattr(before, "columns"):
        same_types = list(before.columns) == list(after.columns) and list(before.dtypes) == list(after.dtypes)
        return same_types and bool(before.equals(after)) and bool(before.index.equals(after.index))
    if isinstance(before, dict):
        return list(before) == list(after) and all(_alike(before[name], after[name]) for name in before)
    if isinstance(before, list):
        return len(before) == len(after) and all(_alike(a, b) for a, b in zip(before, after))
    if hasattr(before, "tolist"):
        return _alike(before.tolist(), after.tolist()) and type(before) is type(after)
    return type(before) is type(after) and (before == after or (before != before and after != after))


def relabelled(model: WrapperModel, rows: Table) -> List[Dict[str, Any]]:
    """For each kind of labels that a frame's rows can have, whether the rows are answered as with labels 0, 1, 2, ...

    `ending` is alike, other or refused, with the error's `message`. Nothing for a wrapper that takes no frame.
    """
    if "predict" not in model.methods:
        return []
    given = model.inputs_by("predict", rows)
    if not hasattr(given[2], "set_axis"):
        return []
    expected = _apart(model.read(given, model.call(given)))
    trials = []
    for labels, index in _labels(len(rows)):
        other = (*given[:2], given[2].set_axis(index))
        try:
            alike = same(expected, model.read(other, model.call(other)))
            trials.append({"labels": labels, "ending": "alike" if alike else "other", "message": ""})
        except Exception as error:  # the wrapper may refuse with whatever it likes
            told = describe_error(error)
            message = f"{told['type']}: {told['message']}"[:300]
            trials.append({"labels": labels, "ending": "refused", "message": message})
    return trials


def _labels(count: int) -> Iterator[Tuple[str, Any]]:
    """Labels as frames have them that were sorted, filtered, joined or put together of several."""
    import pandas as pd

    yield "in another order", pd.RangeIndex(count - 1, -1, -1)
    yield "with gaps", pd.RangeIndex(17, 17 + 3 * count, 3)
    yield "text", pd.Index([f"row {number}" for number in range(count)], name="customer")
    yield "all the same", pd.Index([0] * count)
