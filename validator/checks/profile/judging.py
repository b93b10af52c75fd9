"""What the profile says: does the data differ from the champion's, and is the model better than a constant?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.checks.check import CheckOutcome, failed, not_applicable, passed, seen, warned
from validator.drift import quality
from validator.drift.rule import ColumnVerdict, judge_column
from validator.drift.tally import Tally
from validator.profile import Profile
from validator.profile.document import Quality
from validator.report.drawing import sparkline
from validator.results import Evidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHOWN = 30
#: The one figure that decides about chance, by task; the others are evidence.
_DECIDING = {"binary": "auc", "multiclass": "log_loss", "regression": "rmse"}


def judge_drift(tally: Tally | None, champion: Profile | None, *, reason: str, fail: bool) -> CheckOutcome:
    """Check `profile.drift`: the candidate's data in the champion's bins."""
    if champion is None:
        return not_applicable(reason)
    if tally is None or not tally.rows:
        return not_applicable("the two versions have no feature of the same name and form in common")
    n_columns = len(tally.profile.features)
    verdicts = []
    for i, column in enumerate(tally.profile.features):
        observed = tally.feature(i)
        verdict = judge_column(column, observed, n_columns=n_columns)
        now = [observed.slots[name] for name in column.bins]
        verdicts.append((verdict, f"{sparkline(column.counts)} → {sparkline(now)}"))
    drifted = [one for one in verdicts if one[0].status == "fail"]
    known = [one for one in verdicts if one[0].status in ("ok", "warn")]
    evidence = [_evidence(*one) for one in sorted(verdicts, key=_worst_first)[:_SHOWN]]
    if drifted:
        names = ", ".join(f"{verdict.name} ({_words(verdict)})" for verdict, _ in drifted[:5])
        more = f" and {len(drifted) - 5} more" if len(drifted) > 5 else ""
        told = f"{len(drifted)} of {n_columns} features differ from the champion's profile: {names}{more}"
        return (failed if fail else warned)(
            told, *evidence, hint="make sure that the champion would be retrained on the same data on purpose"
        )
    if not known:
        return not_applicable(
            f"{tally.rows:,} rows against the champion's {champion.rows:,} are too few to tell a shift from chance"
        )
    unknown = n_columns - len(known)
    rest = f"; {unknown} cannot be told with so few rows" if unknown else ""
    return passed(f"{len(known)} of {n_columns} features are as in the champion's profile{rest}", *evidence)


def judge_chance(
    measured: Sequence[Quality],
    truth: NDArray[Any],
    task: str,
    classes: Sequence[Any],
    *,
    target: str | None,
    fail: bool,
) -> CheckOutcome:
    """Check `quality.chance`: whether the model is surely better than the best constant prediction."""
    if target is None:
        return not_applicable("the sample's true answer is not named; set `target` to measure quality")
    deciding = next((one for one in measured if one.metric == _DECIDING.get(task)), None)
    if deciding is None:
        return not_applicable(f"too few true answers, or no figure for the task {task}")
    by_chance = constants(measured, truth, task, classes)
    evidence = [seen(one.metric, _span(one), f"constant {by_chance[one.metric]:.4g}") for one in measured]
    verdict = quality.compare(deciding, None, by_chance[deciding.metric])
    told = f"{deciding.metric} is {_span(deciding)}, a constant prediction's {by_chance[deciding.metric]:.4g}"
    if verdict.status == "ok":
        return passed(f"better than a constant prediction: {told}", *evidence)
    return (failed if fail else warned)(
        f"not better than a constant prediction, as far as {deciding.rows:,} rows tell: {told}",
        *evidence,
        hint="give more rows with true answers, better features, or a target that can be foretold",
    )


def constants(
    measured: Sequence[Quality], truth: NDArray[Any], task: str, classes: Sequence[Any]
) -> dict[str, float]:
    """What the best constant prediction reaches, by metric."""
    return {one.metric: quality.chance(one.metric, task, classes, truth) for one in measured}


def _span(one: Quality) -> str:
    return f"{one.value:.4g} ({one.low:.4g} to {one.high:.4g})"


def _evidence(verdict: ColumnVerdict, picture: str) -> Evidence:
    floor = "" if verdict.floor is None else f"floor {verdict.floor:.2g}"
    return seen(verdict.name[:1_000], f"{verdict.status}: {_words(verdict)}  {picture}", floor)


def _words(verdict: ColumnVerdict) -> str:
    special = [
        f"{one.name} {one.before:.1%} → {one.now:.1%}" for one in verdict.special if one.status != "ok"
    ]
    shape = "" if verdict.psi is None else f"PSI {verdict.psi:.2f}"
    return ", ".join([shape, *special] if shape else special) or verdict.reason


def _worst_first(one: tuple[ColumnVerdict, str]) -> tuple[int, float]:
    order = ("fail", "warn", "ok", "insufficient")
    verdict = one[0]
    return order.index(verdict.status), -np.nan_to_num(verdict.psi or 0.0)
