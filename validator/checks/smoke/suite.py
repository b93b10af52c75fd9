"""The smoke suite: does the runtime answer at all, and do its answers look like answers?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from validator.checks.check import CheckOutcome, Subject, failed, not_applicable, passed, run_check, seen
from validator.checks.smoke import consistency
from validator.outputs import Outputs
from validator.results import CheckResult, Contract, Evidence
from validator.runtimes.runtime import Runtime
from validator.table import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BATCH_ROWS = 1_000
_METHOD_ROWS = 20
_THREAD_ROWS = 200
_LATENCY_CALLS = 30
#: Enough for the median of a model whose first calls are too slow already.
_SLOW_CALLS = 5
#: What must hold before a check can tell anything: one fault is one failure, not a list of its consequences.
_NEEDS = {
    "smoke.shape": ("smoke.batch",),
    "smoke.range": ("smoke.batch",),
    "smoke.finite": ("smoke.batch",),
    "smoke.repeatable": ("smoke.batch",),
    "smoke.rowwise": ("smoke.single", "smoke.batch", "smoke.repeatable"),
    "smoke.threads": ("smoke.batch", "smoke.repeatable"),
    "smoke.methods": ("smoke.single", "smoke.batch", "smoke.repeatable"),
    "smoke.latency": ("smoke.single",),
}
#: How far a sum of probabilities may be from one: float32 rounding over some hundred classes.
_SUM_TOLERANCE = 1e-4


def run(runtime: Runtime, subject: Subject, *, max_latency_ms: float) -> list[CheckResult]:
    """All smoke checks on one runtime."""
    rows = subject.head(_BATCH_ROWS)
    checks: dict[str, Callable[[], CheckOutcome]] = {
        "smoke.single": partial(_single, runtime, rows),
        "smoke.batch": partial(_batch, runtime, rows),
        "smoke.shape": partial(_shape, runtime, rows, subject.contract),
        "smoke.range": partial(_range, runtime, rows, subject.contract),
        "smoke.finite": partial(_finite, runtime, rows),
        "smoke.repeatable": partial(consistency.repeatable, runtime, rows),
        "smoke.rowwise": partial(consistency.rowwise, runtime, rows),
        "smoke.threads": partial(consistency.threads, runtime, subject.head(_THREAD_ROWS)),
        "smoke.latency": partial(_latency, runtime, rows, max_latency_ms),
    }
    if runtime.methods:
        checks["smoke.methods"] = partial(consistency.methods, runtime, rows.take(slice(0, _METHOD_ROWS)))
    done: dict[str, CheckResult] = {}
    for id, check in checks.items():
        broken = next((need for need in _NEEDS.get(id, ()) if done[need].status != "pass"), None)
        done[id] = run_check(id, runtime.name, check if broken is None else partial(untold, broken))
    return list(done.values())


def untold(need: str) -> CheckOutcome:
    """A check that could tell nothing, since the one it builds on failed: it blocks, and hides no cause."""
    return CheckOutcome(status="skip", message=f"not run: it tells nothing while {need} fails")


def _single(runtime: Runtime, rows: Table) -> CheckOutcome:
    answer = runtime.predict(rows.take(slice(0, 1)))
    if len(answer) != 1:
        return failed(f"one row gave {len(answer)} answers")
    return passed("one row gave one answer", *_shown(answer))


def _shown(answer: Outputs) -> list[Evidence]:
    first = {name: array.reshape(-1)[:3].tolist() for name, array in answer.present.items()}
    return [seen(f"first {name}", ", ".join(map(_text, values))) for name, values in first.items()]


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:100]


def _batch(runtime: Runtime, rows: Table) -> CheckOutcome:
    answer = runtime.predict(rows)
    wrong = [f"{len(array)} {name}" for name, array in answer.present.items() if len(array) != len(rows)]
    if wrong:
        return failed(f"{len(rows)} rows gave {', '.join(wrong)}")
    return passed(f"{len(rows)} rows gave {len(rows)} answers")


def _shape(runtime: Runtime, rows: Table, contract: Contract) -> CheckOutcome:
    answer = runtime.predict(rows)
    problems = []
    for name, array in answer.present.items():
        if name != "label" and array.dtype.kind not in "fiu":
            problems.append(f"{name} is {array.dtype}, not a number")
        if array.ndim not in (1, 2) or len(array) != len(rows):
            problems.append(f"{name} has shape {list(array.shape)} for {len(rows)} rows")
    probabilities = answer.probabilities
    if probabilities is not None and contract.classes:
        width = probabilities.shape[1] if probabilities.ndim == 2 else 1
        if width != len(contract.classes):
            problems.append(f"probabilities have {width} columns for {len(contract.classes)} classes")
    if problems:
        return failed("; ".join(problems))
    shapes = [seen(name, f"{list(array.shape)} {array.dtype}") for name, array in answer.present.items()]
    # Hard votes and wrappers decide and tell no more.
    labels_only = "" if answer.present.keys() - {"label"} else "; labels alone, no probabilities or scores"
    return passed(f"as the contract says{labels_only}", *shapes)


def _range(runtime: Runtime, rows: Table, contract: Contract) -> CheckOutcome:
    answer = runtime.predict(rows)
    if answer.probabilities is not None:
        return _probability_range(answer.probabilities, contract.probabilities_sum_to_one)
    name, values = answer.numeric if answer.present.keys() - {"label"} else ("label", None)
    low, high = contract.output_minimum, contract.output_maximum
    if values is None:
        return not_applicable("the model gives labels only")
    least, most = float(values.min(initial=0)), float(values.max(initial=0))
    if low is None and high is None:
        return passed(f"{name} between {least:.6g} and {most:.6g}; no limits are set in the contract")
    if (low is not None and least < low) or (high is not None and most > high):
        return failed(
            f"{name} goes from {least:.6g} to {most:.6g}, outside the contract's {low} to {high}",
            hint="mend the model, or the contract's output_minimum and output_maximum",
        )
    return passed(f"{name} within {low} to {high}", seen("least", least), seen("most", most))


def _probability_range(probabilities: NDArray[Any], sum_to_one: bool) -> CheckOutcome:
    import numpy as np

    from validator.serving.answers import TOLERANCE

    if probabilities.dtype.kind != "f":
        return failed(f"probabilities are {probabilities.dtype}")
    # What rounding in float32 adds to a sum is no fault, as the Deployment has it. NaN is for the check of finite
    # answers to name.
    bad = (probabilities < -TOLERANCE) | (probabilities > 1 + TOLERANCE)
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        value = float(probabilities[bad][0])
        return failed(
            f"{int(bad.sum())} probabilities are outside [0, 1]; the first is {value:.9g} in row {row}",
            seen("least", float(np.nanmin(probabilities)), ">= 0"),
            seen("most", float(np.nanmax(probabilities)), "<= 1"),
        )
    if not sum_to_one:
        return passed("all probabilities in [0, 1]; each class has its own, so that rows need not sum to one")
    if probabilities.ndim == 2:
        gaps = np.abs(probabilities.sum(axis=1) - 1)
        worst = float(np.nanmax(gaps, initial=0))
        if worst > _SUM_TOLERANCE:
            row = int(np.nanargmax(gaps))
            return failed(
                f"the probabilities of row {row} sum to {float(probabilities[row].sum()):.6g}",
                seen("largest distance from one", worst, f"<= {_SUM_TOLERANCE}"),
            )
    return passed("all probabilities in [0, 1], rows sum to one")


def _finite(runtime: Runtime, rows: Table) -> CheckOutcome:
    import numpy as np

    answer = runtime.predict(rows)
    for name, array in answer.present.items():
        if array.dtype.kind != "f":
            continue
        bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
        if bad.any():
            row = int(bad.argmax())
            what = "NaN" if np.isnan(array[row]).any() else "Inf"
            return failed(
                f"{int(bad.sum())} of {len(array)} rows give NaN or Inf in {name}; the first is row {row} ({what})",
                seen("rows with NaN or Inf", int(bad.sum()), "0"),
            )
    return passed(f"{len(rows)} rows, all finite")


def _latency(runtime: Runtime, rows: Table, limit_ms: float) -> CheckOutcome:
    """A first look: the median of a few calls. The latency suite has the percentiles."""
    import numpy as np

    runtime.prepare(rows.take(slice(0, _LATENCY_CALLS)), 1)
    first = float(np.median(runtime.run(0, 3).own_ns)) / 1e6
    calls = _LATENCY_CALLS if first < limit_ms else _SLOW_CALLS
    median = float(np.median(runtime.run(3, calls).own_ns)) / 1e6
    evidence = seen("median_ms", round(median, 4), f"< {limit_ms:g}", volatile=True)
    if median >= limit_ms:
        return failed(f"one row takes {median:.1f} ms, the limit is {limit_ms:g} ms", evidence)
    return passed(f"one row within {limit_ms:g} ms", evidence)
