"""The quality of one model, or of two on the same rows: over all of them, and slice by slice."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from validator.worker.quality.bootstrap import CONFIDENCE, intervals
from validator.worker.quality.rows import Gathering, Rows
from validator.worker.quality.scores import measure


def measured(gathering: Gathering, *, compare: bool) -> Dict[str, Any]:
    """`metrics` is a list of {name, slice, rows, value, base, low, high}: candidate, base and difference's interval.

    The candidate comes first among the gathering's models, the base second; without `compare` it is left alone.
    """
    candidate = gathering.rows(0)
    base = gathering.rows(1) if compare else None
    metrics = _compared(candidate, base, "")
    for column in gathering.slices.values():
        for name, mask in column.groups():
            metrics += _compared(candidate.take(mask), None if base is None else base.take(mask), name)
    return {"metrics": metrics, "left_out": gathering.left_out, "confidence": CONFIDENCE}


def _compared(candidate: Rows, base: Optional[Rows], slice_name: str) -> List[Dict[str, Any]]:
    ours = measure(candidate)
    theirs = {} if base is None else measure(base)
    between = {} if base is None else intervals(candidate, base)
    found = []
    for name, value in ours.items():
        low, high = between.get(name) or (None, None)
        found.append(
            {
                "name": name,
                "slice": slice_name,
                "rows": len(candidate),
                "value": value,
                "base": theirs.get(name),
                "low": low,
                "high": high,
            }
        )
    return found
