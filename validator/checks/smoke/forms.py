"""The sample's own rows, given to the deployment in every form that its callers have them in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from validator.checks.check import CheckOutcome, failed, passed, run_check, seen
from validator.checks.load.sample import Data
from validator.checks.smoke.suite import untold
from validator.model.categories import as_categories
from validator.results import CheckResult
from validator.runtimes import replies
from validator.runtimes.runtime import WorkerRuntime
from validator.sandbox.packing import pack_table

#: Rows of the sample: its first ones, and for each column one in which it is missing.
_ROWS = 200


def run(load: Callable[[], WorkerRuntime], data: Data, smoked: Sequence[CheckResult]) -> CheckResult:
    """Check `smoke.forms` on a deployment of its own, which `load` gives: pandas is none of the memory that serving
    takes. `smoked` are the other smoke checks, without which it tells nothing.
    """
    broken = any(
        one.status != "pass" for one in smoked if (one.id, one.runtime) == ("smoke.batch", "deployment")
    )
    need = "load.sample" if data.is_refused else "smoke.batch" if broken else ""
    check = partial(untold, need) if need else partial(_forms, load, data)
    return run_check("smoke.forms", "deployment", check)


def _forms(load: Callable[[], WorkerRuntime], data: Data) -> CheckOutcome:
    stream, rows = data.sample.given(data.features, _ROWS)
    meta, arrays = pack_table(as_categories(rows, data.categories))
    worker = load().worker
    reply = worker.call("forms", [stream, *arrays], table=meta, untyped=data.sample.is_untyped)
    worker.close()
    told = replies.read(replies.Forms, reply.result, "deployment")
    if told.wrong is None:
        return passed(f"{len(rows)} rows of the sample are answered alike as {_listed(told.tried)}")
    columns = ", ".join(map(repr, told.wrong.columns))
    named = f" ({'column' if len(told.wrong.columns) == 1 else 'columns'} {columns})" if columns else ""
    evidence = seen("form", told.wrong.form)
    if told.wrong.message:
        return failed(
            f"the sample's own rows are refused as {told.wrong.form}{named}: {told.wrong.message}", evidence
        )
    return failed(f"the sample's own rows are answered otherwise as {told.wrong.form}{named}", evidence)


def _listed(forms: tuple[str, ...]) -> str:
    *most, last = forms
    return f"{', '.join(most)} and {last}" if most else last
