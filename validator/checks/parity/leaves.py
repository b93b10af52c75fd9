"""Native against ONNX inside: which leaves rows meet, and raw scores before the transform that hides differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from validator.checks.check import CheckOutcome, failed, not_applicable, passed, seen
from validator.checks.parity.compare import OutputDifferences, in_words
from validator.checks.sample_pass import Answers, Batch
from validator.outputs import Outputs
from validator.runtimes.runtime import WorkerRuntime
from validator.sandbox.packing import pack_table
from validator.sandbox.worker_pool import Worker, WorkerAnswer
from validator.table import Table

_WORK = 20_000_000
"""rows times trees"""
_SLOW_WORK = 2_000_000
"""the same, where the library does not tell its leaves and the model's trees are walked for it"""
_BATCH = 4_096
_FIRST = 64
"""rows that show whether the library tells its leaves; so many are compared however large the model"""


@dataclass(frozen=True, kw_only=True)
class Marked:
    """ONNX Runtime with files that tell what is inside: `leaves` gives fingerprints, `raw` raw scores."""

    trees: int
    leaves: WorkerRuntime | None = None
    values: tuple[Any, ...] = ()
    """what the fingerprints are made of: the leaves' numbers, and where each tree's start"""
    raw: WorkerRuntime | None = None


@dataclass(kw_only=True)
class Inside:
    """What was found; None where it could not be compared. A leaf mismatch is a row that meets another leaf."""

    tolerance: float
    rows: int = 0
    by_library: bool = True
    leaf_mismatches: int | None = None
    first_mismatch: str = ""
    raw: OutputDifferences | None = None

    @property
    def max_raw_diff(self) -> float | None:
        return None if self.raw is None else self.raw.max_abs_diff

    @property
    def max_raw_ulps(self) -> float | None:
        return None if self.raw is None else self.raw.max_ulp_diff


def marked_from(reply: WorkerAnswer, load: Callable[[bytes], WorkerRuntime]) -> Marked:
    """From what the judging worker made; `load` starts ONNX Runtime with a file."""
    arrays, parts = list(reply.arrays), list(reply.result["parts"])
    if "leaves" not in parts:
        return Marked(trees=0)
    leaves, values = load(bytes(arrays[0])), tuple(arrays[1:3])
    raw = load(bytes(arrays[3])) if "raw" in parts else None
    return Marked(trees=int(reply.result["trees"]), leaves=leaves, values=values, raw=raw)


def compare_inside(
    native: WorkerRuntime, judge: Worker, marked: Marked, tables: Iterable[Table], found: Inside
) -> None:
    """Compare on rows, at most so many that it takes some seconds. Raises Raised and WorkerError."""
    if marked.leaves is None:
        return
    for table in tables:
        start = 0
        while start < len(table):
            most = (_WORK if found.by_library else _SLOW_WORK) // max(1, marked.trees)
            size = min(_BATCH if found.rows else _FIRST, max(_FIRST, most) - found.rows)
            if size < 1:
                return
            rows = table.take(slice(start, start + size))
            start += len(rows)
            told = _told(native.worker.call, "inside", rows, marked)
            if "leaves" not in told:
                found.by_library = False
                told |= _told(judge.call, "met", rows, marked)
            _compare(found, rows, told, marked)


def _told(call: Callable[..., WorkerAnswer], op: str, rows: Table, marked: Marked) -> dict[str, Any]:
    meta, arrays = pack_table(rows)
    reply = call(op, [*arrays, *marked.values], table=meta, columns=len(arrays))
    return dict(zip(reply.result["told"], reply.arrays, strict=True))


def _compare(found: Inside, rows: Table, told: dict[str, Any], marked: Marked) -> None:
    if "leaves" in told and marked.leaves is not None:
        score = marked.leaves.predict(rows).score
        different = score != told["leaves"]
        if different.any() and not found.leaf_mismatches:
            found.first_mismatch = in_words(rows, int(different.argmax()))
        found.leaf_mismatches = (found.leaf_mismatches or 0) + int(different.sum())
    if "raw" in told and marked.raw is not None:
        found.raw = found.raw or OutputDifferences(tolerance=found.tolerance)
        score = marked.raw.predict(rows).score
        both = Answers(native=Outputs(score=_flat(told["raw"])), onnx=Outputs(score=_flat(score)))
        found.raw.see(Batch(rows=rows, table=rows), both)
    found.rows += len(rows)


def _flat(scores: Any) -> Any:
    return scores[:, 0] if scores.ndim == 2 and scores.shape[1] == 1 else scores


def judge_inside(found: Inside) -> CheckOutcome:
    """As a finding: other leaves fail, and so do raw scores beyond the tolerance."""
    if found.leaf_mismatches is None and found.raw is None:
        return not_applicable("neither leaves nor raw scores can be told apart in this model or ONNX file")
    evidence = [seen("rows", found.rows)]
    if found.leaf_mismatches is not None:
        teller = "the library itself" if found.by_library else "the model's trees, walked by us"
        evidence.append(seen("rows that meet other leaves", found.leaf_mismatches, "0"))
        evidence.append(seen("native leaves told by", teller))
    raw = found.raw
    if raw is not None:
        evidence += [
            seen("largest difference of raw scores", raw.max_abs_diff),
            seen("the same in ulps", raw.max_ulp_diff),
        ]
        if raw.worst is not None:
            evidence.append(seen("worst raw score", raw.worst.text))
    if found.leaf_mismatches:
        evidence.append(seen("first such row", found.first_mismatch))
        return failed(f"{found.leaf_mismatches} of {found.rows} rows meet other leaves in ONNX", *evidence)
    if raw is not None and not raw.agrees:
        return failed(
            f"raw scores differ by up to {raw.max_abs_diff:.3g}: {'; '.join(raw.problems)}", *evidence
        )
    what = "no row meets another leaf" if found.leaf_mismatches is not None else "leaves could not be told"
    exact = ""
    if raw is not None:
        exact = (
            "; raw scores are bit-identical"
            if not raw.max_abs_diff
            else (f"; raw scores differ by at most {raw.max_abs_diff:.3g} ({raw.max_ulp_diff:.0f} ulp)")
        )
    return passed(f"{found.rows} rows: {what}{exact}", *evidence)
