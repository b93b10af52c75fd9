"""A wrapper held to its model: the same answers, batches of every size, objects that stay the caller's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from validator.checks.check import CheckOutcome, Subject, failed, passed, run_check, seen, warned
from validator.checks.wrapper.agreement import Agreement, agreement
from validator.checks.wrapper.beside import Beside, beside_thresholds
from validator.errors import ModelError
from validator.outputs import Outputs, concatenate
from validator.results import CheckResult, Scalar
from validator.runtimes import replies
from validator.runtimes.runtime import WorkerRuntime
from validator.sandbox.handle import Raised
from validator.sandbox.packing import pack_table
from validator.table import Table

#: Rows of the sample that are answered by both.
_ROWS = 2_000
#: Around the sizes at which people cut batches, and a prime above them, which no size of chunks divides.
SIZES = (1, 2, 3, 7, 999, 1_000, 1_001, 1_024, 4_095, 4_099)
_SINGLES = 200
_REUSED = 5

#: What an answer means that is no function of the model's.
Differs = Literal["fail", "warn"]


def run(
    runtime: WorkerRuntime, reference: WorkerRuntime | None, subject: Subject, *, differs: Differs
) -> list[CheckResult]:
    """Checks `wrapper.agrees`, `wrapper.sizes` and `wrapper.inputs`; `reference` answers as the model does."""
    rows = subject.head(_ROWS)
    classes = subject.contract.classes
    return [
        run_check(
            "wrapper.agrees", runtime.name, lambda: _agrees(runtime, reference, rows, classes, differs)
        ),
        run_check("wrapper.sizes", runtime.name, lambda: _sizes(runtime, rows)),
        run_check("wrapper.inputs", runtime.name, lambda: _inputs(runtime, rows)),
    ]


def _agrees(
    runtime: WorkerRuntime,
    reference: WorkerRuntime | None,
    rows: Table,
    classes: Sequence[Scalar],
    differs: Differs,
) -> CheckOutcome:
    if reference is None:
        return CheckOutcome(status="skip", message="not run: the model itself does not answer the sample")
    own = reference.predict(rows)
    beside = beside_thresholds(rows, reference.predict)
    told = []
    for role, name in runtime.methods.items():
        asked = rows.take(slice(_SINGLES)) if role == "single" else rows
        ours = own.take(slice(len(asked)))
        given = _answered(runtime, asked, role)
        found = agreement(ours, given, classes)
        wrong = [one for one in found if not one.agrees]
        if wrong:
            return _disagreement(name, wrong[0], ours, given, differs)
        moved = None if beside is None else _moved(runtime, role, ours, given, classes, beside)
        if isinstance(moved, _Moved):
            return _disagreement_beside(name, moved, differs)
        read = "; ".join(f"{one.output} is {one.reading}" for one in found)
        near = f" and {moved:,} beside the model's thresholds" if moved else ""
        told.append(f"{name} answers as its model does on {len(asked):,} rows{near}: {read}")
    return passed(told[0], seen("rows", len(rows)), *(seen("also", line) for line in told[1:]))


@dataclass(frozen=True, kw_only=True)
class _Moved:
    """Rows beside thresholds [N] that a wrapper answers otherwise than its model, and its answers to them."""

    wrong: Agreement
    given: Outputs
    beside: Beside


def _moved(
    runtime: WorkerRuntime,
    role: str,
    own: Outputs,
    given: Outputs,
    classes: Sequence[Scalar],
    beside: Beside,
) -> _Moved | int:
    """What is wrong beside the thresholds, else how many rows were tried: none where the wrapper refuses such rows,
    whose values are each the sample's but not together.
    """
    near = beside.answers
    try:
        answers = _answered(runtime, beside.rows, role)
    except Raised:
        return 0
    together = agreement(concatenate([own, near]), concatenate([given, answers]), classes)
    for whole, alone in zip(together, agreement(near, answers, classes), strict=True):
        if not whole.agrees:
            wrong = next((one for one in (whole.wrong[len(own) :], alone.wrong) if one.any()), None)
            wrong = np.ones(len(near), dtype=bool) if wrong is None else wrong
            return _Moved(wrong=replace(whole, wrong=wrong), given=answers, beside=beside)
    return len(beside.rows)


def _disagreement_beside(name: str, moved: _Moved, differs: Differs) -> CheckOutcome:
    row, count = int(np.argmax(moved.wrong.wrong)), int(moved.wrong.wrong.sum())
    message = (
        f"{name} does not answer as its model does beside the model's thresholds: {moved.wrong.output} differs in "
        f"{count:,} of {len(moved.wrong.wrong):,} rows there. With {moved.beside.place(row)} the model answers "
        f"{_shown(moved.beside.answers, row)}, the wrapper {_shown(moved.given, row)}"
    )
    hint = (
        "give the model the values as they came: a cast to float16, or fewer decimals, moves them across its "
        "thresholds (a cast to float32 is no difference here); wrapper_differs = 'warn' allows it"
    )
    return _differing(message, count, differs, hint=hint)


def _answered(runtime: WorkerRuntime, rows: Table, role: str) -> Outputs:
    """Raises ModelError where not every row is answered."""
    found = runtime.predict(rows, role)
    if any(len(array) != len(rows) for array in found.present.values()):
        raise ModelError(
            f"{runtime.methods[role]} is given {len(rows):,} rows and answers {len(found):,}",
            hint="give one answer a row, for the last, shorter part of a batch too",
        )
    return found


def _disagreement(
    name: str, wrong: Agreement, own: Outputs, given: Outputs, differs: Differs
) -> CheckOutcome:
    row = int(np.argmax(wrong.wrong))
    count = int(wrong.wrong.sum())
    reading = "" if "the model's" in wrong.reading else f"; it {wrong.reading}"
    message = (
        f"{name} does not answer as its model does: {wrong.output} differs in {count:,} of {len(wrong.wrong):,} rows"
        f"{reading}. Row {row}: the model answers {_shown(own, row)}, the wrapper {_shown(given, row)}"
    )
    hint = (
        "feed the columns in the model's order and take the right class's column; an answer that is no function "
        "of the model's is allowed by wrapper_differs = 'warn'"
    )
    return _differing(message, count, differs, hint=hint)


def _differing(message: str, count: int, differs: Differs, *, hint: str) -> CheckOutcome:
    finding = failed if differs == "fail" else warned
    return finding(message, seen("rows that differ", count, "0"), hint=hint)


def _shown(outputs: Outputs, row: int) -> str:
    parts = (f"{name} {np.round(array[row], 6).tolist() if array.dtype.kind == 'f' else array[row]}"
             for name, array in outputs.present.items())  # fmt: skip
    return ", ".join(parts)[:300]


def _sizes(runtime: WorkerRuntime, rows: Table) -> CheckOutcome:
    """Every batch is answered as its rows are in another batch: no chunk is lost, none reordered."""
    tried = [role for role in runtime.methods if role != "single"]
    if not tried:
        return passed("the wrapper takes one row at a time")
    for role in tried:
        whole = _answered(runtime, rows, role)
        for size in SIZES:
            which = np.arange(size) % len(rows)
            found = _answered(runtime, rows.take(which), role)
            different = [one for one in agreement(whole.take(which), found, ()) if not _same(one)]
            if different:
                count = int(different[0].wrong.sum())
                return failed(
                    f"{runtime.methods[role]} answers {count:,} of {size:,} rows otherwise than in another batch",
                    seen("batch", size),
                )
    sizes = ", ".join(f"{size:,}" for size in SIZES)
    return passed(f"rows are answered alike in batches of {sizes}")


def _same(found: Agreement) -> bool:
    return found.agrees and found.reading in (
        "the model's label",
        *(f"the model's {name}" for name in _OUTPUTS),
    )


_OUTPUTS = ("probabilities", "prediction", "score")


_BY_POSITION = (
    "take rows by their position (to_numpy, iloc), or reset_index(drop=True) of a copy at the beginning"
)


def _by_labels(told: replies.Reuse, name: str, *, turned: bool) -> CheckOutcome | None:
    """What is wrong with the answers to frames whose rows are labelled otherwise than 0, 1, 2, ..., if anything is.

    `turned` says that answers come in an order of their own, and their index says for which rows they are.
    """
    other = [one.labels for one in told.labels if one.ending == "other"]
    if other and turned:
        return failed(
            f"{name} answers in another order than it was asked, and where the frame's labels are {other[0]} nothing "
            "says which row an answer is for",
            hint="give the answers in the rows' order",
        )
    if other:
        return failed(
            f"{name} answers the same rows otherwise when the frame's labels are {' or '.join(other)}",
            hint=_BY_POSITION,
        )
    refused = [one for one in told.labels if one.ending == "refused"]
    if not refused:
        return None
    finding = warned if all(one.labels == "all the same" for one in refused) else failed
    return finding(
        f"{name} does not answer a frame whose labels are {' or '.join(one.labels for one in refused)}, as they are "
        f"after a filter, a sort or a join: {refused[0].message}",
        hint=_BY_POSITION,
    )


def _inputs(runtime: WorkerRuntime, rows: Table) -> CheckOutcome:
    meta, arrays = pack_table(rows.take(slice(_REUSED)))
    told = replies.read(replies.Reuse, runtime.worker.call("reuse", arrays, table=meta).result, runtime.name)
    for trial in told.trials:
        name = runtime.methods.get(trial.method, trial.method)
        if not trial.kept:
            return failed(
                f"{name} changes what its caller gave: the {trial.given} is another one after the call"
            )
        if not trial.again:
            return failed(f"{name} answers the same {trial.given} otherwise when it is given again")
        if not trial.fresh:
            return failed(
                f"{name} answers for what the {trial.given} held in an earlier call: given again with other values, "
                f"it is answered otherwise than a new one with these values",
                hint="key a cache by the values of all features, never by id() of the object",
            )
        if not trial.apart:
            return failed(f"an answer of {name} changes when it is called again: both share their memory")
    turned = [one for one in told.trials if not one.ordered]
    labelled = _by_labels(told, runtime.methods.get("predict", "predict"), turned=bool(turned))
    if labelled is not None:
        return labelled
    if turned:
        name = runtime.methods.get(turned[0].method, turned[0].method)
        return warned(
            f"{name} answers in another order than it was asked: only its index says which row an answer is for",
            hint="give the answers in the rows' order: whoever takes the values alone gets another row's",
        )
    methods = ", ".join(dict.fromkeys(runtime.methods.get(one.method, one.method) for one in told.trials))
    return passed(f"what the caller gives stays as it is, and may be given again ({methods})")
